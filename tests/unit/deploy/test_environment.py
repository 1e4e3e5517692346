"""What is to be installed in the virtual environment, and when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy import environment
from deploy.environment import Installed, fingerprint, missing, pinned, pip_commands
from deploy.errors import EnvironmentUnprepared

PROJECT = {"project": {"name": "pllib"}, "dependency-groups": {"test": ["pytest"]}, "tool": {"ruff": {}}}
HERE = Path("/work")


def installed(print_: str, *groups: str) -> Installed:
    return Installed(print_, frozenset(groups))


def test_nothing_is_installed_twice():
    assert missing(installed("a", "test", "check"), installed("a", "test")) is None
    assert missing(installed("a"), installed("a")) is None


def test_what_was_installed_is_kept_when_more_or_other_is_wanted():
    assert missing(None, installed("a", "test")) == {"test"}
    assert missing(installed("a", "check"), installed("a", "test")) == {"check", "test"}
    assert missing(installed("a", "check"), installed("b", "check")) == {"check"}


def test_the_fingerprint_follows_the_needs_the_versions_and_the_place_and_nothing_else():
    print_ = fingerprint(PROJECT, "a==1\nb==2\n", HERE)
    assert fingerprint({**PROJECT, "tool": {"ruff": {"line-length": 1}}}, "b==2\na==1\n", HERE) == print_
    assert fingerprint({**PROJECT, "project": {"name": "other"}}, "a==1\nb==2\n", HERE) != print_
    assert fingerprint(PROJECT, "a==1\nb==3\n", HERE) != print_
    assert fingerprint(PROJECT, "a==1\nb==2\n", HERE / "moved") != print_


def test_the_installer_comes_first_in_its_own_version_and_everything_is_held_to_the_constraints():
    first, second = pip_commands("python", "numpy==2\npip==26.3\n", ["test", "check"])
    assert first[-1] == "pip==26.3"
    assert second[-6:] == ("-e", ".[server]", "--group", "check", "--group", "test")
    assert second[second.index("-c") + 1] == "constraints.txt"
    assert second[second.index("--build-constraint") + 1] == "constraints.txt"


def test_a_package_that_is_not_pinned_is_named_alone():
    assert pinned("pipx==1\n", "pip") == "pip"


def test_a_python_that_cannot_make_environments_is_told_with_the_package_it_lacks(tmp_path, monkeypatch):
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(EnvironmentUnprepared, match="ensurepip") as refused:
        environment._create(tmp_path / ".venv")
    assert "-venv" in refused.value.fix
