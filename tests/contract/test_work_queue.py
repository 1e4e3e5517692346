"""What every work queue promises, over all its implementations."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tracker.database import Database
from tracker.errors import QueueInUse, QueueUnavailable
from tracker.queue import NewEntry, QueueStatistics, Refused, WorkQueue, hash_of
from tracker.queue_sqlite import SCHEMA, open_queue

Opened = AbstractAsyncContextManager[WorkQueue]
Open = Callable[..., Opened]


def sqlite_queues(folder: Path) -> Open:
    @asynccontextmanager
    async def opened(partitions: int = 1) -> AsyncIterator[WorkQueue]:
        queue = await open_queue(Database(folder / "queue.sqlite", SCHEMA), partitions)
        try:
            yield queue
        finally:
            await queue.close()

    return opened


@pytest.fixture(params=[sqlite_queues])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a queue on the same storage each time."""
    return request.param(tmp_path)


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work(), 60)

    return asyncio.run(bounded())


def entries(*bodies: bytes, key: str = "a/1") -> list[NewEntry]:
    return [NewEntry(key, body) for body in bodies]


async def bodies(queue: WorkQueue, partition: int = 0, most: int = 100, size: int = 10**9) -> list[bytes]:
    return [entry.body for entry in await queue.claim(partition, most, size, 0)]


async def numbers(queue: WorkQueue) -> QueueStatistics:
    found = await queue.statistics()
    assert sum(found.depths) == await queue.depth()
    return found


def test_claims_come_in_order_once_and_bounded(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"2"))
            await queue.append(entries(b"3", b"4" * 100, b"5" * 100, b"6"))
            assert await bodies(queue, most=2) == [b"1", b"2"]
            assert await bodies(queue, size=50) == [b"3"]
            assert await bodies(queue, size=50) == [b"4" * 100]
            assert await bodies(queue) == [b"5" * 100, b"6"]
            assert await bodies(queue) == []
            assert (await numbers(queue)).depths == [6]

    run(work)


def test_acknowledged_entries_are_gone_and_claimed_ones_survive_a_restart(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"2", b"3"))
            claimed = await queue.claim(0, 2, 100, 0)
            await queue.acknowledge(0, [claimed[0].id])
            await queue.acknowledge(0, [])
            assert await queue.depth() == 2
        async with opened() as queue:
            assert await queue.depth() == 2
            assert await bodies(queue) == [b"2", b"3"]

    run(work)


