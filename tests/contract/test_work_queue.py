"""What every work queue promises, over all its implementations."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.redis_process import RedisProcess
from tracker.database import Database
from tracker.errors import QueueUnavailable
from tracker.queue import Exported, NewEntry, QueueStatistics, Refused, WorkQueue, hash_of
from tracker.queue_redis import open_queue as redis_queue
from tracker.queue_sqlite import SCHEMA, open_queue
from tracker.redis_server import RedisServer

Opened = AbstractAsyncContextManager[WorkQueue]
Open = Callable[..., Opened]


def sqlite_queues(folder: Path) -> Open:
    """With ``clean=False`` the queue is left as a process leaves it that is killed."""

    @asynccontextmanager
    async def opened(partitions: int = 1, keep: float = 300.0, *, clean: bool = True) -> AsyncIterator[WorkQueue]:
        database = Database(folder / "queue.sqlite", SCHEMA)
        queue = await open_queue(database, partitions, keep)
        try:
            yield queue
        finally:
            await (queue if clean else database).close()

    return opened


def redis_queues(server: RedisProcess) -> Open:
    """With ``clean=False`` the queue is left as a process leaves it that is killed."""

    @asynccontextmanager
    async def opened(partitions: int = 1, keep: float = 300.0, *, clean: bool = True) -> AsyncIterator[WorkQueue]:
        connection = RedisServer(server.url)
        queue = await redis_queue(connection, "one", partitions, keep)
        try:
            yield queue
        finally:
            await (queue if clean else connection).close()

    return opened


@pytest.fixture(params=["sqlite", "redis"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Open:
    """Opens a queue on the same storage each time."""
    if request.param == "sqlite":
        return sqlite_queues(tmp_path)
    return redis_queues(request.getfixturevalue("redis_server"))


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
            assert (await numbers(queue))[2:4] == (3, 0)
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


# -- delivered entries are kept for a while


async def deliver(queue: WorkQueue, partition: int = 0) -> list[bytes]:
    """Claims and acknowledges all that waits."""
    claimed = await queue.claim(partition, 100, 10**9, 0)
    await queue.acknowledge(partition, [entry.id for entry in claimed])
    return [entry.body for entry in claimed]


def test_what_was_delivered_can_wait_again(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"2"))
            await deliver(queue)
            await asyncio.sleep(0.05)
            between = time.time()
            await asyncio.sleep(0.05)
            await queue.append(entries(b"3", b"4"))
            assert await deliver(queue) == [b"3", b"4"]
            assert (await numbers(queue)).kept == 4
            assert await deliver(queue) == []
            assert await queue.replay_delivered(between) == 2
            assert (await numbers(queue))[0] == [2]
            assert (await numbers(queue)).oldest_seconds > 0
            assert sorted(await deliver(queue)) == [b"3", b"4"]
            assert await queue.replay_delivered(time.time() + 60) == 0
            assert await queue.replay_delivered(0) == 4
            assert (await numbers(queue)).kept == 0
            await queue.append(entries(b"5"))
            assert sorted(await deliver(queue)) == [b"1", b"2", b"3", b"4", b"5"]
            assert (await numbers(queue)).depths == [0]

    run(work)


def test_what_is_acknowledged_at_once_is_all_counted(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(*(b"%d" % number for number in range(40))))
            claimed = await queue.claim(0, 40, 10**9, 0)
            await asyncio.gather(*(queue.acknowledge(0, [entry.id]) for entry in claimed[:30]))
            await asyncio.gather(*(queue.bury(0, [entry.id], "poison") for entry in claimed[30:]))
            found = await numbers(queue)
            assert (found.depths, found.kept, found.dead) == ([0], 30, 10)

    run(work)


def test_a_clean_stop_keeps_but_does_not_repeat_what_was_delivered(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"2", b"3"))
            first, _, third = await queue.claim(0, 9, 100, 0)
            await queue.acknowledge(0, [first.id, third.id])
        async with opened() as queue:
            found = await numbers(queue)
            assert (found.depths, found.kept) == ([1], 2)
            await queue.append(entries(b"4"))
            assert await bodies(queue) == [b"2", b"4"]
            assert await queue.replay_delivered(0) == 2
            assert sorted(await bodies(queue)) == [b"1", b"3"]
            assert await bodies(queue) == []

    run(work)


@pytest.mark.parametrize(("keep", "again"), [(300.0, [b"1", b"2"]), (0.0, [])])
def test_an_unclean_stop_repeats_what_is_kept(opened: Open, keep: float, again: list[bytes]) -> None:
    async def work() -> None:
        async with opened(keep=keep, clean=False) as queue:
            await queue.append(entries(b"1", b"2"))
            await deliver(queue)
        async with opened(keep=keep) as queue:
            assert (await numbers(queue)).depths == [len(again)]
            assert sorted(await deliver(queue)) == again
        async with opened(keep=keep) as queue:
            assert await deliver(queue) == []

    run(work)


def test_partitions_may_change_while_delivered_entries_are_kept(opened: Open) -> None:
    keys = [f"train/{number}" for number in range(40)]

    async def work() -> None:
        async with opened(4, clean=False) as queue:
            await queue.append([NewEntry(key, key.encode()) for key in keys])
            for partition in range(4):
                await deliver(queue, partition)
        async with opened(3) as queue:
            assert sum((await numbers(queue)).depths) == 40
            for partition in range(3):
                mine = [key.encode() for key in keys if hash_of(key) % 3 == partition]
                assert sorted(await deliver(queue, partition)) == sorted(mine)

    run(work)


def test_what_was_delivered_long_ago_is_forgotten(opened: Open) -> None:
    async def work() -> None:
        async with opened(keep=0.05) as queue:
            for number in range(30):
                await queue.append(entries(b"%d" % number))
                await deliver(queue)
            while (await numbers(queue)).kept > 5:  # by what is written later, some at a time
                await asyncio.sleep(0.06)
                await queue.append(entries(b"more"))
                await deliver(queue)
                await queue.check()
            assert await queue.replay_delivered(0) <= 6

    run(work)


def test_an_acknowledgement_that_comes_twice_counts_once(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            await queue.append(entries(b"1", b"2"))
            claimed = await queue.claim(0, 1, 100, 0)
            for _ in range(2):
                await queue.acknowledge(0, [entry.id for entry in claimed])
            assert (await numbers(queue)).depths == [1]
            assert (await numbers(queue)).kept == 1

    run(work)


# -- what is in a queue goes to another one


async def exported(queue: WorkQueue) -> list[Exported]:
    return [one async for one in queue.export()]


async def fill(queue: WorkQueue) -> None:
    """Something of every kind and state."""
    await queue.append(entries(b"delivered", b"dead", b"claimed"), [Refused("0" * 32, b'{"n": -1}', "$.n", "count")])
    delivered, dead, _ = await queue.claim(0, 9, 1000, 0)
    await queue.acknowledge(0, [delivered.id])
    await queue.retry(0, [dead.id], 0, counted=True)
    (dead,) = await queue.claim(0, 9, 1000, 0)
    await queue.bury(0, [dead.id], "poison")
    await queue.append(entries(b"waiting", key="b/2"))


def test_all_that_a_queue_holds_is_exported(opened: Open) -> None:
    async def work() -> None:
        async with opened() as queue:
            before = time.time()
            await fill(queue)
            found = await exported(queue)
            assert sorted((one.kind, one.body, one.deliveries, one.reason) for one in found) == [
                ("dead", b"dead", 1, "poison"),
                ("entry", b"claimed", 0, ""),
                ("entry", b"delivered", 0, ""),
                ("entry", b"waiting", 0, ""),
                ("refused", b'{"n": -1}', 0, "count"),
            ]
            assert all(before - 1 <= one.accepted <= time.time() + 1 for one in found)
            assert {one.body: one.hash for one in found}[b"waiting"] == hash_of("b/2")
            assert [one.died > 0 for one in found if one.kind == "dead"] == [True]
            assert [(one.producer, one.field) for one in found if one.kind == "refused"] == [("0" * 32, "$.n")]

    run(work)


def test_what_was_exported_is_taken_in(opened: Open) -> None:
    async def work() -> None:
        async with opened(3, keep=0.0) as queue:
            items = [
                Exported("entry", hash_of("a/1"), 1000.5, 0, 0.0, "", "", "", b"1"),
                Exported("entry", hash_of("b/2"), 1001.5, 2, 0.0, "", "", "", b"2"),
                Exported("dead", hash_of("a/1"), 999.5, 5, 1002.5, "poison", "", "", b"3"),
                Exported("refused", 0, 1003.5, 0, 0.0, "count", "1" * 32, "$.n", b"4"),
            ]
            await queue.take_in(items)
            await queue.take_in([])
        async with opened(3, keep=0.0) as queue:
            assert sorted(await exported(queue)) == sorted(items)
            assert sum((await numbers(queue)).depths) == 2
            (letter,) = await queue.dead_letters(10)
            assert letter[1:] == (hash_of("a/1") % 3, 1, 5, 999.5, 1002.5, "poison")
            (record,) = await queue.quarantined(10)
            assert record[1:] == ("1" * 32, "$.n", "count", 1003.5, b"4")
            claimed = [entry for number in range(3) for entry in await queue.claim(number, 9, 100, 0)]
            assert sorted((entry.body, entry.deliveries) for entry in claimed) == [(b"1", 0), (b"2", 2)]
            await queue.take_in(items)
            assert sum((await numbers(queue)).depths) == 4
            assert (await numbers(queue)).quarantined == 1

    run(work)


def test_an_export_under_way_misses_nothing_that_was_there(opened: Open) -> None:
    async def work() -> None:
        async with opened(2) as queue:
            bodies = {b"%05d" % number * 2000 for number in range(1000)}
            await queue.append([NewEntry(f"a/{body[:5].decode()}", body) for body in sorted(bodies)])
            found: set[bytes] = set()
            async for one in queue.export():
                found.add(one.body)
                if len(found) % 97 == 1:  # meanwhile some are delivered, some die, and are replayed
                    claimed = await queue.claim(len(found) % 2, 60, 10**9, 0)
                    ids = [entry.id for entry in claimed]
                    await queue.acknowledge(len(found) % 2, ids[:20])
                    await queue.bury(len(found) % 2, ids[20:], "poison")
                    await queue.replay([letter.id for letter in (await queue.dead_letters(20))])
            assert found >= bodies

    run(work)
