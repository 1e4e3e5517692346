"""Lines over steps or times: as one line of text for a terminal, and as SVG. Pure, and with nothing but the standard library.

Points that are NaN or infinite are no part of a line: it breaks there, and they are marked at the edge.
"""

from __future__ import annotations

import math
import re
from html import escape
from typing import Iterator, List, NamedTuple, Optional, Sequence, Tuple

WIDTH, HEIGHT = 860, 460
LEFT, RIGHT, TOP, BOTTOM = 80, 20, 44, 52
COLOURS = ("#1f6fb4", "#d1495b", "#2e933c", "#8e5ea2", "#e08e1b", "#16858c", "#6b4f3a", "#5b6670")
_BLOCKS, _ASCII = "▁▂▃▄▅▆▇█", "_.-~=+*#"
_FORBIDDEN = "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"
_LINE_HEIGHT = 16


class Line(NamedTuple):
    """One line: a name, and points in order; a value is ``None`` where there is nothing to draw."""

    name: str
    xs: Sequence[float]
    values: Sequence[Optional[float]]


def sparkline(values: Sequence[Optional[float]], width: int = 60, ascii_only: bool = False) -> str:
    """The course of values in so many characters; ``x`` where none of them is finite, a blank where there are none."""
    blocks = _ASCII if ascii_only else _BLOCKS
    finite = [value for value in values if value is not None and math.isfinite(value)]
    least, greatest = (min(finite), max(finite)) if finite else (0.0, 0.0)
    count = min(width, len(values))
    cells = []
    for place in range(count):
        part = values[place * len(values) // count : (place + 1) * len(values) // count]
        present = [value for value in part if value is not None]
        numbers = [value for value in present if math.isfinite(value)]
        if numbers:
            mean = sum(value / len(numbers) for value in numbers)
            cells.append(blocks[min(7, int(_share(mean, least, greatest) * 8))])
        else:
            cells.append("x" if present else " ")
    return "".join(cells)


def svg(lines: Sequence[Line], title: str, x_label: str, y_label: str) -> str:
    """The lines, with axes and a legend, as an SVG document."""
    xs = [x for line in lines for x in line.xs]
    values = [value for line in lines for value in line.values if value is not None and math.isfinite(value)]
    across, up = _range(xs), _range(values)
    legend = len(lines) * _LINE_HEIGHT if len(lines) > 1 else 0
    height = HEIGHT + legend
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}" '
        'font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>',
        _text(WIDTH / 2, 24, title, 'text-anchor="middle" font-size="15"'),
        *_axes(across, up),
        _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_label, 'text-anchor="middle"'),
        _text(16, HEIGHT / 2, y_label, f'text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2:g})"'),
    ]
    for place, line in enumerate(lines):
        colour = COLOURS[place % len(COLOURS)]
        parts += _drawn(line, across, up, colour)
        if legend:
            top = HEIGHT + place * _LINE_HEIGHT
            parts.append(f'<rect x="{LEFT}" y="{top - 6}" width="18" height="3" fill="{colour}"/>')
            parts.append(_text(LEFT + 24, top, line.name))
    return "\n".join([*parts, "</svg>", ""])


def _share(value: float, least: float, greatest: float) -> float:
    """Where a value is between two others, from 0 to 1; their distance may be more than a float can say."""
    span = greatest / 2 - least / 2
    return (value / 2 - least / 2) / span if span > 0 else 0.5


def _range(values: Sequence[float]) -> Tuple[float, float]:
    if not values:
        return 0.0, 1.0
    least, greatest = min(values), max(values)
    if least < greatest:
        return least, greatest
    margin = abs(least) * 0.05 or 0.5
    return least - margin, greatest + margin


def _x(value: float, across: Tuple[float, float]) -> float:
    return LEFT + _share(value, *across) * (WIDTH - LEFT - RIGHT)


def _y(value: float, up: Tuple[float, float]) -> float:
    return HEIGHT - BOTTOM - _share(value, *up) * (HEIGHT - TOP - BOTTOM)


def _ticks(least: float, greatest: float) -> List[float]:
    """Some five round numbers between two."""
    span = greatest / 2 - least / 2
    if not 0 < span < math.inf:
        return [least]
    power = math.floor(math.log10(span * 2 / 5)) if span * 2 / 5 < math.inf else 307
    unit = 10.0**power
    step = next((unit * factor for factor in (1, 2, 5) if span * 2 / (unit * factor) <= 6), unit * 10)
    first = math.ceil(least / step)
    found = [number * step for number in range(first, first + 8)] if abs(first) < 2**52 else [least, greatest]
    return [tick for tick in found if least <= tick <= greatest]


def _axes(across: Tuple[float, float], up: Tuple[float, float]) -> Iterator[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for tick in _ticks(*up):
        y = _y(tick, up)
        yield f'<line x1="{LEFT}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}" stroke="#e3e3e3"/>'
        yield _text(LEFT - 6, y + 4, f"{tick:.6g}", 'text-anchor="end"')
    for tick in _ticks(*across):
        x = _x(tick, across)
        yield f'<line x1="{x:.1f}" y1="{bottom}" x2="{x:.1f}" y2="{bottom + 4}" stroke="#333"/>'
        yield _text(x, bottom + 18, f"{tick:.10g}", 'text-anchor="middle"')
    yield f'<path d="M{LEFT} {TOP}V{bottom}H{right}" fill="none" stroke="#333"/>'


def _drawn(line: Line, across: Tuple[float, float], up: Tuple[float, float], colour: str) -> Iterator[str]:
    """The stretches of a line between points that are no number, single points, and marks for those at the edge."""
    for stretch in _stretches(line):
        if len(stretch) == 1:
            only, height = stretch[0]
            yield f'<circle cx="{_x(only, across):.1f}" cy="{_y(height, up):.1f}" r="2" fill="{colour}"/>'
        else:
            points = " ".join(f"{_x(x, across):.1f},{_y(y, up):.1f}" for x, y in stretch)
            yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
    for x, value in zip(line.xs, line.values):
        if value is not None and not math.isfinite(value):
            top = TOP + 4 if value > 0 else HEIGHT - BOTTOM
            name = "NaN" if math.isnan(value) else "∞" if value > 0 else "−∞"
            mark = "×" if math.isnan(value) else "▲" if value > 0 else "▼"
            place = f'<text x="{_x(x, across):.1f}" y="{top}" text-anchor="middle" fill="{colour}">'
            yield f"{place}{mark}<title>{name} at {x:.10g}</title></text>"


def _stretches(line: Line) -> Iterator[List[Tuple[float, float]]]:
    stretch: List[Tuple[float, float]] = []
    for x, value in zip(line.xs, line.values):
        if value is not None and math.isfinite(value):
            stretch.append((x, value))
        elif value is not None and stretch:  # where there is nothing, the line goes on
            yield stretch
            stretch = []
    if stretch:
        yield stretch


def _text(x: float, y: float, text: str, attributes: str = "") -> str:
    shown = escape(re.sub(_FORBIDDEN, "\ufffd", text))
    return f'<text x="{x:.1f}" y="{y:.1f}" {attributes}>{shown}</text>'
