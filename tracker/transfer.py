"""A queue, and the specifications and data stores beside it, as lines of JSON, to leave one tracker and enter another.

::

    {"kind": "begin", "version": 1}
    {"kind": "specification", "workflow": …, "version": …, "accepted": …, "body": {…}}
    {"kind": "data_store", "body": {…}}
    {"kind": "entry", "hash": …, "accepted": …, "deliveries": …, "body": {…}}
    {"kind": "dead", … as an entry, "died": …, "reason": …}
    {"kind": "refused", "producer": …, "field": …, "reason": …, "accepted": …, "base64": "…"}
    {"kind": "end", "counts": {"entry": …, …}}

Bodies are as they are where they are JSON on one line, else in base64. A text without its last line is not whole.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from typing import Annotated, Literal, Union

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.errors import RequestError

from . import catalogue
from .catalogue import CataloguedStore
from .queue import Exported
from .specification_store import Stored

VERSION = 1
MAX_LINE = 64_000_000
"""Bytes of one line: more than any document has, in base64."""
PIECE_BYTES = 4_000_000
"""Bytes of lines that are read before what they say is taken in."""

Kind = Literal["begin", "entry", "dead", "refused", "specification", "data_store", "end"]
Text = Annotated[str, Meta(max_length=100_000)]


class Line(Struct, omit_defaults=True, gc=False):
    """One line of either direction."""

    kind: Kind
    version: Annotated[int, Meta(ge=0)] = 0
    workflow: Text = ""
    hash: Annotated[int, Meta(ge=0, lt=2**32)] = 0
    accepted: float = 0.0
    deliveries: Annotated[int, Meta(ge=0, le=1000)] = 0
    died: float = 0.0
    reason: Text = ""
    producer: Text = ""
    field: Text = ""
    counts: dict[str, int] = {}
    body: Union[msgspec.Raw, UnsetType] = UNSET
    base64: Union[bytes, UnsetType] = UNSET


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Line)
_any_json = msgspec.json.Decoder(msgspec.Raw)


def _put(line: Line, body: bytes) -> Line:
    # What is around JSON would be lost on the way back.
    if b"\n" not in body and body == body.strip() and _is_json(body):
        line.body = msgspec.Raw(body)
    else:
        line.base64 = body
    return line


def _is_json(body: bytes) -> bool:
    try:
        _any_json.decode(body)
        body.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True


Item = Exported | Stored | CataloguedStore


def line_of(one: Item) -> Line:
    """What goes in the line of one thing."""
    if isinstance(one, CataloguedStore):
        return _put(Line("data_store"), catalogue.encoded(one))
    if isinstance(one, Stored):
        line = Line("specification", one.version, one.workflow, accepted=one.created)
    else:
        kind, hash_, accepted, deliveries, died, reason, producer, field, _ = one
        assert kind in ("entry", "dead", "refused")  # noqa: S101  (what the seam says)
        line = Line(kind, 0, "", hash_, accepted, deliveries, died, reason, producer, field)  # type: ignore[arg-type]
    return _put(line, one.body)


def kind_of(one: Item) -> str:
    """The kind of the line of one thing."""
    if isinstance(one, Stored):
        return "specification"
    return "data_store" if isinstance(one, CataloguedStore) else one.kind


async def lines(described: Iterable[Stored | CataloguedStore], queue: AsyncIterator[Exported]) -> AsyncIterator[bytes]:
    """The whole text, piece by piece."""
    counts: Counter[str] = Counter()
    yield _encoder.encode(Line("begin", VERSION)) + b"\n"
    for one in described:
        line = line_of(one)
        counts[line.kind] += 1
        yield _encoder.encode(line) + b"\n"
    piece: list[bytes] = []
    size = 0
    async for item in queue:
        counts[item.kind] += 1
        piece.append(_encoder.encode(line_of(item)) + b"\n")
        size += len(piece[-1])
        if size > PIECE_BYTES // 16:
            yield b"".join(piece)
            piece, size = [], 0
    piece.append(_encoder.encode(Line("end", counts=dict(counts))) + b"\n")
    yield b"".join(piece)


def decode(raw: bytes, number: int) -> Item | None:
    """What one line says; ``None`` for the first and the last, which say nothing to keep.

    Args:
        number: of the line, from 1, for the message.

    Raises:
        RequestError: 422, it is no such line.
    """
    try:
        line = _decoder.decode(raw)
        if line.kind not in ("begin", "end"):
            return _item(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _bad(number, str(error)) from error
    if line.kind == "begin" and line.version != VERSION:
        raise _bad(number, f"its version is {line.version}; this tracker reads {VERSION}")
    return None


def _item(line: Line) -> Item:
    body = _body(line)
    if line.kind == "specification":
        return Stored(line.workflow, line.version, line.accepted, body)
    if line.kind == "data_store":
        return catalogue.read(body)
    return Exported(
        kind=line.kind,
        hash=line.hash,
        accepted=line.accepted,
        deliveries=line.deliveries,
        died=line.died,
        reason=line.reason,
        producer=line.producer,
        field=line.field,
        body=body,
    )


def _body(line: Line) -> bytes:
    if line.body is not UNSET:
        return bytes(line.body)
    if line.base64 is UNSET:
        raise msgspec.ValidationError("it has neither body nor base64")
    if line.kind != "refused":  # the others are posted as they are, inside of a larger JSON
        _any_json.decode(line.base64)
    return line.base64


def _bad(number: int, why: str) -> RequestError:
    return RequestError(
        422,
        "bad_line",
        f"line {number} is no line of a queue's export: {why}; some of the lines before it were taken",
        field=f"line {number}",
        fix="send what GET /v1/backup gave, line by line",
    )


async def split(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[bytes]]:
    """The lines in a stream of bytes, some at a time; empty ones are left out.

    Raises:
        RequestError: 413 when a line is too long.
    """
    rest = bytearray()
    piece: list[bytes] = []
    size = 0
    async for chunk in chunks:
        rest += chunk
        if b"\n" in chunk:
            *whole, last = bytes(rest).split(b"\n")
            rest = bytearray(last)
            piece += filter(None, whole)
            size += sum(map(len, whole))
        if len(rest) > MAX_LINE:
            raise RequestError(413, "too_large", f"a line has more than {MAX_LINE} bytes", fix="send what was exported")
        if size > PIECE_BYTES:
            yield piece
            piece, size = [], 0
    if rest:
        piece.append(bytes(rest))
    if piece:
        yield piece
