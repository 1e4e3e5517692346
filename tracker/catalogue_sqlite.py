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

    async def put(self, identifier: str, body: bytes) -> None:
        row = (identifier, body, self._clock())

        def job(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR REPLACE INTO data_store (id, body, changed) VALUES (?, ?, ?)", row)

        await self._database.run(job)

    async def get(self, identifier: str) -> bytes | None:
        def job(connection: sqlite3.Connection) -> bytes | None:
            row = connection.execute("SELECT body FROM data_store WHERE id = ?", (identifier,)).fetchone()
            return row[0] if row else None

        return await self._database.run(job)

    async def first(self, count: int) -> list[bytes]:
        def job(connection: sqlite3.Connection) -> list[bytes]:
            rows = connection.execute("SELECT body FROM data_store ORDER BY id LIMIT ?", (count,))
            return [body for (body,) in rows]

        return await self._database.run(job)
