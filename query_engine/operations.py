"""Routes for those who run the service: health, metrics, and the start page."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from query_engine.errors import QueryEngineError, error_body
from query_engine.html import page

router = APIRouter(tags=["operations"])

_START = """<p>Provenance of scripts and machine-learning workflows, to be asked while they run and after.</p>
<ul>
<li><a href="/v1/runs">Runs of experiments</a>, <a href="/v1/executions">workflow executions</a>, <a href="/v1/workflows">workflows</a>,
<a href="/v1/studies">studies</a>, <a href="/v1/data">data</a>, <a href="/v1/agents">agents</a> (JSON)</li>
<li><a href="/docs">REST API</a> (the page loads its script from the network; <a href="/openapi.json">openapi.json</a> does not)</li>
<li><a href="/sparql">SPARQL 1.1 endpoint</a>: <code>/sparql?query=…</code></li>
<li><a href="/health">Health</a>, <a href="/metrics">metrics</a></li>
</ul>"""


@router.get("/", include_in_schema=False)
async def start_page() -> HTMLResponse:
    """What there is, as links."""
    return page("PLLib query engine", _START)


@router.get("/health", responses={503: {"description": "The store does not answer."}})
async def health(request: Request) -> JSONResponse:
    """Whether queries can be answered: 200 when the store answers, 503 with the reason when not."""
    try:
        await request.app.state.probe.ask("ASK {}")
    except QueryEngineError as error:
        body = error_body("store_unavailable", error.message, None, "Start the triple store.")
        return JSONResponse({"status": "unavailable", "reason": error.message, **body}, 503)
    return JSONResponse({"status": "ok", "store": request.app.state.settings.store.url})


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """Counts and times for Prometheus."""
    return Response(generate_latest(request.app.state.registry), media_type=CONTENT_TYPE_LATEST)
