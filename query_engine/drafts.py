"""Prospective specifications drafted from what was captured: ``/v1/workflows/{name}/specification``.

The answer has the form that the tracker takes (docs/reference/tracker.md), so that nobody writes one from scratch: take
it, correct what the runs could not tell, and send it back.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Iterable, Optional, Sequence

from fastapi import APIRouter, Query, Request, Response

from pllib.provml.vocabulary import CYCLE, RDF, SECTIONS, SEMANTICS, SPARQL_PREFIXES, STAGES, XSD
from query_engine.binding import Iri
from query_engine.descriptions import Description, describe
from query_engine.drawing import lay_out, turn_of
from query_engine.errors import BadParameter, NotFound
from query_engine.names import canonical
from query_engine.plan_drawing import to_dot
from query_engine.reading import Read, Reader, types

router = APIRouter(prefix="/v1", tags=["workflows"])

_PROPERTIES = (
    *("rdf:type", "rdfs:label", "rdfs:comment"),
    *("provlake:hasPart", "provlake:hasInput", "provlake:hasOutput"),
)
_PARTS = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?part WHERE {{
  VALUES ?workflow {{}} ?workflow provlake:hasPart+ ?part }} LIMIT 10000"""
_STUDY = f"{SPARQL_PREFIXES}SELECT ?study WHERE {{ VALUES ?workflow {{}} ?study provlake:hasPart ?workflow }} LIMIT 1"
# A sample is enough to know a type by, and is all that can be read of a million values.
_VALUES = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?type ?first WHERE {{
  {{ SELECT ?value WHERE {{ VALUES ?attribute {{}} ?x prov:wasDerivedFrom ?attribute ; prov:value ?value }} LIMIT 500 }}
  BIND(DATATYPE(?value) AS ?type) BIND(SUBSTR(STR(?value), 1, 1) AS ?first_letter)
  BIND(IF(?type = rdf:JSON, ?first_letter, "") AS ?first) }} LIMIT 100"""
_CLASSES = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?type WHERE {{
  {{ SELECT ?run WHERE {{ VALUES ?plan {{}} ?run prov:wasInfluencedBy ?plan }} LIMIT 500 }} ?run a ?type }}"""
_DTYPES = {XSD + "integer": "integer", XSD + "double": "float", XSD + "boolean": "boolean", XSD + "string": "string"}
_MEANINGS = {classes.attribute: meaning for meaning, classes in SEMANTICS.items()}
_STAGE_OF_SECTION = {classes.execution: stage for stage, classes in SECTIONS.items()}
_STAGE_OF_PLAN = {classes.plan: stage for stage, classes in STAGES.items()}
_SECTION = SECTIONS["learning"].plan
_PARALLEL = 4
_FORMATS = ("svg", "dot")

Json = dict[str, Any]


@router.get("/workflows/{name}/specification", responses={404: {"description": "No workflow of that name."}})
async def draft_specification(name: str, read: Read) -> Json:
    """A prospective specification of a workflow, drafted from all its runs."""
    return await Draft(read, name).specification()


@router.get(
    "/workflows/{name}/drawing",
    responses={200: {"content": {"image/svg+xml": {}, "text/vnd.graphviz": {}}}, 404: {"description": "No workflow."}},
)
async def draw_workflow(
    request: Request, name: str, read: Read, format: Annotated[str, Query(description="`svg` or `dot`.")] = "svg"
) -> Response:
    """The plan of a workflow, drawn: transformations, and the attributes that go from one to the other."""
    if format not in _FORMATS:
        raise BadParameter(f"format: {format[:100]!r} is none of {', '.join(_FORMATS)}", field="format")
    text = to_dot(await Draft(read, name).specification())
    headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    if format == "dot":
        return Response(text, media_type="text/vnd.graphviz", headers=headers)
    return Response(await lay_out(text, turn_of(request)), media_type="image/svg+xml", headers=headers)


