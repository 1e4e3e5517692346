"""The example of deploy/kubernetes as kustomize builds it; ``make test-kubernetes`` names the program."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import kubernetes_validate
import yaml

from tests.integration.test_kubernetes import VERSIONS
from tests.kubernetes_manifests import FOLDER


def test_the_example_is_built_and_valid_with_and_without_the_scaler(tmp_path: Path) -> None:
    kustomize = os.environ["PLLIB_KUSTOMIZE"]
    shutil.copytree(FOLDER, tmp_path / "kubernetes")
    example = tmp_path / "kubernetes" / "example"
    subprocess.run(["sh", str(example / "new-secrets.sh")], check=True)
    assert (example / "store-credentials").stat().st_mode & 0o77 == 0
    for scaled in (False, True):
        text = (example / "kustomization.yaml").read_text()
        if scaled:
            (example / "kustomization.yaml").write_text(text.replace("# components:\n#   -", "components:\n  -"))
        told = subprocess.run([kustomize, "build", str(example)], capture_output=True, text=True, check=True).stdout
        built = [*yaml.safe_load_all(told)]
        for each in built:
            if "keda" not in each["apiVersion"]:
                kubernetes_validate.validate(each, VERSIONS[-1], strict=True)
        assert {each["kind"] for each in built} >= {"Secret", "ConfigMap", "StatefulSet", "NetworkPolicy"}
        assert any(each["kind"] == "ScaledObject" for each in built) is scaled
        managers = next(each for each in built if each["kind"] == "Deployment")
        assert ("replicas" in managers["spec"]) is not scaled
        assert "image: pllib-" not in told, "images have a registry"
