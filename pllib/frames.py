"""Frames: how one record lies in a spool file. Pure functions.

A frame is one line: length of the payload in hex, CRC-32 of the payload as 8 hex digits, the payload (JSON without
newlines), a newline::

    1c 5d0fbc31 {"n":0,"op":"producer",...}\\n

A file can be read with ``cat``; after a torn or damaged frame reading goes on at the next newline. A frame is written with a newline
before it too, so that it is whole whatever lies there; empty lines are passed over.

A payload may be packed (``packing``).
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Tuple
from zlib import crc32

from .packing import unpacked

MAX_PAYLOAD = 8 * 1024 * 1024


class Frame(NamedTuple):
    """A payload, or with ``payload=None`` a damaged stretch, and where it lies: ``start`` to ``end`` (bytes)."""

    payload: Optional[bytes]
    start: int
    end: int


def encode(payload: bytes) -> bytes:
    """The frame of one record, as it is written."""
    return b"\n%x %08x %b\n" % (len(payload), crc32(payload), payload)


def _payload_of(line: bytes) -> Optional[bytes]:
    begin = line.find(b" ", 0, 9) + 10
    payload = line[begin:]
    whole = begin > 10 and line[:begin] == b"%x %08x " % (len(payload), crc32(payload))
    return payload if whole else None


def gather(data: bytes, position: int, limit: int, most: int = MAX_PAYLOAD) -> Tuple[List[bytes], int, List[bytes]]:
    """At most ``limit`` payloads, some maybe packed, of whole frames in ``data``, from ``position`` on.

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
    """All whole frames, as JSON, and damaged stretches in ``data``; an unfinished last line is left out.

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
            payload = _payload_of(data[position:newline])
            yield Frame(None if payload is None else unpacked(payload), offset + position, offset + end)
        position = end
