"""Workflows and studies: ``/v1/workflows``, ``/v1/studies``."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from fastapi import APIRouter, Request

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import models
from query_engine.binding import Iri
from query_engine.descriptions import Description, count_subjects, describe
from query_engine.errors import NotFound
from query_engine.models import Named, Study, Transformation, Workflow, WorkflowDetail
from query_engine.names import canonical
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import Read, Reader, ids, types

router = APIRouter(prefix="/v1", tags=["workflows"])

_PLAN_PROPERTIES = ("rdf:type", "rdfs:label", "provlake:hasPart", "provlake:hasInput", "provlake:hasOutput")
_WORKFLOWS = "VALUES ?class { provlake:Workflow provml:LearningExperiment } ?item a ?class ."
_STUDIES_OF = f"""{SPARQL_PREFIXES}SELECT ?item ?study WHERE {{
  VALUES ?item {{}} ?study provlake:hasPart ?item ; a provml:Study }}"""
_PARTS_OF = (
    f"""{SPARQL_PREFIXES}SELECT DISTINCT ?part WHERE {{ VALUES ?workflow {{}} ?workflow provlake:hasPart+ ?part }}"""
)
_BY_STATUS = f"""{SPARQL_PREFIXES}SELECT ?status (COUNT(?e) AS ?n) WHERE {{
  VALUES ?workflow {{}} ?e prov:wasInfluencedBy ?workflow ; a provlake:WorkflowExecution .
  OPTIONAL {{ ?e provlake:status ?said }} BIND(COALESCE(?said, "running") AS ?status) }} GROUP BY ?status"""


@router.get("/workflows")
async def list_workflows(
    request: Request, read: Read, limit: Limit = 50, cursor: CursorParameter = None
) -> models.Page[Workflow]:
    """Workflows by name, with how often each was run."""
    page = Page(request, limit, cursor)
    items, following = await Listing(_WORKFLOWS).page(read.store, read.names, page)
    return models.Page(items=await _workflows(read, items), next=following)


@router.get("/workflows/{name}", responses={404: {"description": "No workflow of that name."}})
async def get_workflow(name: str, read: Read) -> WorkflowDetail:
    """A workflow with its transformations and attributes."""
    workflow = read.names.iri("workflow/" + canonical(name))
    found = await _workflows(read, [workflow.value])
    if not found:
        raise NotFound(f"there is no workflow with the id {read.names.id(workflow.value)!r}", field="name")
    parts = [row["part"].value for row in await read.store.select(_PARTS_OF, workflow=workflow)]
    plans = await describe(read.store, sorted(parts), _PLAN_PROPERTIES)
    counts = await count_subjects(read.store, sorted(parts), "prov:wasInfluencedBy")
    used = {
        iri for plan in plans.values() for iri in (*plan.iris("provlake:hasInput"), *plan.iris("provlake:hasOutput"))
    }
    attributes = await describe(read.store, sorted(used), ("rdf:type", "rdfs:label"))
    statuses = await read.store.select(_BY_STATUS, workflow=workflow)
    return WorkflowDetail(
        **found[0].model_dump(),
        transformations=[_transformation(read, plan, counts.get(iri, 0)) for iri, plan in plans.items()],
        attributes=[Named(**_named(read, said)) for said in attributes.values()],
        executions_by_status={row["status"].value: row["n"].python for row in statuses if "status" in row},
    )


@router.get("/studies")
async def list_studies(
    request: Request, read: Read, limit: Limit = 50, cursor: CursorParameter = None
) -> models.Page[Study]:
    """Studies by name, with their workflows."""
    page = Page(request, limit, cursor)
    items, following = await Listing("?item a provml:Study .").page(read.store, read.names, page)
    said = await describe(read.store, items, _PLAN_PROPERTIES)
    workflows = sorted({part for study in said.values() for part in study.iris("provlake:hasPart")})
    counts = await count_subjects(read.store, workflows, "prov:wasInfluencedBy")
    studies = [
        Study(
            **_named(read, study),
            workflows=ids(read.names, study.iris("provlake:hasPart")),
            executions=sum(counts.get(part, 0) for part in study.iris("provlake:hasPart")),
        )
        for study in said.values()
    ]
    return models.Page(items=studies, next=following)


async def _workflows(read: Reader, items: list[str]) -> list[Workflow]:
    said = await describe(read.store, items, ("rdf:type", "rdfs:label"))
    counts = await count_subjects(read.store, items, "prov:wasInfluencedBy")
    studies: dict[str, list[str]] = defaultdict(list)
    if items:
        for row in await read.store.select(_STUDIES_OF, item=[Iri(iri) for iri in items]):
            studies[row["item"].value].append(read.names.name(row["study"].value))
    return [
        Workflow(**_named(read, plan), executions=counts.get(iri, 0), studies=sorted(studies[iri]))
        for iri, plan in said.items()
        if plan
    ]


def _transformation(read: Reader, plan: Description, executions: int) -> Transformation:
    return Transformation(
        **_named(read, plan),
        inputs=[read.names.name(iri) for iri in plan.iris("provlake:hasInput")],
        outputs=[read.names.name(iri) for iri in plan.iris("provlake:hasOutput")],
        parts=ids(read.names, plan.iris("provlake:hasPart")),
        executions=executions,
    )


def _named(read: Reader, said: Description) -> dict[str, Any]:
    label = said.text("rdfs:label")
    name = read.names.name(said.iri) if label is None else label
    return {"id": read.names.id(said.iri), "iri": said.iri, "name": name, "types": types(said)}
