"""Chunks of a series decoded, put together and put in order, whatever order and overlap they come in."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query_engine.series_points import Chunk, NoChunk, Points, Window, decode, merge, ordered

STEPS = st.integers(-(2**53) + 1, 2**53 - 1)
TIMES = st.integers(-(2**50), 2**52)
VALUES = st.one_of(st.floats(), st.integers(-(2**53), 2**53))
Point = tuple[int, int, float]
POINTS = st.lists(st.tuples(STEPS, TIMES, VALUES), max_size=60)


def number(value: float) -> float | str:
    """A value as a chunk says it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "INF" if value > 0 else "-INF"


def differences(numbers: list[int]) -> list[int]:
    return [later - earlier for earlier, later in zip([0, *numbers], numbers, strict=False)]


def text(points: list[Point], by: str = "p", first: int = 0, rank: int | None = None) -> bytes:
    """Points as a chunk."""
    said: dict[str, object] = {"by": by, "first": first}
    if rank is not None:
        said["rank"] = rank
    said["steps"] = differences([point[0] for point in points])
    said["times"] = differences([point[1] for point in points])
    said["values"] = [number(point[2]) for point in points]
    return json.dumps(said, separators=(",", ":")).encode()


def one(chunk: bytes) -> Chunk:
    return decode([chunk])[0]


def same(found: float, value: float) -> bool:
    return found == value or (math.isnan(found) and math.isnan(value))


def columns(points: Points) -> list[tuple[int, int, str]]:
    """The points as they can be compared: what is not equal to itself as text."""
    rows = zip(points.steps.tolist(), points.times.tolist(), points.values.tolist(), strict=True)
    return [(step, time, repr(float(value))) for step, time, value in rows]


@settings(deadline=None)
@given(POINTS.filter(bool), st.integers(0, 10**9), st.none() | st.integers(0, 5000))
def test_a_chunk_says_what_was_measured(points, first, rank):
    chunk = one(text(points, "9f", first, rank))
    assert (chunk.producer, chunk.first) == (("9f", rank), first)
    assert chunk.steps.tolist() == [step for step, _, _ in points]
    assert chunk.times.tolist() == [time for _, time, _ in points]
    assert all(same(found, value) for found, (_, _, value) in zip(chunk.values.tolist(), points, strict=True))


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"[]",
        b"{}",
        b"null",
        b'{"by":"p","first":0,"steps":[1],"times":[1],"values":[1,2]}',
        b'{"by":"p","first":0,"steps":[1],"times":[1],"values":[[1]]}',
        b'{"by":"p","first":0,"steps":[1e400],"times":[1],"values":[1]}',
        b'{"by":"p","first":0,"steps":[99999999999999999999],"times":[1],"values":[1]}',
        b'{"by":"p","first":0,"steps":["x"],"times":[1],"values":[1]}',
        b'{"by":"p","first":0,"steps":[1],"times":[1],"values":["many"]}',
        b'{"by":"p","first":null,"steps":[1],"times":[1],"values":[1]}',
        b'{"by":"p","first":0,"steps":[1],"times":[1],"values":{"a":1}}',
    ],
)
def test_what_is_no_chunk_is_said_to_be_none(broken):
    with pytest.raises(NoChunk):
        decode([text([(1, 1, 1.0)]), broken])


@settings(deadline=None)
@given(st.lists(POINTS.filter(bool), max_size=20))
def test_many_chunks_are_decoded_at_once_each_as_by_itself(chunks):
    texts = [text(points, f"p{place}", place) for place, points in enumerate(chunks)]
    for found, alone in zip(decode(texts), map(one, texts), strict=True):
        assert (found.producer, found.first) == (alone.producer, alone.first)
        assert found.steps.tolist() == alone.steps.tolist()
        assert found.times.tolist() == alone.times.tolist()
        assert repr(found.values.tolist()) == repr(alone.values.tolist())


@settings(deadline=None)
@given(st.data(), st.lists(POINTS, min_size=1, max_size=4))
def test_each_point_counts_once_whatever_chunks_bring_it(data, producers):
    """Chunks that overlap, repeat and come in any order give each producer's points once, in order."""
    chunks = []
    for place, points in enumerate(producers):
        cuts = data.draw(st.lists(st.tuples(st.integers(0, len(points)), st.integers(0, len(points))), max_size=6))
        everything = [(at, at + 7) for at in range(0, len(points), 7)]
        for begin, end in [*everything, *cuts]:
            if points[begin:end]:
                chunks.append(one(text(points[begin:end], f"p{place}", begin, place)))
    found = merge(data.draw(st.permutations(chunks)))
    expected = [(step, time, repr(float(value))) for points in producers for step, time, value in points]
    assert columns(found) == expected
    assert [found.producers[source].rank for source in found.sources] == [
        place for place, points in enumerate(producers) for _ in points
    ]


def test_a_hole_that_is_still_on_its_way_leaves_out_only_what_is_missing():
    points = [(step, step, float(step)) for step in range(9)]
    found = merge([one(text(points[6:], first=6)), one(text(points[:3]))])
    assert found.steps.tolist() == [0, 1, 2, 6, 7, 8]


@settings(deadline=None)
@given(POINTS, st.sampled_from(["step", "time"]))
def test_points_are_ordered_by_what_is_asked_for_and_the_last_is_the_latest(points, axis):
    found = ordered(merge([one(text(points))] if points else []), axis)
    key = (lambda point: point[:2]) if axis == "step" else (lambda point: (point[1], point[0]))
    assert columns(found) == [(step, time, repr(float(value))) for step, time, value in sorted(points, key=key)]
    assert len(found) == len(points)


@settings(deadline=None)
@given(POINTS.filter(bool), st.none() | STEPS, st.none() | STEPS, st.none() | TIMES, st.none() | TIMES)
def test_a_window_has_the_points_between_its_bounds(points, from_step, to_step, from_time, to_time):
    window = Window(from_step, to_step, from_time, to_time)
    chunk = one(text(points))
    inside = [
        step
        for step, time, _ in points
        if (from_step is None or step >= from_step)
        and (to_step is None or step <= to_step)
        and (from_time is None or time >= from_time)
        and (to_time is None or time < to_time)
    ]
    assert window.of(merge([chunk])).steps.tolist() == inside
    assert window.meets(chunk) is bool(inside)


def test_a_window_of_one_rank_leaves_out_the_others():
    of_rank = {rank: one(text([(1, 1, 1.0)], f"p{rank}", rank=rank)) for rank in (0, 3, None)}
    assert [rank for rank, chunk in of_rank.items() if Window(rank=3).meets(chunk)] == [3]


def test_a_million_points_in_order_are_not_sorted_again():
    steps = np.arange(1_000_000)
    chunk = Chunk(one(text([(0, 0, 0.0)])).producer, 0, steps, steps, steps.astype(np.float64))
    points = merge([chunk])
    assert ordered(points, "step") is points
