"""The work queue in one SQLite file.

Claims are kept in memory: after a restart everything that was not acknowledged waits again. What was acknowledged stays in
its table for a while, and ``delivered`` names it.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from . import queue_sqlite_delivered as delivered
from . import queue_sqlite_transfer as transfer
from .database import Database
from .errors import QueueFull, QueueUnavailable
from .queue import DeadLetter, Entry, Exported, NewEntry, QuarantinedRecord, QueueStatistics, Refused, hash_of
from .queue_sqlite_claims import Found, Partition

log = logging.getLogger("tracker.queue")

Result = TypeVar("Result")

USUAL_BYTES = 100_000
"""Bytes that a usual append adds."""
ROW_BYTES = 200
"""Bytes of an entry in the file beside its body, at most."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS entry (
    id INTEGER PRIMARY KEY AUTOINCREMENT, partition INTEGER NOT NULL, hash INTEGER NOT NULL,
    accepted REAL NOT NULL, deliveries INTEGER NOT NULL DEFAULT 0, body BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS entry_by_partition ON entry (partition, id);
CREATE TABLE IF NOT EXISTS dead (
    id INTEGER PRIMARY KEY AUTOINCREMENT, hash INTEGER NOT NULL, accepted REAL NOT NULL, deliveries INTEGER NOT NULL,
    died REAL NOT NULL, reason TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, digest BLOB NOT NULL UNIQUE, producer TEXT NOT NULL, field TEXT NOT NULL,
    message TEXT NOT NULL, refused REAL NOT NULL, body BLOB NOT NULL);
