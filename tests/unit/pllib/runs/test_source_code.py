"""The state of real repositories."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time

import pytest

from pllib.runs import source_code
from pllib.runs.source_code import Unknown, code_state, without_credentials


def git(folder, *arguments):
    identity = ("-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *identity, "-c", "init.defaultBranch=main", "-C", str(folder), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    return done.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "code"
    (folder / "src").mkdir(parents=True)
    git(folder, "init", "-q")
    (folder / "src" / "train.py").write_text("print(1)\n")
    (folder / "readme").write_text("hello\n")
    git(folder, "add", ".")
    git(folder, "commit", "-q", "-m", "first")
    return folder


def state(folder, script="src/train.py"):
    return code_state(str(folder / script) if script else None, str(folder))


def test_a_clean_repository(repository):
    git(repository, "remote", "add", "origin", "https://ana:secret@example.org/lab/code.git")
    found = state(repository)
    assert found.repository == "example.org/lab/code"
    assert found.commit == found.version == git(repository, "rev-parse", "HEAD")
    assert found.script == "src/train.py"
    assert found.facts == {"branch": "main", "remote": "https://example.org/lab/code.git", "dirty": False}


def test_changes_are_told_by_a_digest_and_make_another_version(repository):
    (repository / "src" / "train.py").write_text("print(2)\n")
    one = state(repository)
    assert one.facts["dirty"] is True
    diff = subprocess.run(
        ["git", "-C", repository, "diff", "--binary", "--full-index", "HEAD"],
        capture_output=True,
        check=True,
        timeout=30,
    ).stdout
    assert one.facts["diff_sha256"] == hashlib.sha256(diff).hexdigest()
    assert one.version == f"{one.commit}+{one.facts['diff_sha256'][:16]}"
    git(repository, "add", ".")  # staged, it is the same change
    assert state(repository) == one
    (repository / "src" / "train.py").write_text("print(3)\n")
    assert state(repository).facts["diff_sha256"] != one.facts["diff_sha256"]


def test_without_a_remote_the_repository_is_called_as_its_folder(repository):
    assert state(repository).repository == "code"


def test_from_a_folder_with_no_script(repository):
    found = state(repository, None)
    assert found.script is None
    assert found.commit


def test_a_script_that_is_not_tracked_or_outside(repository, tmp_path):
    (repository / "new.py").write_text("")
    assert state(repository, "new.py").facts["script_untracked"] is True
    (tmp_path / "elsewhere.py").symlink_to(repository / "readme")
    link = repository / "link.py"
    outside = tmp_path / "outside.py"
    outside.write_text("")
    link.symlink_to(outside)
    assert code_state(str(link), str(repository)).script is None


@pytest.mark.parametrize("name", ["a b.py", "-x.py", "ü.py", ":(top)y.py", "*.py"])
def test_scripts_with_odd_names(repository, name):
    (repository / name).write_text("")
    assert state(repository, name).facts["script_untracked"] is True
    git(repository, "add", "--", f":(literal){name}")
    git(repository, "commit", "-q", "-m", "odd")
    assert "script_untracked" not in state(repository, name).facts
    assert state(repository, name).script == name


def test_a_commit_that_is_no_branch(repository):
    git(repository, "checkout", "-q", "--detach")
    assert "branch" not in state(repository).facts


def test_work_trees_and_folders_inside(repository, tmp_path):
    git(repository, "worktree", "add", "-q", str(tmp_path / "other"), "-b", "side")
    found = state(tmp_path / "other")
    assert (found.facts["branch"], found.script) == ("side", "src/train.py")


def test_no_repository_and_no_commit(tmp_path):
    with pytest.raises(Unknown, match="not a git repository"):
        state(tmp_path, None)
    git(tmp_path, "init", "-q")
    with pytest.raises(Unknown):
        state(tmp_path, None)


def test_no_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Unknown, match="git cannot be run"):
        state(repository)


def test_nothing_of_the_repository_is_run_or_changed(repository, tmp_path):
    trap = tmp_path / "trap"
    program = tmp_path / "program"
    program.write_text(f"#!/bin/sh\ntouch {trap}\nexit 1\n")
    program.chmod(0o755)
    (repository / ".gitattributes").write_text("*.py diff=evil\n")
    git(repository, "add", ".")
    git(repository, "commit", "-q", "-m", "attributes")
    for name in (
        "core.fsmonitor",
        "diff.external",
        "diff.evil.command",
        "diff.evil.textconv",
        "core.pager",
        "core.sshCommand",
    ):
        git(repository, "-c", "core.fsmonitor=false", "config", name, str(program))
    hooks = repository / ".git" / "hooks"
    hooks.mkdir(exist_ok=True)
    for hook in ("post-index-change", "pre-commit", "post-checkout"):
        (hooks / hook).write_text(program.read_text())
        (hooks / hook).chmod(0o755)
    (repository / "src" / "train.py").write_text("print(2)\n")
    os.utime(repository / "readme", (1, 1))  # git would like to refresh its index
    index = (repository / ".git" / "index").read_bytes()
    assert state(repository).facts["dirty"] is True
    assert not trap.exists()
    assert (repository / ".git" / "index").read_bytes() == index


def test_variables_of_git_around_do_not_lead_elsewhere(repository, tmp_path, monkeypatch):
    git(tmp_path, "init", "-q", "other")
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "other" / ".git"))
    assert state(repository).script == "src/train.py"


def test_a_git_that_hangs_is_ended(repository, tmp_path, monkeypatch):
    slow = tmp_path / "bin" / "git"
    slow.parent.mkdir()
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(source_code, "SECONDS", 0.5)
    began = time.monotonic()
    with pytest.raises(Unknown, match="took longer"):
        state(repository)
    assert time.monotonic() - began < 30


def test_a_diff_without_end_is_not_read_to_its_end(repository, tmp_path, monkeypatch):
    (repository / "readme").write_text("x" * 100_000)
    monkeypatch.setattr(source_code, "MAX_DIFF", 1000)
    monkeypatch.setattr(source_code, "BLOCK", 512)
    found = state(repository)
    assert found.facts["incomplete"] == "the changes are larger than 1000 bytes"
    assert found.version == f"{found.commit}+unknown"


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("https://example.org/lab/code.git", "https://example.org/lab/code.git"),
        ("https://ana:to-ken@example.org/lab/code", "https://example.org/lab/code"),
        ("https://to@ken@example.org:8443/lab/code/", "https://example.org:8443/lab/code/"),
        ("https://example.org/lab/code.git?private=x#y", "https://example.org/lab/code.git"),
        ("ssh://git@example.org/lab/code.git", "ssh://example.org/lab/code.git"),
        ("git@example.org:lab/code.git", "example.org:lab/code.git"),
        ("/srv/git/code.git", "/srv/git/code.git"),
        ("https://x@", "https://"),
    ],
)
def test_remotes_without_credentials(address, clean):
    assert without_credentials(address) == clean
