"""A batch is refused only when it is none; a bad record is refused alone, with its field and the way to mend it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.errors import RequestError
from tracker.batches import decode_batch
from tracker.errors import RecordError
from tracker.records import MAX_DEPTH, MAX_NODES, End, decode_record

GOOD = {"n": 1, "op": "end", "t": 5, "m": 6, "kind": "task", "wf": "a/b", "id": "fit/1", "status": "finished"}


def batch(*records: Any, **more: Any) -> bytes:
    return json.dumps({"version": 1, "producer": "0" * 32, "records": records, **more}).encode()


def refusal(record: Any) -> RecordError:
    with pytest.raises(RecordError) as caught:
        decode_record(json.dumps(record).encode())
    return caught.value


def test_a_batch_gives_its_records_as_bytes() -> None:
    found = decode_batch(batch(GOOD, 7, unknown=True))
    assert found.producer == "0" * 32
    assert [json.loads(raw) for raw in found.records] == [GOOD, 7]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"7", b"\xff", b'{"version":1}', b'{"version":1,"records":7}'])
def test_what_is_no_batch_is_refused_with_400(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode_batch(body)
    assert caught.value.status == 400
    assert caught.value.fix


@pytest.mark.parametrize("body", [batch(version=2), b'{"version":2,"something":"else"}'])
def test_another_version_is_refused_with_409(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode_batch(body)
    assert (caught.value.status, caught.value.field) == (409, "$.version")


def test_a_producer_that_is_no_id_is_named() -> None:
    with pytest.raises(RequestError) as caught:
        decode_batch(batch(producer="me"))
    assert (caught.value.status, caught.value.field) == (400, "$.producer")


def test_very_many_values_and_very_deep_ones_are_413() -> None:
    for body in (batch() + b"," * 1_000_001, b'{"version":1,"records":[' + b"[" * 100_000):
        with pytest.raises(RequestError) as caught:
            decode_batch(body)
        assert caught.value.status == 413


@pytest.mark.parametrize("text", [r'"\ud800"', "NaN", "-Infinity"])
def test_a_record_that_strict_json_cannot_say_does_not_hurt_its_neighbours(text: str) -> None:
    body = batch(GOOD, "HERE", GOOD).replace(b'"HERE"', b'{"x": ' + text.encode() + b"}")
    found = decode_batch(body).records
    decode_record(found[0])
    decode_record(found[2])
    with pytest.raises(RecordError):
        decode_record(found[1])


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"n": -1}, "$.n"),
        ({"n": "1"}, "$.n"),
        ({"t": 1.5}, "$.t"),
        ({"t": 10**18}, "$.t"),
        ({"op": "stop"}, "$.op"),
        ({"kind": "job"}, "$.kind"),
        ({"wf": "no slash"}, "$.wf"),
        ({"wf": "a/b\n"}, "$.wf"),
        ({"wf": "a/b/c"}, "$.wf"),
        ({"wf": "a/%zz"}, "$.wf"),
        ({"id": None}, "$.id"),
        ({"status": "done"}, "$.status"),
        ({"generated": {"": 1}}, "$.generated"),
        ({"generated": {"a": 1, "b c": {"x": 1}}}, '$.generated["b c"].$'),
        ({"generated": {"a": {"$": "date", "v": 1}}}, "$.generated.a.$"),
        ({"generated": {"a": {"$": "data", "store": "s"}}}, "$.generated.a.key"),
        ({"generated": {"a": {"$": "value", "v": 1, "as": "colour"}}}, "$.generated.a.as"),
        ({"generated": {"a": {"$": "bytes", "v": "!"}}}, "$.generated.a.v"),
        ({"generated": {"a": {"$": "int", "v": "1e3"}}}, "$.generated.a.v"),
        ({"generated": {"a": {"$": "ref", "id": "b/1", "name": "a"}}}, "$.generated.a"),
        ({"generated": {"a": {"$": "data", "store": "s", "key": "k" * 9000}}}, "$.generated.a.key"),
        ({"used": {"é" * 1000: 1}}, "$.used"),
        ({"links": {"nothing": ["a"]}}, "$.links"),
        ({"links": {"a/1": [""]}}, "$.links[...][0]"),
    ],
)
def test_a_bad_field_is_named_with_a_fix(change: dict[str, Any], field: str) -> None:
    error = refusal({**GOOD, **change})
    assert error.field == field
    assert ": " in error.message


def test_a_missing_field_is_named() -> None:
    assert refusal({name: value for name, value in GOOD.items() if name != "status"}).field == "$.status"
    assert refusal({}).field == "$.op"
    assert refusal(7).field == "$"


def test_unknown_keys_are_ignored() -> None:
    record = decode_record(json.dumps({**GOOD, "later": {"version": 2}}).encode())
    assert isinstance(record, End)


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


def test_limits_of_depth_nodes_and_strings() -> None:
    inside = {"generated": {"a": nested(MAX_DEPTH - 2)}}
    decode_record(json.dumps({**GOOD, **inside}).encode())
    decode_record(json.dumps({**GOOD, "stdout": "x" * 999_999}).encode())
    decode_record(json.dumps({**GOOD, "generated": {"a": [1] * (MAX_NODES - 50)}}).encode())
    assert "64" in refusal({**GOOD, "generated": {"a": nested(MAX_DEPTH - 1)}}).message
    assert "64" in refusal({**GOOD, "generated": {"a": {"$": "json", "v": nested(900)}}}).message
    assert "100000" in refusal({**GOOD, "generated": {"a": [1] * MAX_NODES}}).message
    assert "1000000" in refusal({**GOOD, "stdout": "é" * 600_000}).message


@pytest.mark.parametrize("value", [[1, -(2**63) - 1], {"$": "json", "v": {"a": 10**30}}, {"$": "value", "v": [2**63]}])
def test_a_bare_integer_beyond_64_bit_in_a_structure_is_refused(value: Any) -> None:
    assert '"$": "int"' in refusal({**GOOD, "generated": {"a": value}}).message
    assert '"$": "int"' in refusal({**GOOD, "meta": {"a": 2**63}}).message


def test_integers_up_to_64_bit_are_taken() -> None:
    decode_record(json.dumps({**GOOD, "generated": {"a": [2**63 - 1, -(2**63)], "b": "9" * 30}}).encode())


def test_brackets_in_text_are_not_depth() -> None:
    decode_record(json.dumps({**GOOD, "stdout": "[{" * 1000}).encode())
