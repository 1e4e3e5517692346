"""What the tests of the queue on a server share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.redis_process import RedisProcess
from tracker.errors import QueueUnavailable
from tracker.queue import Entry, NewEntry
from tracker.queue_redis import RedisQueue, open_queue
from tracker.redis_server import RedisServer

Start = Callable[..., RedisProcess]
RIGHTS = ["+@read", "+@write", "+@scripting", "+@connection", "+info", "+time", "+config|get"]
"""What a tracker needs of a server with users (docs/how-to/scale-out.md)."""
PATIENCE = 30.0


def run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        return await asyncio.wait_for(work(), 100)

    return asyncio.run(bounded())


async def opened(server: RedisProcess, name: str = "one", partitions: int = 1, **how: Any) -> RedisQueue:
    return await open_queue(RedisServer(server.url), name, partitions, how.pop("keep", 300.0), **how)


async def kill(queue: RedisQueue) -> None:
    """Leaves the queue as a tracker does that is killed."""
    await queue._share.server.close()


@asynccontextmanager
async def using(*queues: RedisQueue) -> AsyncIterator[None]:
    try:
        yield
    finally:
        for queue in queues:
            await queue.close()


async def fill(queue: RedisQueue, count: int, first: int = 0) -> list[bytes]:
    bodies = [b"%05d" % number for number in range(first, first + count)]
    await queue.append([NewEntry(f"a/{body.decode()}", body) for body in bodies])
    return bodies


async def claim(queue: RedisQueue, wait: float = 0, most: int = 5000) -> list[Entry]:
    return [entry for part in range(queue.partitions) for entry in await queue.claim(part, most, 10**9, wait)]


async def until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not await condition():
        assert time.monotonic() < end, f"in vain: {what}"
        await asyncio.sleep(0.05)


async def gives(ask: Callable[[], Awaitable[Any]], expected: Any) -> bool:
    return bool(await ask() == expected)


async def raises(call: Callable[[], Awaitable[Any]], words: str) -> bool:
    try:
        await call()
    except QueueUnavailable as error:
        return words in str(error)
    return False


async def keeps(queue: RedisQueue, expected: int) -> bool:
    return (await queue.statistics()).kept == expected


async def true(value: bool) -> bool:
    return value


async def appends(queue: RedisQueue, body: bytes) -> bool:
    try:
        await queue.append([NewEntry("a/1", body)])
    except QueueUnavailable:
        return False
    return True


async def works(queue: RedisQueue) -> bool:
    return await appends(queue, b"00000")
