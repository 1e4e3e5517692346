"""Tables and bounded rows that are read from a store's answer, with a transport in the network's place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import httpx
import pytest

from edge.stores import StoreAddress
from query_engine.analyses.rows import bounded_rows
from query_engine.binding import Iri
from query_engine.errors import QueryTimeout, StoreFailed
from query_engine.store import StoreClient
from query_engine.tables import iri, table, value

XSD = "http://www.w3.org/2001/XMLSchema#"


def answered(body: bytes, ask: Callable[[StoreClient], Coroutine[Any, Any, Any]]) -> Any:
    async def run() -> Any:
        transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
        store = StoreClient(StoreAddress("http://store"), transport=transport)
        try:
            return await ask(store)
        finally:
            await store.aclose()

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("", None),
        ("<http://x/y>", "http://x/y"),
        ('"a\\tb\\n\\"c\\"\\\\"', 'a\tb\n"c"\\'),
        ('"\\u00fc\\U0001F600"', "ü😀"),
        ('"salut"@fr', "salut"),
        ("12", 12),
        ("-0.5", -0.5),
        ("2.5E-1", 0.25),
        ("true", True),
        (f'"0.1e0"^^<{XSD}double>', 0.1),
        (f'"NaN"^^<{XSD}double>', "NaN"),
        (f'"text"^^<{XSD}string>', "text"),
        ('"[1]"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>', [1]),
    ],
)
def test_cells_are_read_as_sparql_writes_them(cell, expected):
    assert value(cell) == expected
    assert type(value(cell)) is type(expected)


def test_only_iris_are_iris():
    assert [iri(cell) for cell in ("<http://x>", '"<http://x>"', "", "_:b")] == ["http://x", "", "", ""]


def test_a_cell_that_is_no_term_is_the_stores_fault():
    with pytest.raises(StoreFailed):
        value('"no term')


def test_a_word_without_quotes_is_a_text():
    assert value("finished") == "finished"  # as RDF4J writes it


def test_a_table_has_a_row_a_solution():
    body = b'?a\t?b\n<http://x>\t\n\t"y"\n'
    rows = answered(body, lambda store: table(store, "SELECT ?a ?b {}", 2))
    assert rows == [["<http://x>", ""], ["", '"y"']]
    assert answered(b"?a\n", lambda store: table(store, "SELECT ?a { VALUES ?a {} }", 1, a=Iri("http://x"))) == []


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"?a\n<http://x>\nThe SPARQL operation has been cancelled", QueryTimeout),
        (b"?a\n<http://x>\n<http", StoreFailed),
        (b"?a\t?b\n1\t2\n", StoreFailed),
    ],
)
def test_half_an_answer_is_none(body, error):
    with pytest.raises(error):
        answered(body, lambda store: table(store, "SELECT ?a {}", 1))


def results(count: int) -> bytes:
    row = '{"x":{"type":"literal","value":"a"}}'
    return ('{"head":{"vars":["x"]},"results":{"bindings":[' + ",".join([row] * count) + "]}}").encode()


@pytest.mark.parametrize(("count", "most", "kept", "cut"), [(3, 5, 3, False), (5, 5, 5, False), (9, 5, 5, True)])
def test_rows_are_cut_where_there_are_too_many(count, most, kept, cut):
    rows, truncated = answered(results(count), lambda store: bounded_rows(store, "SELECT ?x {}", most))
    assert ([row["x"].value for row in rows], truncated) == (["a"] * kept, cut)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (results(3)[:-20] + b"The SPARQL operation has been cancelled", QueryTimeout),
        (results(3)[:-2], StoreFailed),
        (b'{"head":{},"boolean":true}', StoreFailed),
    ],
)
def test_rows_that_break_off_are_an_error(body, error):
    with pytest.raises(error):
        answered(body, lambda store: bounded_rows(store, "SELECT ?x {}"))
