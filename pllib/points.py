"""Points of series: a value, a step and a time as text, and the fields that many of them make in a record. Pure functions."""

from __future__ import annotations

import math
from operator import index, sub
from typing import Any, Iterator, List, Sequence, Tuple

from .errors import CaptureError

Point = Tuple[int, int, int, str]
"""Index in the producer's series, step, time (microseconds since 1970), and the value as JSON text."""

MAX_POINTS = 1000
"""Points in a record."""
EXACT = 2**53
"""Beyond this not every integer is a float."""


def value_text(value: Any) -> str:
    """A point's value as JSON text: a number, or ``"NaN"``, ``"INF"``, ``"-INF"``.

    Args:
        value: a number, or what has one: numpy's scalars, tensors of one element, ``Decimal``, ``Fraction``.

    Raises:
        CaptureError: it is no number.
    """
    kind = type(value)
    if kind is not float and kind is not int:
        value = _number(value)
    if type(value) is int:
        if -EXACT <= value <= EXACT:
            return str(value)
        value = _nearest(value)
    if math.isfinite(value):
        return repr(value)
    return '"NaN"' if value != value else '"INF"' if value > 0 else '"-INF"'


def _number(value: Any, field: str = "value") -> Any:
    """The Python number that a thing stands for; ``field``: what of a point it is."""
    found = value
    try:
        if hasattr(type(value), "item"):
            found = value.item()
        if isinstance(found, int):
            return int(found)
        if hasattr(type(found), "__float__") and not hasattr(type(found), "encode"):
            return float(found)
    except (TypeError, ValueError, ArithmeticError, RuntimeError) as error:
        raise CaptureError(f"a point's {field} is one number, not {_shown(value)}: {error}") from error
    raise CaptureError(f"a point's {field} is a number, not {_shown(value)}")


def _nearest(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def step_of(step: Any) -> int:
    """A step as a whole number.

    Raises:
        CaptureError: it is none, or beyond ±2^53.
    """
    try:
        found = index(step)
    except TypeError:
        number = _number(step, "step")
        if type(number) is float and not number.is_integer():
            raise CaptureError(f"a step is a whole number, not {_shown(step)}") from None
        found = int(number)
    if not -EXACT < found < EXACT:
        raise CaptureError(f"a step lies between -2^53 and 2^53; this is {_shown(step)}")
    return found


def time_of(time: Any) -> int:
    """A time in microseconds since 1970 as a whole number.

    Raises:
        CaptureError: it is none.
    """
    number = _number(time, "time")
    if not math.isfinite(number) or not -EXACT < number < EXACT:
        raise CaptureError(f"a point's time is in microseconds since 1970, not {_shown(time)}")
    return int(number)


def _shown(value: Any) -> str:
    return f"{value!r:.80}" if type(value) in (str, bytes, int, float, list) else f"a {type(value).__qualname__}"


def fields(points: Sequence[Point]) -> str:
    """The fields of a record that hold points whose indexes follow each other: steps and times each less the one before."""
    indexes, steps, times, texts = zip(*points)
    return f'"first":{indexes[0]},"steps":[{_differences(steps)}],"times":[{_differences(times)}],"values":[{",".join(texts)}]'


def _differences(numbers: Sequence[int]) -> str:
    return ",".join(map(str, [numbers[0], *map(sub, numbers[1:], numbers)]))


def runs(points: List[Point], most: int = MAX_POINTS) -> Iterator[List[Point]]:
    """Points in parts that records may hold: indexes follow each other, at most so many.

    There are holes where points were dropped, or where a signal's handler logged in the middle of another call.
    """
    points.sort()
    start = 0
    while start < len(points):
        # Indexes are unique, so where so many points have indexes so far apart there is no hole.
        end = min(start + most, len(points))
        if points[end - 1][0] - points[start][0] != end - 1 - start:
            end = next(place for place in range(start + 1, end) if points[place][0] != points[place - 1][0] + 1)
        yield points[start:end]
        start = end