class Draft:
    """Reads what the runs of one workflow have shown."""

    def __init__(self, read: Reader, name: str) -> None:
        self._read = read
        self._workflow = read.names.iri("workflow/" + canonical(name)).value
        self._turns = asyncio.Semaphore(_PARALLEL)

    async def specification(self) -> Json:
        """The draft, in the form that the tracker takes.

        Raises:
            NotFound: there is no workflow of that name.
        """
        own = (await describe(self._read.store, [self._workflow], _PROPERTIES))[self._workflow]
        if not own:
            raise NotFound(f"there is no workflow with the id {self._read.names.id(self._workflow)!r}", field="name")
        rows = await self._read.store.select(_PARTS, workflow=Iri(self._workflow))
        parts = await describe(self._read.store, sorted(row["part"].value for row in rows), _PROPERTIES)
        attributes = await self._attributes(parts.values())
        inside = {part: plan.iri for plan in parts.values() for part in plan.iris("provlake:hasPart")}
        drafted = await asyncio.gather(
            *(self._transformation(plan, inside.get(plan.iri), attributes) for plan in parts.values())
        )
        study = await self._read.store.select(_STUDY, workflow=Iri(self._workflow))
        return _without_nothing(
            {
                "workflow": self._label(own),
                "study": self._read.names.name(study[0]["study"].value) if study else None,
                "description": own.text("rdfs:comment"),
                "transformations": dict(zip(map(self._label, parts.values()), drafted, strict=True)),
            }
        )

    async def _transformation(self, plan: Description, inside: Optional[str], attributes: dict[str, Json]) -> Json:
        kind, stage = _kind_and_stage(types(plan), await self._classes(plan.iri))
        return _without_nothing(
            {
                "kind": kind,
                "stage": stage,
                "part_of": self._read.names.name(inside) if inside is not None else None,
                "description": plan.text("rdfs:comment"),
                "inputs": {self._read.names.name(a): attributes[a] for a in plan.iris("provlake:hasInput")},
                "outputs": {self._read.names.name(a): attributes[a] for a in plan.iris("provlake:hasOutput")},
            }
        )

    async def _classes(self, plan: str) -> list[str]:
        async with self._turns:
            rows = await self._read.store.select(_CLASSES, plan=Iri(plan))
        said = Description(plan)
        for row in rows:
            said.add(RDF + "type", row["type"])
        return types(said)

    async def _attributes(self, plans: Iterable[Description]) -> dict[str, Json]:
        """What can be said of each attribute, by IRI."""
        used = [each for plan in plans for name in ("hasInput", "hasOutput") for each in plan.iris("provlake:" + name)]
        said = await describe(self._read.store, sorted(set(used)), ("rdf:type", "rdfs:comment"))
        dtypes = await asyncio.gather(*(self._dtype(iri) for iri in said))
        return {
            iri: _without_nothing(
                {
                    "as": next((_MEANINGS[each] for each in types(about) if each in _MEANINGS), None),
                    "dtype": dtype,
                    "description": about.text("rdfs:comment"),
                }
            )
            for (iri, about), dtype in zip(said.items(), dtypes, strict=True)
        }

    async def _dtype(self, attribute: str) -> Optional[str]:
        async with self._turns:
            rows = await self._read.store.select(_VALUES, attribute=Iri(attribute))
        return dtype_of((row["type"].value, row["first"].value) for row in rows if "type" in row)

    def _label(self, plan: Description) -> str:
        return self._read.names.name(plan.iri)


def dtype_of(seen: Iterable[tuple[str, str]]) -> Optional[str]:
    """The type of an attribute by the datatypes of its values; ``None`` when it never had one.

    Args:
        seen: datatype (IRI) and, of a structure, the first letter of its JSON.
    """
    found = set()
    for datatype, first in seen:
        if datatype == RDF + "JSON":
            found.add({"[": "list", "{": "complex_attribute", "n": None}.get(first, "any"))
        else:
            found.add(_DTYPES.get(datatype, "any"))
    found.discard(None)
    if found <= {"integer", "float"} and found:
        return "float" if "float" in found else "integer"
    return next(iter(found)) if len(found) == 1 else "any" if found else None


def _kind_and_stage(plan: Sequence[str], runs: Sequence[str]) -> tuple[Optional[str], Optional[str]]:
    """Kind and stage of a transformation by its classes and those of its executions; ``None`` for what goes without."""
    if CYCLE.plan in plan:
        return "cycle", None
    if _SECTION in plan:
        stages = [_STAGE_OF_SECTION[each] for each in runs if each in _STAGE_OF_SECTION]
        return "section", next((stage for stage in stages if stage != "learning"), "learning")
    return None, next((_STAGE_OF_PLAN[each] for each in plan if each in _STAGE_OF_PLAN), None)


def _without_nothing(fields: Json) -> Json:
    return {name: value for name, value in fields.items() if value is not None and value != {}}
