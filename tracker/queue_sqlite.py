"""The work queue in one SQLite file.

Claims are kept in memory: after a restart everything that was not acknowledged waits again.
"""

from __future__ import annotations

import asyncio
import heapq
import sqlite3
import time
from collections.abc import Callable, Coroutine, Sequence
from hashlib import blake2b
from typing import Any, TypeVar

from .database import Database
from .queue import DeadLetter, Entry, NewEntry, QuarantinedRecord, QueueStatistics, Refused, hash_of

Result = TypeVar("Result")

MAX_QUARANTINED = 10_000
"""Refused records kept; older ones make room."""

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
CREATE TABLE IF NOT EXISTS alive (id INTEGER PRIMARY KEY CHECK (id = 1), checked REAL NOT NULL);
"""


class _Partition:
    """Which entries of one partition are claimed: all up to ``cursor`` but those that were given back."""

    __slots__ = ("cursor", "depth", "given_back", "news")

    def __init__(self) -> None:
        self.cursor = 0
        self.depth = 0
        self.given_back: list[tuple[float, int]] = []
        self.news = asyncio.Event()


class SqliteQueue:
    """A ``WorkQueue`` in a ``Database`` whose schema includes ``SCHEMA``; make it with ``open_queue``.

    Args:
        database: the file; closed with the queue.
        partitions: number of partitions; entries of an earlier run with another number are dealt out anew.
        clock: seconds since 1970.
        monotonic: seconds, for delays.
    """

    def __init__(
        self,
        database: Database,
        partitions: int,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._partitions = [_Partition() for _ in range(partitions)]
        self._clock = clock
        self._monotonic = monotonic
        self._dead = 0
        self._quarantined = 0
        self._running: set[asyncio.Task[Any]] = set()

    @property
    def partitions(self) -> int:
        return len(self._partitions)

    async def load(self) -> None:
        """Finds what an earlier process left."""
        count = self.partitions

        def job(connection: sqlite3.Connection) -> tuple[list[tuple[int, int]], int, int]:
            connection.execute("UPDATE entry SET partition = hash % ?1 WHERE partition != hash % ?1", (count,))
            depths = connection.execute("SELECT partition, count(*) FROM entry GROUP BY partition").fetchall()
            dead, quarantined = connection.execute(
                "SELECT (SELECT count(*) FROM dead), (SELECT count(*) FROM quarantine)"
            ).fetchone()
            return depths, dead, quarantined

        depths, self._dead, self._quarantined = await self._database.run(job)
        for number, depth in depths:
            self._partitions[number].depth = depth

    async def append(self, entries: Sequence[NewEntry], refused: Sequence[Refused] = ()) -> None:
        await self._unbroken(self._append(entries, refused))

    async def _append(self, entries: Sequence[NewEntry], refused: Sequence[Refused]) -> None:
        if not entries and not refused:
            return
        now = self._clock()
        hashes = [hash_of(entry.key) for entry in entries]
        rows = [(hash_ % self.partitions, hash_, now, entry.body) for hash_, entry in zip(hashes, entries, strict=True)]
        bad = [(_digest(one), one.producer, one.field, one.message, now, one.body) for one in refused]

        def job(connection: sqlite3.Connection) -> int:
            connection.executemany("INSERT INTO entry (partition, hash, accepted, body) VALUES (?, ?, ?, ?)", rows)
            return _quarantine(connection, bad) if bad else -1

        quarantined = await self._database.run(job)
        if quarantined >= 0:
            self._quarantined = quarantined
        for row in rows:
            self._partitions[row[0]].depth += 1
            self._partitions[row[0]].news.set()

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
        now = self._monotonic()
        again = [number for ready, number in state.given_back if ready <= now][:max_entries]
        cursor = state.cursor

        def job(connection: sqlite3.Connection) -> list[Entry]:
            found: list[Entry] = []
            size = 0
            for number in again:
                row = connection.execute("SELECT id, body, deliveries FROM entry WHERE id = ?", (number,)).fetchone()
                if row is not None:
                    size += _take(found, row)
                if size > max_bytes:
                    return found if len(found) == 1 else found[:-1]
            rows = connection.execute(
                "SELECT id, body, deliveries FROM entry WHERE partition = ? AND id > ? ORDER BY id LIMIT ?",
                (partition, cursor, max_entries - len(found)),
            )
            for row in rows:
                size += _take(found, row)
                if size > max_bytes and len(found) > 1:
                    return found[:-1]
            return found

        found = await self._database.run(job)
        taken = {int(entry.id) for entry in found}
        if not taken.isdisjoint(again):
            state.given_back = [one for one in state.given_back if one[1] not in taken]
            heapq.heapify(state.given_back)
        state.cursor = max(taken | {cursor})
        return found

    async def acknowledge(self, partition: int, ids: Sequence[str]) -> None:
        await self._unbroken(self._remove(partition, ids))

    async def _remove(self, partition: int, ids: Sequence[str]) -> None:
        numbers = [(int(identifier),) for identifier in ids]

        def job(connection: sqlite3.Connection) -> int:
            return connection.executemany("DELETE FROM entry WHERE id = ?", numbers).rowcount

        if numbers:
            removed = await self._database.run(job)  # apart: `-=` with an await in it would undo what came meanwhile
            self._partitions[partition].depth -= removed

    async def retry(self, partition: int, ids: Sequence[str], delay: float, *, counted: bool) -> None:
        numbers = [int(identifier) for identifier in ids]
        if counted:

            def job(connection: sqlite3.Connection) -> None:
                connection.executemany(
                    "UPDATE entry SET deliveries = deliveries + 1 WHERE id = ?", [(number,) for number in numbers]
                )

            await self._database.run(job)
        state = self._partitions[partition]
        ready = self._monotonic() + delay
        for number in numbers:
            heapq.heappush(state.given_back, (ready, number))
        state.news.set()

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
        count = await self._database.run(job)
        self._partitions[partition].depth -= count
        self._dead += count

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
        oldest = await self._database.run(_oldest) if any(depths) else None
        age = max(self._clock() - oldest, 0.0) if oldest is not None else 0.0
        return QueueStatistics(depths, age, self._dead, self._quarantined)

    async def check(self) -> None:
        now = self._clock()

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO alive (id, checked) VALUES (1, ?)", (now,))

        await self._database.run(job)

    async def close(self) -> None:
        while self._running:
            await asyncio.wait(self._running)
        await self._database.close()

    async def _unbroken(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Runs ``work`` to its end even if the caller is cancelled, so that the numbers in memory stay true."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(task)


async def open_queue(database: Database, partitions: int) -> SqliteQueue:
    """A queue that is ready for use."""
    queue = SqliteQueue(database, partitions)
    await queue.load()
    return queue


def _take(found: list[Entry], row: tuple[int, bytes, int]) -> int:
    found.append(Entry(str(row[0]), row[1], row[2]))
    return len(row[1])


def _oldest(connection: sqlite3.Connection) -> float | None:
    row = connection.execute("SELECT accepted FROM entry ORDER BY id LIMIT 1").fetchone()
    return row[0] if row else None


def _quarantine(connection: sqlite3.Connection, rows: list[tuple[Any, ...]]) -> int:
    connection.executemany(
        "INSERT OR IGNORE INTO quarantine (digest, producer, field, message, refused, body) VALUES (?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?",
        (MAX_QUARANTINED,),
    )
    return int(connection.execute("SELECT count(*) FROM quarantine").fetchone()[0])


def _digest(refused: Refused) -> bytes:
    """Tells a refused record from all others, so that it is kept once however often it is sent."""
    return blake2b(refused.body, digest_size=16, key=refused.producer.encode()[:64]).digest()


def _number(identifier: str | None) -> int:
    """An entry's id as a number; what is none of ours becomes one that no entry has, and that comes first."""
    return int(identifier) if identifier is not None and identifier.isdecimal() and len(identifier) < 19 else 0
