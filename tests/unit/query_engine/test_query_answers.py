"""Formats: chosen by Accept, cut to rows in any division of the stream, graphs kept exactly."""

from __future__ import annotations

import json

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from query_engine import formats, graphs
from query_engine.errors import NotAcceptable, StoreFailed
from query_engine.formats import (
    CSV,
    GRAPHS,
    JSON_LD,
    N_TRIPLES,
    RDF_XML,
    RESULTS_JSON,
    RESULTS_XML,
    SOLUTIONS,
    TSV,
    TURTLE,
)
from query_engine.results import cutter
from query_engine.terms import Term, term

XSD = "http://www.w3.org/2001/XMLSchema#"
RDF_JSON = "http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON"


@pytest.mark.parametrize(
    ("accept", "offered", "chosen"),
    [
        (None, SOLUTIONS, RESULTS_JSON),
        ("*/*", GRAPHS, TURTLE),
        ("application/json", SOLUTIONS, RESULTS_JSON),
        ("application/json", GRAPHS, JSON_LD),
        ("text/csv;q=0.5, application/sparql-results+xml;q=0.9", SOLUTIONS, RESULTS_XML),
        ("text/*", SOLUTIONS, CSV),
        ("text/tab-separated-values, */*;q=0.1", SOLUTIONS, TSV),
        ("application/sparql-results+json;q=0, */*", SOLUTIONS, RESULTS_XML),
        ("TEXT/CSV ; charset=utf-8 ; q=1.0", SOLUTIONS, CSV),
        ("application/rdf+xml,text/plain;q=0.3", GRAPHS, RDF_XML),
    ],
)
def test_the_format_that_accept_prefers(accept, offered, chosen):
    assert formats.choose(accept, offered) == chosen


@pytest.mark.parametrize("accept", ["image/png", "text/csv;q=0", "application/rdf+xml", "q"])
def test_no_format_that_fits(accept):
    with pytest.raises(NotAcceptable, match="sparql-results"):
        formats.choose(accept, SOLUTIONS)


TEXTS = st.text(alphabet='ab"\\{}[],\n\r\t<>&é😀;', max_size=12)
TABLES = st.lists(st.tuples(TEXTS, st.one_of(st.none(), TEXTS)), max_size=8)
WRITERS = {
    RESULTS_JSON: pyoxigraph.QueryResultsFormat.JSON,
    RESULTS_XML: pyoxigraph.QueryResultsFormat.XML,
    CSV: pyoxigraph.QueryResultsFormat.CSV,
    TSV: pyoxigraph.QueryResultsFormat.TSV,
}


def answer(rows: list[tuple[str, str | None]], form: formats.Format) -> bytes:
    """A store's answer with these rows, in this order."""
    terms = [tuple("UNDEF" if text is None else str(pyoxigraph.Literal(text)) for text in row) for row in rows]
    data = " ".join(f"({first} {second})" for first, second in terms)
    found = pyoxigraph.Store().query(f"SELECT ?a ?b {{ VALUES (?a ?b) {{ {data} }} }}")
    return found.serialize(format=WRITERS[form])  # type: ignore[union-attr,no-any-return]


def cut(whole: bytes, form: formats.Format, rows: int, size: int) -> tuple[bytes, bool, bool]:
    """What is passed on of an answer that comes in parts; whether it was cut; whether it is complete."""
    machine, kept = cutter(form, rows), b""
    for start in range(0, len(whole), size):
        kept += machine.feed(whole[start : start + size])
        if machine.full:
            break
    return kept + machine.close(), machine.full, machine.complete()


@pytest.mark.parametrize("form", WRITERS, ids=lambda form: form.media_type)
@given(table=TABLES, rows=st.integers(1, 9), size=st.integers(1, 40))
def test_any_answer_in_any_parts_is_cut_after_its_rows(form, table, rows, size):
    whole = answer(table, form)
    kept, full, complete = cut(whole, form, rows, size)
    assert complete
    assert full == (len(table) > rows)
    if not full:
        assert kept == whole
    elif form == RESULTS_JSON:
        document = json.loads(kept)
        assert document["results"]["bindings"] == json.loads(whole)["results"]["bindings"][:rows]
        assert document["truncated"] == {"rows": rows}
    elif form == RESULTS_XML:
        assert len(list(pyoxigraph.parse_query_results(kept, format=WRITERS[form]))) == rows  # type: ignore[arg-type]
    else:
        assert kept == answer(table[:rows], form)


def test_pretty_printed_json_is_cut_too():
    document = {
        "head": {"vars": ["a"]},
        "results": {"bindings": [{"a": {"type": "uri", "value": f"u:{n}"}} for n in range(5)]},
    }
    for size in range(1, 60):
        kept, full, _ = cut(json.dumps(document, indent=2).encode(), RESULTS_JSON, 2, size)
        assert full
        assert json.loads(kept)["results"]["bindings"] == document["results"]["bindings"][:2]


