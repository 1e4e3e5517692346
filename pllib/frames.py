"""Frames: how one record lies in a spool file. Pure functions.

A frame is one line: length of the payload in hex, CRC-32 of the payload as 8 hex digits, the payload (JSON without
newlines), a newline::

    1c 5d0fbc31 {"n":0,"op":"producer",...}\\n

A file can be read with ``cat``; after a torn or damaged frame reading goes on at the next newline.
"""

from __future__ import annotations

from typing import Iterator, List, NamedTuple, Optional, Tuple
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
    space = line.find(b" ", 0, 9)
    payload = line[space + 10 :]
    if space < 1 or line[space + 9 : space + 10] != b" ":
        return None
    try:
        length, checksum = int(line[:space], 16), int(line[space + 1 : space + 9], 16)
    except ValueError:
        return None
    return payload if len(payload) == length and crc32(payload) == checksum else None


def gather(data: bytes, position: int, limit: int) -> Tuple[List[bytes], int, List[bytes]]:
    """At most ``limit`` payloads of whole frames in ``data``, from ``position`` on.

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
