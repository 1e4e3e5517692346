"""The manifests of deploy/kubernetes: a validator takes them, they hold to the rules, and what they say starts and works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.conftest import require_fuseki
from tests.kubernetes_manifests import (
    BASE,
    FOLDER,
    container_of,
    kustomization,
    manifests,
    of_kind,
    pod_of,
    process_of,
    settings,
)
from tests.provenance import tracked
from tests.provenance.fuseki import FusekiServer
from tests.redis_process import SAFE, RedisProcess

CHECKOUT = Path(__file__).resolve().parents[2]
WORKLOADS = ("pllib-redis", "pllib-fuseki", "pllib-manager", "pllib-tracker", "pllib-query-engine")
VERSIONS = ("1.31", "1.37")
SECRET = "0123456789abcdef"
BEARER = {"Authorization": f"Bearer {SECRET}"}
PATIENCE = 90.0
Json = Any


@pytest.fixture(scope="module")
def validator() -> Any:
    try:
        import kubernetes_validate
    except ImportError:
        told = "kubernetes-validate is not installed"
        return pytest.fail(told) if os.environ.get("CI", "") not in ("", "0", "false") else pytest.skip(told)
    return kubernetes_validate


@pytest.mark.parametrize("version", VERSIONS)
def test_every_manifest_is_valid_strictly(validator: Any, version: str) -> None:
    checked = [
        *manifests(BASE),
        *(each for each in manifests(FOLDER / "autoscaling") if "keda" not in each["apiVersion"]),
    ]
    for each in checked:
        validator.validate(each, version, strict=True)
    assert len(checked) > 20
    wrong = json.loads(json.dumps(next(of_kind("Deployment"))))
    wrong["spec"]["template"]["spec"]["containers"][0]["livenessProb"] = {}
    with pytest.raises(validator.ValidationError):
        validator.validate(wrong, version, strict=True)


def test_every_file_is_listed() -> None:
    for folder in (BASE, FOLDER / "autoscaling"):
        told = kustomization(folder)
        listed = {*told["resources"], "kustomization.yaml"}
        for generator in told.get("configMapGenerator", ()):
            listed |= {*generator.get("files", ())}
        assert listed == {path.name for path in folder.iterdir()}


@pytest.mark.parametrize("name", WORKLOADS)
def test_a_container_can_do_no_more_than_it_must(name: str) -> None:
    pod, container = pod_of(name)["spec"], container_of(name)
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
    assert "memory" in container["resources"]["limits"]
    assert {"readinessProbe", "livenessProbe"} <= container.keys()
    assert "httpGet" not in container["livenessProbe"], "a service whose store is away must not be ended"
    words = [*container.get("command", ()), *container.get("args", ())]
    values = [each.get("value", "") for each in container.get("env", ())]
    assert not any("password=" in word for word in (*words, *values))


def test_names_that_are_used_are_there() -> None:
    services = {each["metadata"]["name"]: each["spec"] for each in of_kind("Service")}
    generated = {each["name"] for each in kustomization(BASE)["configMapGenerator"]}
    secrets = {each["name"] for each in kustomization(FOLDER / "example")["secretGenerator"]}
    for name in WORKLOADS:
        pod, container = pod_of(name)["spec"], container_of(name)
        assert services[name]["selector"].items() <= pod_of(name)["metadata"]["labels"].items()
        ports = {each["containerPort"] for each in container["ports"]}
        assert {each["port"] for each in services[name]["ports"]} == ports
        claims = next(each for each in of_kind("Deployment", "StatefulSet") if each["metadata"]["name"] == name)
        volumes = {each["name"] for each in pod.get("volumes", ())}
        volumes |= {each["metadata"]["name"] for each in claims["spec"].get("volumeClaimTemplates", ())}
        assert {each["name"] for each in container["volumeMounts"]} == volumes
        used = {each["configMap"]["name"] for each in pod.get("volumes", ()) if "configMap" in each}
        used |= {each["configMapRef"]["name"] for each in container.get("envFrom", ())}
        assert used <= generated
        references = [
            each["valueFrom"]["secretKeyRef"] for each in container.get("env", ()) if "secretKeyRef" in str(each)
        ]
        volumes_of = {each["secret"]["secretName"] for each in pod.get("volumes", ()) if "secret" in each}
        assert {each["name"] for each in references} | volumes_of <= secrets
    assert services["pllib-manager"]["clusterIP"] == "None", "trackers find all managers by the name"
    told = kustomization(FOLDER / "example")
    images = {container_of(name)["image"] for name in WORKLOADS}
    assert {each["name"] for each in told["images"]} == images


def test_only_what_is_needed_reaches_a_pod() -> None:
    policies = {each["metadata"]["name"]: each["spec"] for each in of_kind("NetworkPolicy")}
    closed = policies["pllib-nothing-but-names"]
    assert (closed["podSelector"], closed["policyTypes"], "ingress" in closed) == ({}, ["Ingress", "Egress"], False)
    for callee, callers in (
        ("pllib-redis", {"pllib-tracker"}),
        ("pllib-manager", {"pllib-tracker"}),
        ("pllib-fuseki", {"pllib-manager", "pllib-query-engine"}),
    ):
        port = container_of(callee)["ports"][0]["containerPort"]
        entries = [
            rule
            for each in policies.values()
            if selected(each["podSelector"], callee)
            for rule in each.get("ingress", ())
        ]
        assert [rule["ports"] for rule in entries] == [[{"port": port}]]
        allowed = {name for name in WORKLOADS for peer in entries[0]["from"] if selected(peer["podSelector"], name)}
        assert allowed == callers
        for name in WORKLOADS:
            ways = [
                rule
                for each in policies.values()
                if selected(each["podSelector"], name)
                for rule in each.get("egress", ())
            ]
            reaches = any(
                rule["ports"] == [{"port": port}] and selected(rule["to"][0]["podSelector"], callee)
                for rule in ways
                if "to" in rule
            )
            assert reaches is (name in callers)


def selected(selector: Json, name: str) -> bool:
    """Whether a policy's selector is of this workload's pods by name; one that selects everything is not."""
    names = [selector.get("matchLabels", {}).get("app.kubernetes.io/name")]
    for expression in selector.get("matchExpressions", ()):
        names += expression["values"]
    return name in names


# -- what they say, as processes of this machine


class Cluster:
    """Our containers of the manifests as processes here, on ports and folders of their own, beside a queue's server and a store."""

    def __init__(self, folder: Path, free_port: Callable[[], int]) -> None:
        self._folder = folder
        self.ports = {port: free_port() for port in (6379, 3030, 8470, 8471, 8472)}
        self._here = {"0.0.0.0": "127.0.0.1", "/secrets": str(folder), "/data": str(folder / "data")}  # noqa: S104
        for name in WORKLOADS:
            port = container_of(name)["ports"][0]["containerPort"]
            self._here[f"{name}:{port}"] = f"127.0.0.1:{self.ports[port]}"
        self._here |= {f"--port={port}": f"--port={found}" for port, found in self.ports.items()}
        for file, text in (("access/token", SECRET), ("store/credentials", f"basic pllib:{SECRET}")):
            (folder / file).parent.mkdir()
            (folder / file).write_text(text)

    @contextmanager
    def redis(self, program: str) -> Iterator[None]:
        """The queue's server, with the password."""
        folder = self._folder / "queue"
        folder.mkdir()
        server = RedisProcess(program, folder, self.ports[6379], SAFE | {"requirepass": SECRET})
        try:
            server.start()
            yield
        finally:
            server.close()

    @contextmanager
    def fuseki(self) -> Iterator[None]:
        """The store, with the user of the credentials."""
        server = FusekiServer(require_fuseki(), self._folder / "fuseki", self.ports[3030], password=SECRET)
        try:
            server.start()
            yield
        finally:
            server.end()

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """One workload's container, from when it is ready by its own probe until the end of the block."""
        found = process_of(name, SECRET, self._here)
        words = [sys.executable, "-m", name.removeprefix("pllib-").replace("-", "_"), *found.words]
        inherited = {key: text for key, text in os.environ.items() if not key.startswith("PLLIB_") or "TEST" in key}
        path = self._folder / f"{name}.log"
        with path.open("wb") as log:
            process = subprocess.Popen(words, cwd=CHECKOUT, env=inherited | found.environment, stdout=log, stderr=log)
        try:
            wait_until(lambda: self._ready(name, process), f"{name} is ready", path)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)

    def _ready(self, name: str, process: subprocess.Popen[bytes]) -> bool:
        assert process.poll() is None, (self._folder / f"{name}.log").read_text(errors="replace")
        probe = container_of(name)["readinessProbe"]["httpGet"]
        headers = {each["name"]: each["value"] for each in probe.get("httpHeaders", ())}
        try:
            return self.get(container_of(name)["ports"][0]["containerPort"], probe["path"], headers).status_code == 200
        except httpx.TransportError:
            return False

    def get(self, port: int, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """What the workload with that port answers."""
        return httpx.get(f"http://127.0.0.1:{self.ports[port]}{path}", headers={**headers}, trust_env=False, timeout=30)


def wait_until(condition: Callable[[], bool], what: str, log: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"in vain: {what}\n{log.read_text(errors='replace')}"
        time.sleep(0.1)


def scaler() -> tuple[str, str]:
    """Where the scaler reads the number it goes by: address, and path in the JSON."""
    told = next(each for each in manifests(FOLDER / "autoscaling") if each["kind"] == "ScaledObject")["spec"]
    assert told["scaleTargetRef"] == {"name": "pllib-manager"}
    (trigger,) = told["triggers"]
    assert (trigger["type"], trigger["metadata"]["authMode"]) == ("metrics-api", "bearer")
    assert int(trigger["metadata"]["targetValue"]) > 0
    return trigger["metadata"]["url"], trigger["metadata"]["valueLocation"]


def test_what_the_manifests_say_starts_and_works_and_the_scaler_reads_what_waits(
    tmp_path: Path, free_port: Callable[[], int], redis_program: str
) -> None:
    cluster = Cluster(tmp_path, free_port)
    url, path = scaler()
    address = urlsplit(url)
    assert address.hostname in settings()["PLLIB_ALLOWED_HOSTS"].split(",")
    tracker = int(address.port or 0)

    def lag() -> Json:
        found: Json = cluster.get(tracker, address.path, BEARER | {"Host": address.netloc}).json()
        for name in path.split("."):
            found = found[name]
        return found

    log = tmp_path / "pllib-tracker.log"
    with cluster.redis(redis_program), cluster.running("pllib-tracker"):
        for number in range(3):
            records = [
                tracked.begin(0, f"w/{number}", None, "workflow"),
                tracked.end(1, f"w/{number}", None, "workflow"),
            ]
            batch = {"version": 1, "producer": f"{number:032x}", "records": records}
            httpx.post(
                f"http://127.0.0.1:{cluster.ports[tracker]}/v1/captures",
                json=batch,
                headers=BEARER | {"Host": "pllib-tracker"},
                trust_env=False,
            ).raise_for_status()
        assert lag() == 3
        assert cluster.get(tracker, address.path, {"Host": address.netloc}).status_code == 401
        stranger = cluster.get(tracker, address.path, {"Host": "evil.example"})
        assert stranger.status_code == 400
        with cluster.fuseki(), cluster.running("pllib-manager"), cluster.running("pllib-query-engine"):
            wait_until(lambda: lag() == 0, "the manager has taken all", log)
            headers = BEARER | {"Host": "pllib-query-engine"}
            assert cluster.get(8472, "/v1/executions", {"Host": "localhost"}).status_code == 401
            found = cluster.get(8472, "/v1/executions", headers).json()["items"]
            assert len(found) == 3
            assert all(each["iri"].startswith(settings()["PLLIB_BASE"]) for each in found)
    assert SECRET not in log.read_text()