@pytest.mark.parametrize("form", WRITERS, ids=lambda form: form.media_type)
def test_an_answer_that_was_broken_off_is_not_complete(form):
    whole = answer([("a", "b"), ("c", "d")], form)
    for end in (len(whole) // 2, len(whole) - 3):
        _, full, complete = cut(whole[:end] + b"The SPARQL operation has been cancelled", form, 10, 16)
        assert not full
        assert not complete


TRICKY = [
    'a"b\\c\nd\re\tf',
    "\\u0041",
    "é日本😀\u2028\x85",
    "",
    " <>&",
]
GRAPH = [
    graphs.Triple(Term("iri", "http://h/s%20x"), Term("iri", "http://www.w3.org/ns/prov#value"), value)
    for value in [
        *(Term("literal", text) for text in TRICKY),
        Term("literal", "0.25e0", XSD + "double"),
        Term("literal", "0.1000000000000000055511151231257827", XSD + "double"),
        Term("literal", "007", XSD + "integer"),
        Term("literal", "NaN", XSD + "double"),
        Term("literal", '{"a":[1,"x"]}', RDF_JSON),
        Term("literal", "hi", None, "en-gb"),
        Term("bnode", "b1"),
        Term("iri", "http://www.w3.org/ns/prov#Entity"),
        Term("iri", "http://www.w3.org/ns/prov#a/b.c"),
    ]
] + [
    graphs.Triple(
        Term("bnode", "b1"),
        Term("iri", "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"),
        Term("iri", "http://www.w3.org/ns/prov#Entity"),
    )
]
READERS = {
    TURTLE: pyoxigraph.RdfFormat.TURTLE,
    N_TRIPLES: pyoxigraph.RdfFormat.N_TRIPLES,
    JSON_LD: pyoxigraph.RdfFormat.JSON_LD,
    RDF_XML: pyoxigraph.RdfFormat.RDF_XML,
}


@pytest.mark.parametrize("form", GRAPHS, ids=lambda form: form.media_type)
def test_graphs_are_written_without_loss(form):
    def canonical(text: bytes, reader: pyoxigraph.RdfFormat) -> set[pyoxigraph.Quad]:
        data = pyoxigraph.Dataset(pyoxigraph.parse(text, format=reader))
        data.canonicalize(pyoxigraph.CanonicalizationAlgorithm.UNSTABLE)
        return set(data)

    reference = graphs.write(GRAPH, N_TRIPLES)
    assert canonical(graphs.write(GRAPH, form), READERS[form]) == canonical(reference, pyoxigraph.RdfFormat.N_TRIPLES)


def test_ntriples_are_read_as_they_were_written():
    assert list(graphs.read_ntriples(graphs.write(GRAPH, N_TRIPLES).decode())) == GRAPH


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_any_literal_is_read_as_another_writer_wrote_it(text):
    quad = pyoxigraph.Triple(pyoxigraph.NamedNode("a:b"), pyoxigraph.NamedNode("a:b"), pyoxigraph.Literal(text))
    written = pyoxigraph.serialize([quad], format=pyoxigraph.RdfFormat.N_TRIPLES).decode()
    assert [triple.object.value for triple in graphs.read_ntriples(written)] == [text]


def test_what_is_no_statement_is_told():
    with pytest.raises(StoreFailed):
        list(graphs.read_ntriples("<a:> <a:> <a:> .\nThe SPARQL operation has been cancelled"))


def test_what_xml_cannot_say_is_not_acceptable():
    for bad in (
        graphs.Triple(Term("iri", "a:b"), Term("iri", "http://h/p/1"), Term("literal", "x")),
        graphs.Triple(Term("iri", "a:b"), Term("iri", "http://h/p"), Term("literal", "\x01")),
    ):
        with pytest.raises(NotAcceptable):
            graphs.write([bad], RDF_XML)


@pytest.mark.parametrize(
    ("lexical", "datatype", "python", "said"),
    [
        ("5", "integer", 5, 5),
        ("1e3", "double", 1000.0, 1000.0),
        ("INF", "double", float("inf"), "INF"),
        ("true", "boolean", True, True),
        ("maybe", "boolean", "maybe", "maybe"),
        ("x", "integer", "x", "x"),
        ("AP8=", "base64Binary", b"\x00\xff", "AP8="),
        ("2026-13-45T00:00:00Z", "dateTime", "2026-13-45T00:00:00Z", "2026-13-45T00:00:00Z"),
    ],
)
def test_literals_as_python_and_json(lexical, datatype, python, said):
    found = term({"type": "literal", "value": lexical, "datatype": XSD + datatype})
    assert (found.python, found.json) == (python, said)


@pytest.mark.parametrize(
    ("text", "value"), [('{"a":1}', {"a": 1}), ("null", None), ("NaN", "NaN"), ("[" * 100_000, "[" * 100_000)]
)
def test_json_literals(text, value):
    assert Term("literal", text, RDF_JSON).json == value
