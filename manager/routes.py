"""The routes of the manager (docs/reference/manager.md)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import cast

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from .answers import answer, refused_documents
from .bodies import read_body
from .errors import RequestError, StoreError, StoreUnavailable
from .groups import read_group
from .metrics import Metrics
from .ontology_files import FILES, FORMATS, SCHEMA, preferred, serialised
from .ontology_loading import OntologyLoading
from .store import Store
from .triples import Converter

HEALTH_SECONDS = 3.0
"""How long the store may take to answer before it counts as away."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes work with."""

    store: Store
    converter: Converter
    ontology: OntologyLoading
    metrics: Metrics


router = APIRouter()


def _parts(request: Request) -> Parts:
    return cast("Parts", request.app.state.parts)


@router.post("/v1/prov-ml", summary="Commit PROV-ML JSON", tags=["PROV-ML"])
async def commit(request: Request) -> Response:
    """Commits a group of documents: all of them, or none.

    `200 {"documents", "triples"}` after the store has committed; `422 {"errors": [{"index", "field", "message", "fix"}]}`
    when any document is bad, and then nothing is committed; `409` for an unknown version, `413` above 32 MB, `503` with
    `Retry-After` while the store is away.
    """
    parts = _parts(request)
    body = await read_body(request)
    with parts.metrics.convert_seconds.time():
        group = await asyncio.to_thread(read_group, body, parts.converter)
    if group.errors:
        parts.metrics.refused.inc(len(group.errors))
        return refused_documents(group.errors)
    try:
        with parts.metrics.load_seconds.time():
            if group.triples.count:
                await parts.store.load(group.triples)
            else:  # says whether a post of something would succeed
                await parts.store.query("ASK {}")
    except StoreError as error:
        away = isinstance(error, StoreUnavailable)
        parts.metrics.store_errors.labels("unavailable" if away else "rejected").inc()
        if away:
            parts.ontology.store_was_away()
        raise
    parts.metrics.documents.inc(group.documents)
    parts.metrics.triples.inc(group.triples.count)
    return answer({"documents": group.documents, "triples": group.triples.count})


async def _serve_rdf(request: Request) -> Response:
    accept = ",".join(request.headers.getlist("accept"))
    media_type = preferred(accept)
    if media_type is None:
        known = ", ".join(FORMATS)
        raise RequestError(406, "not_acceptable", f"not to be had as {accept[:200]!r}", fix=f"accept one of {known}")
    content = await asyncio.to_thread(serialised, request.url.path.strip("/"), media_type)
    return Response(content, media_type=media_type, headers={"Vary": "Accept"})


for _path, _names in FILES.items():
    router.add_api_route(
        "/" + _path,
        _serve_rdf,
        name=" and ".join(_names),
        summary=f"{' and '.join(_names)} as Turtle, N-Triples, JSON-LD or RDF/XML",
        tags=["ontology"],
        response_class=Response,
    )


@router.get("/schema/prov-ml-v1.json", summary="JSON Schema of PROV-ML JSON", tags=["PROV-ML"])
async def schema() -> FileResponse:
    return FileResponse(SCHEMA, media_type="application/schema+json")


@router.get("/health", summary="Whether documents can be committed", tags=["operation"])
async def health(request: Request) -> Response:
    """`200 {"status": "ok"}`, or `503 {"status": "unavailable", "reason"}` while the store is away."""
    parts = _parts(request)
    try:
        await asyncio.wait_for(parts.store.query("ASK {}"), HEALTH_SECONDS)
    except TimeoutError:
        return _unavailable(f"the store did not answer within {HEALTH_SECONDS:g} s")
    except StoreError as error:
        parts.ontology.store_was_away()
        return _unavailable(str(error))
    if not parts.ontology.loaded:
        return _unavailable(f"the ontology is not in the store yet{_because(parts.ontology.reason)}")
    return answer({"status": "ok"})


def _because(reason: str | None) -> str:
    return f": {reason}" if reason else ""


def _unavailable(reason: str) -> Response:
    return answer({"status": "unavailable", "reason": reason}, 503)


@router.get("/metrics", summary="Prometheus metrics", tags=["operation"])
async def metrics(request: Request) -> Response:
    return Response(_parts(request).metrics.exposition(), media_type="text/plain; version=0.0.4")
