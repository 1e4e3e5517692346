"""What deploy/kubernetes says: its manifests, its settings, and each container as a process of this machine."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

FOLDER = Path(__file__).resolve().parent.parent / "deploy" / "kubernetes"
BASE = FOLDER / "base"
Json = Any


@cache
def kustomization(folder: Path) -> Json:
    return yaml.safe_load((folder / "kustomization.yaml").read_text())


@cache
def manifests(folder: Path) -> list[Json]:
    """All that the kustomization of a folder lists in files beside it, in order."""
    found: list[Json] = []
    for name in kustomization(folder)["resources"]:
        if (folder / name).is_file():
            found += yaml.safe_load_all((folder / name).read_text())
    return found


def of_kind(*kinds: str) -> Iterator[Json]:
    return (each for each in manifests(BASE) if each["kind"] in kinds)


def pod_of(name: str) -> Json:
    """The template of the pods of a workload."""
    return next(each for each in of_kind("Deployment", "StatefulSet") if each["metadata"]["name"] == name)["spec"][
        "template"
    ]


def container_of(name: str) -> Json:
    return pod_of(name)["spec"]["containers"][0]


def settings() -> dict[str, str]:
    """The variables that all services share."""
    generated = kustomization(BASE)["configMapGenerator"]
    literals = next(each for each in generated if each["name"] == "pllib-settings")["literals"]
    return dict(each.split("=", 1) for each in literals)


class Started(NamedTuple):
    """A container's command line and the variables that it has."""

    words: list[str]
    environment: dict[str, str]


def process_of(name: str, secret: str, here: Mapping[str, str]) -> Started:
    """A container as it would be started, with a cluster's names and paths replaced by what is here.

    Args:
        secret: the value of every secret.
        here: texts of the manifests, and what stands for them on this machine.
    """
    container = container_of(name)
    environment = settings() if "envFrom" in container else {}
    for each in container.get("env", ()):
        environment[each["name"]] = _value(each, name, secret, environment)
    words = [str(word) for word in (*container.get("command", ()), *container.get("args", ()))]
    return Started(
        [replaced(word, here) for word in words], {key: replaced(text, here) for key, text in environment.items()}
    )


def _value(variable: Json, name: str, secret: str, before: Mapping[str, str]) -> str:
    if "value" in variable:
        return re.sub(r"\$\((\w+)\)", lambda found: before[found[1]], variable["value"])
    if "fieldRef" in variable["valueFrom"]:
        assert variable["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
        return f"{name}-0"
    return secret


def replaced(text: str, here: Mapping[str, str]) -> str:
    """A text with some texts in it replaced by others, at once."""
    return re.sub("|".join(map(re.escape, here)), lambda found: here[found[0]], text)