"""
SCHEMA += delivered.SCHEMA


class SqliteQueue:
    """A ``WorkQueue`` in a ``Database`` whose schema includes ``SCHEMA``; make it with ``open_queue``.

    Args:
        database: the file; closed with the queue.
        partitions: number of partitions; entries of an earlier run with another number are dealt out anew.
        keep: seconds for which delivered entries are kept.
        clock: seconds since 1970.
        monotonic: seconds, for delays.
    """

    def __init__(
        self,
        database: Database,
        partitions: int,
        keep: float,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._partitions = [Partition() for _ in range(partitions)]
        self._keep = keep
        self._clock = clock
        self._monotonic = monotonic
        self._dead = 0
        self._quarantined = 0
        self._kept = 0
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def partitions(self) -> int:
        return len(self._partitions)

    async def load(self) -> None:
        """Finds what an earlier process left; what it delivered last waits again, if it did not close the file."""
        count = self.partitions
        now = self._clock()

        def begin(connection: sqlite3.Connection) -> int:
            return delivered.begin(connection, now, self._keep)

        def job(connection: sqlite3.Connection) -> tuple[list[tuple[int, int]], set[int], int, int]:
            connection.execute("UPDATE entry SET partition = hash % ?1 WHERE partition != hash % ?1", (count,))
            rows = connection.execute("SELECT partition, id FROM entry ORDER BY partition, id").fetchall()
            counts = connection.execute("SELECT (SELECT count(*) FROM dead), (SELECT count(*) FROM quarantine)")
            return rows, delivered.ids(connection), *counts.fetchone()

        replayed = 0
        try:
            replayed = await self._database.run(begin)
        except QueueFull:  # to read needs no space, and to deliver makes some
            log.error(
                "no space is left: what was delivered last is not delivered again, clean as the last stop was or not"
            )
        rows, kept, self._dead, self._quarantined = await self._database.run(job)
        self._kept = len(kept)
        for partition, number in rows:
            state = self._partitions[partition]
            if number not in kept:
                state.depth += 1
            elif state.depth:
                state.behind_us.add(number)
            else:
                state.cursor = number
        if replayed:
            log.warning("the last stop was not clean: the %d documents delivered last are delivered again", replayed)

    async def append(self, entries: Sequence[NewEntry], refused: Sequence[Refused] = ()) -> None:
        now = self._clock()
        items = [Exported("entry", hash_of(entry.key), now, 0, 0.0, "", "", "", entry.body) for entry in entries]
        items += [
            Exported("refused", 0, now, 0, 0.0, one.message, one.producer, one.field, one.body) for one in refused
        ]
        await self.take_in(items)

    async def take_in(self, items: Sequence[Exported]) -> None:
        if items:
            await self._unbroken(self._take_in(items))

    async def _take_in(self, items: Sequence[Exported]) -> None:
        partitions = self.partitions
        refused = any(item.kind == "refused" for item in items)

        size = sum(len(item.body) + ROW_BYTES for item in items)

        def job(connection: sqlite3.Connection) -> int:
            self._database.require_room(connection, size)
            transfer.insert(connection, items, partitions)
            if not refused:
                return -1
            return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])

        quarantined = await self._with_space(job)
        if quarantined >= 0:
            self._quarantined = quarantined
        for item in items:
            if item.kind == "entry":
                self._partitions[item.hash % partitions].depth += 1
                self._partitions[item.hash % partitions].news.set()
        self._dead += sum(item.kind == "dead" for item in items)

    async def _with_space(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """The result of a job that adds; on a full disk what was delivered and is only kept makes room, oldest first."""
        while True:
            try:
                return await self._with_log_space(job)
            except QueueFull:
                if not await self._release():
                    raise

    async def _with_log_space(self, job: Callable[[sqlite3.Connection], Result]) -> Result:
        """The result of a job; on a full disk the log is worked off, so that its space can be used."""
        try:
            return await self._database.run(job)
        except QueueFull:
            await self._database.work_off_log()
            return await self._database.run(job)

    async def _release(self) -> int:
        released = await self._with_log_space(delivered.release)
        self._kept -= released
        return released

    async def claim(self, partition: int, max_entries: int, max_bytes: int, wait: float) -> list[Entry]:
        state = self._partitions[partition]
        until = self._monotonic() + wait
        while True:
            state.news.clear()
            found = await self._claim_now(partition, max_entries, max_bytes)
            left = until - self._monotonic()
            if found or left <= 0:
                return found
            if state.given_back:
                left = min(left, state.given_back[0][0] - self._monotonic())
            try:
                await asyncio.wait_for(state.news.wait(), max(left, 0.001))
            except TimeoutError:
                continue

    async def _claim_now(self, partition: int, max_entries: int, max_bytes: int) -> list[Entry]:
        state = self._partitions[partition]
        again = state.ready(self._monotonic(), max_entries)
        cursor = state.cursor

        def job(connection: sqlite3.Connection) -> Found:
            found = Found(max_entries, max_bytes, cursor)
            for _, number in again:
                row = connection.execute("SELECT id, body, deliveries FROM entry WHERE id = ?", (number,)).fetchone()
                if row is not None and not found.take(row):
                    return found
            rows = connection.execute(
                "SELECT id, body, deliveries FROM entry WHERE partition = ? AND id > ? ORDER BY id LIMIT ?",
                (partition, cursor, max_entries + len(state.behind_us)),
            )
            for row in rows:
                if row[0] not in state.behind_us:
                    if not found.take(row):
                        break
                    found.cursor = row[0]
            return found

        taken: set[int] = set()
        try:
            found = await self._database.run(job)
            taken = {int(entry.id) for entry in found.entries}
            state.cursor = found.cursor
            state.claimed |= taken
        finally:
            for one in again:
                if one[1] not in taken:
                    heapq.heappush(state.given_back, one)
        return found.entries

    async def acknowledge(self, partition: int, ids: Sequence[str]) -> None:
        await self._unbroken(self._acknowledge(partition, [int(identifier) for identifier in ids]))

    async def _acknowledge(self, partition: int, ids: Sequence[int]) -> None:
        state = self._partitions[partition]
        numbers = sorted(state.claimed.intersection(ids))
        now = self._clock()
        if not numbers:
            return

        def job(keep: float) -> Callable[[sqlite3.Connection], int]:
            return lambda connection: delivered.acknowledge(connection, numbers, now, keep)

        try:
            kept = await self._database.run(job(self._keep))
        except QueueFull:  # then nothing is kept, and space is made
            kept = await self._with_log_space(job(0.0))
        self._kept += kept  # not before: while one waits, others count, too
        state.gone(numbers)

    async def retry(self, partition: int, ids: Sequence[str], delay: float, *, counted: bool) -> None:
        numbers = [int(identifier) for identifier in ids]
        if counted:

            def job(connection: sqlite3.Connection) -> None:
                connection.executemany(
                    "UPDATE entry SET deliveries = deliveries + 1 WHERE id = ?", [(number,) for number in numbers]
                )

            await self._database.run(job)
        ready = self._monotonic() + delay
        for number in numbers:
            self._partitions[partition].give_back(ready, number)

    async def bury(self, partition: int, ids: Sequence[str], reason: str) -> None:
        await self._unbroken(self._bury(partition, ids, reason))

    async def _bury(self, partition: int, ids: Sequence[str], reason: str) -> None:
        died = self._clock()
        numbers = [int(identifier) for identifier in ids]

        def job(connection: sqlite3.Connection) -> int:
            connection.executemany(
                "INSERT INTO dead (hash, accepted, deliveries, died, reason, body) "
                "SELECT hash, accepted, deliveries, ?, ?, body FROM entry WHERE id = ?",
                [(died, reason, number) for number in numbers],
            )
            return connection.executemany("DELETE FROM entry WHERE id = ?", [(number,) for number in numbers]).rowcount

        if not numbers:
            return
        dead = await self._database.run(job)
        self._dead += dead
        self._partitions[partition].gone(numbers)

    async def dead_letters(self, limit: int, after: str | None = None) -> list[DeadLetter]:
        def job(connection: sqlite3.Connection) -> list[DeadLetter]:
            rows = connection.execute(
                "SELECT id, hash, length(body), deliveries, accepted, died, reason FROM dead WHERE id > ? "
                "ORDER BY id LIMIT ?",
                (_number(after), limit),
            )
            return [DeadLetter(str(row[0]), row[1] % self.partitions, *row[2:]) for row in rows]

        return await self._database.run(job)

    async def dead_letter_body(self, identifier: str) -> bytes | None:
        def job(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT body FROM dead WHERE id = ?", (_number(identifier),)).fetchone()
            return row[0] if row else None

        return await self._database.run(job)

    async def replay(self, ids: Sequence[str] | None = None) -> int:
        return await self._unbroken(self._replay(ids))

    async def _replay(self, ids: Sequence[str] | None) -> int:
        partitions = self.partitions

        def job(connection: sqlite3.Connection) -> list[int]:
            if ids is None:
                ids_found = [row[0] for row in connection.execute("SELECT id FROM dead ORDER BY id")]
            else:
                ids_found = [_number(identifier) for identifier in ids]
            replayed = []
            for number in ids_found:
                row = connection.execute("DELETE FROM dead WHERE id = ? RETURNING hash, accepted, body", (number,))
                for hash_, accepted, body in row.fetchall():
                    replayed.append(hash_ % partitions)
                    connection.execute(
                        "INSERT INTO entry (partition, hash, accepted, body) VALUES (?, ?, ?, ?)",
                        (hash_ % partitions, hash_, accepted, body),
                    )
            return replayed

        replayed = await self._database.run(job)
        for number in replayed:
            self._partitions[number].depth += 1
            self._partitions[number].news.set()
        self._dead -= len(replayed)
        return len(replayed)

    async def replay_delivered(self, since: float) -> int:
        return await self._unbroken(self._replay_delivered(since))

    async def _replay_delivered(self, since: float) -> int:
        rows = await self._database.run(lambda connection: delivered.replay(connection, since))
        ready = self._monotonic()
        for partition, number in rows:
            self._partitions[partition].depth += 1
            self._partitions[partition].give_back(ready, number)
        self._kept -= len(rows)
        return len(rows)

    def export(self) -> AsyncIterator[Exported]:
        return transfer.export(self._database, self._clock)

    async def quarantined(self, limit: int, after: str | None = None) -> list[QuarantinedRecord]:
        def job(connection: sqlite3.Connection) -> list[QuarantinedRecord]:
            rows = connection.execute(
                "SELECT id, producer, field, message, refused, body FROM quarantine WHERE id > ? ORDER BY id LIMIT ?",
                (_number(after), limit),
            )
            return [QuarantinedRecord(str(row[0]), *row[1:]) for row in rows]

        return await self._database.run(job)

    async def depth(self) -> int:
        return sum(state.depth for state in self._partitions)

    async def statistics(self) -> QueueStatistics:
        depths = [state.depth for state in self._partitions]
        oldest = await self._oldest() if any(depths) else None
        age = max(self._clock() - oldest, 0.0) if oldest is not None else 0.0
        return QueueStatistics(depths, age, self._dead, self._quarantined, self._kept)

    async def _oldest(self) -> float | None:
        """When the oldest entry that was not delivered was accepted; ids grow with time but for those replayed."""
        taken = [min(state.claimed) for state in self._partitions if state.claimed]
        taken += [min(number for _, number in state.given_back) for state in self._partitions if state.given_back]
        ahead = [(partition, state.cursor, state.behind_us) for partition, state in enumerate(self._partitions)]

        def job(connection: sqlite3.Connection) -> float | None:
            numbers = [*taken]
            for partition, cursor, behind_us in ahead:
                rows = connection.execute(
                    "SELECT id FROM entry WHERE partition = ? AND id > ? ORDER BY id", (partition, cursor)
                )
                numbers += next(([number] for (number,) in rows if number not in behind_us), [])
            found = [
                connection.execute("SELECT accepted FROM entry WHERE id = ?", (one,)).fetchone() for one in numbers
            ]
            return min((row[0] for row in found if row), default=None)

        return await self._database.run(job)

    async def check(self) -> None:
        now = self._clock()

        def job(connection: sqlite3.Connection) -> int:
            self._database.require_room(connection, USUAL_BYTES)
            delivered.sign_of_life(connection, now)
            return delivered.prune(connection, now, self._keep)

        pruned = await self._database.run(job)
        self._kept -= pruned

    async def close(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
        with suppress(QueueUnavailable):  # closed already; or it cannot be noted, then the next process takes care
            await self._database.run(delivered.end)
        await self._database.close()

    async def _unbroken(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs ``work`` to its end even if the caller is cancelled, so that the numbers in memory stay true."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


async def open_queue(database: Database, partitions: int, keep: float) -> SqliteQueue:
    """A queue that is ready for use and keeps delivered entries for ``keep`` seconds."""
    queue = SqliteQueue(database, partitions, keep)
    await queue.load()
    return queue


def _number(identifier: str | None) -> int:
    """An entry's id as a number; what is none of ours becomes one that no entry has, and that comes first."""
    return int(identifier) if identifier is not None and identifier.isdecimal() and len(identifier) < 19 else 0
