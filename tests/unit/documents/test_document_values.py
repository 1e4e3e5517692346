"""Values by the standard library alone, against those of the services: the same keys, the same literals."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from manager import documents as manager_documents
from manager import terms
from pllib.documents import values
from pllib.prov.literals import canonical
from pllib.prov.model import Literal
from pllib.provml.vocabulary import XSD
from query_engine.graphs import read_ntriples
from tracker import identity
from tracker.values import Value

NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
TREES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
TAGGED = st.one_of(
    st.builds(lambda v: {"$": "json", "v": v}, TREES),
    st.builds(lambda v: {"$": "summary", "v": v}, st.dictionaries(TEXTS, TREES, max_size=3)),
    st.builds(lambda v: {"$": "float", "v": v}, st.sampled_from(["NaN", "INF", "-INF"])),
    st.builds(lambda v: {"$": "int", "v": str(v)}, st.integers(-(2**200), 2**200)),
    st.builds(lambda v: {"$": "bytes", "v": v}, st.sampled_from(["", "AP8=", "YWJj"])),
    st.builds(lambda v: {"$": "datetime", "v": v.isoformat()}, st.datetimes()),
    st.builds(lambda v: {"$": "datetime", "v": v + "+00:00"}, st.datetimes().map(str)),
)
WIRE = st.booleans() | st.none() | NUMBERS | TEXTS | st.lists(TREES, max_size=4) | TAGGED


def of_the_services(value: Any) -> tuple[str, Literal]:
    """Key and literal as tracker and manager make them, the literal as a store may give it back."""
    wire = msgspec.json.decode(json.dumps(value), type=Value)
    body = msgspec.json.encode({"entities": [{"id": "x", "value": identity.literal_of(wire)}]})
    entity = manager_documents.decode_document(msgspec.Raw(body)).entities[0]
    [triple] = read_ntriples(f"<x> <x> {terms.literal(entity.value)} .")
    return identity.key_of(wire), canonical(Literal(triple.object.value, triple.object.datatype or XSD + "string"))


@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@given(WIRE)
def test_keys_and_literals_are_those_of_the_services(value: Any) -> None:
    key, literal = of_the_services(value)
    assert values.key_of(value) == key
    assert values.literal_of(value) == literal


@settings(max_examples=400, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_in_structures_are_written_as_by_the_encoders_of_the_services(number: float) -> None:
    value = {"1e+5": [number, "e-05"]}
    assert values.json_text(value) == orjson.dumps(value).decode()
    assert values.json_text(value, plus="") == msgspec.json.encode(value).decode()


@pytest.mark.parametrize(
    "value",
    [
        {"$": "int", "v": "1x"},
        {"$": "float", "v": "1"},
        {"$": "bytes", "v": "%"},
        {"$": "odd", "v": 1},
        {"v": 1},
        {"$": "json"},
    ],
)
def test_what_is_no_value_is_said(value: Any) -> None:
    with pytest.raises(values.ValueProblem):
        values.key_of(value)
    with pytest.raises(values.ValueProblem):
        values.literal_of(value)


@pytest.mark.parametrize("time", [0, 1, -1, 500_000, 1_795_280_235_548_951, -62_135_596_800_000_000])
def test_times_come_back(time: int) -> None:
    text = values.time_text(time)
    assert values.microseconds(text) == time
    assert canonical(Literal(text, values.TIME)).text == text


@pytest.mark.parametrize(
    ("datatype", "theirs", "ours"),
    [
        ("double", "0.25E0", "0.25"),
        ("double", "10000000000000000000000", "1e+22"),
        ("double", "INF", "INF"),
        ("double", "nothing", "nothing"),
        ("integer", "+007", "7"),
        ("dateTime", "2026-01-02T10:00:00.120000-00:00", "2026-01-02T10:00:00.12Z"),
        ("dateTime", "2026-01-02T10:00:00+02:00", "2026-01-02T10:00:00+02:00"),
        ("string", "1.0", "1.0"),
    ],
)
def test_a_literal_has_one_form(datatype: str, theirs: str, ours: str) -> None:
    assert canonical(Literal(theirs, XSD + datatype)).text == ours
