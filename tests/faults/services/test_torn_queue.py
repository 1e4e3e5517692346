"""The queue's file after a loss of power: its log torn at any point, or the file itself damaged."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.ledger import Ledger
from tracker.database import Database
from tracker.queue_sqlite import SCHEMA, open_queue

from .cluster import Cluster
from .graphs import Truth
from .load import Load

FILE, LOG = "tracker.sqlite", "tracker.sqlite-wal"
TAKEN = 30
"""Batches in the log: few enough for all of it to be there still."""
Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


class Synced(NamedTuple):
    """What the disk itself held when a batch was acknowledged: bytes of the log, and documents."""

    size: int
    documents: int


def take(cluster: Cluster, load: Load, count: int) -> list[Synced]:
    """Has so many batches taken one after the other, and none delivered; what was synced at each acknowledgement."""
    cluster.end(*cluster.managers)
    found = []
    for number in range(count):
        load.allow(number + 1)
        load.reached(number + 1)
        found.append(Synced((folder_of(cluster) / LOG).stat().st_size, cluster.stats()["appended"]))
    return found


def folder_of(cluster: Cluster) -> Path:
    return cluster.data / "0" / "tracker"


def documents(folder: Path) -> list[bytes]:
    """What a queue in this folder holds, oldest first."""

    async def read() -> list[bytes]:
        queue = await open_queue(Database(folder / FILE, SCHEMA), 1, 0.0)
        try:
            return [entry.body for entry in await queue.claim(0, 100_000, 10**9, 0.0)]
        finally:
            await queue.close()

    return asyncio.run(read())


def tear(folder: Path, size: int, chance: random.Random) -> None:
    """Cuts the log there, or leaves what a disk may have put behind that point."""
    with (folder / LOG).open("r+b") as log:
        end = log.seek(0, os.SEEK_END)
        log.truncate(size)
        if chance.random() < 0.5:
            log.seek(size)
            log.write(chance.randbytes(chance.randint(1, max(end - size, 1))))


def test_a_torn_log_loses_nothing_that_was_synced(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random, tmp_path: Path
) -> None:
    cluster.fresh()
    with Load(cluster.urls, truth.batches[:TAKEN]) as load:
        synced = take(cluster, load, TAKEN)
    cluster.trackers[0].end(signal.SIGKILL)
    assert [one.size for one in synced] == sorted({one.size for one in synced})
    shutil.copytree(folder_of(cluster), tmp_path / "whole")
    whole = documents(tmp_path / "whole")
    assert len(whole) == synced[-1].documents
    lengths = set()
    times = tries(25, 300)
    for number in range(times):
        folder = tmp_path / str(number)
        shutil.copytree(folder_of(cluster), folder)
        size = chance.randrange(synced[-1].size)
        tear(folder, size, chance)
        kept = documents(folder)
        assert kept == whole[: len(kept)]
        assert len(kept) >= max((one.documents for one in synced if one.size <= size), default=0)
        lengths.add(len(kept))
        shutil.rmtree(folder)
    assert min(lengths) < len(whole)  # the control: what was cut off is missing
    ledger.row("the queue's log torn").tries += times


def test_a_tracker_goes_on_with_a_torn_log(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random
) -> None:
    """Killed while it writes, and then the end of its log is a piece of something."""
    times = tries(1, 20)
    row = ledger.row("kill -9 of tracker, and its log torn")
    for _ in range(times):
        cluster.fresh()
        with Load(cluster.urls, truth.batches) as load:
            synced = take(cluster, load, TAKEN)
            load.allow(TAKEN + 40)
            load.reached(TAKEN + chance.randrange(1, 20))
            tracker = cluster.trackers[0]
            tracker.end(signal.SIGKILL)
            with (folder_of(cluster) / LOG).open("ab") as log:
                assert log.tell() > synced[-1].size
                log.write(chance.randbytes(chance.randrange(1, 10_000)))
            tracker.start()
            load.finish()
        truth.account(row, load.acknowledged, cluster.settle(), 1)


def scribble(at: Callable[[int], int], size: int) -> Callable[[Path, random.Random], None]:
    """Damage: random bytes at a place that depends on the file's length."""

    def damage(path: Path, chance: random.Random) -> None:
        with path.open("r+b") as file:
            file.seek(at(path.stat().st_size))
            file.write(chance.randbytes(size))

    return damage


def cut(path: Path, chance: random.Random) -> None:
    os.truncate(path, path.stat().st_size // 2)


DAMAGES = {
    "its head is overwritten": scribble(lambda length: 0, 100),
    "the middle is overwritten": scribble(lambda length: length // 2 // 4096 * 4096, 8 * 4096),
    "its table of pages is overwritten": scribble(lambda length: 100, 3_000),
    "half of it is missing": cut,
}


def test_a_damaged_file_is_told_with_what_to_do(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random, tmp_path: Path
) -> None:
    damages = list(DAMAGES.items())[: tries(2, 4)]
    cluster.fresh()
    with Load(cluster.urls, truth.batches) as load:
        take(cluster, load, TAKEN)
        (tracker,) = cluster.trackers
        assert tracker.end(signal.SIGTERM) == 0
        path = folder_of(cluster) / FILE
        backup = tmp_path / FILE
        shutil.copy(path, backup)
        for name, damage in damages:
            damage(path, chance)
            tracker.start()
            assert tracker.exit_code() == 3, name
            (told,) = [line for line in tracker.told.splitlines() if str(path) in line]
            assert "is damaged" in told, name
            assert "put a backup" in told, name
            assert "Traceback" not in tracker.told, name
            shutil.copy(backup, path)
        tracker.start()
        load.finish()
    row = ledger.row("the queue's file damaged, and a backup put in its place")
    truth.account(row, load.acknowledged, cluster.settle(), len(damages))
