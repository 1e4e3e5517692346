"""What a queue on a server holds, piece by piece, to leave and to enter."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from .queue import Exported, QuarantinedRecord, Refused, digest_of
from .redis_scripts_keeping import PAGE
from .redis_server import RedisServer
from .redis_share import MICRO

PIECE_BYTES = 1_000_000
"""Bytes of documents that are read at once of one stream, but for a single larger one."""


def words(item: Exported) -> list[Any]:
    """An exported thing for the script that adds."""
    accepted = round(item.accepted * MICRO)
    if item.kind == "entry":
        return [b"x", item.hash, accepted, item.deliveries, item.body]
    if item.kind == "dead":
        return [b"d", item.hash, accepted, item.deliveries, round(item.died * MICRO), item.reason, item.body]
    return [b"r", digest_of(item.producer, item.body), accepted, item.producer, item.field, item.reason, item.body]


def refused_words(refused: Sequence[Refused]) -> list[Any]:
    """Refused records for the script that adds; the server says when they were refused."""
    found: list[Any] = []
    for one in refused:
        found += (b"r", digest_of(one.producer, one.body), b"", one.producer, one.field, one.message, one.body)
    return found


def fields(flat: list[bytes]) -> dict[bytes, bytes]:
    """The fields of an entry of a stream."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def quarantined(identifier: str, found: dict[bytes, bytes]) -> QuarantinedRecord:
    """A refused record from its fields."""
    return QuarantinedRecord(
        identifier, _text(found[b"p"]), _text(found[b"f"]), _text(found[b"m"]), int(found[b"a"]) / MICRO, found[b"b"]
    )


async def last_id(server: RedisServer) -> int:
    """The newest id that was given to anything; later ones are greater."""
    return int(await server.command("HGET", server.prefix + "state", "last") or 0)


async def export(server: RedisServer, partitions: int) -> AsyncIterator[Exported]:
    """All that is there now. What moves meanwhile between entries and dead letters comes at least once."""
    streams = [f"queue:{partitions}:{partition}" for partition in range(partitions)]
    began = await last_id(server)
    async for _, dead in _merged(server, ["dead"], "dead", 0, began):
        yield dead
    async for _, entry in _merged(server, streams, "entry", 0, began):
        yield entry
    ended = await last_id(server)
    async for _, dead in _merged(server, ["dead"], "dead", began, ended):
        yield dead
    async for _, entry in _merged(server, streams, "entry", began, ended):
        if entry.accepted * MICRO <= began:  # a letter that died and was replayed since
            yield entry
    async for _, refused in _merged(server, ["quarantine"], "refused", 0, ended):
        yield refused


async def _merged(
    server: RedisServer, streams: Sequence[str], kind: str, after: int, last: int
) -> AsyncIterator[tuple[int, Exported]]:
    """What several streams hold in a range of ids, in the order of ids."""
    passes = [_stream(server, stream, kind, after, last) for stream in streams]
    heads = {number: head for number, one in enumerate(passes) if (head := await _next(one)) is not None}
    while heads:
        first = min(heads, key=lambda number: heads[number][0])
        yield heads.pop(first)
        if (head := await _next(passes[first])) is not None:
            heads[first] = head


async def _next(items: AsyncIterator[tuple[int, Exported]]) -> tuple[int, Exported] | None:
    async for item in items:
        return item
    return None


async def _stream(
    server: RedisServer, stream: str, kind: str, after: int, last: int
) -> AsyncIterator[tuple[int, Exported]]:
    while rows := await server.run(PAGE, stream, f"{after}-0", f"{last}-0", PIECE_BYTES):
        for id_, hash_, accepted, deliveries, died, reason, producer, field, body in rows:
            after = int(id_.removesuffix(b"-0"))
            yield (
                after,
                Exported(
                    kind,
                    int(hash_ or 0),
                    int(accepted) / MICRO,
                    int(deliveries),
                    int(died) / MICRO,
                    _text(reason),
                    _text(producer),
                    _text(field),
                    body,
                ),
            )


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
