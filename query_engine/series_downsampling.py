"""Fewer points that look the same: positions of the points of a series that are worth keeping. Pure.

Points that are no finite number have no place in a drawing's area or extremes, so they are chosen apart: all of them
where they take at most half of what may be kept, else so many at equal distances. How many there are is always told.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping

import numpy as np
from tsdownsample import LTTBDownsampler, MinMaxDownsampler

from query_engine.series_points import Integers, Numbers

LEAST = 10
"""Fewest points that can be asked for: every method then has room for what it needs."""

_LTTB: Any = LTTBDownsampler()  # type: ignore[no-untyped-call]
_MINMAX: Any = MinMaxDownsampler()  # type: ignore[no-untyped-call]


def chosen(x: Integers, values: Numbers, points: int, method: str) -> Integers:
    """Positions of at most ``points`` points, in order; all of them where there are no more.

    Args:
        x: steps or times, which never fall.
        points: at least :data:`LEAST`.
        method: ``lttb`` (largest triangle, three buckets: the line looks the same), ``minmax`` (the least and the
            greatest of each so many points: no peak is lost), ``every`` (every n-th).
    """
    if len(values) <= points:
        return np.arange(len(values), dtype=np.int64)
    finite = np.isfinite(values)
    others = np.flatnonzero(~finite).astype(np.int64)
    others = others[_every(len(others), max(points // 2, points - int(finite.sum())))]
    places = np.flatnonzero(finite).astype(np.int64)
    room = points - len(others)
    if len(places) > room:
        # To floats only after the first is taken off: times in microseconds are near the end of what floats count.
        distance = (x[places] - x[places[0]]).astype(np.float64)
        places = places[METHODS[method](distance, values[places], room)]
    return np.sort(np.concatenate([places, others]))


def _every(count: int, most: int) -> Integers:
    """Positions at equal distances, the first and the last among them."""
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.linspace(0, count - 1, most).round().astype(np.int64)


def _lttb(x: Numbers, values: Numbers, most: int) -> Integers:
    # Areas of the largest numbers overflow; a scale changes no comparison of areas.
    scale = float(np.abs(values).max()) or 1.0
    places: Integers = _LTTB.downsample(x, values / scale, n_out=most).astype(np.int64)
    return places


def _minmax(x: Numbers, values: Numbers, most: int) -> Integers:
    # Without x: in stretches of equal width some would be empty, and the library breaks off where x never rises.
    places: Integers = _MINMAX.downsample(values, n_out=most - most % 2 - 2).astype(np.int64)
    return np.unique(np.concatenate([[0], places, [len(values) - 1]]))


def _nth(x: Numbers, values: Numbers, most: int) -> Integers:
    return _every(len(values), most)


METHODS: Mapping[str, Callable[[Numbers, Numbers, int], Integers]] = {
    "lttb": _lttb,
    "minmax": _minmax,
    "every": _nth,
}
