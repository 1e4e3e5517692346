"""Series of several runs side by side, by step. Pure.

While all series together have no more different steps than are asked for, each of these is a row; else equally wide
stretches of steps are. A row has for each series the mean, the least and the greatest of its finite points there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional, Sequence

import numpy as np

from query_engine.series_points import Integers, Numbers, Points, text_of


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One series in the rows of an alignment; NaN where it has no finite point.

    Attributes:
        count: how many points there are in each row, finite or not.
        worst: where no point is finite: NaN if one is NaN, else an infinity.
    """

    mean: Numbers
    least: Numbers
    greatest: Numbers
    count: Integers
    worst: Numbers

    def cells(self, column: Numbers) -> list[Any]:
        """A column as JSON can say it: null where the series has no point."""
        found: list[Any] = column.tolist()
        for place in np.flatnonzero(~np.isfinite(column)):
            found[place] = text_of(self.worst[place]) if self.count[place] else None
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Alignment:
    """Rows by step.

    Attributes:
        width: how many steps a row is wide; ``None`` where each row is one step.
        steps: the (first) step of each row.
    """

    width: Optional[int]
    steps: Integers
    columns: Sequence[Column]


def align(series: Sequence[Points], rows: int) -> Alignment:
    """The series side by side, in at most so many rows."""
    steps = np.unique(np.concatenate([np.unique(points.steps) for points in series]))
    if len(steps) <= rows:
        columns = [_column(points.values, np.searchsorted(steps, points.steps), len(steps)) for points in series]
        return Alignment(None, steps, columns)
    first = int(steps[0])
    width = -(-(int(steps[-1]) - first + 1) // rows)
    filled = np.unique((steps - first) // width)
    columns = [
        _column(points.values, np.searchsorted(filled, (points.steps - first) // width), len(filled))
        for points in series
    ]
    return Alignment(width, first + filled * width, columns)


def _column(values: Numbers, places: Integers, rows: int) -> Column:
    finite = np.isfinite(values)
    inside, numbers = places[finite], values[finite]
    least, greatest = np.full(rows, np.inf), np.full(rows, -np.inf)
    np.minimum.at(least, inside, numbers)
    np.maximum.at(greatest, inside, numbers)
    counts = np.bincount(inside, minlength=rows)
    # By parts of the count, since the sum of the largest numbers overflows.
    mean = np.bincount(inside, weights=numbers / counts[inside], minlength=rows).astype(np.float64)
    mean = np.clip(mean, np.minimum(least, greatest), np.maximum(least, greatest))
    empty = counts == 0
    for column in (mean, least, greatest):
        column[empty] = np.nan
    worst = np.zeros(rows)
    with np.errstate(invalid="ignore"):  # NaN, and both infinities, make NaN
        np.add.at(worst, places[~finite], values[~finite])
    return Column(mean, least, greatest, np.bincount(places, minlength=rows), worst)
