"""Rows of answers that come in pieces, are broken off, or have too many."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from edge.stores import StoreAddress
from query_engine.analyses.rows import bounded_table
from query_engine.errors import QueryTimeout, StoreFailed
from query_engine.store import StoreClient

ROWS = [{"x": {"type": "literal", "value": f"{{{number}"}} for number in range(20)]
ANSWER = json.dumps({"head": {"vars": ["x"]}, "results": {"bindings": ROWS}}).encode()


class Piece(httpx.AsyncByteStream):
    def __init__(self, content: bytes, size: int) -> None:
        self.parts = [content[start : start + size] for start in range(0, len(content), size)]

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part


def table(content: bytes, most: int, size: int = 7) -> tuple[list[str], list[str], bool]:
    async def answer() -> tuple[list[str], list[str], bool]:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Piece(content, size)))
        store = StoreClient(StoreAddress("http://127.0.0.1:1"), transport=transport)
        names, rows, cut = await bounded_table(store, "SELECT * {}", most)
        await store.aclose()
        return names, [row["x"].value for row in rows], cut

    return asyncio.run(answer())


@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize("most", [0, 1, 19, 20, 21, 39, 60, 100, 1000])
def test_no_more_rows_than_are_allowed_whether_braces_are_few_or_many(most, size):
    expected = [row["x"]["value"] for row in ROWS][:most]
    assert table(ANSWER, most, size) == (["x"], expected, most < 20)


@pytest.mark.parametrize("most", [20, 1000])
@pytest.mark.parametrize("end", [1, 30, 200, len(ANSWER) - 1])
def test_half_an_answer_is_none(end, most):
    with pytest.raises(StoreFailed, match="broke off"):
        table(ANSWER[:end], most)


@pytest.mark.parametrize("most", [20, 1000])
def test_what_comes_after_an_answer_says_why_it_was_given_up(most):
    with pytest.raises(QueryTimeout):
        table(ANSWER[:-3] + b"\nquery timed out", most)
    with pytest.raises(StoreFailed):
        table(ANSWER + b"and more", most)


@pytest.mark.parametrize("content", [b"[]", b'{"head": {}}', b'{"head": {"vars": ["x"]}, "results": []}'])
def test_what_is_no_result_is_refused(content):
    with pytest.raises(StoreFailed):
        table(content, 10)
