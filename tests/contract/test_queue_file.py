"""The file of the embedded work queue: whose it is, and what happens when its disk is full."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from pathlib import Path

import pytest

from tests.contract.test_work_queue import bodies, entries, numbers, run, sqlite_queues
from tracker.database import Database
from tracker.errors import QueueFull, QueueInUse, QueueUnavailable
from tracker.queue_sqlite import SCHEMA, open_queue


def test_a_file_serves_one_process_at_a_time(tmp_path: Path) -> None:
    async def work() -> None:
        async with sqlite_queues(tmp_path)():
            with pytest.raises(QueueInUse, match="another process"):
                Database(tmp_path / "queue.sqlite", SCHEMA)

    run(work)


def test_a_full_disk_is_told_and_what_frees_space_still_works(tmp_path: Path) -> None:
    async def work() -> None:
        database = Database(tmp_path / "queue.sqlite", SCHEMA)
        queue = await open_queue(database, 1, 300.0)
        await queue.append(entries(*[b"x" * 10_000] * 20))
        claimed = await queue.claim(0, 20, 10**9, 0)

        def fill(connection: sqlite3.Connection) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        await database.run(fill)
        results = await asyncio.gather(
            queue.append(entries(b"y" * 1_000_000)),
            queue.acknowledge(0, [entry.id for entry in claimed[:10]]),
            return_exceptions=True,
        )
        assert isinstance(results[0], QueueUnavailable)
        assert results[1] is None
        assert await queue.depth() == 10
        await queue.append(entries(b"fits now"))
        assert await queue.depth() == 11
        await queue.close()

    run(work)


def test_what_is_only_kept_makes_room_on_a_full_disk(tmp_path: Path) -> None:
    async def work() -> None:
        database = Database(tmp_path / "queue.sqlite", SCHEMA)
        queue = await open_queue(database, 1, 300.0)
        await queue.append(entries(*[b"x" * 10_000] * 50, b"waits"))
        claimed = await queue.claim(0, 50, 10**9, 0)
        for first in range(0, 50, 2):
            await queue.acknowledge(0, [entry.id for entry in claimed[first : first + 2]])
        assert (await numbers(queue)).kept == 50

        def fill(connection: sqlite3.Connection) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages}")

        await database.run(fill)
        await queue.append(entries(b"y" * 100_000))
        assert 0 < (await numbers(queue)).kept < 50
        assert await bodies(queue) == [b"waits", b"y" * 100_000]
        with pytest.raises(QueueFull):
            await queue.append(entries(b"z" * 10**6))
        assert (await numbers(queue)).kept == 0
        await queue.close()

    run(work)


def test_what_the_disk_has_no_room_for_is_refused_before_it_is_written(tmp_path: Path) -> None:
    async def work() -> None:
        database = Database(tmp_path / "queue.sqlite", SCHEMA)
        queue = await open_queue(database, 1, 300.0)
        more_than_there_is = shutil.disk_usage(tmp_path).free + 1
        with pytest.raises(QueueFull, match="are needed"):
            await database.run(lambda connection: database.require_room(connection, more_than_there_is))
        await database.run(lambda connection: database.require_room(connection, 1000))
        await queue.append(entries(b"x" * 100_000))
        log = tmp_path / "queue.sqlite-wal"
        assert log.stat().st_size > 100_000
        await database.work_off_log()
        assert log.stat().st_size == 0
        assert await bodies(queue) == [b"x" * 100_000]
        await queue.close()
        await database.work_off_log()

    run(work)


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable, match="nowhere"):
        Database(tmp_path / "nowhere" / "queue.sqlite", SCHEMA)
