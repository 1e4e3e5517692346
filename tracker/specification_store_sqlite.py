"""Versions of specifications in the queue's SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from .database import Database
from .specification_store import Stored

SCHEMA = """
CREATE TABLE IF NOT EXISTS specification (
    workflow TEXT NOT NULL, version INTEGER NOT NULL, created REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (workflow, version)) WITHOUT ROWID;
"""


class SqliteSpecifications:
    """``SpecificationRecords`` in a ``Database`` whose schema includes ``SCHEMA``."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, workflow: str, version: int | None = None) -> Stored | None:
        def job(connection: sqlite3.Connection) -> Stored | None:
            row = connection.execute(
                "SELECT workflow, version, created, body FROM specification WHERE workflow = ?1 "
                "AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1",
                (workflow, version),
            ).fetchone()
            return Stored(*row) if row else None

        return await self._database.run(job)

    async def newest(self) -> list[Stored]:
        return await self._rows(
            "SELECT workflow, max(version), created, body FROM specification GROUP BY workflow ORDER BY workflow"
        )

    async def all(self) -> list[Stored]:
        return await self._rows("SELECT workflow, version, created, body FROM specification ORDER BY workflow, version")

    async def _rows(self, query: str) -> list[Stored]:
        def job(connection: sqlite3.Connection) -> list[Stored]:
            rows: Any = connection.execute(query)
            return [Stored(*row) for row in rows]

        return await self._database.run(job)

    async def add(self, stored: Sequence[Stored]) -> int:
        def job(connection: sqlite3.Connection) -> int:
            return connection.executemany(
                "INSERT OR IGNORE INTO specification (workflow, version, created, body) VALUES (?, ?, ?, ?)", stored
            ).rowcount

        return await self._database.run(job)
