"""The SPARQL 1.1 Protocol endpoint: queries of anyone, checked, limited and passed on to the store."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import aclosing
from dataclasses import dataclass
from typing import IO, Any, AsyncIterator, Optional
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from query_engine import formats, graphs, guard
from query_engine.errors import BadQuery, ReadOnly, TooLarge, UnsupportedMedia
from query_engine.formats import Format
from query_engine.results import Cutter, cutter
from query_engine.settings import Settings
from query_engine.store import TAIL, StoreClient, broken_off

TRUNCATED = "X-PLLib-Truncated"
_MAX_BODY = 4 * guard.MAX_BYTES  # a form may write a byte in three
_IN_MEMORY = 4 * 1024 * 1024
_CHUNK = 64 * 1024
_FORM = "application/x-www-form-urlencoded"
_QUERY = "application/sparql-query"
_UPDATE = "application/sparql-update"
_DATASET = ("default-graph-uri", "named-graph-uri", "using-graph-uri", "using-named-graph-uri")

_DESCRIPTION = """@prefix sd: <http://www.w3.org/ns/sparql-service-description#> .
@prefix formats: <http://www.w3.org/ns/formats/> .

[] a sd:Service ;
    sd:endpoint <{endpoint}> ;
    sd:supportedLanguage sd:SPARQL11Query ;
    sd:resultFormat formats:SPARQL_Results_JSON, formats:SPARQL_Results_XML, formats:SPARQL_Results_CSV,
        formats:SPARQL_Results_TSV, formats:Turtle, formats:N-Triples, formats:JSON-LD, formats:RDF_XML ;
    sd:defaultDataset [ a sd:Dataset ; sd:defaultGraph [ a sd:Graph ] ] .
"""

_BOOLEANS = {
    formats.RESULTS_JSON: '{"head":{},"boolean":%s}',
    formats.RESULTS_XML: '<?xml version="1.0"?><sparql xmlns="http://www.w3.org/2005/sparql-results#"><head></head>'
    "<boolean>%s</boolean></sparql>",
}

router = APIRouter(tags=["SPARQL"])

_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The answer, in the format that `Accept` prefers. "
        f"The header `{TRUNCATED}: rows=N` says that it was cut after N rows.",
        "content": {form.media_type: {} for form in (*formats.SOLUTIONS, *formats.GRAPHS)},
    },
    400: {"description": "No SPARQL query, or one that is refused: too deep, `SERVICE`, `FROM`."},
    403: {"description": "An update: this endpoint only reads."},
    406: {"description": "No format that the client accepts."},
    413: {"description": "The query has more than 64 KB, or the answer more bytes than the server's limit."},
    504: {"description": "The query took longer than the server's limit."},
}
_QUERY_PARAMETER = {
    "name": "query",
    "in": "query",
    "schema": {"type": "string"},
    "description": "SPARQL 1.1 query; without it the answer is the service description (Turtle).",
    "example": "SELECT ?workflow WHERE { ?workflow a <https://w3id.org/pllib/provlake#Workflow> } LIMIT 10",
}
_BODY = {
    "required": True,
    "content": {
        _QUERY: {"schema": {"type": "string"}},
        _FORM: {"schema": {"type": "object", "required": ["query"], "properties": {"query": {"type": "string"}}}},
    },
}


@router.get("/sparql", responses=_ANSWERS, openapi_extra={"parameters": [_QUERY_PARAMETER]})
async def query_by_get(request: Request) -> Response:
    """Answers a SPARQL 1.1 query; with no `query`, describes the service."""
    text = _query_of(list(request.query_params.multi_items()))
    if text is None:
        endpoint = str(request.url.replace(query=""))
        return Response(_DESCRIPTION.format(endpoint=endpoint), media_type="text/turtle")
    return await _answer(request, text)


@router.post("/sparql", responses=_ANSWERS, openapi_extra={"requestBody": _BODY})
async def query_by_post(request: Request) -> Response:
    """Answers a SPARQL 1.1 query sent as `application/sparql-query` or as a form."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _UPDATE:
        raise ReadOnly("updates are not taken here")
    if media_type not in (_QUERY, _FORM):
        raise UnsupportedMedia(f"a query cannot be posted as {media_type or 'nothing'}", field="Content-Type")
    parameters = list(request.query_params.multi_items())
    body = await _body(request)
    parameters += [("query", body)] if media_type == _QUERY else parse_qsl(body, keep_blank_values=True)
    text = _query_of(parameters)
    if text is None:
        raise BadQuery("no query in the request", field="query")
    return await _answer(request, text)


