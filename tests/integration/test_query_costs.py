"""What answers cost the store, counted and not timed: requests and bytes of a lineage by its depth, and of a page of a list."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, NamedTuple

import httpx
import pytest

from query_engine.app import create_app
from query_engine.settings import Settings
from query_engine.store import StoreClient
from tests.integration.query_graph import Served
from tests.unit.lineage.graphs import BASE, Graph, chain

VALUES = 3
LENGTHS = (10, 100, 1000)


class Cost(NamedTuple):
    """Requests to the store for one answer, bytes of their answers, and the answer itself."""

    requests: int
    received: int
    answer: dict[str, Any]


class Counting(httpx.AsyncHTTPTransport):
    """Passes requests on, and counts them and what comes back."""

    def __init__(self) -> None:
        super().__init__()
        self.requests = self.received = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await super().handle_async_request(request)
        self.requests += 1
        body = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
        await response.aclose()
        self.received += len(body)
        headers = [each for each in response.headers.raw if each[0].lower() != b"transfer-encoding"]
        return httpx.Response(response.status_code, headers=headers, content=body)


@pytest.fixture(scope="module")
def turtle() -> str:
    graph = Graph()
    for number in range(500):
        graph.run("many", f"{number:03}", start=number, end=number + 0.5)
    return "".join([graph.text, *(_chain(length) for length in LENGTHS)])


def _chain(length: int) -> str:
    """A chain of its own for each length."""
    return chain(length, VALUES, "refs")[0].text.replace("/chain/refs", f"/chain/refs-{length}")


@pytest.fixture(scope="module")
def cost(engine: Served) -> Callable[..., Cost]:
    def ask(path: str, **parameters: Any) -> Cost:
        return asyncio.run(_ask(engine, path, parameters))

    return ask


async def _ask(engine: Served, path: str, parameters: dict[str, Any]) -> Cost:
    app = create_app(Settings(store=engine.store))
    counting = Counting()
    await app.state.store.aclose()
    app.state.store = StoreClient(engine.store, transport=counting)
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", timeout=60) as http:
        answer = await http.get(path, params=parameters or None)
    await app.state.store.aclose()
    await app.state.probe.aclose()
    assert answer.status_code == 200, answer.text
    return Cost(counting.requests, counting.received, answer.json())


def _end(length: int, direction: str) -> str:
    return f"{BASE}execution/chain/refs-{length}/step/{length - 1 if direction == 'backward' else 0}"


@pytest.mark.parametrize("direction", ["backward", "forward"])
def test_requests_of_a_lineage_hardly_grow_with_its_depth(cost, direction):
    costs = [cost("/v1/lineage", of=_end(length, direction), direction=direction) for length in LENGTHS]
    for length, each in zip(LENGTHS, costs, strict=True):
        assert len(each.answer["nodes"]) >= length * VALUES
        assert not each.answer["truncated"]
    # What it is about, names, documents and parts: 4. A path: 1. Then all there is around them, 250 activities a request.
    assert [each.requests for each in costs] == [6, 6, 9]


def test_bytes_of_a_lineage_follow_its_nodes(cost):
    costs = [cost("/v1/lineage", of=_end(length, "backward")) for length in LENGTHS]
    per_node = [each.received / len(each.answer["nodes"]) for each in costs]
    assert max(per_node) < 250  # its IRI and value once, and a part of its activity
    assert per_node[2] < 1.1 * per_node[1]


def test_a_page_of_executions_is_three_requests_wherever_it_is(cost):
    first = cost("/v1/executions", limit=20, workflow="many")
    later = cost(first.answer["next"])
    assert len(first.answer["items"]) == len(later.answer["items"]) == 20
    assert first.requests == later.requests == 3
    assert later.received < 1.2 * first.received
