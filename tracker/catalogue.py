"""The catalogue of data stores: what each is, its other names, and its schemas. Each is also queued for the graph.

Statements only add up: a name of a store, once stated, stays one, as in the graph. The seam between the tracker and what keeps
them, ``CatalogueRecords``, has an implementation beside each work queue.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple, Protocol

import msgspec

from edge.errors import RequestError
from pllib.provml import store_names

from . import store_plans
from .queue import NewEntry, WorkQueue
from .store_plans import Place

MAX_LISTED = 10_000
_EVERY = 2**31

_encoder = msgspec.json.Encoder(order="sorted")


class SchemaAttribute(NamedTuple):
    """One attribute (column, member) of the data in a store."""

    name: str
    dtype: str | None = None
    description: str | None = None


class StoreSchema(NamedTuple):
    """A table, a collection, a file format in a store."""

    name: str
    database: str | None = None
    database_schema: str | None = None
    attributes: tuple[SchemaAttribute, ...] = ()

    @property
    def key(self) -> tuple[str | None, str | None, str]:
        return self.database, self.database_schema, self.name


class CataloguedStore(NamedTuple):
    """A data store as it was described.

    Args:
        id: what references call it.
        name: for people.
        type: product or kind, as it was said; empty where it was not.
        kind: type in the vocabulary: FILE_SYSTEM, RELATIONAL_DBMS, …; empty where it was not said.
        host: address, where one was given.
        details: what else was said.
        same_as: other names that were stated of it.
        schemas: of the data in it.
    """

    id: str
    name: str
    type: str
    kind: str
    host: str | None
    details: dict[str, Any]
    same_as: tuple[str, ...] = ()
    schemas: tuple[StoreSchema, ...] = ()


class CatalogueRecords(Protocol):
    """Where descriptions are kept, as JSON. All methods raise ``QueueUnavailable`` when that does not work."""

    async def put(self, identifier: str, body: bytes, before: bytes | None) -> bool:
        """Keeps a description in place of ``before``; ``False``, and nothing kept, where another one is there now.

        When it returns it survives the loss of power.
        """
        ...

    async def get(self, identifier: str) -> bytes | None: ...

    async def first(self, count: int) -> Sequence[bytes]:
        """So many descriptions, by id."""
        ...


Change = Callable[[CataloguedStore | None], CataloguedStore]


class Catalogue:
    """Describes data stores.

    Args:
        records: where descriptions are kept; other trackers may add to it.
        queue: where what the graph says of a store goes.
    """

    def __init__(self, records: CatalogueRecords, queue: WorkQueue) -> None:
        self._records = records
        self._queue = queue
        self._lock = asyncio.Lock()

    async def put(self, store: CataloguedStore) -> CataloguedStore:
        """Keeps a description in place of the one with the same id, whose other names and schemas stay."""

        def change(before: CataloguedStore | None) -> CataloguedStore:
            return store if before is None else store._replace(same_as=before.same_as, schemas=before.schemas)

        kept, _ = await self._change(store.id, change)
        return kept

    async def add(self, store: CataloguedStore) -> tuple[CataloguedStore, bool]:
        """Adds to what is known of a store; all that is known then, and whether nothing was.

        Raises:
            RequestError: 422, it is of another type.
            QueueUnavailable: nothing was kept.
        """
        return await self._change(store.id, lambda before: joined(before, store))

    async def take_in(self, stores: Sequence[CataloguedStore]) -> None:
        """Adds descriptions that another tracker kept, and told the graph of; types and hosts that are known here stay.

        Raises:
            QueueUnavailable: not all were kept.
        """
        for store in stores:
            await self._change(store.id, partial(_taken_in, store), tell=False)

    async def _change(self, identifier: str, change: Change, *, tell: bool = True) -> tuple[CataloguedStore, bool]:
        async with self._lock:
            while True:
                kept = await self._records.get(identifier)
                before = None if kept is None else read(kept)
                store = change(before)
                # The graph first: should the second step fail, the same request is sent again and nothing is missing.
                if tell:
                    await self._queue.append([NewEntry(store.id, _encoder.encode(document(store)))])
                if await self._records.put(store.id, encoded(store), kept):
                    return store, before is None
                # Another tracker has described it meanwhile.

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


def encoded(store: CataloguedStore) -> bytes:
    """A description as it is kept."""
    return _encoder.encode(store._asdict())


def read(body: bytes) -> CataloguedStore:
    """What a kept description says. Raises ``msgspec.DecodeError`` when it is none."""
    told = msgspec.json.decode(body, type=dict[str, Any])
    defaults = CataloguedStore._field_defaults
    return msgspec.convert([told.get(name, defaults.get(name)) for name in CataloguedStore._fields], CataloguedStore)


def _taken_in(store: CataloguedStore, before: CataloguedStore | None) -> CataloguedStore:
    return store if before is None else joined(before, store._replace(kind=before.kind, host=before.host))


def joined(before: CataloguedStore | None, store: CataloguedStore) -> CataloguedStore:
    """What was known of a store with what is said now, which comes first where both say something.

    Raises:
        RequestError: 422, the types differ.
    """
    if before is None:
        return store
    if before.kind and store.kind and before.kind != store.kind:
        told = f"{store.id[:200]!r} is a {before.kind}, and stays one: the graph only grows"
        fix = "describe the other store under a name of its own; where the same data moved there, add same_as"
        raise RequestError(422, "bad_store", told, field="$.type", fix=fix)
    return before._replace(
        type=before.type or store.type,
        kind=before.kind or store.kind,
        host=store.host or before.host,
        same_as=tuple(dict.fromkeys((*before.same_as, *store.same_as))),
        schemas=_joined_schemas(before.schemas, store.schemas),
    )


def _joined_schemas(before: tuple[StoreSchema, ...], now: tuple[StoreSchema, ...]) -> tuple[StoreSchema, ...]:
    found = {each.key: each for each in before}
    for each in now:
        known = found.get(each.key, each)
        attributes = {one.name: one for one in (*known.attributes, *each.attributes)}
        found[each.key] = each._replace(attributes=tuple(attributes.values()))
    return tuple(found.values())


def document(store: CataloguedStore) -> dict[str, Any]:
    """What the graph says of a store, as PROV-ML JSON."""
    plans = [store_plans.store(store.id, store.name, store.kind)]
    for each in store.schemas:
        place = Place(store.id, each.name, each.database, each.database_schema)
        plans += store_plans.schema(place)
        plans += [store_plans.attribute(place, one.name, one.description) for one in each.attributes]
    instance = store_plans.instance(store.id, store.name, store.kind, store.host, store.same_as)
    return {"stores": [instance], "plans": plans}


def other_names(stores: Iterable[CataloguedStore]) -> dict[str, list[str]]:
    """Name of a store → all its other names, sorted, that follow from what was stated in either direction."""
    return store_names.other_names((each.id, other) for each in stores for other in each.same_as)
