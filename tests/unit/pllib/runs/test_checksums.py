"""Checksums of real files and folders; changes in the middle are made by what is asked between two blocks."""

from __future__ import annotations

import hashlib
import os

import pytest

from pllib.runs import checksums


def yes() -> bool:
    return True


def of_file(path, go_on=yes):
    return checksums.of_file(str(path), checksums.opened(str(path)), go_on)


@pytest.mark.parametrize("size", [0, 1, checksums.BLOCK, 3 * checksums.BLOCK + 7])
def test_a_file(tmp_path, size):
    path = tmp_path / "f"
    path.write_bytes(content := os.urandom(size))
    assert of_file(path) == {"size": size, "sha256": hashlib.sha256(content).hexdigest()}


def changing(how):
    """A ``go_on`` that does something once, in the middle."""
    done = []

    def go_on() -> bool:
        if not done:
            done.append(how())
        return True

    return go_on


@pytest.mark.parametrize(
    "how",
    [
        lambda path: path.write_bytes(b"x" * 100),
        lambda path: os.truncate(path, 3 * checksums.BLOCK + 1),
        lambda path: os.truncate(path, 2 * checksums.BLOCK),
        lambda path: (
            path.with_name("new").write_bytes(b"y" * 3 * checksums.BLOCK),
            os.replace(path.with_name("new"), path),
        ),
        lambda path: os.utime(path, ns=(1, 1)),
    ],
    ids=["overwritten", "grown", "shortened", "replaced", "touched"],
)
def test_a_file_that_changes_while_it_is_read_has_no_checksum(tmp_path, how):
    path = tmp_path / "f"
    path.write_bytes(b"a" * 3 * checksums.BLOCK)
    assert of_file(path, changing(lambda: how(path))) == {"size": 3 * checksums.BLOCK, "changed_while_read": True}


def test_a_file_that_grows_without_end_is_not_read_without_end(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a" * checksums.BLOCK)
    blocks = []

    def grow() -> bool:
        blocks.append(1)
        with path.open("ab") as file:
            file.write(b"b" * 2 * checksums.BLOCK)
        return True

    assert of_file(path, grow)["changed_while_read"]
    assert len(blocks) <= 3


def test_a_file_that_is_removed_while_it_is_read_has_its_checksum(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a" * 2 * checksums.BLOCK)
    assert of_file(path, changing(path.unlink))["sha256"] == hashlib.sha256(b"a" * 2 * checksums.BLOCK).hexdigest()


def test_it_stops_when_there_is_no_time_left(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a" * 2 * checksums.BLOCK)
    with pytest.raises(checksums.Stopped):
        of_file(path, lambda: False)


def test_files_are_closed(tmp_path):
    (tmp_path / "f").write_bytes(b"a")
    before = set(os.listdir("/proc/self/fd"))
    of_file(tmp_path / "f")
    checksums.of_folder(str(tmp_path), yes)
    with pytest.raises(OSError, match="no regular file"):
        checksums.opened("/dev/null")
    assert set(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("special", ["pipe", "device", "folder"])
def test_what_is_no_regular_file_is_never_waited_for(tmp_path, special):
    path = {"pipe": tmp_path / "p", "device": "/dev/zero", "folder": tmp_path}[special]
    if special == "pipe":
        os.mkfifo(path)
    with pytest.raises(OSError, match="no regular file"):
        checksums.opened(str(path))


def test_a_folder_has_a_manifest_that_sha256sum_would_write(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_text("two")
    (tmp_path / "a.txt").write_text("one")
    (tmp_path / "z é").write_text("")
    facts = checksums.of_folder(str(tmp_path), yes)
    sums = {name: hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("a.txt", "z é", "b/two.txt")}
    assert facts["manifest"] == {
        "a.txt": [3, sums["a.txt"]],
        "z é": [0, sums["z é"]],
        "b/two.txt": [3, sums["b/two.txt"]],
    }
    assert (
        facts["sha256"]
        == hashlib.sha256("".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()).hexdigest()
    )
    assert (facts["files"], facts["size"]) == (3, 6)
    assert facts.keys() == {"files", "size", "sha256", "manifest"}


def test_the_same_folder_elsewhere_is_the_same_state_and_a_changed_one_is_not(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text("x")
    one, two = (checksums.folder_version(checksums.of_folder(str(tmp_path / name), yes)) for name in ("one", "two"))
    assert one == two is not None
    (tmp_path / "two" / "f").write_text("y")
    assert checksums.folder_version(checksums.of_folder(str(tmp_path / "two"), yes)) != one


def test_links_pipes_and_what_may_not_be_read_are_named_and_not_followed(tmp_path):
    folder = tmp_path / "f"
    folder.mkdir()
    (folder / "loop").symlink_to(folder)
    (folder / "out").symlink_to("/etc/hostname")
    os.mkfifo(folder / "pipe")
    (folder / "fine").write_text("x")
    facts = checksums.of_folder(str(folder), yes)
    assert facts["files"] == 4
    assert facts["not_read"] == 3
    assert facts["manifest"]["loop"] == f"link to {folder}"
    assert facts["manifest"]["out"] == "link to /etc/hostname"
    assert facts["manifest"]["pipe"] == "not read: no regular file"
    assert facts["manifest"]["fine"][0] == 1


def test_large_folders_are_bounded_and_it_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(checksums, "MAX_FILES", 20)
    monkeypatch.setattr(checksums, "MAX_LISTED", 5)
    for number in range(30):
        (tmp_path / f"{number:02}").write_text("x")
    facts = checksums.of_folder(str(tmp_path), yes)
    assert (facts["files"], facts["listed"], facts["cut"], len(facts["manifest"])) == (20, 5, True, 5)
    assert checksums.folder_version(facts) is None  # what was not looked at may differ


def test_a_file_of_a_folder_that_changes_takes_the_folders_checksum(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"a" * 2 * checksums.BLOCK)
    facts = checksums.of_folder(str(tmp_path), changing(lambda: path.write_bytes(b"b")))
    assert facts["changed_while_read"]
    assert "sha256" not in facts
    assert checksums.folder_version(facts) is None


def test_deep_folders(tmp_path):
    deep = tmp_path
    for _ in range(300):
        deep = deep / "d"
        deep.mkdir()
    (deep / "f").write_text("x")
    assert checksums.of_folder(str(tmp_path), yes)["files"] == 1


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        checksums.of_folder(str(tmp_path / "none"), yes)
