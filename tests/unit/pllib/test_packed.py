"""Packed payloads and quick links: what is read is what JSON and one look-up a value would have made, to the last byte."""

from __future__ import annotations

import json
import math
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pllib import codec, encoding, frames, origins, packing, records, shapes, spool, spool_reader

FROZEN = Path(__file__).parent / "frozen" / "packed-v1.frames"
HEAD = '{"n":1,"op":"end"'
PRODUCER = "3f" + "0" * 30
FEW = [0.0, -0.0, 1.0, 0.5, 1e-7, 1e16, math.nan, math.inf, -math.inf]
names = st.text(min_size=1, max_size=6) | st.sampled_from(
    ["\t", "\x00", '"', "}}\t", "\\", "%s", "x\x7f", "é", "n" * 600]
)
floats = st.floats() | st.binary(min_size=8, max_size=8).map(lambda raw: struct.unpack("<d", raw)[0])
few = st.sampled_from(FEW)
mixed = few | st.sampled_from([0, 1, True, False, "a", None, 2**70])
mapping = (
    st.fixed_dictionaries({"x": few, "y": few})
    | st.fixed_dictionaries({"y": few, "x": few})
    | st.dictionaries(st.sampled_from(["x", "y", "z", "é", "", 7]), few, max_size=3)
    | st.dictionaries(st.sampled_from(["x", "y", "z"]), mixed, max_size=3)
)
Step = tuple[dict[Any, Any], dict[Any, Any], int]


@pytest.fixture(params=["standard library", "pllib[fast]"])
def codecs(request) -> Iterator[None]:
    before = packing._quickly
    packing.accelerate(codec.fast_float_texts() if request.param == "pllib[fast]" else None)
    yield
    packing.accelerate(before)


def table() -> origins.Origins:
    return origins.Origins("w/1", lambda data, _: str(data))


WHO = ("task", "w/1", "t/1", False)


def shape_of(values: dict[str, Any]) -> shapes.Shape | None:
    """As of names that were met before."""
    shapes.shape_of(values)
    return shapes.shape_of(values)


def read(made: records.Made) -> bytes:
    """The payload as whoever reads the file has it."""
    return packing.unpacked(made) if isinstance(made, bytes) else encoding.payload(*made)


def ends(known: origins.Origins, step: Step, quickly: bool) -> list[bytes]:
    """Payloads of a task's begin and end, which is said to be execution ``t/{number}``."""
    used, generated, number = step
    said = f"t/{number}"  # a text of its own each time
    begin = number, (5, 7), ("task", "w/1", said, False), "", "", None
    end = number, (5, 7), (6, 900), begin[2], "", "finished"
    if quickly:
        made = [records.begun(known, begin, used), records.ended(known, end, {}, generated)]
        return [read(each) for each in made]
    return [
        encoding.standard_payload(records.begin_head(*begin), records.parts_of(known, used)),
        encoding.standard_payload(records.end_head(*end), records.parts_of(known, {}, generated, said)),
    ]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(mapping, mapping, st.integers(1, 9)), max_size=12), st.integers(2, 30))
@example(
    [({}, {"x": 1.0}, 1), ({"x": 1}, {}, 2), ({"x": True}, {}, 3), ({"x": 1.0}, {"x": 1.0}, 4), ({"x": 1.0}, {}, 5)], 30
)
@example([({}, {"x": 0.0, "y": math.nan}, 1), ({"x": -0.0, "y": FEW[6]}, {}, 2), ({"y": FEW[6], "x": 0.0}, {}, 3)], 30)
@example([({}, {"x": 0.5}, 1), ({}, {"x": 0.5}, 1), ({"x": 0.5}, {}, 2)], 30)
def test_records_are_those_of_one_look_up_a_value(codecs, steps, most):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(origins, "MAX_REMEMBERED", most)
        patch.setattr(origins, "MAX_RECENT", 3)
        quick, slow = table(), table()
        for step in steps:
            assert ends(quick, step, True) == ends(slow, step, False)


