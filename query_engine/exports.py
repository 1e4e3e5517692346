"""PROV documents of what is in the store: a workflow execution, or a lineage.

The graph says PROV-ML; here its resources become PROV's entities, activities and agents, by the part they play, and keep
their classes as ``prov:type`` and what else is said of them as attributes. Of prospective provenance PROV has only the
plan: workflows and transformations become plans, attributes entities, each with class and name and no more.
"""

from __future__ import annotations

import asyncio
import io
import zipfile
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Annotated, Iterable, Iterator, Mapping, Optional

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from pllib import prov
from pllib.prov import crate, rdf_reader
from pllib.prov.literals import canonical as canonical_literal
from pllib.prov.model import KINDS
from pllib.prov.rdf import Triple
from pllib.provml.vocabulary import PREFIXES, PROV, RDF, SPARQL_PREFIXES
from query_engine.binding import Iri, slices
from query_engine.descriptions import describe
from query_engine.errors import BadParameter, NotAcceptable, NotFound, TooLarge
from query_engine.formats import Format, choose
from query_engine.names import canonical
from query_engine.prov_terms import QUALIFIED, value_of
from query_engine.reading import Read, Reader
from query_engine.sparql import TRUNCATED
from query_engine.store import StoreClient
from query_engine.terms import Term

router = APIRouter(prefix="/v1", tags=["executions"])

MAX_TRIPLES = 1_000_000
_BATCH = 2000
_CHUNK = 65_536
_TYPE = RDF + "type"
_TASKS = f"""{SPARQL_PREFIXES}SELECT ?a WHERE {{
  VALUES ?execution {{}} ?a provlake:isPartOf ?execution }} LIMIT {MAX_TRIPLES + 1}"""
_MADE = f"""{SPARQL_PREFIXES}SELECT ?e WHERE {{
  VALUES ?a {{}} ?e prov:wasGeneratedBy ?a }} LIMIT {MAX_TRIPLES + 1}"""
_SESSIONS = f"""{SPARQL_PREFIXES}SELECT ?session WHERE {{
  VALUES ?a {{}} ?session provlake:sessionOf ?a }} LIMIT {MAX_TRIPLES + 1}"""
_SAID = f"SELECT ?s ?p ?o WHERE {{ VALUES ?s {{}} ?s ?p ?o }} LIMIT {MAX_TRIPLES + 1}"
_NAMED = f"""{SPARQL_PREFIXES}SELECT ?s ?p ?o WHERE {{
  VALUES ?s {{}} ?s ?p ?o FILTER(?p IN (rdf:type, rdfs:label)) }} LIMIT {MAX_TRIPLES + 1}"""
_WITHIN = frozenset(PROV + name for name in ("used", "wasGeneratedBy", "wasInformedBy"))
"""Relations of which a lineage shows those between its own nodes."""
_QUALIFIED_WITHIN = frozenset(PROV + kind.qualified for kind in KINDS.values() if PROV + kind.name in _WITHIN)
_OTHER_END = frozenset(PROV + name for name in ("entity", "activity"))

