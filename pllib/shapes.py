"""The names that a script gives its values, the same ones in thousands of records: what is known of each set of them."""

from __future__ import annotations

import struct
from binascii import b2a_base64
from typing import Any, Dict, List, Mapping, Optional, Set, Tuple

from .encoding import dumps
from .values import MAX_NAME

MOST = 1000
"""Sets of names that are remembered."""
MOST_NAMES = 1000
MOST_TEXT = 30_000
"""Characters of the names of a set that is remembered."""
MOST_HELD = 300_000
"""About so many of all sets."""

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
        self.pack = struct.Struct(f"<{len(names)}d").pack

    def bytes_held(self) -> int:
        """About how much memory it takes."""
        return 600 + 2 * len(self.blank) + 90 * len(self.names)


_shapes: Dict[Tuple[Any, ...], Shape] = {}
_met: Set[int] = set()  # hashes of sets of names that came once: many come no second time
known = _shapes.get
"""What is known of these names, a tuple, by now."""


def shape_of(given: Mapping[str, Any]) -> Optional[Shape]:
    """What is known of the names of these values; ``None`` where they come for the first time, are not plain, or are too many."""
    names = tuple(given)
    return known(names) or learned(names)


def learned(names: Tuple[Any, ...]) -> Optional[Shape]:
    """What there is to know of names that are met again."""
    known = hash(names)
    if known not in _met:
        if len(_met) >= MOST:
            _met.clear()
        _met.add(known)
        return None
    if not _plain(names):
        return None
    found = Shape(names)
    if len(_shapes) >= MOST or sum([len(shape.blank) for shape in list(_shapes.values())]) > MOST_HELD:
        _shapes.clear()
    _shapes[names] = found
    return found


def _plain(names: Tuple[Any, ...]) -> bool:
    """Whether these are names that go on the wire as they are."""
    if not 0 < len(names) <= MOST_NAMES or not all(type(name) is str and 0 < len(name) <= MAX_NAME for name in names):
        return False
    return sum(map(len, names)) <= MOST_TEXT and "".join(names).isascii()


def packed(head: str, field: str, shape: Shape, floats: Tuple[float, ...]) -> bytes:
    """The packed payload (see ``packing``) of a record whose last field is an object of floats.

    Args:
        head: JSON text that was begun.
    """
    text = f'{head},"{field}":{shape.blank}}}'
    return b"%b\t%b" % (text.encode("ascii"), b2a_base64(shape.pack(*floats), newline=False))
