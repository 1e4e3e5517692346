"""Packed payloads: how records lie in spool files and go to trackers, both of which take JSON, too.

The shortest text of a float takes long to find. So the text of a record, its *payload*, may be *packed*: its floats are then
tabs, which JSON has none of, and stand behind one more tab, in their order: each as 8 bytes (IEEE 754, little endian), all
together in base64. ``unpacked`` gives the JSON, to whoever needs it: a tracker takes payloads as they are.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64
from math import isfinite
from typing import Callable, List, Optional, Tuple

JSON, LINES = "application/json", "application/x-pllib-lines"
"""Media types of a batch: as JSON, or its records on lines of their own, packed or not. A tracker that takes lines says so in
``Accept-Post`` (https://www.w3.org/TR/ldp/#header-accept-post)."""
NO_NUMBERS = {
    text: b'{"$":"float","v":"%b"}' % name for text, name in (("nan", b"NaN"), ("inf", b"INF"), ("-inf", b"-INF"))
}
FloatTexts = Callable[[Tuple[float, ...]], Optional[List[bytes]]]
PACKED = b"}}\t"
"""How the text of a packed payload ends, and no JSON goes on."""


def unpacked(payload: bytes, quickly: Optional[FloatTexts] = None) -> bytes:
    """The JSON of a payload, which may be packed.

    Args:
        quickly: makes the texts of floats; else as ``accelerate`` says.
    """
    if PACKED not in payload:
        return payload
    text, _, encoded = payload.rpartition(b"\t")
    try:
        raw = a2b_base64(encoded)
        if not raw:
            return payload
        floats = struct.unpack(f"<{len(raw) // 8}d", raw)
        blank = text.replace(b"%", b"%%")
        quickly = quickly or _quickly
        texts = None if quickly is None else quickly(floats)
        if texts is None and isfinite(sum(floats)):
            return blank.replace(b"\t", b"%a") % floats
        return blank.replace(b"\t", b"%b") % tuple(texts or map(_text, floats))
    except (ValueError, TypeError, struct.error):
        return payload  # whoever takes it refuses it, and says why


def _text(value: float) -> bytes:
    """A float as it is on the wire."""
    text = float.__repr__(value)
    return NO_NUMBERS.get(text) or text.encode("ascii")


_quickly: Optional[FloatTexts] = None


def accelerate(quickly: Optional[FloatTexts]) -> None:
    """Takes another way to the texts of floats, which gives the same ones, or ``None`` where it may not."""
    global _quickly
    _quickly = quickly
