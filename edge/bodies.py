"""Request bodies within their limits, counted while they stream in."""

from __future__ import annotations

import zlib

from starlette.requests import Request

from edge.errors import RequestError

MAX_INFLATED = 32_000_000
"""Bytes of a body after decompression."""
_GZIP = 31  # zlib's window bits for a gzip header


async def read_body(request: Request, max_raw: int) -> bytes:
    """The body of a request, decompressed.

    Args:
        max_raw: bytes of it at most as it comes over the network.

    Raises:
        RequestError: 413 when it is too large, 415 for an encoding other than gzip, 400 when it is no gzip.
    """
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", ""):
        raise RequestError(415, "unknown_encoding", f"Content-Encoding {encoding[:50]!r}", fix="send gzip or nothing")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:18]) > max_raw:
        raise _too_large(max_raw, "as sent")
    inflate = Inflate() if encoding == "gzip" else None
    raw = 0
    parts: list[bytes] = []
    async for chunk in request.stream():
        raw += len(chunk)
        if raw > max_raw:
            raise _too_large(max_raw, "as sent")
        parts.append(inflate.feed(chunk) if inflate else chunk)
    if inflate:
        inflate.finish()
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Inflate:
    """Decompresses gzip piece by piece, never more than ``MAX_INFLATED`` bytes in all."""

    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)
        self._left = MAX_INFLATED
        self._began = False

    def feed(self, chunk: bytes) -> bytes:
        """What a piece inflates to. Several gzip members in a row are one text (RFC 1952, 2.2).

        Raises:
            RequestError: 413 when it gets too large, 400 when it is no gzip.
        """
        parts = []
        while chunk:
            if self._stream.eof:
                self._stream = zlib.decompressobj(_GZIP)
            self._began = True
            try:
                # One byte more than allowed tells too large from just fitting.
                part = self._stream.decompress(chunk, self._left + 1)
            except zlib.error as error:
                raise RequestError(400, "no_gzip", f"the body is no gzip: {error}", fix="compress it again") from error
            self._left -= len(part)
            if self._left < 0:
                raise _too_large(MAX_INFLATED, "after decompression")
            parts.append(part)
            chunk = self._stream.unconsumed_tail or self._stream.unused_data
        return b"".join(parts)

    def finish(self) -> None:
        """Raises ``RequestError`` 400 when the gzip stream was cut short."""
        if self._began and not self._stream.eof:
            raise RequestError(400, "no_gzip", "the gzip body is cut short", fix="send it again in full")


def _too_large(limit: int, where: str) -> RequestError:
    return RequestError(413, "too_large", f"the body has more than {limit} bytes {where}", fix="send less at once")
