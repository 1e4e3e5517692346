"""A server that goes away, is full, is read-only, or would lose what it has taken."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

import pytest

from tests.contract.redis_queues import (
    RIGHTS,
    Start,
    appends,
    claim,
    fill,
    kill,
    opened,
    raises,
    run,
    until,
    using,
    works,
)
from tests.redis_process import SAFE, RedisProcess
from tracker.errors import QueueFull, QueueUnavailable
from tracker.queue import NewEntry, Refused
from tracker.queue_redis import RedisQueue, open_queue
from tracker.redis_server import RedisServer

# -- the server goes away, comes back, is full, is read-only


def test_a_server_that_is_killed_loses_nothing_and_all_goes_on(own_redis: Start) -> None:
    async def work() -> None:
        server = own_redis()
        queue = await opened(server)
        forgotten: list[int] = []

        async def specified() -> None:
            """Is not asked for here."""

        queue.keeper.watch(lambda: forgotten.append(1), specified)
        async with using(queue):
            producers = asyncio.gather(*(_produce(queue, number) for number in range(4)))
            for _ in range(3):
                await asyncio.sleep(0.2)
                server.kill()
                for call in (queue.statistics, queue.check, lambda: queue.claim(0, 9, 100, 5.0)):
                    with pytest.raises(QueueUnavailable):
                        await call()
                server.start()
            kept = {body for bodies in await producers for body in bodies}
            assert forgotten
            delivered: set[bytes] = set()
            while found := await claim(queue):
                delivered |= {entry.body for entry in found}
                await queue.acknowledge(0, [entry.id for entry in found])
            assert delivered >= kept
            assert len(kept) == 240
            assert await queue.depth() == 0

    run(work)


async def _produce(queue: RedisQueue, number: int) -> list[bytes]:
    bodies = [b"%d/%d" % (number, turn) for turn in range(60)]
    for body in bodies:
        await until(lambda body=body: appends(queue, body), "it is taken")
    return bodies


def test_a_server_that_hangs_is_waited_for_and_then_given_up(own_redis: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        monkeypatch.setattr("tracker.redis_server.ANSWER_SECONDS", 0.5)
        server = own_redis()
        queue = await opened(server)
        async with using(queue):
            server.signal(signal.SIGSTOP)
            with pytest.raises(QueueUnavailable):
                await fill(queue, 1)
            server.signal(signal.SIGCONT)
            await until(lambda: works(queue), "it goes on")
            assert {entry.body for entry in await claim(queue)} == {b"00000"}  # once or twice: the answer was lost

    run(work)


def test_waiting_for_a_claim_is_no_busy_loop(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server, partitions=4)
        async with using(queue):
            await asyncio.gather(*(queue.claim(partition, 9, 100, 0.2) for partition in range(4)))
            before = redis_server.client.info("commandstats")["cmdstat_evalsha"]["calls"]
            await asyncio.gather(*(queue.claim(partition, 9, 100, 3.0) for partition in range(4)))
            calls = redis_server.client.info("commandstats")["cmdstat_evalsha"]["calls"] - before
            assert calls < 50

    run(work)


def test_a_full_memory_is_told_and_what_is_only_kept_makes_room(own_redis: Start) -> None:
    async def work() -> None:
        server = own_redis()
        queue = await opened(server)
        async with using(queue):
            big = b"x" * 100_000
            await queue.append([NewEntry("a/1", big)] * 40)
            claimed = await claim(queue, most=30)
            await queue.acknowledge(0, [entry.id for entry in claimed[:20]])
            used = server.client.info("memory")["used_memory"]
            server.client.config_set("maxmemory", used - 500_000)
            await queue.append([NewEntry("a/1", b"fits")])
            assert (await queue.statistics()).kept < 20
            with pytest.raises(QueueFull):
                for _ in range(400):
                    await queue.append([NewEntry("a/1", big)])
            server.client.config_set("maxmemory", 1_000_000)
            with pytest.raises(QueueFull):
                await queue.check()
            # What frees memory goes on.
            await queue.retry(0, [claimed[20].id], 0, counted=True)
            await queue.bury(0, [claimed[21].id], "poison")
            await queue.acknowledge(0, [entry.id for entry in claimed[22:]])
            rest = await claim(queue, most=100)
            assert rest[0].deliveries == 1
            await queue.acknowledge(0, [entry.id for entry in rest])
            assert await queue.depth() == 0
            server.client.config_set("maxmemory", 0)
            await queue.append([NewEntry("a/1", big)])
            await queue.check()
            await kill(queue)
        server.client.config_set("maxmemory", 1)
        queue = await opened(server)  # a tracker can come back and deliver
        async with using(queue):
            assert any(entry.body == big for entry in await claim(queue))

    run(work)


def test_a_server_that_became_a_replica_takes_nothing_until_it_is_a_primary_again(own_redis: Start) -> None:
    async def work() -> None:
        server = own_redis()
        queue = await opened(server)
        async with using(queue):
            server.client.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(QueueUnavailable, match=r"READONLY|read only"):
                await fill(queue, 1)
            with pytest.raises(QueueUnavailable):
                await queue.check()
            server.client.execute_command("REPLICAOF", "NO", "ONE")
            await until(lambda: works(queue), "it goes on")

    run(work)


def test_settings_that_become_unsafe_are_noticed(own_redis: Start) -> None:
    async def work() -> None:
        server = own_redis()
        queue = await opened(server, idle=1.0)
        async with using(queue):
            server.client.config_set("appendfsync", "everysec")
            await until(lambda: raises(queue.check, "CONFIG SET appendfsync always"), "it is noticed")
            with pytest.raises(QueueUnavailable, match="CONFIG SET appendfsync always"):
                await fill(queue, 1)
            server.client.config_set("appendfsync", "always")
            await until(lambda: works(queue), "it goes on")

    run(work)


# -- the check before anything is taken


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"appendonly": "no"}, "CONFIG SET appendonly yes"),
        ({"appendfsync": "everysec"}, "CONFIG SET appendfsync always"),
        ({"no-appendfsync-on-rewrite": "yes"}, "CONFIG SET no-appendfsync-on-rewrite no"),
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            "CONFIG SET maxmemory-policy noeviction",
        ),
    ],
)
def test_a_server_that_may_lose_entries_is_refused(
    own_redis: Start, caplog: pytest.LogCaptureFixture, settings: dict[str, str], told: str
) -> None:
    async def work() -> None:
        server = own_redis({**SAFE, **settings})
        with pytest.raises(QueueUnavailable) as refusal:
            await opened(server)
        assert told in str(refusal.value)
        assert "--queue-unsafe" in str(refusal.value)
        queue = await opened(server, safe=False)
        async with using(queue):
            await fill(queue, 1)
            assert told in caplog.text

    with caplog.at_level(logging.WARNING):
        run(work)


def test_memory_that_is_not_limited_may_have_any_policy(own_redis: Start) -> None:
    async def work() -> None:
        await (await opened(own_redis({**SAFE, "maxmemory-policy": "allkeys-lru"}))).close()

    run(work)


def test_a_replica_and_a_cluster_are_refused_whatever_is_said(own_redis: Start, free_port: Callable[[], int]) -> None:
    async def work() -> None:
        replica = own_redis({**SAFE, "replicaof": f"127.0.0.1 {free_port()}"})
        with pytest.raises(QueueUnavailable, match="replica"):
            await opened(replica, safe=False)
        cluster = own_redis({**SAFE, "cluster-enabled": "yes", "cluster-port": str(free_port())})
        with pytest.raises(QueueUnavailable, match="cluster"):
            await opened(cluster, safe=False)

    run(work)


def test_a_service_that_does_not_tell_its_settings_is_refused_with_what_to_do(own_redis: Start) -> None:
    async def work() -> None:
        server = own_redis()
        url = server.url.replace("//", "//tracker:hunter2@")
        server.client.execute_command("ACL", "SETUSER", "tracker", "on", ">hunter2", "~pllib:*", *RIGHTS)
        await (await open_queue(RedisServer(url), "one", 1, 300.0)).close()
        server.client.execute_command("ACL", "SETUSER", "tracker", "-config")
        with pytest.raises(QueueUnavailable) as refusal:
            await open_queue(RedisServer(url), "one", 1, 300.0)
        assert "appendfsync" in str(refusal.value)
        assert "+config|get" in str(refusal.value)
        assert "hunter2" not in str(refusal.value)
        queue = await open_queue(RedisServer(url), "one", 1, 300.0, safe=False)
        async with using(queue):
            await fill(queue, 1)
            assert len(await claim(queue)) == 1

    run(work)


def test_passwords_are_in_no_message(own_redis: Start, caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        server = own_redis({**SAFE, "requirepass": ""})
        server.client.config_set("requirepass", "right")
        for user in (":hunter2@", "someone:hunter2@"):
            with pytest.raises(QueueUnavailable) as refusal:
                await open_queue(RedisServer(server.url.replace("//", "//" + user)), "one", 1, 300.0)
            assert "hunter2" not in str(refusal.value)
        queue = await open_queue(RedisServer(server.url.replace("//", "//:right@")), "one", 1, 300.0)
        server.client.execute_command("AUTH", "right")
        server.kill()
        with pytest.raises(QueueUnavailable) as refusal:
            await fill(queue, 1)
        assert "right" not in str(refusal.value)
        await queue.close()
        assert "hunter2" not in caplog.text
        assert ":right" not in caplog.text

    with caplog.at_level(logging.DEBUG):
        run(work)


def test_a_server_may_listen_on_a_socket_of_the_machine(
    own_redis: Start, tmp_path_factory: pytest.TempPathFactory
) -> None:
    async def work() -> None:
        path = tmp_path_factory.mktemp("s") / "r.sock"
        own_redis({**SAFE, "unixsocket": str(path), "databases": "4"})
        one = await open_queue(RedisServer(f"unix://{path}?db=3"), "one", 1, 300.0)
        other = await open_queue(RedisServer(f"unix://{path}"), "one", 2, 300.0)  # databases are apart
        async with using(one, other):
            await fill(one, 2)
            assert len(await claim(one)) == 2
            assert await claim(other) == []

    run(work)


def test_any_text_is_taken(redis_server: RedisProcess) -> None:
    async def work() -> None:
        queue = await opened(redis_server)
        async with using(queue):
            await queue.append([NewEntry("a\ud800", b"\x00\xff")], [Refused("1" * 32, b"\xff", "$.\udfff", "no\r\n")])
            (entry,) = await claim(queue)
            assert entry.body == b"\x00\xff"
            await queue.bury(0, [entry.id], "\ud800")
            (record,) = await queue.quarantined(9)
            assert (record.field, record.message, record.body) == ("$.?", "no\r\n", b"\xff")
            assert (await queue.dead_letters(9))[0].reason == "?"

    run(work)


def test_nobody_at_the_address_is_told(free_port: Callable[[], int]) -> None:
    async def work() -> None:
        port = free_port()
        with pytest.raises(QueueUnavailable, match=str(port)):
            await open_queue(RedisServer(f"redis://127.0.0.1:{port}"), "one", 1, 300.0)

    run(work)
