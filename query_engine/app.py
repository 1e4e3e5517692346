"""The query engine as an ASGI application."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import AsyncIterator

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from edge.tokens import RequireToken
from query_engine import (
    activities,
    agents,
    data,
    drafts,
    errors,
    executions,
    exports,
    identifiers,
    lineage_routes,
    openlineage,
    operations,
    prov_documents,
    runs,
    runs_compare,
    series,
    series_compare,
    sparql,
    stores,
    values,
    workflows,
)
from query_engine.analyses import routes as analyses
from query_engine.middleware import KeepEncoding, KnownHosts, Measured
from query_engine.poly import routes as poly
from query_engine.settings import Settings
from query_engine.store import StoreClient

_PROBE_SECONDS = 2.0
_DESCRIPTION = """Read-only answers about captured provenance. Every resource has an IRI, which this server resolves;
REST answers carry both the IRI and the `id`, the part after the base. Lists come in pages: follow `next` until it is
null. Errors have one form: `{"error": {"code", "message", "field", "fix"}}`."""


def create_app(settings: Settings) -> FastAPI:
    """The application; ``app.state`` has ``settings`` and ``store`` (the shared :class:`StoreClient`)."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        await app.state.store.aclose()
        await app.state.probe.aclose()

    app = FastAPI(title="PLLib query engine", version="1", description=_DESCRIPTION, lifespan=lifespan)
    app.state.settings = settings
    app.state.store = StoreClient(settings.store, settings.timeout)
    app.state.probe = StoreClient(settings.store, min(settings.timeout, _PROBE_SECONDS))
    app.state.conversions = asyncio.Semaphore(1)  # graphs are converted in memory: one at a time
    app.state.series = asyncio.Semaphore(2)  # so are the points of a series: some 200 MB each at the most
    app.state.whole_exports = asyncio.Semaphore(prov_documents.AT_ONCE)
    app.state.registry = CollectorRegistry()
    errors.install(app)
    for module in (
        workflows,
        drafts,
        executions,
        exports,
        openlineage,
        prov_documents,
        activities,
        values,
        runs,
        runs_compare,
        series,
        series_compare,
        data,
        stores,
        agents,
        lineage_routes,
        analyses,
        poly,
        sparql,
        identifiers,
        operations,
    ):
        app.include_router(module.router)
    app.add_middleware(KeepEncoding)
    if settings.token:
        app.add_middleware(RequireToken, token=settings.token)
    app.add_middleware(KnownHosts, hosts=settings.hosts)
    app.add_middleware(Measured, registry=app.state.registry)
    return app
