"""Fewer points of a series, by every method, with what is no finite number kept and marked."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from query_engine.series_downsampling import LEAST, chosen

METHODS = ["lttb", "minmax", "every"]


@settings(deadline=None)
@given(st.data(), st.integers(0, 400), st.integers(LEAST, 60), st.sampled_from(METHODS))
def test_the_chosen_are_so_many_at_most_in_order_each_once(data, count, points, method):
    """Any numbers, the largest there are, and NaN and the infinities among them; steps that stand still or jump."""
    values = data.draw(arrays(np.float64, count, elements=st.floats()))
    gaps = data.draw(arrays(np.int64, count, elements=st.sampled_from([0, 0, 1, 10**6, 2**40])))
    x = np.cumsum(gaps) - 5
    found = chosen(x, values, points, method)
    assert len(found) <= points
    assert (np.diff(found) > 0).all()
    assert len(found) == 0 or (found[0] >= 0 and found[-1] < count)
    if count <= points:
        assert found.tolist() == list(range(count))
    strange = np.flatnonzero(~np.isfinite(values))
    if len(strange) <= points // 2:
        assert set(strange.tolist()) <= set(found.tolist())
    elif len(strange):
        kept = ~np.isfinite(values[found])
        assert kept.sum() >= points // 2
    finite = np.flatnonzero(np.isfinite(values))
    if len(finite):
        assert {finite[0], finite[-1]} <= set(found.tolist())


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("x", [np.zeros(1000, dtype=np.int64), np.arange(1000) * 10**15 + 2**60])
def test_steps_that_never_rise_and_times_far_away_are_taken(method, x):
    values = np.sin(np.arange(1000) / 20)
    found = chosen(x.astype(np.int64), values, 100, method)
    assert 50 <= len(found) <= 100


@pytest.mark.parametrize("method", ["lttb", "minmax"])
def test_a_peak_among_many_points_is_kept(method):
    values = np.zeros(100_000)
    values[77_777] = 1.0
    assert 77_777 in chosen(np.arange(100_000), values, 100, method)


def test_every_nth_point_has_equal_distances():
    found = chosen(np.arange(1001), np.arange(1001.0), 11, "every")
    assert found.tolist() == list(range(0, 1001, 100))


def test_a_nan_in_a_long_series_is_kept_with_all_its_neighbours_of_that_kind():
    values = np.ones(10_000)
    values[5000:5003] = [np.nan, np.inf, -np.inf]
    found = chosen(np.arange(10_000), values, 50, "lttb")
    assert {5000, 5001, 5002} <= set(found.tolist())
    assert len(found) == 50


def test_points_that_are_nearly_all_nan_leave_room_for_those_that_are_not():
    values = np.full(10_000, np.nan)
    values[::100] = 1.0
    found = chosen(np.arange(10_000), values, 100, "lttb")
    assert np.isfinite(values[found]).sum() == 50
    assert np.isnan(values[found]).sum() == 50
