"""Only regular files below the registered root are opened, whatever the key and the links say."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from pathlib import Path

import pytest

from query_engine.poly.places import Unread, opened


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "sets" / "deep").mkdir(parents=True)
    (root / "other").mkdir()
    (root / "sets" / "a.csv").write_text("inside")
    (root / "sets" / "deep" / "b.csv").write_text("deep")
    (root / "other" / "c.csv").write_text("other")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.csv").write_text("secret")
    (tmp_path / "root-beside").mkdir()
    (tmp_path / "root-beside" / "x.csv").write_text("secret")
    return root


def _read(root: Path, key: str, *folders: str) -> str:
    with opened(str(root), key, folders) as file:
        assert Path(file.path).read_text() == os.read(file.descriptor, 1000).decode()
        return Path(file.path).read_text()


def _refused(root: Path, key: str, *folders: str) -> str:
    with pytest.raises(Unread) as caught:
        _read(root, key, *folders)
    return caught.value.status


@pytest.mark.parametrize(
    "key", ["sets/a.csv", "./sets//a.csv", "sets/deep/../a.csv", "{root}/sets/a.csv", "sets/a.csv/"]
)
def test_keys_of_files_below_the_root_are_found(root, key):
    assert _read(root, key.format(root=root)) == "inside"


@pytest.mark.parametrize(
    ("key", "status"),
    [
        ("../outside/secret.csv", "refused"),
        ("sets/../../outside/secret.csv", "refused"),
        ("sets/deep/../../../outside/secret.csv", "refused"),
        ("/etc/passwd", "refused"),
        ("{root}-beside/x.csv", "refused"),
        ("{root}/../outside/secret.csv", "refused"),
        ("//etc/passwd", "refused"),
        ("file:///etc/passwd", "missing"),
        ("sets/a.csv\0.parquet", "refused"),
        ("sets/\ud800.csv", "refused"),
        ("", "refused"),
        ("sets", "refused"),
        (".", "refused"),
        ("sets/none.csv", "missing"),
        ("sets/a.csv/b.csv", "missing"),
        ("x" * 300, "unreadable"),
        ("a/" * 600, "refused"),
        ("~/a.csv", "missing"),
        ("sets/*.csv", "missing"),
    ],
)
def test_other_keys_are_not(root, key, status):
    assert _refused(root, key.format(root=root)) == status


def test_links_are_followed_inside_only(root, tmp_path):
    links = {
        "in.csv": "sets/a.csv",
        "sets/up.csv": "../other/c.csv",
        "sets/absolute.csv": str(root / "sets" / "a.csv"),
        "folder": "sets/deep",
        "chain.csv": "in.csv",
        "out.csv": "../outside/secret.csv",
        "passwd": "/etc/passwd",
        "sets/way-out": "../../outside",
        "loop.csv": "loop.csv",
        "dangling.csv": "nowhere.csv",
    }
    for name, target in links.items():
        (root / name).symlink_to(target)
    assert _read(root, "in.csv") == _read(root, "chain.csv") == _read(root, "sets/absolute.csv") == "inside"
    assert _read(root, "sets/up.csv") == "other"
    assert _read(root, "folder/b.csv") == "deep"
    assert _read(root, "folder/../a.csv") == "inside"  # as the system walks it: the parent of where the link leads
    for key in ("out.csv", "passwd", "sets/way-out/secret.csv", "loop.csv"):
        assert _refused(root, key) == "refused", key
    assert _refused(root, "dangling.csv") == "missing"


def test_the_root_itself_may_be_a_link_and_is_known_by_both_names(root, tmp_path):
    (tmp_path / "alias").symlink_to(root)
    assert _read(tmp_path / "alias", "sets/a.csv") == "inside"
    assert _read(tmp_path / "alias", f"{root}/sets/a.csv") == "inside"
    assert _read(tmp_path / "alias", f"{tmp_path}/alias/sets/a.csv") == "inside"


def test_only_the_registered_folders_are_read_whichever_way_leads_there(root):
    (root / "sets" / "link.csv").symlink_to("../other/c.csv")
    (root / "other" / "back.csv").symlink_to("../sets/a.csv")
    assert _read(root, "sets/a.csv", "sets") == "inside"
    assert _read(root, "other/back.csv", "sets") == "inside"
    assert _read(root, "sets/deep/b.csv", "x", "sets/deep/") == "deep"
    for key, folder in (
        ("sets/link.csv", "sets"),
        ("other/c.csv", "sets"),
        ("sets/a.csv", "set"),
        ("sets/a.csv", "sets/deep"),
    ):
        assert _refused(root, key, folder) == "refused"


def test_what_is_no_regular_file_is_never_waited_for(root):
    os.mkfifo(root / "pipe.csv")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(root / "socket.csv"))
        assert _refused(root, "pipe.csv") == "refused"
        assert _refused(root, "socket.csv") == "refused"
    (root / "null.csv").symlink_to("/dev/null")
    assert _refused(root, "null.csv") == "refused"


def test_nothing_outside_is_read_while_the_folders_change(root, tmp_path):
    """A folder is swapped with a link to the outside all the time: the file is read, or there is none."""
    stop = threading.Event()

    def swap() -> None:
        (root / "turn").mkdir()
        (root / "turn" / "secret.csv").write_text("inside")
        (root / "link").symlink_to(tmp_path / "outside")
        while not stop.is_set():
            os.rename(root / "turn", root / "kept")
            os.rename(root / "link", root / "turn")
            os.rename(root / "turn", root / "link")
            os.rename(root / "kept", root / "turn")

    thread = threading.Thread(target=swap)
    thread.start()
    seen = set()
    try:
        for _ in range(3000):
            try:
                seen.add(_read(root, "turn/secret.csv"))
            except Unread as error:
                seen.add(error.status)
    finally:
        stop.set()
        thread.join()
    assert "secret" not in seen
    assert "inside" in seen


def test_a_file_keeps_being_itself_when_its_name_is_given_to_another(root, tmp_path):
    with opened(str(root), "sets/a.csv", ()) as file:
        os.replace(tmp_path / "outside" / "secret.csv", root / "sets" / "a.csv")
        assert Path(file.path).read_text() == "inside"


def test_no_descriptor_is_left_open(root):
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    for key in ("sets/deep/../a.csv", "sets/none.csv", "../x"):
        with contextlib.suppress(Unread):
            _read(root, key)
    assert before == (len(os.listdir("/proc/self/fd")) if before else 0)