async def _body(request: Request) -> str:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY:
            raise TooLarge(f"the request has more than {_MAX_BODY} bytes", field="query")
    try:
        return body.decode()
    except UnicodeDecodeError as error:
        raise BadQuery("the request is no UTF-8", field="query") from error


def _query_of(parameters: list[tuple[str, str]]) -> Optional[str]:
    names = [name for name, _ in parameters]
    if "update" in names:
        raise ReadOnly("updates are not taken here", field="update")
    for name in _DATASET:
        if name in names:
            raise BadQuery(
                f"{name} is refused: queries read this store's default graph only", field=name, fix=f"Leave out {name}."
            )
    if names.count("query") > 1:
        raise BadQuery("more than one query in the request", field="query")
    return next((value for name, value in parameters if name == "query"), None)


async def _answer(request: Request, text: str) -> Response:
    query = guard.check(text)
    store: StoreClient = request.app.state.store
    settings: Settings = request.app.state.settings
    accept = ", ".join(request.headers.getlist("accept")) or None
    if query.form == "ASK":
        return await _boolean(store, query, formats.choose(accept, formats.SOLUTIONS))
    if query.form == "SELECT":
        form = formats.choose(accept, formats.SOLUTIONS)
        fetched = await _fetch(store, query, form, settings)
        return StreamingResponse(_parts(fetched.file), headers=fetched.headers(), media_type=form.media_type)
    form = formats.choose(accept, formats.GRAPHS)
    fetched = await _fetch(store, query, formats.N_TRIPLES, settings)
    if form == formats.N_TRIPLES:
        return StreamingResponse(_parts(fetched.file), headers=fetched.headers(), media_type=form.media_type)
    async with request.app.state.conversions:
        body = await asyncio.to_thread(_convert, fetched.file, form)
    return Response(body, headers=fetched.headers(), media_type=form.media_type)


async def _boolean(store: StoreClient, query: guard.Query, form: Format) -> Response:
    """Asked for as JSON, since only that is the same from every store."""
    told = "true" if await store.ask(query.text) else "false"
    return Response(_BOOLEANS.get(form, "%s\n") % told, media_type=form.media_type)


@dataclass(frozen=True, slots=True)
class _Fetched:
    """An answer of the store, whole or cut."""

    file: IO[bytes]
    cut_after: Optional[int]

    def headers(self) -> dict[str, str]:
        return {} if self.cut_after is None else {TRUNCATED: f"rows={self.cut_after}"}


async def _fetch(store: StoreClient, query: guard.Query, form: Format, settings: Settings) -> _Fetched:
    """The whole answer, before anything is sent on: only then is it known whether it was cut, too large or broken."""
    cut = cutter(form, settings.max_rows)
    file: IO[bytes] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 - closed by who sends it
    try:
        async with store.proxy(query.text, form.media_type) as response:
            last = await _copy(response.aiter_bytes(_CHUNK), cut, file, settings.max_bytes)
        file.write(cut.close())
        if not cut.complete():
            raise broken_off(last)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return _Fetched(file, settings.max_rows if cut.full else None)


async def _copy(parts: AsyncIterator[bytes], cut: Cutter, file: IO[bytes], max_bytes: int) -> bytes:
    size, last = 0, b""
    async with aclosing(parts) as stream:  # type: ignore[type-var]
        async for part in stream:
            kept = cut.feed(part)
            last = (last + part)[-TAIL:]
            size += file.write(kept)
            if size > max_bytes:
                raise TooLarge(f"the answer has more than {max_bytes} bytes")
            if cut.full:
                break
    return last


def _convert(file: IO[bytes], form: Format) -> bytes:
    with file:
        return graphs.write(graphs.read_ntriples(file.read().decode()), form)


async def _parts(file: IO[bytes]) -> AsyncIterator[bytes]:
    with file:
        while part := file.read(_CHUNK):
            yield part
