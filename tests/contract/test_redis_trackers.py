"""Several trackers on one server: they share, die, come back, and agree; what each does is noticed by the others."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Any

import pytest

from tests.contract.redis_queues import (
    PATIENCE,
    claim,
    fill,
    gives,
    keeps,
    kill,
    opened,
    raises,
    run,
    true,
    until,
    using,
)
from tests.redis_process import RedisProcess
from tracker.errors import QueueInUse, QueueUnavailable
from tracker.queue_redis import RedisQueue
from tracker.redis_keeper import _ServerClock
from tracker.redis_scripts import MAX_SILENT_CLAIMS
from tracker.specification_store import Stored
from tracker.specification_store_redis import RedisSpecifications

# -- several trackers


def test_two_trackers_share_the_work_and_each_entry_is_claimed_once(redis_server: RedisProcess) -> None:
    async def work() -> None:
        one, two = await opened(redis_server, "one", 2), await opened(redis_server, "two", 2)
        async with using(one, two):
            found: dict[str, list[bytes]] = {"one": [], "two": []}

            async def consume(queue: RedisQueue, name: str) -> None:
                for _ in range(400):
                    for partition in range(2):
                        claimed = await queue.claim(partition, 3, 10**9, 0.01)
                        found[name] += [entry.body for entry in claimed]
                        await queue.acknowledge(partition, [entry.id for entry in claimed])
                    if len(found["one"]) + len(found["two"]) >= 400:
                        return

            consumers = asyncio.gather(consume(one, "one"), consume(two, "two"))
            bodies = await fill(one, 200) + await fill(two, 200, first=200)
            await consumers
            assert sorted(found["one"] + found["two"]) == bodies
            assert min(len(found["one"]), len(found["two"])) > 0
            await until(lambda: gives(one.depth, 0), "both know that all is done")
            await until(lambda: gives(two.depth, 0), "both know that all is done")

    run(work)


def test_a_waiting_claim_gets_what_another_tracker_appends(redis_server: RedisProcess) -> None:
    async def work() -> None:
        one, two = await opened(redis_server, "one"), await opened(redis_server, "two")
        async with using(one, two):
            waiting = asyncio.create_task(one.claim(0, 9, 100, PATIENCE))
            await asyncio.sleep(0.05)
            await fill(two, 1)
            assert [entry.body for entry in await waiting] == [b"00000"]

    run(work)


def test_a_tracker_that_comes_back_finds_its_own_at_once(redis_server: RedisProcess) -> None:
    async def work() -> None:
        one, other = await opened(redis_server, "one"), await opened(redis_server, "other")
        bodies = await fill(one, 3)
        await claim(one)
        await kill(one)
        async with using(other):
            assert await claim(other) == []
            one = await opened(redis_server, "one")
            async with using(one):
                assert [entry.body for entry in await claim(one)] == bodies

    run(work)


def test_claims_of_a_dead_tracker_are_taken_over_to_the_last_one(redis_server: RedisProcess) -> None:
    async def work() -> None:
        dead, heir = await opened(redis_server, "dead", idle=1.0), await opened(redis_server, "heir", idle=1.0)
        async with using(heir):
            bodies = await fill(dead, 2600)  # several pages
            assert len(await claim(dead)) == 2600
            assert await claim(heir) == []
            await kill(dead)
            assert [entry.body for entry in await claim(heir, wait=PATIENCE)] == bodies
            assert await heir.depth() == 2600

    run(work)


def test_a_living_tracker_keeps_its_claims_however_long_it_holds_them(redis_server: RedisProcess) -> None:
    async def work() -> None:
        holder, other = await opened(redis_server, "holder", idle=2.5), await opened(redis_server, "other", idle=2.5)
        async with using(holder, other):
            await fill(holder, 20)
            held = await claim(holder)
            assert await other.claim(0, 99, 10**9, 6.0) == []
            await holder.acknowledge(0, [entry.id for entry in held])
            assert await holder.depth() == 0

    run(work)


def test_an_answer_that_was_lost_costs_nothing(redis_server: RedisProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        queue = await opened(redis_server)
        async with using(queue):
            await fill(queue, 5)
            do = queue._server.run

            async def loses(*words: Any) -> Any:
                await do(*words)
                raise QueueUnavailable("the answer was lost")

            monkeypatch.setattr(queue._server, "run", loses)
            with pytest.raises(QueueUnavailable):
                await claim(queue)
            monkeypatch.setattr(queue._server, "run", do)
            assert len(await claim(queue)) == 5

    run(work)


def test_a_name_serves_the_newest_tracker_only(redis_server: RedisProcess) -> None:
    async def work() -> None:
        first, second = await opened(redis_server, "same"), await opened(redis_server, "same")
        async with using(first, second):

            async def expelled() -> bool:
                try:
                    await first.check()
                except QueueUnavailable as error:
                    return "--name" in str(error)
                return False

            await until(expelled, "the first one is told")
            for refused in (fill(first, 1), claim(first)):
                with pytest.raises(QueueUnavailable, match="--name"):
                    await refused
            await fill(second, 1)
            assert len(await claim(second)) == 1

    run(work)


# -- the number of partitions


def test_living_trackers_agree_on_the_number_of_partitions(redis_server: RedisProcess) -> None:
    async def work() -> None:
        one = await opened(redis_server, "one", 3)
        async with using(one):
            with pytest.raises(QueueInUse, match=r"tracker one .* 3 partitions.*--partitions 3"):
                await opened(redis_server, "two", 4)
            await (await opened(redis_server, "two", 3)).close()
        await (await opened(redis_server, "two", 4)).close()

    run(work)


def test_entries_are_dealt_out_anew_with_all_that_is_known_of_them(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, "one", 5)
        bodies = await fill(queue, 3000)
        claimed = await queue.claim(0, 9, 10**9, 0)
        delivered, failed = claimed[:4], claimed[4]
        await queue.acknowledge(0, [entry.id for entry in delivered])
        await queue.retry(0, [failed.id], 0, counted=True)
        accepted = {one.body: one.accepted async for one in queue.export()}
        await queue.close()
        queue = await opened(redis_server, "one", 2)
        async with using(queue):
            found = await queue.statistics()
            assert (sum(found.depths), found.kept) == (2996, 4)
            assert {one.body: one.accepted async for one in queue.export()} == accepted
            again = await claim(queue)
            gone = {entry.body for entry in delivered}
            assert sorted(entry.body for entry in again) == [body for body in bodies if body not in gone]
            assert {entry.body: entry.deliveries for entry in again if entry.deliveries} == {failed.body: 1}
            assert await queue.replay_delivered(0) == 4
            assert {entry.body for entry in await claim(queue)} == gone
        assert redis_server.client.keys("pllib:queue:5:*") == []

    run(work)


def test_what_was_dealt_out_while_kept_may_be_wanted_before_it_is_passed(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, "one", 2)
        bodies = await fill(queue, 40)
        for partition in range(2):
            await queue.acknowledge(partition, [entry.id for entry in await queue.claim(partition, 10, 10**9, 0)])
        await queue.close()
        queue = await opened(redis_server, "one", 1)
        async with using(queue):
            assert await queue.replay_delivered(0) == 20
            assert sorted(entry.body for entry in await claim(queue)) == bodies
            assert await queue.depth() == 40

    run(work)


def test_a_tracker_that_was_thought_dead_does_no_harm(redis_server: RedisProcess) -> None:
    async def work() -> None:
        sleeper = await opened(redis_server, "sleeper", 2)
        await fill(sleeper, 1)
        await claim(sleeper)
        redis_server.client.hset("pllib:beats", "sleeper", 1)  # as if it had slept for long
        other = await opened(redis_server, "other", 3)
        async with using(sleeper, other):
            with pytest.raises(QueueUnavailable, match=r"CHANGED|--partitions 3"):
                await fill(sleeper, 1, first=1)
            assert [entry.body for entry in await claim(other)] == [b"00000"]
            await until(lambda: raises(sleeper.check, "--partitions 3"), "it is told")

    run(work)


# -- delays, deliveries, poison


def test_the_delay_of_a_retry_survives_the_tracker(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server)
        await fill(queue, 2)
        now, later = await claim(queue)
        before = time.monotonic()
        await queue.retry(0, [later.id], 2.0, counted=True)
        await kill(queue)
        queue = await opened(redis_server)
        async with using(queue):
            assert await claim(queue) == [now]
            assert await claim(queue, wait=PATIENCE) == [later._replace(deliveries=1)]
            assert time.monotonic() - before >= 1.9

    run(work)


def test_what_is_due_after_the_clock_was_set_back_is_due_now(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, keep=100.0)
        async with using(queue):
            await fill(queue, 2)
            again, delivered = await claim(queue)
            await queue.retry(0, [again.id], 1.0, counted=False)
            await queue.acknowledge(0, [delivered.id])
            tomorrow = (time.time() + 86_400) * 1_000_000
            redis_server.client.zadd("pllib:queue:1:0:again", {again.id: tomorrow})
            redis_server.client.zadd("pllib:queue:1:0:delivered", {delivered.id: tomorrow})
            assert await claim(queue) == [again]
            await until(lambda: keeps(queue, 0), "what was delivered in the future is not kept")

    run(work)


def test_claims_of_the_dead_are_found_after_the_clock_was_set_back(redis_server: RedisProcess) -> None:
    async def work() -> None:
        dead = await opened(redis_server, "dead")
        bodies = await fill(dead, 3)
        await claim(dead)
        await kill(dead)
        tomorrow = int((time.time() + 86_400) * 1_000_000)
        redis_server.client.hset("pllib:state", "last", tomorrow)
        redis_server.client.hset("pllib:beats", "dead", tomorrow)
        heir = await opened(redis_server, "heir", 2)  # what died tomorrow is not there today
        async with using(heir):
            assert sorted(entry.body for entry in await claim(heir)) == bodies
            bodies = await fill(heir, 2)
            assert sorted(entry.body for entry in await claim(heir)) == bodies
        heir = await opened(redis_server, "heir", 2)
        async with using(heir):
            await claim(heir)
            await kill(heir)
        other = await opened(redis_server, "other", 2)
        async with using(other):
            assert len(await claim(other)) == 5

    run(work)


def test_a_clock_that_is_set_back_is_noticed() -> None:
    seconds = [100.0]
    clock = _ServerClock(lambda: seconds[0])
    assert not clock.was_set_back(5_000_000_000)
    seconds[0] = 101.0
    assert not clock.was_set_back(5_001_000_000)
    assert not clock.was_set_back(90_000_000_000)
    assert clock.was_set_back(5_002_000_000)
    seconds[0] = 160.0
    assert not clock.was_set_back(5_061_000_000)


def test_an_entry_that_trackers_die_of_is_given_up_and_no_other(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, keep=0.0)
        await fill(queue, 6)
        deaths = 0
        while claimed := await claim(queue):
            if b"00002" in {entry.body for entry in claimed}:
                await kill(queue)
                deaths += 1
                queue = await opened(redis_server, keep=0.0)
            else:
                await queue.acknowledge(0, [entry.id for entry in claimed])
        async with using(queue):
            assert deaths == MAX_SILENT_CLAIMS
            (letter,) = await queue.dead_letters(9)
            assert await queue.dead_letter_body(letter.id) == b"00002"
            assert "died" in letter.reason
            assert await queue.depth() == 0

    run(work)


def test_a_tracker_that_dies_often_in_an_outage_gives_nothing_up(redis_server: RedisProcess) -> None:
    """Stops in order, and holding an entry for a while, are no signs of poison."""

    async def work() -> None:
        for _ in range(MAX_SILENT_CLAIMS + 2):
            queue = await opened(redis_server)
            if not await queue.depth():
                await fill(queue, 3)
            assert len(await claim(queue)) == 3
            await queue.close()
        queue = await opened(redis_server)
        for _ in range(2):
            await claim(queue)
            await kill(queue)
            queue = await opened(redis_server)
        await claim(queue)

        def silent() -> list[int]:
            found = redis_server.client.xpending_range("pllib:queue:1:0", "trackers", "-", "+", 9)
            return [one["times_delivered"] for one in found]

        assert silent() == [3, 3, 3]
        for partition in queue._share.parts:  # as if it had held them for long
            partition.held.update({id_: one._replace(since=0.0) for id_, one in partition.held.items()})
        await until(lambda: true(silent() == [0, 0, 0]), "they are no suspects any more")
        await queue.close()

    run(work)


# -- what is kept, and for how long


def test_only_what_was_delivered_and_is_old_is_removed(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, keep=3.0)
        async with using(queue):
            bodies = await fill(queue, 60)
            claimed = await claim(queue, most=50)
            oldest_unacknowledged = [claimed[0], claimed[25]]
            ids = [entry.id for entry in claimed if entry not in oldest_unacknowledged]
            await queue.acknowledge(0, ids[:20])
            await until(lambda: keeps(queue, 0), "the old ones go")
            await queue.acknowledge(0, ids[20:])
            left = {one.body async for one in queue.export()}
            assert left == set(bodies) - {entry.body for entry in claimed if entry.id in ids[:20]}
            await until(lambda: keeps(queue, 0), "the others go, too")
            left = {one.body async for one in queue.export()}
            assert left == {entry.body for entry in oldest_unacknowledged} | set(bodies[50:])
            assert await queue.depth() == 12
            assert redis_server.client.xlen("pllib:queue:1:0") == 12
            await queue.retry(0, [entry.id for entry in oldest_unacknowledged], 0, counted=False)
            assert {entry.body for entry in await claim(queue)} == left

    run(work)


def test_entries_that_somebody_else_removes_before_they_are_claimed_are_missed(
    redis_server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        queue = await opened(redis_server, idle=1.0, keep=0.5)
        async with using(queue):
            await fill(queue, 9)
            claimed = await claim(queue, most=4)
            await queue.acknowledge(0, [entry.id for entry in claimed[1:]])
            await until(lambda: keeps(queue, 0), "what was delivered goes")
            await asyncio.sleep(1.5)
            assert "trims" not in caplog.text
            redis_server.client.xtrim("pllib:queue:1:0", maxlen=2, approximate=False)
            await until(lambda: true("trims" in caplog.text), "it is told")

    with caplog.at_level(logging.ERROR):
        run(work)


def test_entries_that_somebody_else_removes_are_missed(
    redis_server: RedisProcess, caplog: pytest.LogCaptureFixture
) -> None:
    async def work() -> None:
        queue = await opened(redis_server)
        async with using(queue):
            await fill(queue, 4)
            await claim(queue)
            redis_server.client.xtrim("pllib:queue:1:0", maxlen=1, approximate=False)
            await until(lambda: true("trims" in caplog.text), "it is told")
            await kill(queue)
        queue = await opened(redis_server)
        async with using(queue):
            assert len(await claim(queue)) == 1
            assert await queue.depth() == 1
            assert "3 documents of partition 0 are not on" in caplog.text

    with caplog.at_level(logging.ERROR):
        run(work)


# -- what other trackers do is noticed


def test_trackers_learn_what_others_gave_up_and_specified(redis_server: RedisProcess) -> None:
    async def work() -> None:
        one, two = await opened(redis_server, "one"), await opened(redis_server, "two")
        seen: list[str] = []

        async def specified() -> None:
            seen.append("specified")

        one.keeper.watch(lambda: seen.append("forget"), specified)
        async with using(one, two):
            records = RedisSpecifications(two._server)
            first = Stored("a/b", 1, 1000.5, b'{"workflow": "a/b"}')
            assert await records.add([first, first._replace(version=3), first._replace(workflow="c")]) == 3
            await until(lambda: true(seen == ["specified"]), "it learns of specifications")
            assert await records.add([first._replace(body=b"{}")]) == 0
            assert await RedisSpecifications(one._server).get("a/b") == first._replace(version=3)
            assert await records.get("a/b", 1) == first
            assert await records.get("a/b", 2) is None
            assert await records.get("d") is None
            assert await records.newest() == [first._replace(version=3), first._replace(workflow="c")]
            assert len(await records.all()) == 3
            await fill(two, 1)
            (entry,) = await claim(two)
            await two.bury(0, [entry.id], "poison")
            await until(lambda: true(seen == ["specified", "forget"]), "it learns of what was given up")

    run(work)


def test_a_server_that_lost_its_data_is_noticed(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, partitions=2)
        seen: list[str] = []

        async def specified() -> None:
            seen.append("specified")

        queue.keeper.watch(lambda: seen.append("forget"), specified)
        async with using(queue):
            await fill(queue, 5)
            await claim(queue)
            redis_server.client.flushall()
            with pytest.raises(QueueUnavailable, match="CHANGED"):  # nothing is built on what is lost
                await fill(queue, 1)
            await until(lambda: true("forget" in seen and "specified" in seen), "it is noticed")
            bodies = await fill(queue, 7)
            assert sorted(entry.body for entry in await claim(queue)) == bodies
            assert await queue.depth() == 7

    run(work)
