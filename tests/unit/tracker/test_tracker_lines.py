"""A batch of lines gives the records that the same batch gives as JSON; a bad line is refused alone."""

from __future__ import annotations

import json
import struct
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.errors import RequestError
from pllib.transport import body_of, lines_of
from tracker.batches import MAX_COMMAS, decode_batch, decode_lines
from tracker.errors import RecordError
from tracker.records import decode_record

PRODUCER = "0f" * 16
HEAD = '{"n":1,"op":"end","t":5,"m":6,"kind":"task","wf":"a/b","id":"fit/1","status":"finished","generated":'
floats = st.floats() | st.sampled_from([0.0, -0.0, 1e-7, 1e16, 5e-324, 1.7976931348623157e308])
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5) | st.sampled_from(
    ["%s", "\t", "}}\t", "%%"]
)


def packed(generated: dict[str, float]) -> bytes:
    text = ",".join(f"{json.dumps(name)}:\t" for name in generated)
    return f"{HEAD}{{{text}}}}}\t".encode() + b64encode(struct.pack(f"<{len(generated)}d", *generated.values()))


@given(st.lists(st.dictionaries(names, floats, min_size=1, max_size=4), max_size=5))
def test_lines_mean_what_the_json_means(values: list[dict[str, float]]) -> None:
    payloads = [packed(one) for one in values] + [b'{"n":2,"op":"gap","t":5,"m":6,"count":1,"reason":"full"}']
    accounting = {"accepted": 7}
    lines = decode_lines(lines_of(PRODUCER, payloads, accounting))
    whole = decode_batch(body_of(PRODUCER, payloads, accounting))
    assert (lines.producer, lines.accounting) == (whole.producer, whole.accounting) == (PRODUCER, b'{"accepted":7}')
    assert [repr(decode_record(raw)) for raw in lines.records] == [repr(decode_record(raw)) for raw in whole.records]


def test_a_batch_of_no_lines_says_its_figures() -> None:
    found = decode_lines(lines_of(PRODUCER, [], {"accepted": 0}))
    assert (found.records, found.accounting) == ([], b'{"accepted":0}')


GOOD = packed({"x": 0.1, "y": 2.0})


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"\xff",
        GOOD[:-9],  # a float too few
        packed({"x": 0.1, "y": 2.0, "z": 3.0}).replace(b',"z":\t', b""),
        GOOD.replace(b'"y":\t', b'"y":\t\t'),
        GOOD.rpartition(b"\t")[0],
        GOOD.rpartition(b"\t")[0] + b"\t!!!!",
        GOOD.rpartition(b"\t")[0] + b"\t",
    ],
)
def test_a_bad_line_is_refused_alone(bad: bytes) -> None:
    first, second, third = decode_lines(lines_of(PRODUCER, [GOOD, bad, GOOD])).records
    assert decode_record(first) == decode_record(third)
    with pytest.raises(RecordError):
        decode_record(second)


@pytest.mark.parametrize("head", [b"", b"{", b"[]", b"null", b"\xff", b'{"version":1}', GOOD])
def test_lines_with_no_batch_before_them_are_refused_with_400(head: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode_lines(head + b"\n" + GOOD)
    assert (caught.value.status, bool(caught.value.fix)) == (400, True)


def test_lines_of_another_version_are_refused_with_409() -> None:
    with pytest.raises(RequestError) as caught:
        decode_lines(lines_of(PRODUCER, [GOOD]).replace(b'"version":1', b'"version":2'))
    assert caught.value.status == 409


@pytest.mark.parametrize("sign", [b",", b"\t"])
def test_lines_of_too_many_values_are_refused_with_413(sign: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        decode_lines(lines_of(PRODUCER, [sign * (MAX_COMMAS + 1)]))
    assert caught.value.status == 413
