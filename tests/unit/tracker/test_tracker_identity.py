"""Keys and literals of plain values; one spelling for each identifier."""

from __future__ import annotations

import base64
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pllib.prov.literals import is_date_time
from pllib.provml import iris
from tracker.identity import canonical, first_part, key_of, literal_of
from tracker.values import Value


def wire(text: str) -> object:
    return msgspec.json.decode(text, type=Value)


@pytest.mark.parametrize(
    ("text", "key", "literal"),
    [
        ("1", "i-1", 1),
        ("1.0", "f-1.0", 1.0),
        ('"1"', "s-1", "1"),
        ("true", "b-true", True),
        ("null", "n-null", {"type": "json", "v": None}),
        ("-0.0", "f--0.0", -0.0),
        ("1e22", "f-1e%2B22", 1e22),
        ('{"$":"float","v":"-INF"}', "f--INF", {"type": "double", "v": "-INF"}),
        ('{"$":"int","v":"0012"}', "i-12", 12),
        (
            '{"$":"int","v":"170141183460469231731687303715884105728"}',
            "i-170141183460469231731687303715884105728",
            {"type": "integer", "v": "170141183460469231731687303715884105728"},
        ),
        (
            '{"$":"json","v":{"b":1,"a":[2]}}',
            iris.value_key("j", '{"a":[2],"b":1}'),
            {"type": "json", "v": {"b": 1, "a": [2]}},
        ),
        ("[1,2]", iris.value_key("j", "[1,2]"), {"type": "json", "v": [1, 2]}),
        ('{"$":"summary","v":{"type":"t"}}', iris.value_key("m", '{"type":"t"}'), {"type": "json", "v": {"type": "t"}}),
        ('{"$":"bytes","v":"aGk="}', "x-aGk%3D", {"type": "base64Binary", "v": "aGk="}),
    ],
)
def test_key_and_literal(text: str, key: str, literal: object) -> None:
    value = wire(text)
    assert key_of(value) == key
    found = literal_of(value)
    assert found == literal
    assert type(found) is type(literal)


def test_a_time_that_xml_schema_cannot_say_is_kept_as_it_came() -> None:
    assert literal_of(wire('{"$":"datetime","v":"2026-01-31T12:00:00+00:00"}')) == {
        "type": "dateTime",
        "v": "2026-01-31T12:00:00+00:00",
    }
    odd = "1890-01-31T12:00:00+00:53:28"
    assert literal_of(wire(json.dumps({"$": "datetime", "v": odd})))["v"] == {"$": "datetime", "v": odd}


@pytest.mark.parametrize("text", ["2026-13-01T00:00:00", "2026-01-01", "٢026-01-01T00:00:00", "0000-01-01T00:00:00"])
def test_what_is_no_date_time(text: str) -> None:
    assert not is_date_time(text)


@given(st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.text(max_size=80)))
def test_the_quick_key_is_the_minting_function_s(value: object) -> None:
    code = {int: "i", float: "f", bool: "b", str: "s"}[type(value)]
    text = value if isinstance(value, str) else json.dumps(value) if isinstance(value, bool) else repr(value)
    try:
        expected = iris.value_key(code, text)
    except UnicodeEncodeError:
        return
    assert key_of(value) == expected
    assert iris.is_id(expected)


@given(st.text(min_size=1, alphabet=st.characters(exclude_categories=["Cs"])), st.booleans())
def test_every_spelling_of_an_identifier_becomes_the_minted_one(name: str, lower: bool) -> None:
    loud = "".join(f"%{byte:02x}" if lower else f"%{byte:02X}" for byte in name.encode())
    assert canonical(f"{loud}/1") == f"{iris.encode(name)}/1"
    assert canonical(f"{iris.encode(name)}/1") == f"{iris.encode(name)}/1"
    assert first_part(canonical(f"{loud}/1")) == name


def test_dot_segments_do_not_survive() -> None:
    assert canonical("../.") == "%2E%2E/%2E"
    assert canonical("a/..") == "a/%2E%2E"
    assert canonical("a/..x") == "a/..x"


def test_bytes_that_are_no_text_keep_apart() -> None:
    assert canonical("%ff/1") == "%FF/1"
    assert first_part("%FF/1") == "\\xff"
    assert base64.b64decode("aGk=") == b"hi"
