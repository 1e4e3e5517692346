"""Analyses that are asked of each of some resources: what is found, in which order, and how much of it."""

from __future__ import annotations

import asyncio

import httpx
import pyoxigraph
import pytest

from edge.stores import StoreAddress
from query_engine.analyses import form
from query_engine.analyses.running import Asked
from query_engine.binding import Literal
from query_engine.errors import Unprocessable
from query_engine.store import StoreClient

EX = "http://example.org/"
GRAPH = f"""
<{EX}a> <{EX}of> "wanted" ; <{EX}loss> 2.5e0, 7 .
<{EX}b> <{EX}of> "wanted" ; <{EX}loss> 1 .
<{EX}c> <{EX}of> "wanted" ; <{EX}loss> 10.0 .
<{EX}d> <{EX}of> "wanted" .
<{EX}e> <{EX}of> "other" ; <{EX}loss> 0 .
<{EX}f> <{EX}of> "wanted" ; <{EX}loss> "none" .
"""
EACH = {
    "name": "model",
    "text": f"SELECT DISTINCT ?model WHERE {{ VALUES ?which {{}} ?model <{EX}of> ?which }} ORDER BY ?model",
}
QUERY = f"SELECT ?model (MIN(?loss) AS ?least) WHERE {{ VALUES ?model {{}} ?model <{EX}loss> ?loss }} GROUP BY ?model"


def analysis(query: str = QUERY, **each: object) -> form.Analysis:
    return form.parse(
        {
            "name": "least-loss",
            "title": "Least loss",
            "question": "What is the least loss of each model?",
            "taxonomy": {"data": "machine_learning", "execution_timing": "offline", "direction": "forward"},
            "parameters": [{"name": "which", "type": "text", "description": "which models"}],
            "each": EACH | each,
            "query": {"text": query},
        }
    )


class Evaluated(httpx.AsyncBaseTransport):
    """Queries evaluated by Oxigraph in this process; counts those that are under way."""

    def __init__(self) -> None:
        self.graph = pyoxigraph.Store()
        self.graph.load(GRAPH.encode(), format=pyoxigraph.RdfFormat.TURTLE)
        self.asked: list[str] = []
        self.most = self._now = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)  # others that are asked at the same time come in
        self._now -= 1
        self.asked.append(request.content.decode())
        found = self.graph.query(self.asked[-1])
        assert isinstance(found, pyoxigraph.QuerySolutions)
        return httpx.Response(200, content=found.serialize(format=pyoxigraph.QueryResultsFormat.JSON))


def run(asked: form.Analysis) -> tuple[list[tuple[str, object]], bool, Evaluated]:
    """Model and least loss of each row, whether there is more, and what was asked."""
    transport = Evaluated()

    async def answer() -> tuple[list[tuple[str, object]], bool]:
        store = StoreClient(StoreAddress("http://127.0.0.1:1"), transport=transport)
        assert asked.each is not None
        rows, cut = await Asked(store, {"which": Literal("wanted")}, renamed=False).of_each(asked, asked.each)
        await store.aclose()
        return [(row["model"].value.removeprefix(EX), row["least"].python) for row in rows], cut

    rows, cut = asyncio.run(answer())
    return rows, cut, transport


def test_the_query_is_asked_for_each_that_was_found_and_the_answers_follow_in_that_order():
    rows, cut, transport = run(analysis())
    assert rows == [("a", 2.5), ("b", 1), ("c", 10), ("f", "none")]
    assert not cut
    first, *each = transport.asked
    assert "wanted" in first
    assert [f"<{EX}{name}>" in text for name, text in zip("abcdf", each, strict=True)] == [True] * 5
    assert "wanted" not in "".join(each)
    assert transport.most == 4


def test_answers_are_put_in_order_by_a_column_as_numbers_and_only_the_first_of_them_kept():
    assert [name for name, _ in run(analysis(order="least"))[0]] == ["b", "a", "c", "f"]
    assert run(analysis(order="least", first=2))[0] == [("b", 1), ("a", 2.5)]
    assert len(run(analysis(order="least", first=50))[0]) == 4


@pytest.mark.parametrize(
    ("each", "query", "words"),
    [
        ({"name": "other"}, QUERY, "VALUES ?other"),
        ({"text": "SELECT ?model WHERE { ?model ?p ?o }"}, QUERY, "which"),
        ({"text": f"ASK {{ VALUES ?which {{}} ?model <{EX}of> ?which }}"}, QUERY, "each.text"),
        ({"first": 0}, QUERY, "each.first"),
        ({}, "SELECT ?model WHERE { ?model ?p ?o }", "VALUES ?model"),
    ],
)
def test_what_cannot_be_asked_of_each_is_refused_with_the_reason(each, query, words):
    with pytest.raises(Unprocessable) as refused:
        analysis(query, **each)
    assert words in f"{refused.value.field} {refused.value.message}"
