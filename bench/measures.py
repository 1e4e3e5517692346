"""Medians, spreads and ratios, and the table they are shown in."""

from __future__ import annotations

import statistics
from typing import NamedTuple


class Measure(NamedTuple):
    """One figure beside its floor, both measured in turn in the same run.

    ``value`` and ``floor`` are medians in ``unit``; ``spread`` is the half distance of the quartiles of the value.
    """

    what: str
    value: float
    unit: str
    floor_is: str
    floor: float | None
    spread: float
    aim: str

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


def table(measures: list[Measure]) -> str:
    """Markdown."""
    lines = ["| what | median | spread | floor in the same run | ratio | aim |", "|---|---|---|---|---|---|"]
    for one in measures:
        floor = f"{one.floor:.3g} {one.unit}: {one.floor_is}" if one.floor is not None else "–"
        ratio = f"{one.ratio:.2f}" if one.ratio is not None else "–"
        lines.append(
            f"| {one.what} | {one.value:.4g} {one.unit} | ± {one.spread:.2g} | {floor} | {ratio} | {one.aim} |"
        )
    return "\n".join(lines)
