"""The tracker's routes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, cast

import msgspec
from fastapi import APIRouter, Query
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError

from . import specifications
from .answers import answer, error_answer, queue_unavailable
from .errors import QueueUnavailable
from .intake import Intake
from .metrics import Metrics
from .queue import WorkQueue
from .settings import Settings
from .specification_store import SpecificationStore, Stored
from .specifications import SpecificationForm

MAX_RAW = 8_000_000
"""Bytes of a body as it comes over the network."""

router = APIRouter()

BACKLOG_RETRY_SECONDS = 2

Limit = Annotated[int, Query(ge=1, le=500, description="most to list")]
After = Annotated[str | None, Query(max_length=40, description="id of the last one of the page before")]


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes work with."""

    settings: Settings
    queue: WorkQueue
    intake: Intake
    specifications: SpecificationStore
    metrics: Metrics


class _Replay(msgspec.Struct):
    ids: list[str] | None = None


def _parts(request: Request) -> Parts:
    return cast(Parts, request.app.state.parts)


@router.post("/v1/captures", tags=["capture"], openapi_extra={"requestBody": {"content": {"application/json": {}}}})
async def take_captures(request: Request) -> Response:
    """Takes a batch of capture records; what is accepted is on disk when this answers."""
    parts = _parts(request)
    await check_backlog(parts)
    body = await read_body(request, MAX_RAW)
    return Response(await parts.intake.take(body), media_type="application/json")


async def check_backlog(parts: Parts) -> None:
    """Raises ``RequestError`` 429 when so much waits that nothing more is taken."""
    depth = await parts.queue.depth()
    if depth >= parts.settings.max_backlog:
        parts.metrics.pushed_back += 1
        raise RequestError(
            429,
            "backlog",
            f"{depth} documents wait for the manager; nothing was taken",
            fix="send it again later",
            retry_after=BACKLOG_RETRY_SECONDS,
        )


@router.post(
    "/v1/prospective",
    tags=["prospective"],
    openapi_extra={
        "requestBody": {"content": {"application/json": {"schema": SpecificationForm.model_json_schema(by_alias=True)}}}
    },
)
async def put_specification(request: Request) -> Response:
    """Keeps a prospective specification: 201 for a new version, 200 when it is the newest one already."""
    form = specifications.parse(await read_body(request, MAX_RAW))
    stored, new = await _parts(request).specifications.put(form)
    return answer(_version(stored), 201 if new else 200)


@router.get("/v1/prospective", tags=["prospective"])
async def list_specifications(request: Request) -> Response:
    """The newest version of each workflow's specification."""
    found = await _parts(request).specifications.newest()
    return answer({"specifications": [_version(stored) for stored in found]})


@router.get("/v1/prospective/{workflow:path}", tags=["prospective"])
async def get_specification(
    request: Request, workflow: str, version: Annotated[int | None, Query(ge=1, le=2**62)] = None
) -> Response:
    """One version of a workflow's specification, the newest without ``version``."""
    stored = await _parts(request).specifications.get(workflow, version)
    if stored is None:
        what = f"workflow {workflow[:200]!r}" + (f", version {version}" if version else "")
        raise RequestError(404, "not_found", f"no specification of {what}", fix="see GET /v1/prospective")
    return answer({**_version(stored), "specification": msgspec.Raw(stored.body)})


@router.get("/v1/stats", tags=["operation"])
async def stats(request: Request) -> Response:
    """Counters since the start, and the queue's numbers."""
    parts = _parts(request)
    queue = await parts.queue.statistics()
    return answer(
        {
            **parts.metrics.counts(),
            "queue": {
                "depth": sum(queue.depths),
                "depths": list(queue.depths),
                "oldest_seconds": round(queue.oldest_seconds, 3),
                "max_backlog": parts.settings.max_backlog,
            },
            "dead_letters": queue.dead,
            "quarantined": queue.quarantined,
        }
    )


@router.get("/v1/dead-letters", tags=["operation"])
async def dead_letters(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Documents that were given up, oldest first, with the reason."""
    found = await _parts(request).queue.dead_letters(limit, after)
    return answer(_page("dead_letters", [letter._asdict() for letter in found], limit))


@router.get("/v1/dead-letters/{identifier}", tags=["operation"])
async def dead_letter(request: Request, identifier: str) -> Response:
    """The document of a dead letter, as it was posted to the manager."""
    body = await _parts(request).queue.dead_letter_body(identifier)
    if body is None:
        raise RequestError(404, "not_found", f"no dead letter {identifier[:50]!r}", fix="see GET /v1/dead-letters")
    return Response(body, media_type="application/json")


@router.post("/v1/dead-letters/replay", tags=["operation"])
async def replay(request: Request) -> Response:
    """Queues dead letters again: those in the body's ``ids``, or all."""
    body = await read_body(request, MAX_RAW)
    try:
        ids = msgspec.json.decode(body, type=_Replay).ids if body.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(
            422, "bad_replay", str(error), field="$.ids", fix='send {"ids": ["1", "2"]}, or nothing for all'
        ) from error
    return answer({"replayed": await _parts(request).queue.replay(ids)})


@router.get("/v1/quarantine", tags=["operation"])
async def quarantine(request: Request, limit: Limit = 50, after: After = None) -> Response:
    """Records that were refused for good, with the reason; the newest 10,000 are kept."""
    found = await _parts(request).queue.quarantined(limit, after)
    shown = [{**record._asdict(), "body": record.body[:10_000].decode("utf-8", "replace")} for record in found]
    return answer(_page("quarantined", shown, limit))


@router.get("/health", tags=["operation"])
async def health(request: Request) -> Response:
    """200 when captures can be made durable, 503 with the reason when not. Whether the manager is up shows in the age."""
    parts = _parts(request)
    try:
        await parts.queue.check()
    except QueueUnavailable as error:
        return error_answer(queue_unavailable(error))
    return answer({"status": "ok", "waiting": await parts.queue.depth()})


@router.get("/metrics", tags=["operation"])
async def metrics(request: Request) -> Response:
    """The counters in the Prometheus text format."""
    parts = _parts(request)
    text = parts.metrics.exposition(await parts.queue.statistics())
    return Response(text, headers={"content-type": CONTENT_TYPE_LATEST})


def _version(stored: Stored) -> dict[str, Any]:
    return {"workflow": stored.workflow, "version": stored.version, "created": stored.created}


def _page(name: str, found: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    return {name: found, "next": found[-1]["id"] if len(found) == limit else None}
