"""Values are bound, whatever they hold."""

from __future__ import annotations

import math
import re
from datetime import datetime, timezone

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rdflib.plugins.sparql import prepareQuery

from query_engine.binding import Iri, Literal, bind, parameters
from query_engine.errors import BadTerm
from query_engine.terms import term

HOSTILE = [
    'a"b',
    "a'b",
    '"""',
    "'''",
    "line\nbreak\r\n\ttab\b\f",
    '" } . SERVICE <http://evil/> { #',
    "}{ VALUES ?x {}",
    "\\",
    "\\\\",
    "\\u0041",
    "\\\\u0041",
    "\\U00000041",
    "\\u",
    "\\n",
    "\x00\x01\x1f\x7f",
    "\u2028\u2029\ufeff\ufffe\uffff",
    "é日本😀",
    "?x $x @x",
    "",
]


def round_trip(value: Iri | Literal | str | float) -> pyoxigraph.Literal | pyoxigraph.NamedNode:
    query = bind("SELECT ?x WHERE { VALUES ?x {} }", {"x": value})
    (solution,) = pyoxigraph.Store().query(query)  # type: ignore[misc]
    return solution["x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_round_trips_exactly(text):
    assert round_trip(text).value == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_text_round_trips_exactly(text):
    assert round_trip(text).value == text


@pytest.mark.parametrize("text", HOSTILE)
def test_stores_that_replace_codepoints_before_they_parse_read_the_same(text):
    """The SPARQL 1.1 reading: \\uXXXX first, everywhere, then the grammar."""
    query = bind("SELECT ?x WHERE { VALUES ?x {} }", {"x": text})
    replaced = re.sub(
        r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8}))", lambda match: chr(int(match[1] or match[2], 16)), query
    )
    (solution,) = pyoxigraph.Store().query(replaced)  # type: ignore[misc]
    assert solution["x"].value == text


@pytest.mark.parametrize("text", [text for text in HOSTILE if "\x00" not in text])
def test_another_parser_reads_the_same(text):
    algebra = prepareQuery(bind("SELECT ?x WHERE { VALUES ?x {} }", {"x": text})).algebra
    assert text in repr_all(algebra)


def repr_all(node: object) -> set[str]:
    """All texts inside rdflib's algebra."""
    if isinstance(node, dict):
        return set().union(*(repr_all(part) for part in node.values()))
    if isinstance(node, (list, tuple, set)):
        return set().union(*(repr_all(part) for part in node))
    return {str(node)} if isinstance(node, str) else set()


@given(st.text(max_size=50))
def test_an_iri_is_bound_whole_or_refused(text):
    try:
        iri = Iri("http://h/" + text)
    except BadTerm:
        return
    assert round_trip(iri).value == iri.value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a b:",
        "http://a b",
        "http://a>",
        "<a:>",
        'a:"',
        "a:{",
        "a:\\u0041",
        "a:\n",
        "é:",
        "a:[",
        "a:%",
        "a:#a#b",
        "http://[x]/",
    ],
)
def test_what_is_no_iri_is_refused(text):
    with pytest.raises(BadTerm):
        Iri(text)


@pytest.mark.parametrize(
    ("value", "lexical", "datatype"),
    [
        (True, "true", "boolean"),
        (5, "5", "integer"),
        (2**80, str(2**80), "integer"),
        (0.25, "0.25", "double"),
        (math.inf, "INF", "double"),
        (-math.inf, "-INF", "double"),
        (math.nan, "NaN", "double"),
        (datetime(2026, 1, 1, tzinfo=timezone.utc), "2026-01-01T00:00:00Z", "dateTime"),
        (b"\x00\xff", "AP8=", "base64Binary"),
    ],
)
def test_python_values_become_their_literals(value, lexical, datatype):
    found = Literal.of(value)
    assert (found.lexical, found.datatype) == (lexical, f"http://www.w3.org/2001/XMLSchema#{datatype}")
    back = term({"type": "literal", "value": found.lexical, "datatype": found.datatype}).python
    assert back == value or math.isnan(value)


@pytest.mark.parametrize("value", [object(), "\ud800", "a\udfff"])
def test_what_rdf_has_no_literal_for_is_refused(value):
    with pytest.raises(BadTerm):
        bind("SELECT ?x WHERE { VALUES ?x {} }", {"x": value})


def test_every_block_of_a_name_is_filled_and_others_are_left():
    query = "SELECT * { VALUES ?a {} { SELECT * { values $a { } VALUES ?b {} } } }"
    assert parameters(query) == {"a", "b"}
    assert bind(query, {"a": [Iri("a:1"), Literal("x", lang="en")]}) == (
        'SELECT * { VALUES ?a {<a:1> "x"@en} { SELECT * { values $a { <a:1> "x"@en} VALUES ?b {} } } }'
    )


def test_an_empty_list_binds_nothing():
    assert list(pyoxigraph.Store().query(bind("SELECT ?x { VALUES ?x {} }", {"x": []}))) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "query",
    [
        'SELECT * { ?s ?p "VALUES ?x {}" }',
        "SELECT * { ?s ?p '''VALUES ?x {}''' }",
        "SELECT * { # VALUES ?x {}\n}",
        "SELECT * { VALUES ?x { 1 } }",
        "SELECT * { VALUES (?x) {} }",
    ],
)
def test_what_only_looks_like_a_block_is_none(query):
    with pytest.raises(BadTerm, match=r"VALUES \?x"):
        bind(query, {"x": '" } SERVICE <http://evil/> {'})
