"""The accelerated codec writes the bytes of the standard library, or leaves it to that."""

from __future__ import annotations

import json
import math
import struct
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from pllib import codec, encoding

HEAD = '{"n":1,"op":"end"'
OPTIONS = orjson.OPT_PASSTHROUGH_SUBCLASS | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
found = codec.fast_encoder()
assert found is not None
ENCODE = found
floats = st.floats() | st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("<d", raw)[0])
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**64), 2**64)
    | floats
    | floats.map(lambda value: round(value, 6) if math.isfinite(value) else value)
    | st.text(max_size=30)
    | st.text(st.characters(categories=["Cs"]), max_size=3)
    | st.sampled_from(["null", "1e-7", "0.00001", "\x7f", "\\ud800", "\ud83d\ude00", "</script>"])
)
keys: Any = st.text(max_size=8) | st.integers() | floats | st.none() | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4) | st.tuples(inner, inner),
    max_leaves=8,
)


class Text(str):
    """Text of another type."""


class Number(float):
    """A number of another type."""

    def __repr__(self) -> str:
        return "1e999"


@given(st.dictionaries(st.text("abcxyz_", max_size=8), values, max_size=5))  # names of fields are our own
@example({"x": 1e16, "y": 1e-7, "z": 1.5e-5})
@example({"x": {"a": math.nan}, "y": {"a": -math.inf}})
@example({"x": 2**63, "y": -(2**63) - 1})
@example({"x": {1: 2, None: 3, False: 4, 0.5: 5}})
@example({"x": Text("a"), "y": Number(1.0)})
@example({"x": {Text("a"): 1}, "y": [Text("é")]})
@example({"x": {"a": b"bytes"}})
def test_the_bytes_are_those_of_the_standard_library(parts):
    found = ENCODE(HEAD, parts)
    assert found is None or found == encoding.standard_payload(HEAD, parts)


@given(st.dictionaries(st.text(min_size=1), st.floats(1e-3, 1e15) | st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_ordinary_numbers_are_written_by_it(parts):
    found = ENCODE(HEAD, {"used": parts})
    ascii_names = all(name.isascii() and "\x7f" not in name for name in parts)
    suspect = any(mark in json.dumps(parts) for mark in ("e-", "0.0000", "null"))
    assert (found is not None) == (ascii_names and not suspect)


def test_a_codec_that_writes_otherwise_is_not_taken():
    assert codec._encoder(orjson.dumps, OPTIONS) is not None
    assert codec._encoder(lambda value, default, options: orjson.dumps(value).replace(b"e+", b"e"), OPTIONS) is None


def test_a_record_without_fields_is_left_to_the_standard_library():
    assert ENCODE(HEAD, {}) is None
    assert encoding.payload(HEAD, {}) == HEAD.encode() + b"}"
