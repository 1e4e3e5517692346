"""The prospective specifications of all workflows, with their versions.

The seam between the tracker and what keeps them, ``SpecificationRecords``, has an implementation beside each work queue.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import msgspec

from . import specifications
from .names import Specifications
from .queue import NewEntry, WorkQueue
from .specifications import SpecificationForm

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


class SpecificationRecords(Protocol):
    """Where versions are kept; they are never changed. All methods raise ``QueueUnavailable`` when that does not work."""

    async def get(self, workflow: str, version: int | None = None) -> Stored | None:
        """One version of a workflow's specification (the newest, without ``version``), or ``None``."""
        ...

    async def newest(self) -> list[Stored]:
        """The newest version of each workflow's specification, by name."""
        ...

    async def all(self) -> list[Stored]:
        """Every version of every workflow's specification, by name and version."""
        ...

    async def add(self, stored: Sequence[Stored]) -> int:
        """Keeps those versions that are not there yet, all as one; how many they were. Durable when it returns."""
        ...


class SpecificationStore:
    """Keeps specifications and puts the newest of each workflow in force.

    Args:
        records: where they are kept; other trackers may add to it.
        queue: where the plans go.
        in_force: what the conversion looks up.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        records: SpecificationRecords,
        queue: WorkQueue,
        in_force: Specifications,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._queue = queue
        self._in_force = in_force
        self._clock = clock
        self._lock = asyncio.Lock()

    async def load(self) -> None:
        """Puts in force what is kept."""
        async with self._lock:
            await self._load()

    async def _load(self) -> None:
        for stored in await self._records.newest():
            self._enforce(stored)

    async def put(self, form: SpecificationForm) -> tuple[Stored, bool]:
        """The specification as it is kept now, and whether it is a new version.

        Raises:
            QueueUnavailable: nothing was kept.
        """
        body = _canonical.encode(form.model_dump(mode="json", by_alias=True, exclude_defaults=True))
        document = _canonical.encode({"plans": specifications.plans(form), "stores": specifications.stores(form)})
        async with self._lock:
            while True:
                last = await self.get(form.workflow)
                if last is not None and last.body == body:
                    self._enforce(last)
                    return last, False
                stored = Stored(form.workflow, last.version + 1 if last else 1, self._clock(), body)
                # Plans first: should the second step fail, the same request is sent again and nothing is missing.
                await self._queue.append([NewEntry(form.workflow, document)])
                if await self._records.add([stored]):
                    self._enforce(await self.get(form.workflow) or stored)
                    return stored, True
                # Another tracker has kept a version of this number meanwhile.

    async def get(self, workflow: str, version: int | None = None) -> Stored | None:
        """One version of a workflow's specification (the newest, without ``version``), or ``None``."""
        return await self._records.get(workflow, version)

    async def newest(self) -> list[Stored]:
        """The newest version of each workflow's specification, by name."""
        return await self._records.newest()

    async def all(self) -> list[Stored]:
        """Every version of every workflow's specification."""
        return await self._records.all()

    async def take_in(self, stored: Sequence[Stored]) -> None:
        """Adds versions that another tracker kept; those that are here already stay as they are.

        Raises:
            RequestError: one of them is no specification; none was added.
            QueueUnavailable: none was added.
        """
        for one in stored:
            specifications.parse(one.body)
        async with self._lock:
            await self._records.add(stored)
            await self._load()

    def _enforce(self, stored: Stored) -> None:
        form = SpecificationForm.model_validate_json(stored.body)
        self._in_force.set(stored.workflow, specifications.compiled(form))
