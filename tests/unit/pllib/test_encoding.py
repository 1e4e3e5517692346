"""Structures of any shape, and the JSON that records are written as."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pllib import encoding, values


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