@given(st.dictionaries(names, floats, min_size=1, max_size=12))
@example({"x": 5e-324, "y": 1.7976931348623157e308, "z": 1e22})
@example({"x": 1.7976931348623157e308, "y": 1.7976931348623157e308})  # whose sum is infinite
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_packed_floats_are_read_as_the_json_they_stand_for(codecs, values):
    shape = shape_of(values)
    plain = all(len(name) <= 500 and name.isascii() for name in values)
    assert (shape is not None) == plain
    if shape is not None:
        packed = shapes.packed(HEAD, "generated", shape, tuple(values.values()))
        assert b"\n" not in packed
        assert packed.isascii()
        assert packing.unpacked(packed) == encoding.standard_payload(HEAD, {"generated": values})


def test_floats_are_packed_and_a_chain_takes_one_look_up():
    """Else the tests above would show nothing."""
    known = table()
    shape = shape_of({"x": 0, "y": 0})
    made = records.ended(known, (1, (5, 7), (6, 9), WHO, "", "finished"), {}, {"x": 0.1, "y": 0.2})
    assert isinstance(made, bytes)
    assert b"0.1" not in made
    assert shape is not None
    assert known.maker(shape, (0.1, 0.2)) == "t/1"
    known.generated({"x": 0.1}, "t/2")
    assert known.maker(shape, (0.1, 0.2)) is None


def test_equal_floats_of_many_threads_are_all_remembered():
    known = table()
    shape = shape_of({"x": 0, "y": 0})
    assert shape is not None
    values = [(n / 7, n / 3) for n in range(300)]
    start = threading.Barrier(4)

    def generate(number: int) -> None:
        start.wait(10)
        for each in values:
            known.remember(shape, each, f"t/{number}")

    threads = [threading.Thread(target=generate, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for x, y in values:
        assert known.maker(shape, (x, y)) is None
        found, links = known.used({"x": x, "y": y})
        assert not links
        assert {identifier for identifier, _ in found["x"]["of"]} == {f"t/{number}" for number in range(4)}


def test_names_that_change_take_little_memory():
    before = len(shapes._met), len(shapes._shapes)
    for n in range(3000):
        assert shapes.shape_of({f"loss {n} of many": 0}) is None
    assert len(shapes._met) <= shapes.MOST
    assert len(shapes._shapes) == before[1]
    for n in range(300):
        assert shape_of({f"{k} of {n}": 0 for k in range(1000)})
        assert shape_of({f"{k} of {n}": 0 for k in range(1001)}) is None
    assert sum(len(shape.blank) for shape in shapes._shapes.values()) <= shapes.MOST_HELD + 30_000


def test_files_of_this_form_stay_readable():
    """As written by the first release that packs, beside lines of those before it."""
    found = [json.loads(frame.payload or b"null") for frame in frames.decode(FROZEN.read_bytes())]
    assert found == [
        {"n": 1, "generated": {"x": 0.1}},
        {"n": 2, "generated": {"x": 0.1, "a\tb": {"$": "float", "v": "-INF"}, "z": 5e-324}},
        {"n": 3, "links": {"t/1": ["x"]}},
    ]


def test_no_cut_and_no_flipped_bit_gives_other_floats():
    shape = shape_of({"x": 0})
    assert shape is not None
    written = [shapes.packed(HEAD, "generated", shape, (value,)) for value in (0.1, 0.2)]
    first = frames.encode(written[0])
    whole = first + frames.encode(written[1])
    expected = [packing.unpacked(payload) for payload in written]
    for cut in range(len(whole)):
        assert [frame.payload for frame in frames.decode(whole[:cut])] == expected[: cut >= len(first)]
    for bit in range((len(first) - 1) * 8):
        damaged = bytearray(whole)
        damaged[bit // 8] ^= 1 << bit % 8
        found = [frame.payload for frame in frames.decode(bytes(damaged)) if frame.payload is not None]
        assert found[-1] == expected[1]
        assert set(found) <= set(expected)


def test_a_batch_of_packed_records_keeps_its_bound(tmp_path):
    sink = spool.SpoolWriter(str(tmp_path), PRODUCER, 10**6, 10**7)
    values = {f"x{n}": n / 7 for n in range(10)}
    shape = shape_of(values)
    assert shape is not None
    packed = shapes.packed(HEAD, "generated", shape, tuple(values.values()))
    for _ in range(300):
        sink.offer(packed)
    size = len(packed)
    reader = spool_reader.SpoolReader(str(tmp_path), PRODUCER)
    taken = 0
    while batch := reader.take(1000, 20 * size):
        assert len(batch.payloads) <= 20
        taken += len(batch.payloads)
        reader.done(batch)
    assert taken == 300
    sink.close()
