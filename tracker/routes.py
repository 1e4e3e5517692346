"""The tracker's routes for those who capture: records and specifications."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError
from pllib.packing import JSON, LINES

from . import specifications
from .answers import answer
from .batches import decode_batch, decode_lines
from .intake import Validation
from .parts import MAX_RAW, Parts, parts_of
from .specification_store import Stored
from .specifications import SpecificationForm

router = APIRouter()

BACKLOG_RETRY_SECONDS = 2
TAKEN = {"Accept-Post": f"{JSON}, {LINES}"}
"""Says to clients that they may send lines (https://www.w3.org/TR/ldp/#header-accept-post)."""

Validate = Annotated[Validation, Query(description="compare with the specification: `warn` tells, `error` refuses")]


@router.post("/v1/captures", tags=["capture"], openapi_extra={"requestBody": {"content": {JSON: {}, LINES: {}}}})
async def take_captures(request: Request, validate: Validate = "off") -> Response:
    """Takes a batch of capture records; what is accepted is on disk when this answers."""
    parts = parts_of(request)
    await check_backlog(parts)
    body = await read_body(request, MAX_RAW)
    with parts.gate.passage():
        batch = decode_lines(body) if _is_lines(request) else decode_batch(body)
        return Response(await parts.intake.take(batch, validate), headers=TAKEN, media_type=JSON)


def _is_lines(request: Request) -> bool:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower() == LINES


async def check_backlog(parts: Parts) -> None:
    """Raises ``RequestError`` 503 while the tracker drains, 429 when so much waits that nothing more is taken."""
    parts.gate.require_open()
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
    parts = parts_of(request)
    form = specifications.parse(await read_body(request, MAX_RAW))
    with parts.gate.passage():
        stored, new = await parts.specifications.put(form)
    return answer(_version(stored), 201 if new else 200)


@router.get("/v1/prospective", tags=["prospective"])
async def list_specifications(request: Request) -> Response:
    """The newest version of each workflow's specification."""
    found = await parts_of(request).specifications.newest()
    return answer({"specifications": [_version(stored) for stored in found]})


@router.get("/v1/prospective/{workflow:path}", tags=["prospective"])
async def get_specification(
    request: Request, workflow: str, version: Annotated[int | None, Query(ge=1, le=2**62)] = None
) -> Response:
    """One version of a workflow's specification, the newest without ``version``."""
    stored = await parts_of(request).specifications.get(workflow, version)
    if stored is None:
        what = f"workflow {workflow[:200]!r}" + (f", version {version}" if version else "")
        raise RequestError(404, "not_found", f"no specification of {what}", fix="see GET /v1/prospective")
    return answer({**_version(stored), "specification": msgspec.Raw(stored.body)})


def _version(stored: Stored) -> dict[str, Any]:
    return {"workflow": stored.workflow, "version": stored.version, "created": stored.created}
