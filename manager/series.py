"""Points of series: checked, as literals, and what they come to. Pure functions."""

from __future__ import annotations

from itertools import accumulate

import msgspec

from pllib.provml.settled import Extent, extent

from .documents import Points
from .errors import DocumentError
from .terms import json_literal_of_plain, time_literal

MOST = 2**53
"""Integers below it are the same number to every reader of JSON."""

_encoder = msgspec.json.Encoder()


def points_literal(points: Points) -> str:
    """The ``rdf:JSON`` literal of points: canonical, so that the same points are the same literal."""
    return json_literal_of_plain(_encoder.encode(points).decode())


def check_points(points: Points, field: str) -> None:
    """Checks what the types of the fields cannot say.

    Raises:
        DocumentError: lists of different lengths, a step beyond 2^53, a time beyond the years 1 to 9999.
    """
    if not len(points.steps) == len(points.times) == len(points.values):
        told = f"{len(points.steps)} steps, {len(points.times)} times and {len(points.values)} values"
        raise DocumentError(f"{field}.values", told, "give one of each for every point")
    steps = [*accumulate(points.steps)]
    if not (min(steps) > -MOST and max(steps) < MOST):
        raise DocumentError(f"{field}.steps", "a step beyond 2^53", "give each step less the one before it")
    times = [*accumulate(points.times)]
    time_literal(min(times), f"{field}.times")
    time_literal(max(times), f"{field}.times")


def extent_of(points: Points) -> Extent:
    """What points that were checked come to."""
    steps, times = [*accumulate(points.steps)], [*accumulate(points.times)]
    return extent(points.by, points.first, steps, times, points.values)
