"""``/v1/lineage``: what is behind a resource, or what came of it, as JSON, DOT, SVG or a PROV document."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Annotated, Any, Callable, Optional

import orjson
from fastapi import APIRouter, Query, Request, Response

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.aliases import Aliases, load
from query_engine.drawing import check_size, draw_svg, to_dot, turn_of
from query_engine.errors import BadParameter, NotAcceptable
from query_engine.exports import FORMATS as DOCUMENTS
from query_engine.exports import export_lineage
from query_engine.formats import JSON, Format, choose
from query_engine.lineage import Ambiguity, Direction, Known, Lineage, Walk
from query_engine.lineage_derivations import any_document
from query_engine.lineage_edges import Edges
from query_engine.lineage_grain import by_task
from query_engine.lineage_nodes import Ids, Nodes
from query_engine.lineage_start import Start, Starts
from query_engine.lineage_walk import Surroundings
from query_engine.names import classes
from query_engine.reading import Read, Reader, one_of

router = APIRouter(prefix="/v1", tags=["lineage"])

_BELOW = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?below WHERE {{
  VALUES ?class_ {{}} ?below rdfs:subClassOf* ?class_ }} LIMIT 10000"""
SHALLOW = 16
"""Steps up to which a lineage is looked up level by level, whatever comes."""
MAX_EDGES = 200_000
DOT, SVG = Format("text/vnd.graphviz"), Format("image/svg+xml", ("image/*",))
# A drawing shows texts of scripts: whatever they hold, a browser runs none of it.
_HEADERS = {"Vary": "Accept", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
_FORMATS = {"json": JSON, "dot": DOT, "svg": SVG, **DOCUMENTS}
# PROV-JSON has no media type of its own: asked for by Accept, application/json is the graph.
_BY_ACCEPT = {form: next(name for name, each in _FORMATS.items() if each == form) for form in _FORMATS.values()}

# Wrong values are answered with 400 and what is possible, so the parameters are taken as text.
_DIRECTION = Query(
    description="`backward`: what is behind it; `forward`: what came of it.",
    json_schema_extra={"enum": ["backward", "forward"]},
)
_DEPTH = Query(description="Steps to go; to the end when absent.", json_schema_extra={"type": "integer", "minimum": 1})
_GRAIN = Query(description="`task` leaves plain values out.", json_schema_extra={"enum": ["value", "task"]})
_FORMAT = Query(description="Instead of an Accept header.", json_schema_extra={"enum": list(_FORMATS)})
_ABOUT_TYPE = "Only nodes of this class or those below it, and no edges: `Model`, `prov:Person`, or an IRI."
_ABOUT_OF = "IRI or id of an execution, value or data reference; or path or key of data."


@router.get(
    "/lineage",
    responses={
        200: {"content": {name.media_type: {} for name in _BY_ACCEPT}},
        400: {"description": "`of` is no IRI, is no resource that has lineage, or is data in several stores."},
        404: {"description": "Nothing is known of `of`; the message says what was looked for."},
        413: {"description": "Too many nodes for a drawing."},
    },
)
async def lineage(
    request: Request,
    read: Read,
    of: Annotated[str, Query(min_length=1, max_length=16_000, description=_ABOUT_OF)],
    store: Annotated[Optional[str], Query(max_length=2000, description="Store that the data is in.")] = None,
    direction: Annotated[str, _DIRECTION] = "backward",
    depth: Annotated[Optional[str], _DEPTH] = None,
    grain: Annotated[str, _GRAIN] = "value",
    format: Annotated[Optional[str], _FORMAT] = None,
    type: Annotated[Optional[str], Query(max_length=2000, description=_ABOUT_TYPE)] = None,
) -> Response:
    """The lineage of a resource.

    Edges have PROV's direction. An edge that is not `certain` is the only thing that the graph can mean, but nobody has
    said so; where it may mean several things, nothing is followed, and `ambiguous` lists them. An activity is one step;
    what it used (or generated) is one step further.
    """
    way: Direction = "forward" if one_of("direction", direction, ("backward", "forward")) == "forward" else "backward"
    fine = one_of("grain", grain, ("value", "task")) == "value"
    steps = None if depth is None else _steps(depth)
    accepted = request.headers.get("accept")
    only = None if type is None else await _classes(read, type)
    chosen = one_of("format", format, tuple(_FORMATS)) if format is not None else _accepted(accepted)
    aliases = await load(read.store, read.names)
    start = await Starts(read.store, read.names, aliases).find(of, store)
    ids = Ids(read.names)
    nodes, edges = Nodes(read.store, ids), Edges(ids)

    def prepare(so_far: Lineage, known: Known) -> None:
        nodes.prepare(so_far, known)
        edges.prepare(so_far)

    whole = fine and only is None and chosen not in DOCUMENTS
    seconds = request.app.state.settings.timeout
    found, known = await trace(read, start, way, steps, seconds, aliases, prepare if whole else None)
    if not fine:
        found = by_task(found, nodes.data_of(found), start.iri)
    if chosen == "svg":
        check_size(len(found.depths))
    described = await nodes.describe(found, known, only)  # first, since ids are reckoned by the way
    told = edges.tell(found) if only is None else []
    body = {**_answer(ids, start, way, found, told), "nodes": described}
    if chosen in DOCUMENTS:
        activities, entities = _of_kind(body, "activity"), _of_kind(body, "entity")
        return await export_lineage(request, read, activities, entities, chosen, found.truncated)
    content = await _write(body, chosen, turn_of(request))
    return Response(content, media_type=_FORMATS[chosen].media_type, headers=_HEADERS)


def _of_kind(body: dict[str, Any], kind: str) -> list[str]:
    return [node["iri"] for node in body["nodes"] if node["kind"] == kind]


async def _classes(read: Reader, name: str) -> frozenset[str]:
    """The classes that a name may mean, with all below them."""
    rows = await read.store.select(_BELOW, class_=list(classes(name)))
    return frozenset(row["below"].value for row in rows)


async def _write(body: dict[str, Any], chosen: str, turn: asyncio.Semaphore) -> bytes:
    if chosen == "json":
        return orjson.dumps(body)
    return to_dot(body).encode() if chosen == "dot" else await draw_svg(body, turn)


async def trace(
    read: Reader,
    start: Start,
    direction: Direction,
    depth: Optional[int],
    seconds: float,
    aliases: Aliases,
    meanwhile: Optional[Callable[[Lineage, Known], None]] = None,
) -> tuple[Lineage, Known]:
    """The whole lineage of a start, or as much of it as ``seconds`` and the limits let through; and all that was learnt.

    Args:
        meanwhile: what to do with what there is so far when the store must be waited for.
    """
    walk = Walk(direction, depth, MAX_EDGES)
    base = read.names.base if await any_document(read.store) else ""
    around = Surroundings(read.store, seconds, aliases, base)
    await Starts(read.store, read.names, aliases).begin(walk, around, start, direction)
    shallow = depth is not None and depth <= SHALLOW
    pause = (lambda: None) if meanwhile is None else partial(meanwhile, walk.answer, walk.known)
    await around.complete(walk, start.iri, direction, shallow, pause)
    return walk.answer, walk.known


def _steps(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 7 and int(text) >= 1):
        raise BadParameter(
            f"depth: {text[:100]!r} is no whole number from 1", field="depth", fix="Leave it out for all."
        )
    return int(text)


def _accepted(accept: Optional[str]) -> str:
    try:
        return _BY_ACCEPT[choose(accept, tuple(_BY_ACCEPT))]
    except NotAcceptable:
        if accept and "text/html" in accept:
            return "json"
        raise


def _answer(
    ids: Ids, begun: Start, direction: Direction, found: Lineage, edges: list[dict[str, Any]]
) -> dict[str, Any]:
    """The answer but for its nodes."""
    return {
        "of": ids[begun.iri],
        "direction": direction,
        "edges": edges,
        "ambiguous": [_ambiguity(ids, each) for each in found.ambiguous.values()],
        "truncated": found.truncated,
    }


def _ambiguity(ids: Ids, found: Ambiguity) -> dict[str, Any]:
    return {
        "entity": ids[found.entity],
        "used_by": ids[found.user] if found.user else None,
        "candidates": [
            {"entity": ids[source.entity], "activity": ids[source.activity] if source.activity else None}
            for source in found.candidates
        ],
    }
