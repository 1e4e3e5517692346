"""The prospective specifications of all workflows, with their versions, in the queue's file."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import msgspec

from . import specifications
from .database import Database
from .names import Specifications
from .queue import NewEntry, WorkQueue
from .specifications import SpecificationForm

SCHEMA = """
CREATE TABLE IF NOT EXISTS specification (
    workflow TEXT NOT NULL, version INTEGER NOT NULL, created REAL NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (workflow, version)) WITHOUT ROWID;
"""

_canonical = msgspec.json.Encoder(order="sorted")


class Stored(NamedTuple):
    """One version of a specification.

    Args:
        workflow: name of the workflow.
        version: from 1.
        created: seconds since 1970.
        body: the specification as JSON.
    """

    workflow: str
    version: int
    created: float
    body: bytes


class SpecificationStore:
    """Keeps specifications and puts the newest of each workflow in force.

    Args:
        database: the file, whose schema includes ``SCHEMA``.
        queue: where the plans go.
        in_force: what the conversion looks up.
        clock: seconds since 1970.
    """

    def __init__(
        self, database: Database, queue: WorkQueue, in_force: Specifications, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._queue = queue
        self._in_force = in_force
        self._clock = clock
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Puts in force what an earlier process kept."""
        for stored in await self.newest():
            form = SpecificationForm.model_validate_json(stored.body)
            self._in_force.set(stored.workflow, specifications.compiled(form))

    async def put(self, form: SpecificationForm) -> tuple[Stored, bool]:
        """The specification as it is kept now, and whether it is a new version.

        Raises:
            QueueUnavailable: nothing was kept.
        """
        body = _canonical.encode(form.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        async with self._lock:
            last = await self.get(form.workflow)
            if last is not None and last.body == body:
                return last, False
            stored = Stored(form.workflow, last.version + 1 if last else 1, self._clock(), body)
            # Plans first: should the second step fail, the same request is sent again and nothing is missing.
            document = _canonical.encode({"plans": specifications.plans(form), "stores": specifications.stores(form)})
            await self._queue.append([NewEntry(form.workflow, document)])
            await self._database.run(lambda connection: _insert(connection, stored))
            self._in_force.set(form.workflow, specifications.compiled(form))
            return stored, True

    async def get(self, workflow: str, version: int | None = None) -> Stored | None:
        """One version of a workflow's specification (the newest, without ``version``), or ``None``."""

        def job(connection: sqlite3.Connection) -> Stored | None:
            row = connection.execute(
                "SELECT workflow, version, created, body FROM specification WHERE workflow = ?1 "
                "AND (?2 IS NULL OR version = ?2) ORDER BY version DESC LIMIT 1",
                (workflow, version),
            ).fetchone()
            return Stored(*row) if row else None

        return await self._database.run(job)

    async def all(self) -> list[Stored]:
        """Every version of every workflow's specification."""

        def job(connection: sqlite3.Connection) -> list[Stored]:
            rows: Any = connection.execute(
                "SELECT workflow, version, created, body FROM specification ORDER BY workflow, version"
            )
            return [Stored(*row) for row in rows]

        return await self._database.run(job)

    async def take_in(self, stored: Sequence[Stored]) -> None:
        """Adds versions that another tracker kept; those that are here already stay as they are.

        Raises:
            RequestError: one of them is no specification; none was added.
            QueueUnavailable: none was added.
        """
        for one in stored:
            specifications.parse(one.body)

        def job(connection: sqlite3.Connection) -> None:
            for one in stored:
                _insert(connection, one, "OR IGNORE")

        async with self._lock:
            await self._database.run(job)
            await self.load()

    async def newest(self) -> list[Stored]:
        """The newest version of each workflow's specification, by name."""

        def job(connection: sqlite3.Connection) -> list[Stored]:
            rows: Any = connection.execute(
                "SELECT workflow, max(version), created, body FROM specification GROUP BY workflow ORDER BY workflow"
            )
            return [Stored(*row) for row in rows]

        return await self._database.run(job)


def _insert(connection: sqlite3.Connection, stored: Stored, otherwise: str = "") -> None:
    connection.execute(
        f"INSERT {otherwise} INTO specification (workflow, version, created, body) VALUES (?, ?, ?, ?)",  # noqa: S608
        stored,
    )
