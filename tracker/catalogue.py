"""The data stores that were described, by id; each is also queued for the graph.

The seam between the tracker and what keeps them, ``CatalogueRecords``, has an implementation beside each work queue.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from . import specifications
from .queue import NewEntry, WorkQueue

MAX_LISTED = 10_000
_EVERY = 2**62

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


class CatalogueRecords(Protocol):
    """Where descriptions are kept, as JSON. All methods raise ``QueueUnavailable`` when that does not work."""

    async def put(self, identifier: str, body: bytes) -> None:
        """Keeps a description in place of the one with the same id. When it returns it survives the loss of power."""
        ...

    async def get(self, identifier: str) -> bytes | None: ...

    async def first(self, count: int) -> Sequence[bytes]:
        """So many descriptions, by id."""
        ...


class Catalogue:
    """The descriptions of data stores.

    Args:
        records: where they are kept.
        queue: where what the graph says of a store goes.
    """

    def __init__(self, records: CatalogueRecords, queue: WorkQueue) -> None:
        self._records = records
        self._queue = queue

    async def put(self, store: CataloguedStore) -> None:
        """Keeps a description in place of the one with the same id. When it returns it survives the loss of power.

        Raises:
            QueueUnavailable: it was not kept.
        """
        about = specifications.store(store.id, store.name, store.kind, store.host)
        # The graph first: should the second step fail, the same request is sent again and nothing is missing.
        await self._queue.append([NewEntry(store.id, _encoder.encode({"stores": [about]}))])
        await self._records.put(store.id, encoded(store))

    async def get(self, identifier: str) -> CataloguedStore | None:
        """The description of one store, or ``None``."""
        body = await self._records.get(identifier)
        return None if body is None else read(body)

    async def all(self) -> list[CataloguedStore]:
        """The descriptions by id; the first ``MAX_LISTED``."""
        return [read(body) for body in await self._records.first(MAX_LISTED)]

    async def every(self) -> list[CataloguedStore]:
        """All descriptions by id, however many they are."""
        return [read(body) for body in await self._records.first(_EVERY)]

    async def take_in(self, stores: Sequence[CataloguedStore]) -> None:
        """Keeps descriptions that another tracker kept; those of stores that are described here already stay as they are.

        Raises:
            QueueUnavailable: not all were kept.
        """
        for store in stores:
            if await self._records.get(store.id) is None:
                await self._records.put(store.id, encoded(store))


def encoded(store: CataloguedStore) -> bytes:
    """A description as it is kept."""
    return _encoder.encode(store._asdict())


def read(body: bytes) -> CataloguedStore:
    """What a kept description says. Raises ``msgspec.DecodeError`` when it is none."""
    told = msgspec.json.decode(body, type=dict[str, Any])
    return msgspec.convert([told.get(name) for name in CataloguedStore._fields], CataloguedStore)
