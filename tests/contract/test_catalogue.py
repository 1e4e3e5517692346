"""What the catalogue of data stores asks of whatever keeps it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from edge.errors import RequestError
from tracker import catalogue_sqlite, queue_redis, queue_sqlite
from tracker.catalogue import (
    Catalogue,
    CataloguedStore,
    CatalogueRecords,
    SchemaAttribute,
    StoreSchema,
    encoded,
    other_names,
)
from tracker.catalogue_redis import RedisCatalogue
from tracker.catalogue_sqlite import SqliteCatalogue
from tracker.database import Database
from tracker.redis_server import RedisServer

DEPTH, NAME = SchemaAttribute("depth", "double", "in metres"), SchemaAttribute("name")
WELLS = StoreSchema("wells", "geo", "public", (DEPTH,))
STORE = CataloguedStore("pg/ü", "pg", "PostgreSQL", "RELATIONAL_DBMS", "db1", {"a": {"b": [1]}}, ("old",), (WELLS,))

Use = Callable[[Catalogue, CatalogueRecords], Awaitable[None]]


@asynccontextmanager
async def in_file(folder: Path) -> AsyncIterator[tuple[Catalogue, CatalogueRecords]]:
    database = Database(folder / "tracker.sqlite", queue_sqlite.SCHEMA + catalogue_sqlite.SCHEMA)
    queue = await queue_sqlite.open_queue(database, 1, 300.0)
    try:
        records = SqliteCatalogue(database)
        yield Catalogue(records, queue), records
    finally:
        await queue.close()


@asynccontextmanager
async def on_server(url: str) -> AsyncIterator[tuple[Catalogue, CatalogueRecords]]:
    server = RedisServer(url)
    queue = await queue_redis.open_queue(server, "one", 1, 300.0)
    try:
        records = RedisCatalogue(server)
        yield Catalogue(records, queue), records
    finally:
        await queue.close()


@pytest.fixture(params=["sqlite", "redis"])
def using(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Use], None]:
    """A function that opens the storage, for as long as a test uses it; what was kept is there again the next time."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("redis_server").url

    async def run(use: Use) -> None:
        async with in_file(tmp_path) if request.param == "sqlite" else on_server(url) as (catalogue, records):
            await asyncio.wait_for(use(catalogue, records), 60)

    return lambda use: asyncio.run(run(use))


def test_what_is_put_is_there_also_later(using: Callable[[Use], None]) -> None:
    async def first(_: Catalogue, records: CatalogueRecords) -> None:
        assert await records.get("pg/ü") is None
        assert await records.put(STORE.id, encoded(STORE), None)
        assert await records.put("a", encoded(STORE._replace(id="a", same_as=(), schemas=())), None)

    async def later(catalogue: Catalogue, records: CatalogueRecords) -> None:
        assert await records.get("pg/ü") == encoded(STORE)
        assert await catalogue.get("pg/ü") == STORE
        assert [each.id for each in await catalogue.all()] == ["a", "pg/ü"]
        assert len(await records.first(1)) == 1

    using(first)
    using(later)


def test_what_another_described_meanwhile_is_not_lost(using: Callable[[Use], None]) -> None:
    async def use(catalogue: Catalogue, records: CatalogueRecords) -> None:
        one, other, third = (encoded(STORE._replace(host=f"db{number}")) for number in range(3))
        assert await records.put("pg/ü", one, None)
        assert not await records.put("pg/ü", other, None)
        assert not await records.put("pg/ü", other, third)
        assert await records.get("pg/ü") == one
        assert await records.put("pg/ü", other, one)
        assert await records.get("pg/ü") == other
        many = [catalogue.add(STORE._replace(same_as=(f"name {number}",))) for number in range(20)]
        await asyncio.gather(*many)
        kept = await catalogue.get("pg/ü")
        assert kept is not None
        assert set(kept.same_as) == {"old", *(f"name {number}" for number in range(20))}

    using(use)


def test_descriptions_add_up(using: Callable[[Use], None]) -> None:
    async def use(catalogue: Catalogue, _: CatalogueRecords) -> None:
        assert await catalogue.add(STORE) == (STORE, True)
        more = StoreSchema("wells", "geo", "public", (NAME, DEPTH._replace(dtype="float")))
        other = STORE._replace(type="", kind="", host=None, same_as=("new",), schemas=(more, StoreSchema("loose")))
        kept, new = await catalogue.add(other)
        assert not new
        assert (kept.type, kept.kind, kept.host, kept.same_as) == (
            "PostgreSQL",
            "RELATIONAL_DBMS",
            "db1",
            ("old", "new"),
        )
        assert kept.schemas == (WELLS._replace(attributes=(DEPTH._replace(dtype="float"), NAME)), StoreSchema("loose"))
        described = await catalogue.put(STORE._replace(host="db9", same_as=(), schemas=()))
        assert described == kept._replace(host="db9")
        with pytest.raises(RequestError, match="stays one"):
            await catalogue.add(STORE._replace(kind="FILE_SYSTEM"))

    using(use)


def test_what_was_kept_before_stores_had_other_names_is_read_and_may_be_replaced(using: Callable[[Use], None]) -> None:
    async def use(catalogue: Catalogue, records: CatalogueRecords) -> None:
        fields = {name: value for name, value in STORE._asdict().items() if name not in ("same_as", "schemas")}
        assert await records.put(STORE.id, json.dumps(fields).encode(), None)
        assert await catalogue.all() == [STORE._replace(same_as=(), schemas=())]
        assert await catalogue.add(STORE) == (STORE, False)

    using(use)


def test_another_catalogue_is_taken_in(using: Callable[[Use], None]) -> None:
    async def use(catalogue: Catalogue, _: CatalogueRecords) -> None:
        await catalogue.add(STORE)
        other = STORE._replace(kind="FILE_SYSTEM", host="db9", same_as=("new",), schemas=())
        await catalogue.take_in([other, other._replace(id="a")])
        kept = STORE._replace(same_as=("old", "new"))
        assert await catalogue.every() == [other._replace(id="a"), kept]

    using(use)


def test_other_names_follow_in_both_directions() -> None:
    def store(name: str, *same_as: str) -> CataloguedStore:
        return CataloguedStore(name, name, "", "", None, {}, same_as)

    stores = [store("b", "a"), store("c", "b"), store("x", "y"), store("alone")]
    expected = {"a": ["b", "c"], "b": ["a", "c"], "c": ["a", "b"], "x": ["y"], "y": ["x"]}
    assert other_names(stores) == expected
