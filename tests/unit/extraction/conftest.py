from __future__ import annotations

import io
import os
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from pllib import prov
from pllib.cli import main

Run = Callable[..., str]


class Repo:
    """A repository whose commits are made one at a time, at times of the test's choice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clock = 1_760_000_000
        folder.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, **environment: str) -> str:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
        who = {"GIT_AUTHOR_NAME": "Ana Lee", "GIT_AUTHOR_EMAIL": "ana@example.org", "GIT_CONFIG_GLOBAL": os.devnull}
        who |= {"GIT_COMMITTER_NAME": "Bo", "GIT_COMMITTER_EMAIL": "bo@example.org", "GIT_CONFIG_NOSYSTEM": "1"}
        command = ["git", "-c", "protocol.file.allow=always", "-C", str(self.folder), *arguments]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=60,
            env={**clean, **who, **environment},
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str | None], message: str = "change", **environment: str) -> str:
        """Writes files (``None``: removes them) and commits; the digest of the commit."""
        for name, text in files.items():
            path = self.folder / name
            if text is None:
                path.unlink()
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
        self._clock += 60
        when = f"{self._clock} +0200"
        self.git("add", "-A")
        self.git(
            "commit",
            "-q",
            "--allow-empty",
            "-m",
            message,
            **{"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when, **environment},
        )
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "code")


@pytest.fixture
def chain(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a chain of commands; what it printed. ``code`` is the exit code that is expected."""
    monkeypatch.delenv("PLLIB_PSEUDONYM_KEY", raising=False)
    monkeypatch.delenv("PLLIB_BASE", raising=False)
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, code: int = 0) -> str:
        capsys.readouterr()
        found = main([str(each) for each in arguments])
        out, error = capsys.readouterr()
        assert found == code, (out, error)
        return out if not code else error

    return run


def text_of(document: prov.Document, form: str = "provn") -> str:
    out = io.StringIO()
    prov.write(document, out, form)
    return out.getvalue()


def relations(document: prov.Document, kind: str) -> set[tuple[str, ...]]:
    """The arguments of relations of a kind, without times, and without what all identifiers begin with."""
    return {
        tuple(short(value) for value in each.arguments[:2] if value is not None)
        for each in document.statements
        if each.kind == kind
    }


def short(iri: str) -> str:
    for beginning in ("http://127.0.0.1:8472/id/", "https://github.com/mariusschlegel/mlflow2prov/"):
        if iri.startswith(beginning):
            return iri[len(beginning) :]
    return iri


def attributes(document: prov.Document, identifier: str) -> dict[str, list[str]]:
    """What is said of an element: local names of attributes to their texts."""
    found: dict[str, list[str]] = {}
    for each in document.statements:
        if each.id is not None and short(each.id) == identifier:
            for name, value in each.attributes:
                local = name.replace("#", "/").rpartition("/")[2]
                found.setdefault(local, []).append(value.text if isinstance(value, prov.Literal) else short(value.iri))
    return found


def ids(statements: Iterable[prov.Statement], kind: str) -> set[str]:
    return {short(each.id) for each in statements if each.kind == kind and each.id is not None}
