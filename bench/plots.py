"""The plots of a report: points of measures as lines, and bars where there is no order along an axis. Pure."""

from __future__ import annotations

import math
import re
from xml.sax.saxutils import escape

from bench.measures import Measure
from pllib.line_plot import COLOURS, Line, svg

WIDTH, BAR, LABELS, TOP = 860, 22, 330, 56


def plots(measures: list[Measure]) -> dict[str, str]:
    """SVG by title of the plot, of all measures that have a point and a value."""
    drawn = [one for one in measures if one.point is not None and not math.isnan(one.value)]
    titles = dict.fromkeys(one.point.plot for one in drawn if one.point is not None)
    return {title: _plot(title, [one for one in drawn if one.point and one.point.plot == title]) for title in titles}


def file_name(title: str) -> str:
    """A plot's file."""
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")[:80] + ".svg"


def _plot(title: str, measures: list[Measure]) -> str:
    points = [(one.point, one) for one in measures if one.point is not None]
    unit = measures[0].unit
    if any(point.x is None for point, _ in points):
        return bars(title, unit, [(point.line, one.value, one.spread) for point, one in points])
    lines = []
    for name in dict.fromkeys(point.line for point, _ in points):
        own = sorted((point.x or 0.0, one.value) for point, one in points if point.line == name)
        lines.append(Line(name, [x for x, _ in own], [value for _, value in own]))
    return svg(lines, title, points[0][0].x_is, unit)


def bars(title: str, unit: str, rows: list[tuple[str, float, float]]) -> str:
    """Horizontal bars with their values; by the logarithm when the greatest is more than fifty times the least."""
    values = [value for _, value, _ in rows]
    positive = [value for value in values if value > 0]
    logarithmic = bool(positive) and max(positive) > 50 * min(positive) and unit != "%"
    height = TOP + len(rows) * BAR + 20
    scale = ", logarithmic" if logarithmic else ""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        f'<text x="{WIDTH / 2:g}" y="24" text-anchor="middle" font-size="15">{escape(f"{title} ({unit}{scale})")}</text>',
    ]
    for place, (name, value, spread) in enumerate(rows):
        length = _length(value, positive, logarithmic) * (WIDTH - LABELS - 130)
        top = TOP + place * BAR
        colour = COLOURS[0] if name.startswith("PLLib") else COLOURS[7]
        shown = escape(f"{value:.3g} ± {spread:.2g}")
        parts += [
            f'<text x="{LABELS - 8}" y="{top + 12}" text-anchor="end">{escape(name)}</text>',
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR - 6}" fill="{colour}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 12}">{shown}</text>',
        ]
    return "\n".join([*parts, "</svg>", ""])


def _length(value: float, positive: list[float], logarithmic: bool) -> float:
    """A bar's share of the width."""
    if value <= 0 or not positive:
        return 0.0
    if not logarithmic:
        return value / max(positive)
    least = math.log(min(positive) / 2)
    return (math.log(value) - least) / (math.log(max(positive)) - least)
