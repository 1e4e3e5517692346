"""What is stored of any Python value: exactly it, or a summary with a mark; never an exception."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import pathlib
from collections import namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pllib
from pllib import encoding, values


class Colour(enum.Enum):
    RED = "red"
    BLUE = (1, 2)


@dataclasses.dataclass
class Point:
    x: int
    y: float


class Hostile:
    def __repr__(self) -> str:
        raise RuntimeError("no")

    def __str__(self) -> str:
        raise RuntimeError("no")

    def __getattr__(self, name: str) -> Any:
        raise ValueError("no")


Pair = namedtuple("Pair", "a b")


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (None, None),
        (True, True),
        (3, 3),
        (0.1, 0.1),
        ("é\n", "é\n"),
        (-0.0, -0.0),
        (math.nan, {"$": "float", "v": "NaN"}),
        (math.inf, {"$": "float", "v": "INF"}),
        (-math.inf, {"$": "float", "v": "-INF"}),
        (2**63 - 1, 2**63 - 1),
        (2**63, {"$": "int", "v": str(2**63)}),
        (-(2**70), {"$": "int", "v": str(-(2**70))}),
        (b"ab", {"$": "bytes", "v": "YWI="}),
        ([1, 2], [1, 2]),
        ((1, "a"), [1, "a"]),
        ({"a": 1}, {"$": "json", "v": {"a": 1}}),
        ({1: "a", "1": "b"}, {"$": "json", "v": {"int:1": "a", "1": "b"}}),
        ([math.nan], {"$": "json", "v": [{"$": "float", "v": "NaN"}]}),
        ({"$": "ref"}, {"$": "json", "v": {"$": "ref"}}),
        ({3, 1, 2}, {"$": "json", "v": [1, 2, 3]}),
        (Colour.RED, "red"),
        (Colour.BLUE, "BLUE"),
        (Point(1, 2.5), {"$": "json", "v": {"x": 1, "y": 2.5}}),
        (Pair(1, 2), {"$": "json", "v": {"a": 1, "b": 2}}),
        (datetime.datetime(2026, 1, 2, 3, 4, 5), {"$": "datetime", "v": "2026-01-02T03:04:05"}),
        (datetime.date(2026, 1, 2), "2026-01-02"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (np.float64(0.5), 0.5),
        (np.int8(5), 5),
        (np.bool_(True), True),
        (np.float32(0.5), 0.5),
        (np.array(7), 7),
    ],
)
def test_stored_form(value, stored):
    found = values.exact(value)
    assert found == stored
    assert type(found) is type(stored)
    assert pllib.recorded(value) == stored


def test_arrays_are_described_not_stored():
    found = values.exact(np.zeros((3, 4), dtype="float32"))
    assert found["$"] == "summary"
    assert found["v"] == {
        "type": "numpy.ndarray",
        "shape": [3, 4],
        "dtype": "float32",
        "nbytes": 48,
        "device": "cpu",
    }


@pytest.mark.parametrize(
    "value",
    [Hostile(), object(), lambda: 1, int, "x" * 200_000, b"x" * 5000, 10**20_000, "\ud800", decimal.Decimal("1.5")],
    ids=lambda value: type(value).__name__,
)
def test_everything_else_is_a_summary_with_its_type(value):
    found = values.exact(value)
    assert found["$"] == "summary"
    assert found["v"]["type"].endswith(type(value).__qualname__)
    json.dumps(found).encode("utf-8")


def test_circular_and_deep_structures_are_cut_with_a_mark():
    circular: list[Any] = [1]
    circular.append(circular)
    assert values.exact(circular)["v"][1]["v"]["cut"] == "circular"
    deep: list[Any] = []
    for _ in range(200):
        deep = [deep]
    assert '"cut": "deep"' in json.dumps(values.exact(deep))
    wide = [[number] for number in range(100_000)]
    assert len(json.dumps(values.exact(wide))) < 2_000_000
    assert '"cut": "large"' in json.dumps(values.exact(wide))


def test_a_shared_child_is_not_circular():
    child = [1]
    assert values.exact([child, child]) == {"$": "json", "v": [[1], [1]]}


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.binary()
    | st.characters(categories=["Cs"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
)


@given(anything)
def test_any_value_becomes_json_that_reads_back(value):
    found = values.exact(value)
    text = encoding.payload('{"n":1', {"used": {"x": found}})
    assert json.loads(text)["used"]["x"] == found
    text.decode("ascii")


@given(st.dictionaries(st.text(), anything))
def test_any_raw_mapping_becomes_a_record(mapping):
    json.loads(
        encoding.payload('{"n":1', {"used": {k: values.exact(v) for k, v in mapping.items()}})
    ).__repr__().encode()
    json.loads(encoding.payload('{"n":1', {"used": mapping})) if _plain(mapping) else None


def _plain(mapping: dict[str, Any]) -> bool:
    return all(type(value) in values.PLAIN for value in mapping.values())


def test_the_kept_encoder_writes_what_the_standard_one_does():
    sample = {"a": [1, 0.1, None, True, 'é\ud83d\ude00"\\\n'], "b": {"c": 1e300}}
    assert encoding.dumps(sample) == json.dumps(sample, separators=(",", ":"))
    with pytest.raises(ValueError, match="JSON"):
        encoding.dumps(math.nan)
