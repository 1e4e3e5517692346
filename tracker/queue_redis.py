"""The work queue on a Redis-compatible server, shared by several trackers (docs/decisions/0008-redis-streams.md).

A partition is a stream, its readers are one consumer group, and each tracker is a consumer of a name that it keeps. Every
step is a script, so that the server does all of it or nothing (``redis_scripts``); ``redis_keeper`` looks after the rest.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeVar

from . import queue_redis_transfer as transfer
from . import redis_scripts as scripts
from .errors import QueueFull, QueueUnavailable
from .queue import DeadLetter, Entry, Exported, NewEntry, QuarantinedRecord, QueueStatistics, Refused, hash_of
from .redis_keeper import Keeper
from .redis_server import RedisServer, Script
from .redis_share import MICRO, Claimed, Share

log = logging.getLogger("tracker.redis")

Result = TypeVar("Result")
Words = list[Any]

IDLE_POSTS = 2
"""Claims of a tracker that has died are taken over after the time that so many posts may take."""
MAX_APPEND_BYTES = 16_000_000
"""Bytes that are appended in one step, but for a single larger append."""
APPENDS_AT_ONCE = 2
"""Steps under way: the server works on one while the next is sent."""
REPLAYED_A_TURN = 100
SHORTEST_WAIT = 0.005


class _Append(NamedTuple):
    words: Words
    size: int
    done: asyncio.Future[None]


class _Appends:
    """Appends that wait at the same moment share one step, and so one sync of the server's disk.

    Args:
        send: does one step.
    """

    def __init__(self, send: Callable[[Words], Awaitable[None]]) -> None:
        self._send = send
        self._waiting: deque[_Append] = deque()
        self._senders: set[asyncio.Task[None]] = set()

    async def add(self, words: Words, size: int) -> None:
        """Returns when the words' items are durable."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Append(words, size, done))
        if len(self._senders) < APPENDS_AT_ONCE:
            sender = asyncio.create_task(self._send_all())
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)
        await done

    async def _send_all(self) -> None:
        while self._waiting:
            appends = [self._waiting.popleft()]
            size = appends[0].size
            while self._waiting and size + self._waiting[0].size <= MAX_APPEND_BYTES:
                appends.append(self._waiting.popleft())
                size += appends[-1].size
            failure = QueueUnavailable("the append did not end")
            try:
                await self._send([word for append in appends for word in append.words])
            except QueueUnavailable as error:
                failure = error
            else:
                for append in appends:
                    append.done.set_result(None)
            finally:  # whatever happens, nobody waits for ever
                for append in appends:
                    if not append.done.done():
                        append.done.set_exception(type(failure)(str(failure)))


