"""Small parts behind the commands for a running stack: progress, manifests, bodies, the command line's words."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deploy import disk, manifest
from deploy.__main__ import main
from deploy.errors import BackupUnusable
from deploy.http_calls import joined, said
from deploy.manifest import Manifest
from deploy.progress import Progress


def test_progress_is_told_every_two_seconds_and_not_of_short_work():
    now, told = [0.0], []
    progress = Progress("store", "triples", told.append, lambda: now[0])
    for second in (0.5, 1.5, 2.0, 3.0, 4.5):
        now[0] = second
        progress.add(1000)
    assert told == ["  store: 3,000 triples (2 s)", "  store: 5,000 triples (4 s)"]


def made(folder: Path, files: dict[str, bytes]) -> Manifest:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    parts = tuple(manifest.part_of(folder, name, {"lines": 1}) for name in files)
    return Manifest("2026-01-01T00:00:00+00:00", "2026-01-01T00:00:01+00:00", {"pllib": "1"}, parts)


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    whole = made(tmp_path, {"a": b"one", "b": b""})
    manifest.write(tmp_path, whole)
    assert manifest.read(tmp_path) == whole
    manifest.verify(tmp_path, whole, Progress("", "", print))
    assert whole.part("a") is whole.parts[0]
    assert whole.part("c") is None


def test_a_part_that_was_changed_is_missing_or_lies_elsewhere_is_told(tmp_path):
    folder = tmp_path / "backup"
    folder.mkdir()
    whole = made(folder, {"a": b"one"})
    for content in (b"two", b"one more", b""):
        (folder / "a").write_bytes(content)
        with pytest.raises(BackupUnusable, match="a is not what was written"):
            manifest.verify(folder, whole, Progress("", "", print))
    (folder / "a").unlink()
    with pytest.raises(BackupUnusable, match="cannot be read"):
        manifest.verify(folder, whole, Progress("", "", print))
    (tmp_path / "a").write_bytes(b"one")
    outside = Manifest("", "", {}, (manifest.part_of(folder, "../a", {}),))
    with pytest.raises(BackupUnusable, match="is not what was written"):
        manifest.verify(folder, outside, Progress("", "", print))


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (None, "no whole backup"),
        ("{", "damaged"),
        ("[]", "damaged"),
        ('{"format": "pllib-backup", "version": 9}', "version 9"),
        ('{"format": "pllib-backup", "version": 1, "parts": [{}]}', "damaged"),
    ],
)
def test_what_is_no_manifest_is_told(tmp_path, content, told):
    if content is not None:
        (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(BackupUnusable, match=told):
        manifest.read(tmp_path)


def test_a_store_may_start_where_there_is_room_for_what_is_in_its_log(tmp_path, monkeypatch):
    (tmp_path / "000008.log").write_bytes(b"x" * 1000)
    assert disk.store_can_start(tmp_path)
    assert not disk.is_full(tmp_path) or shutil.disk_usage(tmp_path).free < disk.FULL_BYTES
    monkeypatch.setattr(disk, "START_BYTES", shutil.disk_usage(tmp_path).free * 2)
    monkeypatch.setattr(disk, "FULL_BYTES", shutil.disk_usage(tmp_path).free * 2)
    assert not disk.store_can_start(tmp_path)
    assert disk.is_full(tmp_path)


def test_lines_are_joined_in_bodies_of_about_a_size():
    assert list(joined([b"aa\n", b"bb\n", b"cccccc\n", b"d\n"], 5)) == [b"aa\nbb\n", b"cccccc\n", b"d\n"]
    assert list(joined([], 5)) == []


def test_the_words_of_a_service_are_understood_in_every_form():
    assert said(json.dumps({"error": {"message": "no", "fix": "do"}}).encode()) == ("no", "do")
    assert said(b'{"reason": "starting"}') == ("starting", "")
    assert said(b'{"detail": "x"}') == ("x", "")
    for nothing in (b"", b"<html>", b"[]", b'{"error": {}}'):
        assert said(nothing) == ("", "")


@pytest.mark.parametrize(
    "words",
    [
        ["drain", "--timeout", "soon"],
        ["dead-letters", "bury"],
        ["backup"],
        ["queue", "--tracker-url", "file:///etc/passwd"],
        ["up", "--keep-delivered", "-1"],
    ],
)
def test_words_that_make_no_sense_are_refused_with_their_use(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2
    assert "usage:" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [[], ["up"], ["down"], ["queue"], ["dead-letters"], ["drain"], ["backup"], ["restore"]]
)
def test_each_word_explains_itself(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*words, "--help"])
    assert ended.value.code == 0
    assert "usage: python -m deploy" in capsys.readouterr().out
