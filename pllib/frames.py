"""Frames: how one record lies in a spool file. Pure functions.

A frame is one line: length of the payload in hex, CRC-32 of the payload as 8 hex digits, the payload (JSON without
newlines), a newline::

    1c 5d0fbc31 {"n":0,"op":"producer",...}\\n

A file can be read with ``cat``; after a torn or damaged frame reading goes on at the next newline.
"""

from __future__ import annotations

from typing import Iterator, NamedTuple, Optional
from zlib import crc32

MAX_PAYLOAD = 8 * 1024 * 1024


class Frame(NamedTuple):
    """A payload, or with ``payload=None`` a damaged stretch, and where it lies: ``start`` to ``end`` (bytes)."""

    payload: Optional[bytes]
    start: int
    end: int


def encode(payload: bytes) -> bytes:
    """The frame of one record."""
    return b"%x %08x %b\n" % (len(payload), crc32(payload), payload)


def _payload_of(line: bytes) -> Optional[bytes]:
    parts = line.split(b" ", 2)
    if len(parts) != 3 or len(parts[0]) > 8 or len(parts[1]) != 8:
        return None
    try:
        length, checksum = int(parts[0], 16), int(parts[1], 16)
    except ValueError:
        return None
    payload = parts[2]
    return payload if len(payload) == length and crc32(payload) == checksum else None


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