class RedisQueue:
    """A ``WorkQueue`` on a server; make it with ``open_queue``.

    Args:
        share: the tracker's part in the queue.
        keeper: what looks after it.
        monotonic: seconds.
    """

    def __init__(self, share: Share, keeper: Keeper, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.keeper = keeper
        self._share = share
        self._server = share.server
        self._monotonic = monotonic
        self._appends = _Appends(self._add)
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def partitions(self) -> int:
        return self._share.partitions

    async def append(self, entries: Sequence[NewEntry], refused: Sequence[Refused] = ()) -> None:
        words: Words = []
        hashes = [hash_of(entry.key) for entry in entries]
        for hash_, entry in zip(hashes, entries, strict=True):
            words += (b"e", hash_, entry.body)
        words += transfer.refused_words(refused)
        await self._add_words(words, hashes)

    async def take_in(self, items: Sequence[Exported]) -> None:
        words = [word for item in items for word in transfer.words(item)]
        await self._add_words(words, [item.hash for item in items if item.kind == "entry"])

    async def _add_words(self, words: Words, hashes: Sequence[int]) -> None:
        if not words:
            return
        self._share.usable()
        if self._share.unfit is not None:
            raise QueueUnavailable(self._share.unfit)
        size = sum(len(word) for word in words if isinstance(word, bytes))
        await self._unbroken(self._appends.add(words, size))
        for hash_ in hashes:
            self._share.parts[hash_ % self.partitions].news.set()

    async def _add(self, words: Words) -> None:
        while True:
            try:
                answer = await self._server.run(scripts.ADD, self._share.epoch, self.partitions, *words)
            except QueueFull:  # what was delivered and is only kept makes room, oldest first
                if not await self._share.expire(-1):
                    raise
            else:
                self._share.hear(*answer)
                return

    async def claim(self, partition: int, max_entries: int, max_bytes: int, wait: float) -> list[Entry]:
        part = self._share.parts[partition]
        until = self._monotonic() + wait
        while True:
            part.news.clear()
            task = self._begin(self._claim_now(partition, max_entries, max_bytes))
            try:
                found, due = await asyncio.shield(task)
            except asyncio.CancelledError:
                task.add_done_callback(partial(self._unclaim, partition))
                raise
            left = until - self._monotonic()
            if found or left <= 0:
                return found
            try:
                await asyncio.wait_for(part.news.wait(), max(min(left, due), SHORTEST_WAIT))
            except TimeoutError:
                continue

    async def _claim_now(self, partition: int, max_entries: int, max_bytes: int) -> tuple[list[Entry], float]:
        """Entries that were claimed; seconds until one that was given back may be."""
        share = self._share
        share.usable()
        part = share.parts[partition]
        try:
            if part.in_doubt:
                await share.give_left_over(partition)
            wait, lost, dead, *found = await self._server.run(
                scripts.CLAIM, self.partitions, partition, share.name, max_entries, max_bytes
            )
        except QueueUnavailable:
            part.in_doubt = True
            raise
        if lost:
            share.miss(partition, lost)
        if dead:
            log.error("%d documents are dead letters: trackers died each time they were claimed", dead)
        entries = [Entry(found[i].decode(), found[i + 1], found[i + 2]) for i in range(0, len(found), 4)]
        now = self._monotonic()
        part.held.update((entry.id, Claimed(silent, now)) for entry, silent in zip(entries, found[3::4], strict=True))
        return entries, wait / MICRO if wait >= 0 else float("inf")

    def _unclaim(self, partition: int, task: asyncio.Task[tuple[list[Entry], float]]) -> None:
        """Gives back what nobody waits for any more."""
        if not task.cancelled() and task.exception() is None and task.result()[0]:
            ids = [entry.id for entry in task.result()[0]]
            self._begin(self._let_go(self.retry(partition, ids, 0, counted=False)))

    async def _let_go(self, work: Awaitable[None]) -> None:
        try:
            await work
        except QueueUnavailable as error:
            log.warning("claims are given back later: %s", error)

    async def acknowledge(self, partition: int, ids: Sequence[str]) -> None:
        await self._end_claims(partition, ids, scripts.ACKNOWLEDGE, self._share.keep)

    async def bury(self, partition: int, ids: Sequence[str], reason: str) -> None:
        await self._end_claims(partition, ids, scripts.BURY, reason)

    async def _end_claims(self, partition: int, ids: Sequence[str], script: Script, how: Any) -> None:
        if ids:
            self._share.usable()
            answer = await self._unbroken(self._server.run(script, self.partitions, partition, how, *ids))
            self._share.hear(*answer)
            self._share.parts[partition].let_go(ids)

    async def retry(self, partition: int, ids: Sequence[str], delay: float, *, counted: bool) -> None:
        if ids:
            self._share.usable()
            await self._unbroken(self._share.give_back(partition, ids, max(int(delay * MICRO), 0), counted=counted))
            self._share.parts[partition].let_go(ids)
            self._share.parts[partition].news.set()

    async def dead_letters(self, limit: int, after: str | None = None) -> list[DeadLetter]:
        rows = await self._server.run(scripts.DEAD_LETTERS, f"{_number(after)}-0", "+", limit)
        return [
            DeadLetter(
                _plain(id_),
                int(hash_) % self.partitions,
                size,
                int(deliveries),
                int(accepted) / MICRO,
                int(died) / MICRO,
                reason.decode("utf-8", "replace"),
            )
            for id_, hash_, accepted, deliveries, died, reason, size in rows
        ]

    async def dead_letter_body(self, identifier: str) -> bytes | None:
        exact = f"{_number(identifier)}-0"
        found = await self._server.command("XRANGE", self._server.prefix + "dead", exact, exact)
        return transfer.fields(found[0][1])[b"b"] if found else None

    async def replay(self, ids: Sequence[str] | None = None) -> int:
        if ids is not None:
            return await self._replay([f"{_number(identifier)}-0" for identifier in ids])
        replayed, after, last = 0, "0-0", f"{await transfer.last_id(self._server)}-0"
        while page := await self._server.run(scripts.DEAD_LETTERS, after, last, REPLAYED_A_TURN):
            found = [row[0].decode() for row in page]
            replayed += await self._replay(found)
            after = found[-1]
        return replayed

    async def _replay(self, ids: Sequence[str]) -> int:
        when, depth, replayed = await self._unbroken(
            self._server.run(scripts.REPLAY, self._share.epoch, self.partitions, *ids)
        )
        self._share.hear(when, depth)
        for part in self._share.parts:
            part.news.set()
        return int(replayed)

    async def replay_delivered(self, since: float) -> int:
        return await self._unbroken(self._share.replay_delivered(int(since * MICRO)))

    def export(self) -> AsyncIterator[Exported]:
        return transfer.export(self._server, self.partitions)

    async def quarantined(self, limit: int, after: str | None = None) -> list[QuarantinedRecord]:
        key = self._server.prefix + "quarantine"
        rows = await self._server.command("XRANGE", key, f"({_number(after)}-0", "+", "COUNT", limit)
        return [transfer.quarantined(_plain(id_), transfer.fields(flat)) for id_, flat in rows]

    async def depth(self) -> int:
        return self._share.depth

    async def statistics(self) -> QueueStatistics:
        when, age, dead, quarantined, kept, *depths = await self._server.run(scripts.STATISTICS, self.partitions)
        self._share.hear(when, sum(depths))
        return QueueStatistics(depths, max(age / MICRO, 0.0), dead, quarantined, kept)

    async def check(self) -> None:
        self._share.usable()
        if self._share.unfit is not None:
            raise QueueUnavailable(self._share.unfit)
        # A write that is refused like an append where the memory is full or the server is read-only.
        await self._server.command("SET", self._server.prefix + "check", 1)

    async def close(self) -> None:
        if self._server.closed:
            return
        while self._running:
            await asyncio.wait(self._running)
        await self.keeper.stop()
        await self._let_go(self.keeper.leave())
        await self._server.close()

    def _begin(self, work: Coroutine[Any, Any, Result]) -> asyncio.Task[Result]:
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _unbroken(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs ``work`` to its end even if the caller is cancelled, so that what was done is known."""
        return await asyncio.shield(self._begin(work))


async def open_queue(
    server: RedisServer,
    name: str,
    partitions: int,
    keep: float,
    *,
    idle: float = 120.0,
    safe: bool = True,
) -> RedisQueue:
    """A queue that is ready for use.

    Args:
        server: where it is; closed with the queue.
        name: the tracker's, the same after a restart.
        partitions: the same for all trackers on the server.
        keep: seconds for which delivered entries are kept.
        idle: seconds after which the claims of a tracker that has died are taken over.
        safe: refuse a server that may lose what it has taken.

    Raises:
        QueueInUse: other trackers use another number of partitions.
        QueueUnavailable: the server does not answer, or may not be used.
    """
    share = Share(server, name, partitions, keep, idle, safe)
    keeper = Keeper(share)
    try:
        await keeper.start()
    except BaseException:
        await server.close()
        raise
    return RedisQueue(share, keeper)


def _number(identifier: str | None) -> int:
    """An id as a number; what is none of ours becomes one that nothing has, and that comes first."""
    return int(identifier) if identifier is not None and identifier.isdecimal() and len(identifier) < 19 else 0


def _plain(id_: bytes) -> str:
    return id_.decode().removesuffix("-0")
