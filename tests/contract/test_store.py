"""What every triple store adapter promises, against a real server: all or nothing, readable once it returns, twice is once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from edge.stores import KINDS, StoreAddress
from manager.errors import StoreRejected, StoreUnavailable
from manager.store import BULK_FROM, SparqlStore, Term
from pllib.provml.vocabulary import XSD
from tests.provenance.fuseki import FusekiServer
from tests.provenance.oxigraph import Oxigraph

Server = Oxigraph | FusekiServer
SMALL, BULK = 3, BULK_FROM + 1


@pytest.fixture(scope="module")
def started(make_store: Callable[[str, Path], Server], tmp_path_factory: Any) -> Iterator[Callable[[str], Server]]:
    """A function that gives the one running server of a kind."""
    servers: dict[str, Server] = {}

    def server(kind: str) -> Server:
        if kind not in servers:
            servers[kind] = make_store(kind, tmp_path_factory.mktemp("store") / "data")
            servers[kind].start()
        return servers[kind]

    yield server
    for each in servers.values():
        each.end()


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(started: Callable[[str], Server], kind: str) -> Server:
    return started("fuseki" if kind == "fuseki" else "oxigraph")


@pytest.fixture(params=[SMALL, BULK], ids=["small", "bulk"])
def size(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """One that no other test uses, for subjects."""
    return "urn:" + "".join(character if character.isalnum() else "-" for character in request.node.name)


def lines(name: str, size: int) -> list[str]:
    return [f'<{name}> <urn:p> "{number}" .' for number in range(size)]


def text(lines: list[str]) -> bytes:
    return ("\n".join(lines) + "\n").encode()


def run(url: str, kind: str, act: Callable[[SparqlStore], Awaitable[None]], timeout: float = 60.0) -> None:
    async def whole() -> None:
        store = SparqlStore(StoreAddress(url, kind), timeout)
        try:
            await act(store)
        finally:
            await store.close()

    asyncio.run(whole())


def stored(server: Server, name: str) -> set[str]:
    return {line for line in server.lines() if line.startswith(f"<{name}>")}


def test_what_was_loaded_can_be_read_at_once(server: Server, kind: str, size: int, name: str) -> None:
    async def act(store: SparqlStore) -> None:
        await store.load(text(lines(name, size)), size)
        assert await store.ask(f'ASK {{ <{name}> <urn:p> "{size - 1}" }}')
        assert not await store.ask(f'ASK {{ <{name}> <urn:p> "{size}" }}')

    run(server.url, kind, act)
    assert stored(server, name) == set(lines(name, size))


def test_twice_is_once_and_loads_add_up(server: Server, kind: str, size: int, name: str) -> None:
    async def act(store: SparqlStore) -> None:
        for part in (lines(name, size), lines(name, size), lines(name, size)[::-1], lines(name, size + 5)):
            await store.load(text(part), len(part))

    run(server.url, kind, act)
    assert stored(server, name) == set(lines(name, size + 5))


def test_nothing_is_a_load_as_well(server: Server, kind: str) -> None:
    before = server.lines()
    run(server.url, kind, lambda store: store.load(b"", 0))
    assert server.lines() == before


def test_refused_triples_leave_nothing_behind(server: Server, kind: str, size: int, name: str) -> None:
    broken = [*lines(name, size), f"<{name}> <urn:p> no term .", *lines(name, size)]

    async def act(store: SparqlStore) -> None:
        with pytest.raises(StoreRejected, match="400"):
            await store.load(text(broken), len(broken))

    run(server.url, kind, act)
    assert stored(server, name) == set()


def test_loads_at_the_same_time_all_arrive(server: Server, kind: str, size: int, name: str) -> None:
    parts = [[f'<{name}> <urn:p{part}> "{number}" .' for number in range(size)] for part in range(4)]

    async def act(store: SparqlStore) -> None:
        await asyncio.gather(*(store.load(text(part), size) for part in parts))

    run(server.url, kind, act)
    assert stored(server, name) == {line for part in parts for line in part}


def test_a_query_that_is_none_is_refused(server: Server, kind: str) -> None:
    async def act(store: SparqlStore) -> None:
        with pytest.raises(StoreRejected):
            await store.ask("ASK {")
        with pytest.raises(StoreRejected, match="does not answer as a SPARQL server"):
            await store.ask("SELECT * {}")

    run(server.url, kind, act)


def test_a_server_that_is_away(free_port: Callable[[], int], kind: str) -> None:
    async def act(store: SparqlStore) -> None:
        with pytest.raises(StoreUnavailable, match="no answer"):
            await store.load(text(lines("urn:a", 1)), 1)
        with pytest.raises(StoreUnavailable):
            await store.ask("ASK {}")

    run(f"http://127.0.0.1:{free_port()}", kind, act)


class Says(httpx.AsyncBaseTransport):
    """A server that says one thing."""

    def __init__(self, status: int) -> None:
        self._status = status

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self._status:
            raise httpx.ReadTimeout("too slow")
        return httpx.Response(self._status, text="the store's own words")


@pytest.mark.parametrize(
    ("status", "error"),
    [
        *((status, StoreUnavailable) for status in (0, 401, 403, 404, 405, 408, 425, 429, 500, 502, 503, 504)),
        *((status, StoreRejected) for status in (301, 400, 413, 415)),
    ],
)
def test_what_may_succeed_later_is_told_from_what_will_not(kind: str, status: int, error: type[Exception]) -> None:
    async def whole() -> None:
        store = SparqlStore(StoreAddress("http://127.0.0.1:1", kind), transport=Says(status))
        with pytest.raises(error, match="the store's own words" if status else "too slow"):
            await store.load(text(lines("urn:a", 1)), 1)
        await store.close()

    asyncio.run(whole())


def test_what_was_committed_outlives_a_kill(
    make_store: Callable[[str, Path], Server], tmp_path: Path, kind: str, name: str
) -> None:
    server = make_store("fuseki" if kind == "fuseki" else "oxigraph", tmp_path / "data")
    server.start()
    try:
        for size in (SMALL, BULK):
            own = f"{name}-{size}"
            run(server.url, kind, lambda store: store.load(text(lines(own, size)), size))  # noqa: B023
        server.end(9)
        server.start()
        for size in (SMALL, BULK):
            assert stored(server, f"{name}-{size}") == set(lines(f"{name}-{size}", size))
    finally:
        server.end()


def test_an_update_takes_out_and_puts_in_at_once(server: Server, kind: str, name: str) -> None:
    async def act(store: SparqlStore) -> None:
        await store.load(text(lines(name, 3)), 3)
        removed, added = lines(name, 3)[:2], [f'<{name}> <urn:p> "ä \\"q\\" \\\\"@de .']
        parts = " ".join(removed), " ".join(added)
        copy = f"INSERT {{ <{name}> <urn:q> ?o }} WHERE {{ <{name}> <urn:p> ?o }}"
        await store.update(f"DELETE DATA {{ {parts[0]} }} ; INSERT DATA {{ {parts[1]} }} ; {copy}")
        found = {row["o"].text for row in await store.terms(f"SELECT ?o {{ <{name}> <urn:q> ?o }}")}
        assert found == {"2", 'ä "q" \\'}
        with pytest.raises(StoreRejected):
            await store.update(f"INSERT DATA {{ <{name}> <urn:r> 1 }} ; DELETE NONSENSE")
        assert not await store.ask(f"ASK {{ <{name}> <urn:r> ?o }}")

    run(server.url, kind, act)


def test_terms_have_their_types(server: Server, kind: str, name: str) -> None:
    async def act(store: SparqlStore) -> None:
        await store.load(f'<{name}> <urn:p> "1"^^<{XSD}integer> .\n<{name}> <urn:p> "a" .\n'.encode(), 2)
        found = {row["o"] for row in await store.terms(f"SELECT ?o {{ <{name}> <urn:p> ?o }}")}
        assert found == {Term("1", XSD + "integer"), Term("a")}
        assert await store.terms("SELECT ?o { <urn:nothing> <urn:p> ?o }") == []

    run(server.url, kind, act)


def test_an_update_of_a_store_that_is_away(kind: str, free_port: Callable[[], int]) -> None:
    async def act(store: SparqlStore) -> None:
        with pytest.raises(StoreUnavailable):
            await store.update("INSERT DATA { <urn:a> <urn:b> 1 }")

    run(f"http://127.0.0.1:{free_port()}", kind, act)
