"""The manager as an ASGI application (docs/reference/manager.md)."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from starlette.exceptions import HTTPException
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError
from edge.listening import LOOPBACK_HOSTS

from . import documents, same_states, settling, statements, triples
from .errors import DocumentError, StoreError, StoreRejected, StoreUnavailable
from .ontology import as_ntriples, classes
from .ontology_routes import router as ontology_router
from .settings import Settings
from .store import SparqlStore, TripleStore

log = logging.getLogger("manager")

SCHEMA = Path(__file__).parent / "schema" / "prov-ml-v1.json"
MAX_RAW = 32_000_000
"""Bytes of a body as it comes over the network."""
RETRY_SECONDS = 2
ONTOLOGY_RETRY_SECONDS = 2.0


class Parts:
    """What the routes need: the writer, the store and the counters of one application."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.writer = triples.Writer(settings.base, classes())
        self.store: TripleStore = SparqlStore(settings.store)
        self.ontology_missing = asyncio.Event()
        self.ontology_missing.set()
        self.why_missing = ""
        self.registry = CollectorRegistry()
        self.documents = Counter("pllib_manager_documents", "documents committed", registry=self.registry)
        self.triples = Counter("pllib_manager_triples", "triples sent to the store", registry=self.registry)
        self.refused = Counter("pllib_manager_refused", "documents refused", registry=self.registry)
        self.loading = Histogram("pllib_manager_store_seconds", "time of one commit", registry=self.registry)
        what = "time to make good what follows from the sessions and points of one commit"
        self.settling = Histogram("pllib_manager_settling_seconds", what, registry=self.registry)


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def create_app(settings: Settings) -> FastAPI:
    """The application. It loads the ontology into the store in the background, once the store is there."""

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        parts = app.state.parts = Parts(settings)
        loading = asyncio.create_task(_load_ontology(parts))
        yield
        loading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await loading
        await parts.store.close()

    app = FastAPI(
        title="PLLib manager",
        version="1",
        description="Turns PROV-ML JSON into RDF and commits it to a SPARQL 1.1 server.",
        lifespan=lifespan,
    )
    app.include_router(ontology_router)
    _add_routes(app)
    _add_error_answers(app)
    app.add_middleware(
        TrustedHostMiddleware,
        allowed_hosts=[*LOOPBACK_HOSTS, settings.host, *settings.allowed_hosts],
        www_redirect=False,
    )
    return app


async def _load_ontology(parts: Parts) -> None:
    """Keeps the vocabulary in the store, so that queries can use its class tree.

    It is loaded once the store is there, and again after the store was away, since another may have come in its place.
    """
    text = await asyncio.to_thread(as_ntriples)
    while True:
        await parts.ontology_missing.wait()
        try:
            await parts.store.load(text, 0)
        except StoreError as error:
            parts.why_missing = f": {error}"
            log.info("the ontology waits for the store: %s", error)
            await asyncio.sleep(ONTOLOGY_RETRY_SECONDS)
            continue
        parts.ontology_missing.clear()
        parts.why_missing = ""


def _add_routes(app: FastAPI) -> None:
    @app.post("/v1/prov-ml", tags=["documents"])
    async def take(request: Request) -> Response:
        """Commits a group of PROV-ML documents, all or none. 200 only after the store has committed."""
        parts: Parts = request.app.state.parts
        decoded, said, errors = _convert(parts.writer, documents.decode_group(await read_body(request, MAX_RAW)))
        if errors:
            parts.refused.inc(len(errors))
            return answer({"errors": errors}, 422)
        if any(document.statements for document in decoded):
            lines = [parts.writer.lines(document) for document in decoded]
            kept = await statements.without_held_back(parts.store, parts.settings.base, decoded, lines)
            text, count = triples.join(kept)
        else:
            text, count = said.encoded()
        del said  # others convert theirs while this one waits for the store: what is held then counts
        if not text:  # nothing to commit, but who asks wants to know whether it could be
            await parts.store.ask("ASK {}")
        with parts.loading.time():
            await parts.store.load(text, count)
            count += await same_states.join(parts.store, parts.settings.base, decoded)
        with parts.settling.time():
            count += await settling.settle(parts.store, parts.settings.base, decoded)
        parts.documents.inc(len(decoded))
        parts.triples.inc(count)
        return answer({"documents": len(decoded), "triples": count})

    @app.get("/schema/prov-ml-v1.json", tags=["formats"])
    async def schema() -> Response:
        """JSON Schema of what ``POST /v1/prov-ml`` takes."""
        return Response(SCHEMA.read_bytes(), media_type="application/schema+json")

    @app.get("/health", tags=["operation"])
    async def health(request: Request) -> Response:
        """200 when the store answers and has the vocabulary, else 503 with the reason."""
        parts: Parts = request.app.state.parts
        try:
            await parts.store.ask("ASK {}")
        except StoreError as error:
            parts.ontology_missing.set()
            return answer({"status": "unavailable", "reason": str(error)}, 503)
        if parts.ontology_missing.is_set():
            reason = f"the vocabulary is not in the store yet{parts.why_missing}"
            return answer({"status": "unavailable", "reason": reason}, 503)
        return answer({"status": "ok", "store": parts.settings.store.url})

    @app.get("/metrics", tags=["operation"])
    async def metrics(request: Request) -> Response:
        """Counters in Prometheus's text format."""
        return Response(generate_latest(request.app.state.parts.registry), media_type="text/plain; version=0.0.4")


def _convert(
    writer: triples.Writer, raw: list[Any]
) -> tuple[list[documents.Document], triples.Triples, list[dict[str, Any]]]:
    """The documents, what they say, and what is wrong with those that are none."""
    decoded: list[documents.Document] = []
    found = triples.Triples()
    errors: list[dict[str, Any]] = []
    for index, part in enumerate(raw):
        try:
            document = documents.decode_document(part)
            writer.write(document, found)
            decoded.append(document)
        except DocumentError as error:
            errors.append({"index": index, "field": error.field, "message": error.message, "fix": error.fix})
    return decoded, found, errors


def _add_error_answers(app: FastAPI) -> None:
    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return _error(error)

    @app.exception_handler(StoreUnavailable)
    async def unavailable(request: Request, error: StoreUnavailable) -> Response:
        request.app.state.parts.ontology_missing.set()
        told = f"nothing is known to be committed: {error}"
        fix = "send it again; if it goes on, see whether the store runs"
        return _error(RequestError(503, "store_unavailable", told, fix=fix, retry_after=RETRY_SECONDS))

    @app.exception_handler(StoreRejected)
    async def rejected(request: Request, error: StoreRejected) -> Response:
        return _error(RequestError(500, "store_rejected", str(error), fix="see the store's log"))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        return _error(RequestError(error.status_code, code, str(error.detail), fix="see /docs"))


def _error(error: RequestError) -> Response:
    return answer(error.body, error.status, error.headers)
