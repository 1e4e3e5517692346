"""Frames: how one record lies in a spool file. Pure functions.

A frame is one line: length of the payload in hex, CRC-32 of the payload as 8 hex digits, the payload (JSON without
newlines), a newline::

    1c 5d0fbc31 {"n":0,"op":"producer",...}\\n

A file can be read with ``cat``; after a torn or damaged frame reading goes on at the next newline.

The shortest text of a float takes long to find. So a payload may be *packed*: its floats are then tabs, which JSON has none
of, and stand behind one more tab, in their order: each as 8 bytes (IEEE 754, little endian), all together in base64. Who
reads a frame gets the JSON.
"""

from __future__ import annotations

import struct
from binascii import a2b_base64
from math import isfinite
from typing import Callable, Iterator, List, NamedTuple, Optional, Tuple
from zlib import crc32

NO_NUMBERS = {
    text: b'{"$":"float","v":"%b"}' % name for text, name in (("nan", b"NaN"), ("inf", b"INF"), ("-inf", b"-INF"))
}
FloatTexts = Callable[[Tuple[float, ...]], Optional[List[bytes]]]
PACKED = b"}}\t"
"""How the text of a packed payload ends, and no JSON goes on."""
MAX_PAYLOAD = 8 * 1024 * 1024


class Frame(NamedTuple):
    """A payload, or with ``payload=None`` a damaged stretch, and where it lies: ``start`` to ``end`` (bytes)."""

    payload: Optional[bytes]
    start: int
    end: int


def unpacked(payload: bytes) -> bytes:
    """The JSON of a payload, which may be packed."""
    if PACKED not in payload:
        return payload
    text, _, encoded = payload.rpartition(b"\t")
    try:
        raw = a2b_base64(encoded)
        if not raw:
            return payload
        floats = struct.unpack(f"<{len(raw) // 8}d", raw)
        blank = text.replace(b"%", b"%%")
        texts = None if _quickly is None else _quickly(floats)
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


def encode(payload: bytes) -> bytes:
    """The frame of one record."""
    return b"%x %08x %b\n" % (len(payload), crc32(payload), payload)


def _payload_of(line: bytes) -> Optional[bytes]:
    begin = line.find(b" ", 0, 9) + 10
    payload = line[begin:]
    whole = begin > 10 and line[:begin] == b"%x %08x " % (len(payload), crc32(payload))
    return unpacked(payload) if whole else None


def gather(data: bytes, position: int, limit: int, most: int = MAX_PAYLOAD) -> Tuple[List[bytes], int, List[bytes]]:
    """At most ``limit`` payloads of whole frames in ``data``, from ``position`` on.

    Args:
        most: bytes of them together; one larger payload comes alone.

    Returns:
        the payloads, the position after them, and the damaged stretches that were passed over.
    """
    payloads: List[bytes] = []
    damaged: List[bytes] = []
    while len(payloads) < limit:
        newline = data.find(b"\n", position)
        if newline < 0:
            break
        if newline > position:
            payload = _payload_of(data[position:newline])
            if payload is None:
                damaged.append(data[position : newline + 1])
            else:
                most -= len(payload)
                if most < 0 and payloads:
                    break
                payloads.append(payload)
        position = newline + 1
    return payloads, position, damaged


def decode(data: bytes, offset: int = 0) -> Iterator[Frame]:
    """All whole frames and damaged stretches in ``data``; an unfinished last line is left out.

    Args:
        offset: where ``data`` begins in its file, so that the positions are the file's.
    """
    position = 0
    while True:
        newline = data.find(b"\n", position)
        if newline < 0:
            return
        end = newline + 1
        if newline > position:
            yield Frame(_payload_of(data[position:newline]), offset + position, offset + end)
        position = end
