"""Literals: a real parser gives back exactly what went in."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import pyoxigraph
import pytest
from hypothesis import given
from hypothesis import strategies as st

from manager.documents import TypedLiteral
from manager.errors import DocumentError
from manager.terms import json_literal, literal, text_literal, time_literal

HOSTILE = [
    "", " ", '"', '\\"', "\\", "\\u0041", "\n\r\t\b\f\0\x1f\x7f\x85\u2028\u2029\ufeff\ufffe\uffff", '" . <urn:x> <urn:y> <urn:z> .\n',
    "'''\"\"\"", '"^^<urn:t>', '"@en', "é\U0001f600", "\U0010ffff", "a" * 100_000,
]  # fmt: skip


def parsed(written: str) -> pyoxigraph.Literal:
    (quad,) = pyoxigraph.parse(f"<urn:s> <urn:p> {written} .\n".encode(), pyoxigraph.RdfFormat.N_TRIPLES)
    assert isinstance(quad.object, pyoxigraph.Literal)
    return quad.object


def kind(written: str) -> str:
    return parsed(written).datatype.value.rpartition("#")[2]


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_comes_back(text: str) -> None:
    assert parsed(text_literal(text)).value == text


@given(st.text())
def test_any_text_comes_back_in_one_line(text: str) -> None:
    written = text_literal(text)
    assert parsed(written).value == text
    assert "\n" not in written
    assert "\r" not in written


@given(st.floats(allow_nan=False))
def test_doubles_come_back_bit_by_bit(value: float) -> None:
    written = literal(value)
    assert kind(written) == "double"
    back = float(parsed(written).value.replace("INF", "inf"))
    assert struct.pack("d", back) == struct.pack("d", value)


def test_not_a_number() -> None:
    assert parsed(literal(math.nan)).value == "NaN"
    assert parsed(literal(math.inf)).value == "INF"
    assert parsed(literal(-math.inf)).value == "-INF"


@pytest.mark.parametrize(
    ("value", "datatype", "text"),
    [(True, "boolean", "true"), (False, "boolean", "false"), (1, "integer", "1"), (-(2**70), "integer", str(-(2**70))),
     (1.0, "double", "1.0e0"), (-0.0, "double", "-0.0e0"), ("1", "string", "1"), (1e300, "double", "1e+300")],
)  # fmt: skip
def test_plain_values_keep_their_type(value: Any, datatype: str, text: str) -> None:
    assert (kind(literal(value)), parsed(literal(value)).value) == (datatype, text)


@pytest.mark.parametrize(
    ("microseconds", "text"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (1_700_000_000_123_456, "2023-11-14T22:13:20.123456Z"),
        (-62_135_596_800_000_000, "0001-01-01T00:00:00.000000Z"),
        (253_402_300_799_999_999, "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_times(microseconds: int, text: str) -> None:
    assert (kind(time_literal(microseconds)), parsed(time_literal(microseconds)).value) == ("dateTime", text)


@pytest.mark.parametrize("microseconds", [-62_135_596_800_000_001, 253_402_300_800_000_000, 2**63, 10**4000])
def test_times_out_of_range_are_refused(microseconds: int) -> None:
    with pytest.raises(DocumentError, match="years 1 and 9999"):
        time_literal(microseconds, "started")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)  # fmt: skip


@given(JSON)
def test_structures_come_back(value: Any) -> None:
    written = json_literal(value)
    assert kind(written) == "JSON"
    assert json.loads(parsed(written).value) == value


def test_equal_structures_have_equal_text() -> None:
    assert json_literal({"b": 1, "a": [{"d": 2, "c": 3}]}) == json_literal({"a": [{"c": 3, "d": 2}], "b": 1})


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize("value", [2**64, {"a": [-(2**63) - 1]}, deep(300)], ids=["large", "inside", "deep"])
def test_structures_that_cannot_be_kept_are_refused(value: Any) -> None:
    with pytest.raises(DocumentError, match="no JSON that can be kept") as caught:
        literal(TypedLiteral("json", value))
    assert caught.value.field == "value.v"


@pytest.mark.parametrize(
    ("name", "given_", "text"),
    [
        ("double", "NaN", "NaN"), ("double", "-INF", "-INF"), ("double", 1.5, "1.5e0"), ("double", "1e5", "1e5"), ("double", 2, "2"),
        ("integer", "-12345678901234567890123", "-12345678901234567890123"), ("integer", 5, "5"),
        ("dateTime", "2026-01-31T12:00:00+00:00", "2026-01-31T12:00:00+00:00"),
        ("dateTime", "2026-01-31T12:00:00.1Z", "2026-01-31T12:00:00.1Z"),
        ("dateTime", "2026-01-31T12:00:00", "2026-01-31T12:00:00"), ("base64Binary", "AAEC", "AAEC"), ("base64Binary", "", ""),
    ],
)  # fmt: skip
def test_typed_literals(name: str, given_: Any, text: str) -> None:
    written = literal(TypedLiteral(name, given_))
    assert (kind(written), parsed(written).value) == (name, text)


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("double", "1.2.3"), ("double", "inf"), ("double", "nan"), ("double", ""), ("double", None), ("double", True), ("double", "1 "),
        ("integer", "1.0"), ("integer", 1.0), ("integer", "x"), ("integer", "٣"), ("integer", False), ("integer", "1\n"), ("integer", [1]),
        ("dateTime", "2026-13-01T00:00:00"), ("dateTime", "2026-01-31"), ("dateTime", "now"), ("dateTime", 5),
        ("dateTime", "2026-01-31T12:00:00Z\n"), ("dateTime", '2026-01-31T12:00:00"'),
        ("base64Binary", "A"), ("base64Binary", "AA\n="), ("base64Binary", "é"), ("base64Binary", {}),
    ],
)  # fmt: skip
def test_texts_that_are_none_of_their_type_are_refused(name: str, given_: Any) -> None:
    with pytest.raises(DocumentError) as caught:
        literal(TypedLiteral(name, given_))
    assert caught.value.field == "value.v"
    assert name in caught.value.fix


def test_an_unknown_type_is_refused() -> None:
    with pytest.raises(DocumentError, match="no literal type") as caught:
        literal(TypedLiteral("decimal", "1"))
    assert caught.value.field == "value.type"
    assert "base64Binary" in caught.value.fix
