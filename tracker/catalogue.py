"""The data stores that were described, by id, in the queue's file; each is also queued for the graph."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from . import specifications
from .database import Database
from .queue import NewEntry, WorkQueue

SCHEMA = """
CREATE TABLE IF NOT EXISTS data_store (
    id TEXT NOT NULL PRIMARY KEY, body BLOB NOT NULL, changed REAL NOT NULL) WITHOUT ROWID;
"""

MAX_LISTED = 10_000

_encoder = msgspec.json.Encoder(order="sorted")


class CataloguedStore(NamedTuple):
    """A data store as it was described.

    Args:
        id: what references call it.
        name: for people.
        type: product or kind, as it was said.
        kind: type in the vocabulary: FILE_SYSTEM, RELATIONAL_DBMS, …
        host: address, where one was given.
        details: what else was said.
    """

    id: str
    name: str
    type: str
    kind: str
    host: str | None
    details: dict[str, Any]


class Catalogue(Protocol):
    """Where descriptions are kept. All methods raise ``QueueUnavailable`` when the storage does not work."""

    async def put(self, store: CataloguedStore) -> None:
        """Keeps a description in place of the one with the same id. When it returns it survives the loss of power."""
        ...

    async def get(self, identifier: str) -> CataloguedStore | None: ...

    async def all(self) -> list[CataloguedStore]:
        """The descriptions by id; the first ``MAX_LISTED``."""
        ...


class SqliteCatalogue:
    """A ``Catalogue`` in the queue's file.

    Args:
        database: the file, whose schema includes ``SCHEMA``.
        queue: where what the graph says of a store goes.
        clock: seconds since 1970.
    """

    def __init__(self, database: Database, queue: WorkQueue, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._queue = queue
        self._clock = clock

    async def put(self, store: CataloguedStore) -> None:
        about = specifications.store(store.id, store.name, store.kind, store.host)
        # The graph first: should the second step fail, the same request is sent again and nothing is missing.
        await self._queue.append([NewEntry(store.id, _encoder.encode({"stores": [about]}))])
        row = (store.id, _encoder.encode(store._asdict()), self._clock())
        await self._database.run(lambda connection: _replace(connection, row))

    async def get(self, identifier: str) -> CataloguedStore | None:
        def job(connection: sqlite3.Connection) -> CataloguedStore | None:
            row = connection.execute("SELECT body FROM data_store WHERE id = ?", (identifier,)).fetchone()
            return _read(row[0]) if row else None

        return await self._database.run(job)

    async def all(self) -> list[CataloguedStore]:
        def job(connection: sqlite3.Connection) -> list[CataloguedStore]:
            rows = connection.execute("SELECT body FROM data_store ORDER BY id LIMIT ?", (MAX_LISTED,))
            return [_read(body) for (body,) in rows]

        return await self._database.run(job)


def _replace(connection: sqlite3.Connection, row: tuple[str, bytes, float]) -> None:
    connection.execute("INSERT OR REPLACE INTO data_store (id, body, changed) VALUES (?, ?, ?)", row)


def _read(body: bytes) -> CataloguedStore:
    return CataloguedStore(**msgspec.json.decode(body))
