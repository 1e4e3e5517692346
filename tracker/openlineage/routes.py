"""The routes that OpenLineage's integrations post to (spec/OpenLineage.yml of OpenLineage 2-0-2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError

from ..answers import answer
from ..parts import MAX_RAW, Parts
from ..routes import check_backlog
from .intake import FIX, OpenLineageIntake, Taken

router = APIRouter(tags=["OpenLineage"])

_JSON: dict[str, Any] = {"requestBody": {"content": {"application/json": {}}}}


@dataclass(frozen=True, slots=True)
class OpenLineageParts:
    """What these routes work with."""

    tracker: Parts
    intake: OpenLineageIntake


async def _taken(request: Request, *, one: bool) -> Taken:
    parts = cast(OpenLineageParts, request.app.state.openlineage)
    await check_backlog(parts.tracker)
    body = await read_body(request, MAX_RAW)
    if one and body.lstrip()[:1] == b"[":
        fix = "post arrays to /api/v1/lineage/batch"
        raise RequestError(400, "no_event", "the body is an array and not one event", field="$", fix=fix)
    with parts.tracker.gate.passage():
        return await parts.intake.take(body)


@router.post("/api/v1/lineage", status_code=201, openapi_extra=_JSON)
async def take_event(request: Request) -> Response:
    """Takes an OpenLineage event of a run, a job or a dataset; it is on disk when this answers 201. 422 says what is wrong."""
    taken = await _taken(request, one=True)
    if taken.refusals:
        first = taken.refusals[0]
        raise RequestError(422, "bad_event", first.message, field=first.field, fix=FIX)
    return answer({"accepted": taken.received}, 201)


@router.post("/api/v1/lineage/batch", openapi_extra=_JSON)
async def take_batch(request: Request) -> Response:
    """Takes an array of OpenLineage events, each for itself; what is not among `failed_events` is on disk when this answers."""
    taken = await _taken(request, one=False)
    failed = [
        {"index": index, "reason": f"{field}: {message}", "retriable": False}
        for index, field, message in taken.refusals
    ]
    summary = {
        "received": taken.received,
        "successful": taken.received - len(failed),
        "failed": len(failed),
        "retriable": 0,
        "non_retriable": len(failed),
    }
    status = "partial_success" if failed else "success"
    return answer({"status": status, "summary": summary, "failed_events": failed})
