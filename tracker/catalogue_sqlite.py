"""Descriptions of data stores in the queue's SQLite file."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable

from .database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_store (
    id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL, changed REAL NOT NULL) WITHOUT ROWID;
"""


class SqliteCatalogue:
    """``CatalogueRecords`` in a ``Database`` whose schema includes ``SCHEMA``."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    async def put(self, identifier: str, body: bytes, before: bytes | None) -> bool:
        row = (identifier, body, self._clock())

        def job(connection: sqlite3.Connection) -> bool:
            if _one(connection, identifier) != before:
                return False
            connection.execute("INSERT OR REPLACE INTO data_store (id, body, changed) VALUES (?, ?, ?)", row)
            return True

        return await self._database.run(job)

    async def get(self, identifier: str) -> bytes | None:
        return await self._database.run(lambda connection: _one(connection, identifier))

    async def first(self, count: int) -> list[bytes]:
        def job(connection: sqlite3.Connection) -> list[bytes]:
            rows = connection.execute("SELECT body FROM data_store ORDER BY id LIMIT ?", (count,))
            return [body for (body,) in rows]

        return await self._database.run(job)


def _one(connection: sqlite3.Connection, identifier: str) -> bytes | None:
    row = connection.execute("SELECT body FROM data_store WHERE id = ?", (identifier,)).fetchone()
    return row[0] if row else None
