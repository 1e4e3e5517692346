"""Medians, spreads and ratios: what every module of the bench gives, and the table they are shown in.

A module gives ``list[Measure]``. Where a measure belongs is said by its optional parts: the row of the reach table that it
answers (``reach``), its place in a table of who does what how well (``cell``), its place in a plot (``point``).
"""

from __future__ import annotations

import math
import statistics
from typing import NamedTuple


class Cell(NamedTuple):
    """A place in a table: in which, beside whom, under what."""

    table: str
    row: str
    column: str


class Point(NamedTuple):
    """A place in a plot: in which, on which line, how far along. With no ``x`` the line's name is a bar."""

    plot: str
    line: str
    x: float | None = None
    x_is: str = ""


class Measure(NamedTuple):
    """One figure beside its floor, both measured in turn in the same run.

    ``value`` and ``floor`` are medians in ``unit``; ``spread`` is the half distance of the quartiles of the value. A value
    that is NaN could not be had; ``note`` says why.
    """

    what: str
    value: float
    unit: str
    floor_is: str
    floor: float | None
    spread: float
    aim: str
    reach: str = ""
    """A key of ``bench.reach.ROWS``."""
    reached: bool | None = None
    cell: Cell | None = None
    point: Point | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        return self.value / self.floor if self.floor else None


def measure(
    what: str, samples: list[float], unit: str, aim: str, floor_is: str = "", floors: list[float] | None = None
) -> Measure:
    """A measure from samples of the thing and of its floor."""
    quartiles = statistics.quantiles(samples, n=4) if len(samples) > 3 else [min(samples), 0, max(samples)]
    floor = statistics.median(floors) if floors else None
    return Measure(what, statistics.median(samples), unit, floor_is, floor, (quartiles[2] - quartiles[0]) / 2, aim)


def missing(what: str, why: str, cell: Cell | None = None) -> Measure:
    """What could not be measured, and why."""
    return Measure(what, math.nan, "", "", None, 0.0, "–", cell=cell, note=why)


def table(measures: list[Measure]) -> str:
    """Markdown."""
    lines = ["| what | median | spread | floor in the same run | ratio | aim |", "|---|---|---|---|---|---|"]
    for one in measures:
        if math.isnan(one.value):
            lines.append(f"| {one.what} | missing: {one.note} | – | – | – | {one.aim} |")
            continue
        floor = f"{one.floor:.3g} {one.unit}: {one.floor_is}" if one.floor is not None else "–"
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else "–"
        lines.append(
            f"| {one.what} | {one.value:.4g} {one.unit} | ± {one.spread:.2g} | {floor} | {ratio} | {one.aim} |"
        )
    return "\n".join(lines)
