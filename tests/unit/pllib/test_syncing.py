"""Mode ``node``: what is synced, when, and on which thread."""

from __future__ import annotations

import os
import stat
import threading
import time
from pathlib import Path

import pytest

import pllib
from pllib import this_process
from pllib.spool import SpoolWriter
from pllib.syncing import Syncer

PRODUCER = "3f" + "0" * 30
LATEST = 0.05


class Fsync:
    """The real one, that notes what was synced, when and by whom."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, int, bool, int]] = []
        self.threads: set[str] = set()

    def __call__(self, fd: int) -> None:
        began, about = time.monotonic(), os.fstat(fd)
        os.fsync(fd)
        self.calls.append((began, about.st_ino, stat.S_ISDIR(about.st_mode), about.st_size))
        self.threads.add(threading.current_thread().name)


def writer(folder: Path, segment_bytes: int = 10**6) -> SpoolWriter:
    return SpoolWriter(str(folder / "spool"), PRODUCER, segment_bytes, 10**9, keeps_finished=True)


def test_every_record_is_in_a_sync_that_begins_soon_after_it(tmp_path):
    sink, fsync = writer(tmp_path), Fsync()
    syncer = Syncer(sink, fsync)
    written = []
    for n in range(40):
        sink.offer(b'{"n":%d}' % n)
        written.append((time.monotonic(), os.fstat(sink.fd).st_size))
        time.sleep(0.01)
    assert syncer.stop(5)
    sink.close()
    inode = os.stat(next((tmp_path / "spool").rglob("*.frames"))).st_ino
    syncs = [(began, size) for began, node, _, size in fsync.calls if node == inode]
    lags = sorted(min(began for began, covers in syncs if began >= at and covers >= size) - at for at, size in written)
    assert len(lags) == 40
    # The median, since on a busy machine any single one may wait for a processor.
    assert lags[20] < LATEST
    assert 5 < len(syncs) < 60
    assert fsync.threads == {"pllib-sync"}


def test_the_folders_of_a_new_file_are_synced(tmp_path):
    sink, fsync = writer(tmp_path), Fsync()
    syncer = Syncer(sink, fsync)
    sink.offer(b"{}")
    assert syncer.stop(5)
    sink.close()
    folders = {inode for _, inode, folder, _ in fsync.calls if folder}
    assert folders == {os.stat(tmp_path / name).st_ino for name in ("spool/3f", "spool", ".")}


def test_files_that_were_finished_are_synced_whole_and_closed(tmp_path):
    sink, fsync = writer(tmp_path, segment_bytes=100), Fsync()
    before = set(os.listdir("/proc/self/fd"))
    syncer = Syncer(sink, fsync)
    for n in range(100):
        sink.offer(b'{"n":%d}' % n)
    assert syncer.stop(5)
    sink.close()
    synced = {(inode, size) for _, inode, folder, size in fsync.calls if not folder}
    files = list((tmp_path / "spool").rglob("*.frames"))
    assert len(files) > 10
    assert {(path.stat().st_ino, path.stat().st_size) for path in files} <= synced
    assert set(os.listdir("/proc/self/fd")) < before  # the writer's own went too


def test_an_idle_writer_is_not_synced(tmp_path):
    sink, fsync = writer(tmp_path), Fsync()
    syncer = Syncer(sink, fsync, period=0.001)
    sink.offer(b"{}")
    time.sleep(0.3)
    count = len(fsync.calls)
    time.sleep(0.2)
    assert len(fsync.calls) == count > 0
    syncer.stop(5)
    sink.close()


def test_a_sync_that_fails_is_tried_again(tmp_path):
    sink = writer(tmp_path)
    failures = iter([OSError(5, "Input/output error")] * 3)
    done: list[int] = []

    def fsync(fd: int) -> None:
        for failure in failures:
            raise failure
        done.append(fd)

    syncer = Syncer(sink, fsync, period=0.001)
    sink.offer(b"{}")
    until = time.monotonic() + 10
    while not done and time.monotonic() < until:
        time.sleep(0.001)
    assert done
    assert syncer.stop(5)
    sink.close()


def test_a_disk_that_hangs_does_not_hold_the_end(tmp_path):
    sink, hanging = writer(tmp_path), threading.Event()
    syncer = Syncer(sink, lambda fd: hanging.wait(30) and None)
    sink.offer(b"{}")
    time.sleep(0.1)
    assert not syncer.stop(0.05)
    hanging.set()


@pytest.mark.parametrize("mode", ["memory", "process", "node", "disk"])
def test_no_mode_syncs_on_the_scripts_thread(tmp_path, records, monkeypatch, mode):
    synced: list[str] = []
    real = os.fsync
    monkeypatch.setattr("pllib.syncing.os.fsync", lambda fd: (synced.append(threading.current_thread().name), real(fd)))
    pllib.configure(
        mode=mode, spool=str(tmp_path / "s"), url="http://127.0.0.1:1", segment_bytes=2000, exit_timeout=0.2
    )
    with pllib.workflow("w") as wf:
        for n in range(100):
            with wf.task("t", used={"n": n}):
                pass
    this_process.current()
    pllib.shutdown()
    assert "MainThread" not in synced
    assert bool(synced) == (mode == "node")