_JSON = Format("application/json")
FORMATS = {
    "prov-json": _JSON,
    **{
        f"prov-{name}".replace("prov-provn", "provn"): Format(prov.FORMATS[name].media_type)
        for name in ("provn", "xml", "ttl", "trig", "nt", "jsonld")
    },
}
"""Names of the ``format`` parameter, and the media types they are answered in and may be asked for by ``Accept``."""
EXECUTION_FORMATS = {
    **FORMATS,
    "dot": Format(prov.FORMATS["dot"].media_type),
    "svg": Format("image/svg+xml", ("image/*",)),
}
"""Those of an execution: a lineage has drawings of its own."""
_FORMAT = Query(description="Instead of an Accept header.", json_schema_extra={"enum": list(EXECUTION_FORMATS)})
CRATES = {"json": Format("application/ld+json", ("application/json",)), "zip": Format("application/zip")}
_CRATE = Query(description="Instead of an Accept header.", json_schema_extra={"enum": list(CRATES)})
_DRAWINGS = ("dot", "svg")
# A drawing shows texts of scripts: whatever they hold, a browser runs none of it.
_HEADERS = {"Vary": "Accept", "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}


@router.get(
    "/executions/{workflow}/{execution}/prov",
    responses={
        200: {"content": {form.media_type: {} for form in EXECUTION_FORMATS.values()}},
        404: {"description": "No such execution."},
        406: {"description": "The format cannot hold what was captured; the message says what."},
        413: {"description": f"More than {MAX_TRIPLES:,} statements in the graph."},
    },
)
async def export_execution(
    workflow: str, execution: str, request: Request, read: Read, format: Annotated[Optional[str], _FORMAT] = None
) -> Response:
    """A workflow execution as a PROV document: its activities, what they used and generated, who did it, by which plans.

    `dot` and `svg` are drawings of it; an `svg` of more than can be read shows what is of one kind as one.
    """
    name = chosen_name(format, request.headers.get("accept"), EXECUTION_FORMATS)
    return await answer(request, await gather_execution(read, workflow, execution), name)


@router.get(
    "/executions/{workflow}/{execution}/crate",
    responses={
        200: {"content": {form.media_type: {} for form in CRATES.values()}},
        404: {"description": "No such execution."},
        413: {"description": "More than a crate can tell."},
    },
)
async def export_crate(
    workflow: str, execution: str, request: Request, read: Read, format: Annotated[Optional[str], _CRATE] = None
) -> Response:
    """A workflow execution as an RO-Crate (Workflow Run Crate profiles): its metadata, or a zip with those and the PROV document.

    No file is opened here: the crate names what was used and generated. `pllib crate` makes one with the files.
    """
    name = chosen_name(format, request.headers.get("accept"), CRATES)
    gathered = await gather_execution(read, workflow, execution)
    iri = read.names.iri(f"execution/{canonical(workflow)}/{canonical(execution)}").value
    async with request.app.state.conversions:
        try:
            content = await asyncio.to_thread(_crate, gathered, name, request.app.state.settings.base, iri)
        except prov.DocumentError as error:
            raise TooLarge(str(error), field="execution", fix="Take the PROV document, or single tasks.") from error
    return Response(content, media_type=CRATES[name].media_type, headers={"Vary": "Accept"})


async def gather_execution(read: Reader, workflow: str, execution: str) -> Gathered:
    """What goes into the document of a workflow execution.

    Raises:
        NotFound, TooLarge: there is none, or too much of it.
    """
    iri = read.names.iri(f"execution/{canonical(workflow)}/{canonical(execution)}")
    if not (await describe(read.store, [iri.value], ("rdf:type",)))[iri.value]:
        raise NotFound(f"there is no workflow execution with the id {read.names.id(iri.value)!r}")
    tasks = await read.store.select(_TASKS, execution=iri)
    gathered = Gathered(read.store)
    await gathered.activities([iri.value, *(row["a"].value for row in tasks)])
    made = [row["e"].value for row in await gathered.batched(_MADE, "a", gathered.parts["Activity"])]
    await gathered.entities([*made, *gathered.objects("used")])
    await gathered.relations()
    return gathered


async def export_lineage(
    request: Request, read: Reader, activities: Iterable[str], entities: Iterable[str], name: str, cut: bool
) -> Response:
    """A lineage as a PROV document: what was said of its nodes. Links that nobody said are not in it."""
    gathered = Gathered(read.store)
    await gathered.activities(activities)
    await gathered.entities(entities)
    gathered.keep_within()
    await gathered.relations(within=True)
    response = await answer(request, gathered, name)
    if cut:
        response.headers[TRUNCATED] = "lineage"
    return response


def chosen_name(format: Optional[str], accept: Optional[str], formats: Mapping[str, Format] = FORMATS) -> str:
    """The name in ``formats`` that is asked for by parameter or header.

    Raises:
        BadParameter, NotAcceptable: there is none.
    """
    if format is None:
        by_media_type = {form: name for name, form in formats.items()}
        return by_media_type[choose(accept, tuple(formats.values()))]
    if format not in formats:
        raise BadParameter(f"format: {format[:100]!r} is none of {', '.join(formats)}", field="format")
    return format


@dataclass
class Gathered:
    """What the store says of resources, and the part that each plays."""

    store: StoreClient
    said: list[tuple[str, str, Term]] = field(default_factory=list)
    parts: dict[str, dict[str, None]] = field(
        default_factory=lambda: {name: {} for name in ("Activity", "Entity", "Agent", "Plan")}
    )

    async def activities(self, iris: Iterable[str]) -> None:
        """Activities, with the sessions they had, who they are associated with and the plans they followed."""
        await self._add("Activity", iris, _SAID)
        sessions = await self.batched(_SESSIONS, "a", self.parts["Activity"])
        await self._add("Activity", [row["session"].value for row in sessions], _SAID)
        await self._add("Agent", self.objects("wasAssociatedWith"), _SAID)
        await self._add("Agent", self.objects("actedOnBehalfOf"), _SAID)
        await self._add("Plan", self.objects("wasInfluencedBy"), _NAMED)

    async def entities(self, iris: Iterable[str]) -> None:
        """Entities, with the facts about them, what they are states of, and the attributes they are values of."""
        await self._add("Entity", iris, _SAID)
        await self._add("Entity", self.objects("hadMember"), _SAID)
        await self._add("Entity", self.objects("specializationOf"), _SAID)
        await self._add("Entity", self.objects("wasDerivedFrom"), _NAMED)

    def objects(self, relation: str) -> list[str]:
        """What something is in a PROV relation to."""
        return list(dict.fromkeys(o.value for _, p, o in self.said if p == PROV + relation and o.kind == "iri"))

    def keep_within(self) -> None:
        """Leaves out uses, generations and communications with what is not here itself."""
        known = self._known()
        self.said = [each for each in self.said if each[1] not in _WITHIN or each[2].value in known]

    async def relations(self, within: bool = False) -> None:
        """What imported documents say of relations: times, roles, identifiers.

        Args:
            within: uses, generations and communications only with what is here itself.
        """
        nodes = dict.fromkeys(o.value for _, p, o in self.said if p in QUALIFIED and o.kind == "iri")
        said: dict[str, list[tuple[str, str, Term]]] = {node: [] for node in nodes}
        for row in await self.batched(_SAID, "s", nodes):
            said[row["s"].value].append((row["s"].value, row["p"].value, row["o"]))
        known = self._known()
        outside = {s for s, told in said.items() if any(p in _OTHER_END and o.value not in known for _, p, o in told)}
        if within:
            self.said = [each for each in self.said if each[1] not in _QUALIFIED_WITHIN or each[2].value not in outside]
        left = dict.fromkeys(o.value for _, p, o in self.said if p in QUALIFIED)
        self.said += [each for node in left for each in said.get(node, ())]

    async def batched(self, query: str, name: str, iris: Iterable[str]) -> list[dict[str, Term]]:
        """The solutions of a query for many values of one parameter."""
        rows: list[dict[str, Term]] = []
        for some in slices([Iri(iri) for iri in iris], _BATCH):
            rows += await self.store.select(query, **{name: some})
            if len(rows) + len(self.said) > MAX_TRIPLES:
                fix = "Export a lineage or single tasks, or ask the store itself (`/sparql`)."
                raise TooLarge(f"there are more than {MAX_TRIPLES:,} statements", field="execution", fix=fix)
        return rows

    async def _add(self, part: str, iris: Iterable[str], query: str) -> None:
        known = self._known()
        fresh = [iri for iri in dict.fromkeys(iris) if iri not in known]
        self.parts[part].update(dict.fromkeys(fresh))
        rows = await self.batched(query, "s", fresh)
        self.said += [(row["s"].value, row["p"].value, row["o"]) for row in rows]

    def _known(self) -> set[str]:
        return {iri for part in self.parts.values() for iri in part}

    def triples(self) -> Iterator[Triple]:
        """All that was gathered, with PROV's own classes, which the graph leaves to the ontology."""
        for part, iris in self.parts.items():
            for iri in iris:
                yield Triple(iri, _TYPE, prov.Ref(PROV + ("Entity" if part == "Plan" else part)))
                if part == "Plan":
                    yield Triple(iri, _TYPE, prov.Ref(PROV + "Plan"))
        for subject, predicate, object_ in self.said:
            yield Triple(subject, predicate, _value(object_))


def _value(term: Term) -> prov.Ref | prov.Literal:
    value = value_of(term)
    # Stores have forms of their own for one and the same number.
    return canonical_literal(value) if isinstance(value, prov.Literal) else value


async def answer(request: Request, gathered: Gathered, name: str) -> Response:
    """The document, written aside and sent in parts."""
    async with request.app.state.conversions:
        try:
            text = await asyncio.to_thread(_written, gathered, name, request.app.state.settings.base)
        except prov.DocumentError as error:
            if name in _DRAWINGS:
                raise TooLarge(str(error), field="format", fix="Draw a lineage, or take a document.") from error
            raise cannot_hold(name, error) from error
    chunks = (text[start : start + _CHUNK].encode() for start in range(0, len(text), _CHUNK))
    return StreamingResponse(chunks, media_type=EXECUTION_FORMATS[name].media_type, headers=_HEADERS)


def cannot_hold(name: str, error: prov.DocumentError) -> NotAcceptable:
    """The answer where a format has no way to say what is asked for."""
    fix = "Take another format; PROV-JSON and Turtle hold everything."
    return NotAcceptable(f"{name} cannot hold this: {error}", field="format", fix=fix)


def _written(gathered: Gathered, name: str, base: str) -> str:
    return as_text(_document(gathered, base), name)


def _document(gathered: Gathered, base: str) -> prov.Document:
    # Other readers take only names with a declared namespace.
    return prov.Document(namespaces={**PREFIXES, "id": base}, statements=rdf_reader.statements(gathered.triples()))


def as_text(document: prov.Document, name: str) -> str:
    """The document in a format of ``pllib.prov``.

    Raises:
        DocumentError: the format cannot hold it.
    """
    out = io.StringIO()
    prov.write(document, out, name)
    return out.getvalue()


def _crate(gathered: Gathered, name: str, base: str, execution: str) -> bytes:
    document = _document(gathered, base)
    found = crate.crate_of(document.statements, execution)
    metadata = crate.as_json(found.metadata({}, datetime.now(timezone.utc)))
    if name == "json":
        return metadata
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(crate.METADATA, metadata)
        if (plan := found.plan()) is not None:
            archive.writestr(crate.PLAN_FILE, crate.as_json(plan))
        archive.writestr(crate.PROV_FILE, as_text(document, "json"))
    return out.getvalue()