def test_many_appends_at_once_are_all_kept(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await asyncio.gather(*(queue.append(entries(b"%d" % number)) for number in range(300)))
            assert sorted(await bodies(queue, most=500)) == sorted(b"%d" % number for number in range(300))

    run(work)


def test_the_depth_is_right_while_entries_come_and_go_at_once(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:

            async def come() -> None:
                for number in range(50):
                    await queue.append(entries(b"%d" % number))

            async def go() -> int:
                gone = 0
                while gone < 200:
                    claimed = await queue.claim(0, 7, 10**9, 1.0)
                    await queue.acknowledge(0, [entry.id for entry in claimed])
                    gone += len(claimed)
                return gone

            await asyncio.gather(go(), *(come() for _ in range(4)))
            assert (await numbers(queue)).depths == [0]

    run(work)


def test_a_waiting_claim_gets_what_is_appended(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            claim = asyncio.create_task(queue.claim(0, 10, 100, 30))
            await asyncio.sleep(0.05)
            await queue.append(entries(b"1"))
            assert [entry.body for entry in await claim] == [b"1"]
            assert await queue.claim(0, 10, 100, 0.05) == []

    run(work)


def test_a_cancelled_claim_takes_nothing(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            claim = asyncio.create_task(queue.claim(0, 10, 100, 30))
            await asyncio.sleep(0.01)
            claim.cancel()
            await asyncio.wait((claim,))
            await queue.append(entries(b"1"))
            assert await bodies(queue) == [b"1"]

    run(work)


def test_partitions_are_apart_and_may_change_their_number(opened: Open) -> None:
    keys = [f"train/{number}" for number in range(40)]

    async def work() -> None:
        async with opened(4) as queue:
            await queue.append([NewEntry(key, key.encode()) for key in keys])
            for partition in range(4):
                mine = [key.encode() for key in keys if hash_of(key) % 4 == partition]
                assert await bodies(queue, partition) == mine
        async with opened(3) as queue:
            assert sum((await numbers(queue)).depths) == 40
            for partition in range(3):
                mine = [key.encode() for key in keys if hash_of(key) % 3 == partition]
                assert await bodies(queue, partition) == mine

    run(work)


def test_retry_waits_and_counts(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"2"))
            one, two = await queue.claim(0, 2, 100, 0)
            await queue.retry(0, [one.id], 0.1, counted=True)
            await queue.retry(0, [two.id], 0, counted=False)
            assert await queue.claim(0, 9, 100, 0) == [two]
            assert await queue.claim(0, 9, 100, 30) == [one._replace(deliveries=1)]
        async with opened() as queue:
            assert [entry.deliveries for entry in await queue.claim(0, 9, 100, 0)] == [1, 0]

    run(work)


def test_dead_letters_are_listed_and_replayed(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"22", b"333"))
            claimed = await queue.claim(0, 3, 100, 0)
            await queue.retry(0, [claimed[0].id], 0, counted=True)
            claimed = await queue.claim(0, 3, 100, 0) + claimed[1:]
            for entry in claimed:
                await queue.bury(0, [entry.id], f"because of {len(entry.body)}")
        async with opened() as queue:
            assert await queue.claim(0, 3, 100, 0) == []
            found = await queue.dead_letters(10)
            assert [(letter.size, letter.deliveries, letter.reason) for letter in found] == [
                (1, 1, "because of 1"),
                (2, 0, "because of 2"),
                (3, 0, "because of 3"),
            ]
            assert await queue.dead_letters(1, found[0].id) == [found[1]]
            assert await queue.dead_letter_body(found[1].id) == b"22"
            assert await queue.dead_letter_body("no such") is None
            assert (await numbers(queue))[2:] == (3, 0)
            assert await queue.replay([found[1].id, "77", "no such"]) == 1
            assert await queue.replay() == 2
            assert await queue.replay() == 0
            again = await queue.claim(0, 9, 100, 0)
            assert sorted(entry.body for entry in again) == [b"1", b"22", b"333"]
            assert {entry.deliveries for entry in again} == {0}
            assert (await numbers(queue)).dead == 0

    run(work)


def test_refused_records_are_kept_once_with_the_reason(opened: Open) -> None:
    bad = Refused("0" * 32, b'{"n": -1}', "$.n", "count from 0")

    async def work() -> None:
        async with opened() as queue:
            await queue.append([], [bad])
            await queue.append(entries(b"1"), [bad, bad._replace(body=b"{}")])
            found = await queue.quarantined(10)
            assert [(one.body, one.field, one.message) for one in found] == [
                (b'{"n": -1}', "$.n", "count from 0"),
                (b"{}", "$.n", "count from 0"),
            ]
            assert await queue.quarantined(10, found[0].id) == found[1:]
            assert (await numbers(queue)).quarantined == 2

    run(work)


def test_age_is_never_negative(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            assert (await numbers(queue)).oldest_seconds == 0
            await queue.append(entries(b"1"))
            assert (await numbers(queue)).oldest_seconds >= 0
            await queue.check()

    run(work)


def test_a_closed_queue_takes_nothing(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.close()
            with pytest.raises(QueueUnavailable):
                await queue.append(entries(b"1"))

    run(work)


def test_what_was_being_appended_when_it_closed_is_kept(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            appends = [asyncio.create_task(queue.append(entries(b"%d" % number))) for number in range(50)]
            await asyncio.sleep(0)
            await queue.close()
            await asyncio.gather(*appends)
        async with opened() as queue:
            assert await queue.depth() == 50

    run(work)


# -- the file itself


def test_a_file_serves_one_process_at_a_time(tmp_path: Path) -> None:
    async def work() -> None:
        async with sqlite_queues(tmp_path)():
            with pytest.raises(QueueInUse, match="another process"):
                Database(tmp_path / "queue.sqlite", SCHEMA)

    run(work)


def test_a_full_disk_is_told_and_what_frees_space_still_works(tmp_path: Path) -> None:
    async def work() -> None:
        database = Database(tmp_path / "queue.sqlite", SCHEMA)
        queue = await open_queue(database, 1)
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


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(QueueUnavailable, match="nowhere"):
        Database(tmp_path / "nowhere" / "queue.sqlite", SCHEMA)
