"""Series side by side by step, row by row against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from query_engine.series_alignment import align
from query_engine.series_points import Points, Producer

SERIES = st.lists(
    st.lists(st.tuples(st.integers(-300, 300) | st.integers(-(2**53) + 1, 2**53 - 1), st.floats()), max_size=40),
    min_size=1,
    max_size=4,
)


def made(points: list[tuple[int, float]]) -> Points:
    steps = np.array([step for step, _ in points], dtype=np.int64)
    values = np.array([value for _, value in points], dtype=np.float64)
    return Points(steps, steps, values, np.zeros(len(points), dtype=np.int64), (Producer("p", None),))


def worst(values: list[float]) -> str:
    kinds = set(values)
    if len(kinds) > 1 or any(math.isnan(value) for value in values):
        return "NaN"
    return "INF" if values[0] > 0 else "-INF"


@settings(deadline=None)
@given(SERIES, st.integers(1, 50))
def test_each_row_says_of_each_series_what_is_in_it(series, rows):
    found = align([made(points) for points in series], rows)
    width = found.width or 1
    assert len(found.steps) <= rows
    every = sorted({step for points in series for step, _ in points})
    assert (found.width is None) == (len(every) <= rows)
    assert all(any(begin <= step < begin + width for step in every) for begin in found.steps.tolist())
    for points, column in zip(series, found.columns, strict=True):
        means, least, greatest = (column.cells(each) for each in (column.mean, column.least, column.greatest))
        assert sum(column.count.tolist()) == len(points)
        for row, begin in enumerate(found.steps.tolist()):
            inside = [value for step, value in points if begin <= step < begin + width]
            finite = [value for value in inside if math.isfinite(value)]
            if finite:
                assert (least[row], greatest[row]) == (min(finite), max(finite))
                assert min(finite) <= means[row] <= max(finite)
                parts = math.fsum(value / len(finite) for value in finite)
                assert means[row] == pytest.approx(parts, rel=1e-9, abs=max(map(abs, finite)) * 1e-12)
            else:
                assert {means[row], least[row], greatest[row]} == {worst(inside) if inside else None}


def test_steps_are_rows_while_there_is_room_and_buckets_of_one_width_after():
    first, second = made([(step, 1.0) for step in range(0, 100, 2)]), made([(99, 5.0)])
    assert align([first, second], 51).width is None
    found = align([first, second], 10)
    assert (found.width, found.steps.tolist()) == (10, list(range(0, 100, 10)))
    assert found.columns[1].cells(found.columns[1].mean) == [None] * 9 + [5.0]


def test_series_with_no_points_have_no_rows():
    found = align([made([]), made([])], 10)
    assert (found.width, found.steps.tolist()) == (None, [])
