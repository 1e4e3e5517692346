"""The tracker's routes for those who run it: how it is, what was given up, draining, backup."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from edge.bodies import read_body
from edge.errors import RequestError

from . import draining, transfer
from .answers import answer, error_answer, queue_unavailable
from .catalogue import CataloguedStore
from .errors import QueueUnavailable
from .parts import MAX_RAW, After, Limit, Parts, parts_of
from .queue import Exported
from .specification_store import Stored

router = APIRouter(tags=["operation"])


class _Replay(msgspec.Struct):
    ids: list[str] | None = None


@router.get("/v1/stats")
async def stats(request: Request) -> Response:
    """Counters since the start, the queue's numbers, and what producers say of their records."""
    parts = parts_of(request)
    queue = await parts.queue.statistics()
    return answer(
        {
            **parts.metrics.counts(),
            "queue": {
                "depth": sum(queue.depths),
                "depths": list(queue.depths),
                "oldest_seconds": round(queue.oldest_seconds, 3),
                "max_backlog": parts.settings.max_backlog,
                "kept": queue.kept,
            },
            "dead_letters": queue.dead,
            "quarantined": queue.quarantined,
            "producers": parts.producers.totals()._asdict(),
            "draining": parts.gate.draining,
        }
    )


@router.get("/v1/producers")
async def list_producers(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Producers by id: what the tracker saw of each since its start, and what the producer says of its records."""
    return answer(_page("producers", parts_of(request).producers.page(limit, after), limit))


@router.get("/v1/dead-letters")
async def dead_letters(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Documents that were given up, oldest first, with the reason."""
    found = await parts_of(request).queue.dead_letters(limit, after)
    return answer(_page("dead_letters", [letter._asdict() for letter in found], limit))


@router.get("/v1/dead-letters/{identifier}")
async def dead_letter(request: Request, identifier: str) -> Response:
    """The document of a dead letter, as it was posted to the manager."""
    body = await parts_of(request).queue.dead_letter_body(identifier)
    if body is None:
        raise RequestError(404, "not_found", f"no dead letter {identifier[:50]!r}", fix="see GET /v1/dead-letters")
    return Response(body, media_type="application/json")


@router.post("/v1/dead-letters/replay")
async def replay(request: Request) -> Response:
    """Queues dead letters again: those in the body's ``ids``, or all."""
    body = await read_body(request, MAX_RAW)
    try:
        ids = msgspec.json.decode(body, type=_Replay).ids if body.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(
            422, "bad_replay", str(error), field="$.ids", fix='send {"ids": ["1", "2"]}, or nothing for all'
        ) from error
    return answer({"replayed": await parts_of(request).queue.replay(ids)})


@router.get("/v1/quarantine")
async def quarantine(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Records that were refused for good, with the reason; the newest 10,000 are kept."""
    found = await parts_of(request).queue.quarantined(limit, after)
    shown = [{**record._asdict(), "body": record.body[:10_000].decode("utf-8", "replace")} for record in found]
    return answer(_page("quarantined", shown, limit))


@router.get("/v1/drain")
async def drained(request: Request) -> Response:
    """Whether captures are taken, and whether all that was taken has been delivered."""
    return answer(await _drain_state(parts_of(request)))


@router.post("/v1/drain")
async def drain(request: Request) -> Response:
    """No more captures are taken, until ``DELETE`` or the next start; what waits is delivered."""
    parts = parts_of(request)
    parts.gate.draining = True
    return answer(await _drain_state(parts))


@router.delete("/v1/drain")
async def resume(request: Request) -> Response:
    """Captures are taken again."""
    parts = parts_of(request)
    parts.gate.draining = False
    return answer(await _drain_state(parts))


async def _drain_state(parts: Parts) -> dict[str, Any]:
    waiting = await parts.queue.depth()
    drained = parts.gate.draining and not parts.gate.passing and not waiting
    return {"draining": parts.gate.draining, "waiting": waiting, "drained": drained}


@router.get("/v1/backup")
async def backup(request: Request) -> Response:
    """All that the queue holds, all specifications and data stores, a line of JSON each (docs/reference/tracker.md)."""
    parts = parts_of(request)
    described: list[Stored | CataloguedStore] = [*await parts.specifications.all()]
    described += await parts.catalogue.every()
    text = transfer.lines(described, parts.queue.export())
    return StreamingResponse(text, media_type="application/x-ndjson")


@router.post("/v1/restore", openapi_extra={"requestBody": {"content": {"application/x-ndjson": {}}}})
async def restore(request: Request) -> Response:
    """Takes in what ``GET /v1/backup`` gave, or any of its lines; durable when this answers. Twice does no harm."""
    encoding = request.headers.get("content-encoding", "identity")
    if encoding not in ("identity", ""):
        raise RequestError(415, "unknown_encoding", f"Content-Encoding {encoding[:50]!r}", fix="send it uncompressed")
    parts = parts_of(request)
    counts: Counter[str] = Counter()
    number = 0
    async for piece in transfer.split(request.stream()):
        found = [transfer.decode(line, number + index) for index, line in enumerate(piece, 1)]
        number += len(piece)
        await _take_in(parts, found)
        counts.update(transfer.kind_of(one) for one in found if one is not None)
    return answer({"taken": dict(counts)})


async def _take_in(parts: Parts, found: Sequence[transfer.Item | None]) -> None:
    stored = [one for one in found if isinstance(one, Stored)]
    if stored:
        await parts.specifications.take_in(stored)
    await parts.catalogue.take_in([one for one in found if isinstance(one, CataloguedStore)])
    await parts.queue.take_in([one for one in found if isinstance(one, Exported)])


@router.get("/health")
async def health(request: Request) -> Response:
    """200 when captures can be made durable, 503 with the reason when not. Whether the manager is up shows in the age."""
    parts = parts_of(request)
    try:
        await parts.queue.check()
    except QueueUnavailable as error:
        return error_answer(queue_unavailable(error))
    if parts.gate.draining:
        return error_answer(draining.refusal())
    return answer({"status": "ok", "waiting": await parts.queue.depth()})


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """The counters in the Prometheus text format."""
    parts = parts_of(request)
    text = parts.metrics.exposition(await parts.queue.statistics(), parts.producers.totals())
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


def _page(name: str, found: Sequence[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {name: found, "next": found[-1]["id"] if len(found) == limit else None}
