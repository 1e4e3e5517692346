"""The tracker's route for PROV documents (docs/how-to/prov-documents.md)."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError
from pllib import prov

from . import prov_documents
from .answers import answer
from .intake import Validation
from .parts import MAX_RAW, parts_of
from .routes import check_backlog

router = APIRouter()

_MEDIA_TYPES = sorted({form.media_type for form in prov.FORMATS.values() if form.read})
Format = Annotated[
    str | None,
    Query(
        max_length=40,
        description="what the document is, instead of its Content-Type",
        json_schema_extra={"enum": [name for name, form in prov.FORMATS.items() if form.read]},
    ),
]
Validate = Annotated[Validation, Query(description="check PROV-CONSTRAINTS: `warn` tells violations, `error` refuses")]
Name = Annotated[str | None, Query(min_length=1, max_length=1000, description="what people call the document")]


@router.post(
    "/v1/prov",
    tags=["documents"],
    openapi_extra={"requestBody": {"content": {media_type: {} for media_type in _MEDIA_TYPES}}},
)
async def take_document(
    request: Request, format: Format = None, validate: Validate = "off", name: Name = None
) -> Response:
    """Takes a PROV document in any format; it is on disk when this answers, and in the store soon after.

    The same document makes the same graph however often it is sent, in whichever format.
    """
    parts = parts_of(request)
    await check_backlog(parts)
    body = await read_body(request, MAX_RAW)
    async with request.app.state.reading:
        chosen = prov_documents.format_of(format, request.headers.get("content-type", ""), body)
        document = await asyncio.to_thread(prov_documents.read, body, chosen)
        found = [] if validate == "off" else await asyncio.to_thread(prov.validate, document)
        told = prov_documents.told(found, document)
        if found and validate == "error":
            return _invalid(found, told)
        imported = await asyncio.to_thread(prov_documents.imported, document, chosen, name)
    with parts.gate.passage():
        await parts.queue.append(imported.entries)
    parts.metrics.appended += len(imported.entries)
    return answer(
        {
            "document": f"document/{imported.digest}",
            "format": imported.format,
            "statements": imported.statements,
            "bundles": imported.bundles,
            "violations": told,
        }
    )


def _invalid(found: list[prov.Violation], told: list[dict[str, Any]]) -> Response:
    numbers = ", ".join(map(str, sorted({each.constraint for each in found})))
    message = f"the document is not valid by PROV-CONSTRAINTS: {len(found)} violations, of {numbers}"
    fix = "correct the statements, or send it with validate=warn to keep it as it is"
    refusal = RequestError(422, "invalid_document", message, field=f"constraint {numbers}", fix=fix)
    return answer({**refusal.body, "violations": told}, refusal.status)
