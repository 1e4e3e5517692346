"""The git reader: any path, any history, and nothing of the repository is run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pllib.extraction import git
from pllib.extraction.errors import ExtractionError
from pllib.extraction.git import Repository, time_text
from pllib.extraction.history import History, Revision

from .conftest import Repo

LONG = "".join(f"line {number}\n" for number in range(20))
Steps = dict[str, list[tuple[str, str, tuple[tuple[str, str], ...]]]]


def history(repo: Repo) -> Steps:
    """By commit its changes: status, path, and path and commit of the revisions before it."""
    found = History(Repository(str(repo.folder)))
    return {
        commit.sha: [
            (step.change.status, step.change.path, tuple((one.path, one.commit) for one in step.before))
            for step in steps
        ]
        for commit, steps in found.steps()
    }


def test_root_commits_modifications_and_deletions(repo: Repo) -> None:
    first = repo.commit({"a.txt": "a"})
    second = repo.commit({"a.txt": "b", "b.txt": "b"})
    third = repo.commit({"b.txt": None})
    empty = repo.commit({}, "nothing")
    assert history(repo) == {
        first: [("A", "a.txt", ())],
        second: [("M", "a.txt", (("a.txt", first),)), ("A", "b.txt", ())],
        third: [("D", "b.txt", (("b.txt", second),))],
        empty: [],
    }


@pytest.mark.parametrize(
    "name",
    [
        *("with space.py", "new\nline", "tab\there", 'quote"s', "back\\slash", "naïve 文.py"),
        *(" begins", "-dash", ":colon", "\x01mark", "deep/er/file"),
    ],
)
def test_any_path(repo: Repo, name: str) -> None:
    first = repo.commit({name: LONG})
    second = repo.commit({name: LONG + "more"})
    assert history(repo) == {first: [("A", name, ())], second: [("M", name, ((name, first),))]}


def test_paths_that_are_no_utf8_stay_what_they_are(repo: Repo) -> None:
    Path(repo.folder, "odd-\udcff.txt").write_text("x")
    sha = repo.commit({})
    assert history(repo) == {sha: [("A", "odd-\udcff.txt", ())]}


def test_renames_and_copies(repo: Repo) -> None:
    first = repo.commit({"old name.py": LONG})
    second = repo.commit({"old name.py": None, "new name.py": LONG + "end"})
    third = repo.commit({"new name.py": LONG + "ends", "copy of it.py": LONG + "end"})
    found = History(Repository(str(repo.folder)))
    steps = {commit.sha: steps for commit, steps in found.steps()}
    (renamed,) = steps[second]
    assert (renamed.change.status, [one.path for one in renamed.before]) == ("R", ["old name.py"])
    assert renamed.revision == Revision("new name.py", second, "R", ("old name.py", first))  # the same file still
    copied, modified = sorted(steps[third], key=lambda step: step.change.path)
    assert (copied.change.status, copied.before[0].commit) == ("C", second)
    assert copied.revision is not None
    assert copied.revision.first == ("copy of it.py", third)  # a file of its own
    assert modified.revision is not None
    assert modified.revision.first == ("old name.py", first)


def test_merges_change_what_differs_from_every_parent(repo: Repo) -> None:
    base = repo.commit({"both": "1\n", "ours": "1\n", "theirs": "1\n"})
    repo.git("checkout", "-q", "-b", "side")
    side = repo.commit({"both": "side\n", "theirs": "2\n"})
    repo.git("checkout", "-q", "main")
    main = repo.commit({"both": "main\n", "ours": "2\n"})
    subprocess.run(["git", "-C", str(repo.folder), "merge", "-q", "side"], capture_output=True, timeout=60)
    merge = repo.commit({"both": "main and side\n"}, "merge")
    found = history(repo)
    assert found[merge] == [("M", "both", (("both", main), ("both", side)))]
    assert found[side] == [("M", "both", (("both", base),)), ("M", "theirs", (("theirs", base),))]
    commits = {commit.sha: commit for commit in Repository(str(repo.folder)).commits()}
    assert commits[merge].parents == (main, side)
    after = repo.commit({"theirs": "3\n", "ours": "3\n"})
    assert history(repo)[after] == [("M", "ours", (("ours", main),)), ("M", "theirs", (("theirs", side),))]


def test_the_revision_before_is_an_ancestor_also_when_the_content_came_back(repo: Repo) -> None:
    one = repo.commit({"f": "A\n"})
    repo.commit({"f": "B\n"})
    three = repo.commit({"f": "A\n"})
    four = repo.commit({"f": "C\n"})
    assert history(repo)[four] == [("M", "f", (("f", three),))]
    repo.git("checkout", "-q", "-b", "old", one)
    side = repo.commit({"f": "D\n"})
    assert history(repo)[side] == [("M", "f", (("f", one),))]
    repo.git("checkout", "-q", "-b", "picked", one)
    repo.commit({"f": "B\n"})  # the same content as on main, made anew
    last = repo.commit({"f": "E\n"})
    ((_, _, before),) = history(repo)[last]
    assert before == (("f", repo.git("rev-parse", "picked~1")),)


def test_submodules_are_noted(repo: Repo, tmp_path: Path) -> None:
    other = Repo(tmp_path / "other")
    inside = other.commit({"x": "x"})
    repo.git("submodule", "add", "-q", str(other.folder), "libs/other")
    sha = repo.commit({})
    commit = next(commit for commit in Repository(str(repo.folder)).commits() if commit.sha == sha)
    modules = [change for change in commit.changes if change.mode == git.SUBMODULE]
    assert [(change.path, change.blob, change.status) for change in modules] == [("libs/other", inside, "A")]


def test_people_times_and_messages(repo: Repo) -> None:
    when = {"GIT_AUTHOR_DATE": "1760000000 -0330", "GIT_COMMITTER_DATE": "1760000060 +1245"}
    repo.commit({"a": "a"}, "Title of it\n\nWhy: naïve\n", **when)
    (commit,) = Repository(str(repo.folder)).commits()
    assert (commit.author, commit.committer) == (("Ana Lee", "ana@example.org"), ("Bo", "bo@example.org"))
    assert (commit.authored, commit.committed) == ("2025-10-09T05:23:20-03:30", "2025-10-09T21:39:20+12:45")
    assert (commit.title, commit.message) == ("Title of it", "Title of it\n\nWhy: naïve")


def test_times_that_are_none() -> None:
    assert time_text("1760000000 +2500") == "2025-10-09T08:53:20+00:00"  # no such zone
    assert time_text("99999999999999999999 +0000") is None
    assert time_text("nonsense") is None


def test_nothing_of_the_repository_is_run(repo: Repo, tmp_path: Path) -> None:
    """Neither its hooks nor what its configuration names: monitors, external diffs, text conversions, signature checks, pagers."""
    trap, sprung = tmp_path / "trap", tmp_path / "sprung"
    trap.write_text(f"#!/bin/sh\necho $0 >> {sprung}\n")
    trap.chmod(0o755)
    repo.commit({"a.txt": "a", ".gitattributes": "*.txt diff=odd\n"})
    sha = repo.commit({"a.txt": "b"})
    for key in (
        "core.fsmonitor",
        "diff.external",
        "diff.odd.textconv",
        "diff.odd.command",
        "core.pager",
        "gpg.program",
        "core.sshCommand",
    ):
        repo.git("config", key, str(trap))
    for key, value in {
        "log.showSignature": "true",
        "diff.orderFile": "nowhere",
        "diff.renames": "false",
        "log.showRoot": "false",
    }.items():
        repo.git("config", key, value)
    for key, value in {
        "log.date": "human",
        "diff.noprefix": "true",
        "core.quotePath": "true",
        "format.pretty": "oneline",
    }.items():
        repo.git("config", key, value)
    hooks = repo.folder / ".git" / "hooks"
    for name in ("post-index-change", "reference-transaction", "pre-auto-gc"):
        (hooks / name).write_text(trap.read_text())
        (hooks / name).chmod(0o755)
    index = (repo.folder / ".git" / "index").stat()
    found = History(Repository(str(repo.folder)))
    assert [len(steps) for _, steps in found.steps()] == [2, 1]
    assert found.revisions_at([(sha, "a.txt")])[sha, "a.txt"].commit == sha
    assert not sprung.exists()
    after = (repo.folder / ".git" / "index").stat()
    assert (index.st_mtime_ns, index.st_ino) == (after.st_mtime_ns, after.st_ino)


def test_what_was_where(repo: Repo) -> None:
    first = repo.commit({"train.py": "1", "odd\nname": "1"})
    second = repo.commit({"other": "x"})
    third = repo.commit({"train.py": "2"})
    found = History(Repository(str(repo.folder)))
    assert len(list(found.steps())) == 3
    asked = [
        (first, "train.py"),
        (second, "train.py"),
        (third, "train.py"),
        (third, "none"),
        ("f" * 40, "train.py"),
        ("--all", "x"),
    ]
    there = found.revisions_at(asked)
    assert {pair: revision.commit for pair, revision in there.items()} == {
        (first, "train.py"): first,
        (second, "train.py"): first,
        (third, "train.py"): third,
    }


def test_names_of_repositories(repo: Repo, tmp_path: Path) -> None:
    assert Repository(str(repo.folder)).name == "code"
    assert Repository(str(repo.folder / ".git")).name == "code"
    repo.git("remote", "add", "origin", "https://user:secret@example.org/lab/code.git")
    found = Repository(str(repo.folder))
    assert (found.name, found.remote) == ("example.org/lab/code", "https://example.org/lab/code.git")
    sha = repo.commit({"a": "a"})
    subprocess.run(
        ["git", "clone", "-q", "--bare", str(repo.folder), str(tmp_path / "bare.git")], check=True, timeout=60
    )
    bare = Repository(str(tmp_path / "bare.git"))
    assert [commit.sha for commit in bare.commits()] == [sha]


def test_empty_shallow_and_detached(repo: Repo, tmp_path: Path) -> None:
    assert list(Repository(str(repo.folder)).commits()) == []
    repo.commit({"a": "1"})
    repo.commit({"a": "2"})
    last = repo.commit({"a": "3"})
    subprocess.run(
        ["git", "clone", "-q", "--depth=2", f"file://{repo.folder}", str(tmp_path / "shallow")], check=True, timeout=60
    )
    shallow = History(Repository(str(tmp_path / "shallow")))
    assert [(commit.sha, len(steps)) for commit, steps in shallow.steps()][-1] == (last, 1)
    repo.git("checkout", "-q", "--detach")
    lonely = repo.commit({"a": "4"})
    assert [commit.sha for commit in Repository(str(repo.folder)).commits()][-1] == lonely


@pytest.mark.parametrize(("name", "told"), [("nowhere", "no such folder"), ("", "not a git repository")])
def test_what_is_no_repository(tmp_path: Path, name: str, told: str) -> None:
    with pytest.raises(ExtractionError, match=told):
        Repository(str(tmp_path / name))


def test_a_history_is_read_as_it_is_asked_for(repo: Repo) -> None:
    """Also when the reader stops: git is ended."""
    for number in range(5):
        repo.commit({"a": str(number)})
    commits = Repository(str(repo.folder)).commits()
    assert next(commits).parents == ()
    commits.close()  # type: ignore[attr-defined]


@pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="the memory of a process is read from /proc")
def test_long_histories_take_bounded_memory(tmp_path: Path) -> None:
    """Eight times the commits take hardly more memory: they are no list anywhere."""
    program = (
        "import sys\n"
        "from pllib.extraction.git import Repository\n"
        "from pllib.extraction.history import History\n"
        "count = sum(len(steps) for _, steps in History(Repository(sys.argv[1])).steps())\n"
        "peak = next(line for line in open('/proc/self/status') if line.startswith('VmHWM'))\n"
        "print(count, peak.split()[1])\n"
    )
    told = []
    for commits in (1_000, 8_000):
        folder = tmp_path / str(commits)
        subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, timeout=60)
        stream = "".join(
            f"commit refs/heads/main\ncommitter A <a@b> {1_760_000_000 + number} +0000\ndata 2000\n{'m' * 2000}\n"
            f"M 100644 inline f{number % 50}\ndata {len(str(number))}\n{number}\n"
            for number in range(commits)
        )
        subprocess.run(
            ["git", "-C", str(folder), "fast-import", "--quiet"], input=stream.encode(), check=True, timeout=60
        )
        done = subprocess.run(
            [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, check=True, timeout=60
        )
        told.append([int(word) for word in done.stdout.split()])
    assert [count for count, _ in told] == [1_000, 8_000]
    assert told[1][1] - told[0][1] < 8_000  # KB; the messages alone are 16 MB
