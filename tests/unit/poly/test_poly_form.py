"""What a client may send, and how its provenance rows become typed columns."""

from __future__ import annotations

import json

import pytest

from query_engine.errors import BadParameter, Unprocessable
from query_engine.poly.form import EXAMPLE, parse
from query_engine.poly.provenance import Table, _distinct, _typed

SPARQL = {"sparql": "SELECT ?f { ?t prov:used ?f }"}


def _parse(**content: object):
    return parse(json.dumps(content).encode())


def test_the_example_and_the_shortest_form_are_taken():
    assert _parse(**EXAMPLE).statement("file") == EXAMPLE["sql"]
    short = _parse(provenance=SPARQL, data=[{"column": 'f"'}])
    assert (
        short.statement('f"') == 'SELECT prov.*, d.* EXCLUDE (_reference) FROM prov JOIN d ON d._reference = prov."f"""'
    )


@pytest.mark.parametrize(
    ("content", "field", "says"),
    [
        ({"data": [{"column": "f"}]}, "provenance", "required"),
        ({"provenance": {}, "data": [{"column": "f"}]}, "provenance", "give one of"),
        ({"provenance": {**SPARQL, "analysis": "q3"}, "data": [{"column": "f"}]}, "provenance", "give one of"),
        (
            {"provenance": {**SPARQL, "parameters": {"a": 1}}, "data": [{"column": "f"}]},
            "provenance",
            "`parameters` go",
        ),
        (
            {"provenance": {"lineage": {"of": "x", "direction": "up"}}, "data": [{"column": "f"}]},
            "direction",
            "backward",
        ),
        ({"provenance": SPARQL, "data": []}, "data", "at least 1"),
        ({"provenance": SPARQL, "data": [{}]}, "data.0", "give one of"),
        ({"provenance": SPARQL, "data": [{"column": "f", "path": "/etc/passwd"}]}, "data.0.path", "Extra"),
        ({"provenance": SPARQL, "data": [{"column": "f", "name": "prov"}]}, "data.0", "`prov`"),
        ({"provenance": SPARQL, "data": [{"column": "f", "name": "d; DROP"}]}, "data.0.name", "pattern"),
        ({"provenance": SPARQL, "data": [{"column": "f", "format": "json"}]}, "data.0.format", "csv"),
        ({"provenance": SPARQL, "data": [{"column": "f"}, {"column": "f"}], "sql": "SELECT 1"}, None, "same `name`"),
        ({"provenance": SPARQL, "data": [{"column": "f"}, {"column": "f", "name": "e"}]}, None, "can be left out"),
        ({"provenance": SPARQL, "data": [{"reference": {"store": "s", "key": "k"}}]}, None, "can be left out"),
        ({"provenance": SPARQL, "data": [{"column": "f"}], "limit": 0}, "limit", "greater than"),
        ({"provenance": SPARQL, "data": [{"column": "f"}], "sql": "x" * 70_000}, "sql", "at most"),
        ({"provenance": SPARQL, "data": [{"column": "f", "name": f"t{n}"} for n in range(9)]}, "data", "at most 8"),
    ],
)
def test_what_does_not_fit_is_named(content, field, says):
    with pytest.raises(Unprocessable) as caught:
        _parse(**content)
    assert says in caught.value.message
    if field is not None:
        assert field in str(caught.value.field)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"[" * 100_000, b'{"a": \xff}', b"null", b'{"sql": "\\ud800"}'])
def test_a_body_that_is_no_json_object_is_refused(body):
    with pytest.raises(Unprocessable):
        parse(body)


@pytest.mark.parametrize(
    ("values", "kind", "texts"),
    [
        ([1, None, 3], "BIGINT", ["1", None, "3"]),
        ([True, False], "BOOLEAN", ["true", "false"]),
        ([1, 0.5, "NaN", "-INF"], "DOUBLE", ["1", "0.5", "nan", "-inf"]),
        (["NaN", "INF"], "VARCHAR", ["NaN", "INF"]),
        ([True, 1], "VARCHAR", ["true", "1"]),
        ([2**70, 1], "DOUBLE", [str(2**70), "1"]),
        (["2026-01-01T10:00:00.5Z", None], "TIMESTAMP", ["2026-01-01 10:00:00.500000", None]),
        (["2026-01-01T10:00:00+02:00"], "TIMESTAMP", ["2026-01-01 08:00:00"]),
        (["2026-13-01T10:00:00Z"], "VARCHAR", ["2026-13-01T10:00:00Z"]),
        (["x", 1, {"a": [1]}], "VARCHAR", ["x", "1", '{"a":[1]}']),
        ([None, None], "VARCHAR", [None, None]),
        ([], "VARCHAR", []),
    ],
)
def test_a_column_has_the_narrowest_type_of_all_its_values(values, kind, texts):
    assert _typed(values) == (kind, texts)


def test_names_that_differ_by_case_only_are_told_apart():
    assert _distinct(["a", "A", "a_1", "b"]) == ["a", "A_1", "a_1_1", "b"]
    with pytest.raises(BadParameter, match="no column 'c'"):
        Table(["a"], [], None).column("c")
