"""What the SQLite file holds, piece by piece, to leave and to enter."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any, NamedTuple

from .database import Database
from .queue import MAX_QUARANTINED, Exported, digest_of

PIECE_BYTES = 4_000_000
"""Bytes of documents that are read at once, but for a single larger one; other jobs get their turn in between."""


class _Pass(NamedTuple):
    """Rows of one table with ids in a range, in the order of ids; columns as in ``Exported``, after the id."""

    query: str
    after: int
    last: int
    more: tuple[Any, ...] = ()


_ENTRIES = "SELECT id, 'entry', hash, accepted, deliveries, 0.0, '', '', '', body FROM entry WHERE id > ? AND id <= ?{} ORDER BY id"
_DEAD = (
    "SELECT id, 'dead', hash, accepted, deliveries, died, reason, '', '', body FROM dead "
    "WHERE id > ? AND id <= ? ORDER BY id"
)
_REFUSED = (
    "SELECT id, 'refused', 0, refused, 0, 0.0, message, producer, field, body FROM quarantine "
    "WHERE id > ? AND id <= ? ORDER BY id"
)
_END = 2**63 - 1


async def export(database: Database, clock: Callable[[], float] = time.time) -> AsyncIterator[Exported]:
    """All that is in the file now. What moves meanwhile between entries and dead letters comes at least once."""
    began = clock()
    dead, entries = await database.run(_last_ids)
    for one in (
        _Pass(_DEAD, 0, dead),
        _Pass(_ENTRIES.format(""), 0, entries),
        _Pass(_DEAD, dead, _END),
        # A letter that died and was replayed since: it is behind the others and kept the time of its acceptance.
        _Pass(_ENTRIES.format(" AND accepted <= ?"), entries, _END, (began,)),
        _Pass(_REFUSED, 0, _END),
    ):
        after = one.after
        while True:
            rows = await database.run(_reading(one, after))
            for row in rows:
                yield Exported(*row[1:])
            if not rows:
                break
            after = rows[-1][0]


def _last_ids(connection: sqlite3.Connection) -> tuple[int, int]:
    found = connection.execute("SELECT ifnull((SELECT max(id) FROM dead), 0), ifnull((SELECT max(id) FROM entry), 0)")
    dead, entries = found.fetchone()
    return dead, entries


def _reading(one: _Pass, after: int) -> Callable[[sqlite3.Connection], list[Any]]:
    def job(connection: sqlite3.Connection) -> list[Any]:
        rows: list[Any] = []
        size = 0
        for row in connection.execute(one.query, (after, one.last, *one.more)):
            rows.append(row)
            size += len(row[-1]) + 200
            if size > PIECE_BYTES:
                break
        return rows

    return job


def insert(connection: sqlite3.Connection, items: Sequence[Exported], partitions: int) -> None:
    """Adds what was exported; entries wait in the partition of their hash."""
    connection.executemany(
        "INSERT INTO entry (partition, hash, accepted, deliveries, body) VALUES (?, ?, ?, ?, ?)",
        [
            (item.hash % partitions, item.hash, item.accepted, item.deliveries, item.body)
            for item in items
            if item.kind == "entry"
        ],
    )
    connection.executemany(
        "INSERT INTO dead (hash, accepted, deliveries, died, reason, body) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (item.hash, item.accepted, item.deliveries, item.died, item.reason, item.body)
            for item in items
            if item.kind == "dead"
        ],
    )
    quarantine(connection, [item for item in items if item.kind == "refused"])


def quarantine(connection: sqlite3.Connection, items: Sequence[Exported]) -> None:
    """Keeps refused records, each once; the oldest make room."""
    if not items:
        return
    connection.executemany(
        "INSERT OR IGNORE INTO quarantine (digest, producer, field, message, refused, body) VALUES (?, ?, ?, ?, ?, ?)",
        [
            (digest_of(item.producer, item.body), item.producer, item.field, item.reason, item.accepted, item.body)
            for item in items
        ],
    )
    connection.execute(
        "DELETE FROM quarantine WHERE id <= (SELECT max(id) FROM quarantine) - ?",
        (MAX_QUARANTINED,),
    )
