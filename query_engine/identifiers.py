"""Every resource by its IRI: ``/id/…``, as a page, as JSON, or as RDF."""

from __future__ import annotations

from html import escape
from typing import Annotated, Any, Optional
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from pllib.provml.vocabulary import PROVLAKE
from query_engine import formats, graphs
from query_engine.binding import Iri
from query_engine.errors import NotFound
from query_engine.graphs import Triple
from query_engine.html import page
from query_engine.names import short
from query_engine.reading import Read, Reader
from query_engine.series_reading import chunk_counts
from query_engine.sparql import TRUNCATED
from query_engine.terms import Term

router = APIRouter(tags=["resources by IRI"])

_MOST_STATEMENTS = 5000
_MOST_MENTIONS = 1000
_FORMATS = (formats.HTML, formats.JSON, formats.TURTLE, formats.N_TRIPLES, formats.JSON_LD, formats.RDF_XML)
# The points of a series and the texts of a document are no statements for people: they may be megabytes, and have routes
# of their own.
_STATEMENTS = f"""SELECT ?p ?o WHERE {{
  VALUES ?item {{}} ?item ?p ?o FILTER(?p NOT IN (<{PROVLAKE}points>, <{PROVLAKE}statement>))
}} ORDER BY ?p ?o LIMIT {_MOST_STATEMENTS + 1}"""
_MENTIONS = f"SELECT ?s ?p WHERE {{ VALUES ?item {{}} ?s ?p ?item }} LIMIT {_MOST_MENTIONS + 1}"
_SHOWN = 2000
_UNKNOWN = {"description": "Nothing is known under that IRI."}


@router.get(
    "/id/{id:path}",
    responses={
        200: {
            "description": "What is said of the resource, and who points at it.",
            "content": {form.media_type: {} for form in _FORMATS},
        },
        404: _UNKNOWN,
    },
)
async def get_resource(id: str, request: Request, read: Read) -> Response:
    """What is known of any resource, by the path of its IRI; the format is the one that `Accept` prefers."""
    return await _resource(read.names.iri(id), request, read)


@router.get("/id", responses={200: {"content": {form.media_type: {} for form in _FORMATS}}, 404: _UNKNOWN})
async def get_any_resource(
    request: Request,
    read: Read,
    iri: Annotated[str, Query(min_length=1, max_length=16_000, description="The full IRI.")],
) -> Response:
    """As `/id/…`, of a resource that goes by an IRI of its own: those of imported PROV documents."""
    return await _resource(read.names.any_iri(iri), request, read)


async def _resource(iri: Iri, request: Request, read: Reader) -> Response:
    form = formats.choose(", ".join(request.headers.getlist("accept")) or None, _FORMATS)
    statements = await read.store.select(_STATEMENTS, item=iri)
    mentions = await read.store.select(_MENTIONS, item=iri)
    if not statements and not mentions:
        raise NotFound(f"nothing is known of {iri.value}", field="id")
    me = Term("iri", iri.value)
    out = [Triple(me, row["p"], row["o"]) for row in statements[:_MOST_STATEMENTS]]
    back = [Triple(row["s"], row["p"], me) for row in mentions[:_MOST_MENTIONS]]
    cut = len(statements) > len(out) or len(mentions) > len(back)
    headers = {"Vary": "Accept"} | ({TRUNCATED: f"rows={len(out) + len(back)}"} if cut else {})
    chunks = (await chunk_counts(read.store, [iri.value])).get(iri.value, 0) if _grows(out) else 0
    points = {"route": f"/v1/series/{read.names.id(iri.value)}", "chunks": chunks} if chunks else None
    if points is not None:
        headers["Link"] = f'<{points["route"]}>; rel="describedby"; title="points"'
    response = _render(form, read, iri, out, back, points)
    response.headers.update(headers)
    return response


def _grows(statements: list[Triple]) -> bool:
    """Whether a resource is a series."""
    return any(triple.object.value == PROVLAKE + "Series" for triple in statements)


def _render(
    form: formats.Format,
    read: Reader,
    iri: Iri,
    out: list[Triple],
    back: list[Triple],
    points: Optional[dict[str, Any]],
) -> Response:
    if form == formats.HTML:
        return page(read.names.id(iri.value), _about_points(points) + _tables(read, out, back))
    if form == formats.JSON:
        return JSONResponse(_as_json(read, iri, out, back) | ({} if points is None else {"points": points}))
    return Response(graphs.write([*out, *back], form), media_type=form.media_type)


def _as_json(read: Reader, iri: Iri, out: list[Triple], back: list[Triple]) -> dict[str, Any]:
    properties: dict[str, list[Any]] = {}
    for triple in out:
        properties.setdefault(short(triple.predicate.value), []).append(_plain(read, triple.object))
    mentions: dict[str, list[str]] = {}
    for triple in back:
        mentions.setdefault(short(triple.predicate.value), []).append(read.names.id(triple.subject.value))
    return {"id": read.names.id(iri.value), "iri": iri.value, "properties": properties, "referenced_by": mentions}


def _plain(read: Reader, term: Term) -> Any:
    if term.kind == "literal":
        return term.json
    return {"id": read.names.id(term.value)} if read.names.own(term.value) else {"id": short(term.value)}


def _about_points(points: Optional[dict[str, Any]]) -> str:
    if points is None:
        return ""
    return f'<p>Its points, in {points["chunks"]} chunks: <a href="{escape(points["route"])}">as JSON or CSV</a>.</p>'


def _tables(read: Reader, out: list[Triple], back: list[Triple]) -> str:
    said = "".join(_row(_short(triple.predicate), _cell(read, triple.object)) for triple in out)
    mentioned = "".join(_row(_short(triple.predicate), _cell(read, triple.subject)) for triple in back)
    parts = f"<table>{said}</table>"
    if back:
        parts += f"<h2>Referred to by</h2><table>{mentioned}</table>"
    return parts + "<p><small>Also as JSON, Turtle, N-Triples, JSON-LD or RDF/XML, by the Accept header.</small></p>"


def _row(left: str, right: str) -> str:
    return f"<tr><th>{left}</th><td>{right}</td></tr>"


def _short(term: Term) -> str:
    return escape(short(term.value))


def _cell(read: Reader, term: Term) -> str:
    if term.kind == "iri":
        if read.names.own(term.value):
            identifier = read.names.id(term.value)
            return f'<a href="/id/{escape(identifier)}">{escape(identifier)}</a>'
        return f'<a href="/id?iri={quote(term.value, safe="")}">{_short(term)}</a>'
    text = escape(term.value[:_SHOWN]) + ("…" if len(term.value) > _SHOWN else "")
    kind = term.lang or (short(term.datatype) if term.datatype else "")
    return f"{text} <small>{escape(kind)}</small>" if kind else text
