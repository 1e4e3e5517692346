"""Bodies from bytes to records: what Python writes and JSON has not, and what is no batch."""

from __future__ import annotations

import json
import math

import pytest

from edge.errors import RequestError
from tracker.errors import RecordError
from tracker.lenient_json import HugeInteger, decode
from tracker.provlake.messages import read


def test_strict_json_is_kept_as_it_came() -> None:
    body = b'[{"a": 1.50},{"b":  -0.0}]'
    assert [item.raw for item in decode(body, "fix")] == [b'{"a": 1.50}', b'{"b":  -0.0}']
    assert [item.record for item in decode(body, "fix")] == [{"a": 1.5}, {"b": -0.0}]


def test_what_python_writes_is_read() -> None:
    (item,) = decode(
        b'[{"n": NaN, "i": -Infinity, "e": 1e400, "s": "\\udcff", "b": "\xff", "d": ' + b"9" * 4001 + b"}]",
        "fix",
    )
    found = item.record
    assert math.isnan(found["n"])
    assert (found["i"], found["e"], found["s"], found["b"]) == (-math.inf, math.inf, "\udcff", "\udcff")
    assert isinstance(found["d"], HugeInteger)
    assert json.loads(item.raw)["s"] == "\udcff"


def test_one_record_is_an_array_of_one() -> None:
    assert [item.record for item in decode(b'\xef\xbb\xbf{"a": 1}', "fix")] == [{"a": 1}]


@pytest.mark.parametrize("body", [b"", b"[", b"[] x", b"null", b'"a"', b"\xff", b"[1] [2]"])
def test_no_batch(body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        decode(body, "fix")
    assert refusal.value.status == 400


@pytest.mark.parametrize("inner", [b"1", b"NaN"])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
def test_no_depth_ends_in_anything_but_a_refusal(inner: bytes, opening: bytes, closing: bytes) -> None:
    for depth in (*range(64, 76), *range(880, 1100, 4), 100_000):
        with pytest.raises((RequestError, RecordError)):
            for item in decode(b"[" + opening * depth + inner + closing * depth + b"]", "fix"):
                read(item.record)
