"""One name for a repository, whoever tells of it: a script, its history, MLflow's tags, OpenLineage's events."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from pllib.extraction.git import Repository
from pllib.mlflow import naming
from pllib.provml.repositories import code_store, is_code_store, remote_store, repository_name
from pllib.runs.source_code import code_state

NAMES = {
    "https://example.org/lab/code.git": "example.org/lab/code",
    "https://ana:to-ken@example.org/lab/code": "example.org/lab/code",
    "https://to@ken@example.org:8443/lab/code/": "example.org:8443/lab/code",
    "https://example.org/lab/code.git?private=x#y": "example.org/lab/code",
    "ssh://git@example.org:2222/lab/code.git": "example.org:2222/lab/code",
    "git@example.org:lab/code.git": "example.org/lab/code",
    "example.org:lab/code.git": "example.org/lab/code",
    "/srv/git/code.git": "srv/git/code",
}


@pytest.mark.parametrize(("address", "name"), NAMES.items())
def test_a_repository_is_called_by_host_and_path(address: str, name: str) -> None:
    assert repository_name(address) == name
    assert remote_store(address) == code_store(name) == f"git:{name}"
    assert is_code_store(code_store(name))


@pytest.mark.parametrize("address", ["", "nonsense", "https://example.org", "https://x@", "../code"])
def test_an_address_of_no_host_and_path_is_no_store_for_others(address: str) -> None:
    assert remote_store(address) is None


def test_all_who_tell_of_a_repository_call_it_the_same(tmp_path: Path) -> None:
    address = "https://ana:secret@git.example.org/lab/code.git"
    who = ["-c", "user.name=Ana", "-c", "user.email=ana@example.org"]
    for command in (["init", "-q"], ["remote", "add", "origin", address], ["commit", "-qm", "a", "--allow-empty"]):
        subprocess.run(["git", *who, "-C", str(tmp_path), *command], check=True, timeout=60)
    state = code_state(None, str(tmp_path))
    tagged = naming.code({naming.COMMIT: state.commit, naming.REPOSITORY: address})
    assert tagged is not None
    found = {code_store(state.repository), code_store(Repository(str(tmp_path)).name), tagged.store}
    assert found == {remote_store(address)} == {"git:git.example.org/lab/code"}
