"""The names that a script gives its values, the same ones in thousands of records: what is known of each set of them."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, Optional, Tuple

from . import frames
from .encoding import dumps
from .values import MAX_NAME

MOST = 1000
"""Sets of names that are remembered."""
MOST_NAMES = 1000
MOST_TEXT = 30_000
"""Characters of the names of a set that is remembered."""

FLOATS = frozenset((float,))


class Shape:
    """A set of names in its order, all of which are text that is fit for the wire.

    Attributes:
        listed: the names as a JSON array.
        blank: a JSON object of these names, with a tab as the value of each.
        pack: makes one bytes of as many floats.
    """

    __slots__ = ("blank", "listed", "names", "pack")

    def __init__(self, names: Tuple[str, ...]) -> None:
        self.names: List[str] = list(names)
        self.listed = dumps(self.names)
        self.blank = "{" + ",".join([f"{dumps(name)}:\t" for name in names]) + "}"
        self.pack = frames.packer(len(names))


_shapes: Dict[Tuple[Any, ...], Shape] = {}


def shape_of(given: Mapping[str, Any]) -> Optional[Shape]:
    """What is known of the names of these values; ``None`` where they are not plain, or too much to be remembered."""
    names = tuple(given)
    found = _shapes.get(names)
    if found is None and _plain(names):
        if len(_shapes) >= MOST:
            _shapes.clear()
        found = _shapes[names] = Shape(names)
    return found


def _plain(names: Tuple[Any, ...]) -> bool:
    """Whether these are names that go on the wire as they are."""
    if not 0 < len(names) <= MOST_NAMES or not all(type(name) is str and 0 < len(name) <= MAX_NAME for name in names):
        return False
    return sum(map(len, names)) <= MOST_TEXT and "".join(names).isascii()


def packed(head: str, field: str, shape: Shape, floats: Tuple[float, ...]) -> bytes:
    """The packed payload of a record whose last field is an object of floats.

    Args:
        head: JSON text that was begun.
    """
    return frames.packed(f'{head},"{field}":{shape.blank}}}', shape.pack(*floats))
