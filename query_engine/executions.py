"""Workflow executions and their tasks: ``/v1/executions``."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import datetime
from typing import Annotated, Callable, Optional

from fastapi import APIRouter, Query, Request

from pllib.provml import iris
from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import models
from query_engine.binding import Iri
from query_engine.descriptions import Description, describe
from query_engine.errors import NotFound
from query_engine.models import Activity, ActivityCounts, Execution, ExecutionDetail, TransformationCounts
from query_engine.names import canonical, classes, plain
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import (
    RUN_PROPERTIES,
    TEXT_PROPERTIES,
    Read,
    Reader,
    ids,
    one_of,
    run_fields,
    said_values,
    utc,
)
from query_engine.sessions import sessions_of

router = APIRouter(prefix="/v1", tags=["executions"])

_STATUSES = ("running", "finished", "failed")
_FIRST_TASKS = 50
_COUNTS = f"""{SPARQL_PREFIXES}SELECT ?item ?plan ?status (COUNT(?a) AS ?n) WHERE {{
  VALUES ?item {{}} ?a provlake:isPartOf ?item .
  OPTIONAL {{ ?a prov:wasInfluencedBy ?plan }} OPTIONAL {{ ?a provlake:status ?status }}
}} GROUP BY ?item ?plan ?status"""
_OF_TYPE = "VALUES ?type {} ?class rdfs:subClassOf* ?type . ?item a ?class ."
_OF_PERSON = "VALUES ?person {} ?item prov:wasAssociatedWith/prov:actedOnBehalfOf? ?person ."

Name = Annotated[Optional[str], Query(max_length=2000)]
Status = Annotated[Optional[str], Query(description="`running`, `finished` or `failed`.")]
Type = Annotated[
    Optional[str],
    Query(
        max_length=500,
        description="A class, with those below it: `LearningProcessExecution`, `provml:TrainingExecution`, an IRI.",
    ),
]
Counts = Annotated[bool, Query(description="Whether to count the activities of each execution.")]


@router.get("/executions")
async def list_executions(
    request: Request,
    read: Read,
    workflow: Name = None,
    status: Status = None,
    study: Name = None,
    person: Name = None,
    from_: Annotated[Optional[datetime], Query(alias="from", description="Started then or later.")] = None,
    to: Annotated[Optional[datetime], Query(description="Started before.")] = None,
    type_: Annotated[Type, Query(alias="type")] = None,
    counts: Counts = True,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[Execution]:
    """Workflow executions, newest first, with the counts of their activities by status and transformation.

    Ask with `status=running` to follow what is going on now.
    """
    listing = Listing("?item a provlake:WorkflowExecution .", timed=True, newest_first=True)
    filter_executions(read, listing, workflow, study, person)
    filter_times(listing, from_, to)
    filter_status(listing, status)
    _filter_type(listing, type_)
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    return models.Page(items=await _executions(read, items, counts), next=following)


@router.get("/executions/{workflow}/{execution}", responses={404: {"description": "No such execution."}})
async def get_execution(workflow: str, execution: str, request: Request, read: Read) -> ExecutionDetail:
    """A workflow execution with the counts of its activities and its first tasks."""
    iri = execution_iri(read, workflow, execution)
    said = (await describe(read.store, [iri.value], (*RUN_PROPERTIES, *TEXT_PROPERTIES)))[iri.value]
    _require(read, said)
    base = (await _executions(read, [iri.value], True))[0]
    items, following = await _task_listing(iri).page(read.store, read.names, _tasks_page(request))
    sessions, session_count = await sessions_of(read, iri.value)
    return ExecutionDetail(
        **base.model_dump(),
        sessions=sessions,
        session_count=session_count,
        metadata=said_values(said, "provlake:metadata"),
        stdout=said.text("provlake:stdout"),
        stderr=said.text("provlake:stderr"),
        tasks=models.Page(items=await _activities(read, items), next=following),
    )


@router.get("/executions/{workflow}/{execution}/tasks", responses={404: {"description": "No such execution."}})
async def list_tasks(
    workflow: str,
    execution: str,
    request: Request,
    read: Read,
    transformation: Name = None,
    status: Status = None,
    parent: Annotated[
        Optional[str], Query(max_length=2000, description="Id of an activity, whole or `{name}/{number}`.")
    ] = None,
    type_: Annotated[Type, Query(alias="type")] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[Activity]:
    """Tasks, stages, sections, cycles and iterations of a workflow execution, oldest first."""
    iri = execution_iri(read, workflow, execution)
    listing = _task_listing(iri)
    if transformation is not None:
        plan = read.names.iri(f"workflow/{canonical(workflow)}/transformation/{iris.encode(transformation)}")
        listing.where("VALUES ?plan {} ?item prov:wasInfluencedBy ?plan .", plan=plan)
    if parent is not None:
        whole = parent if parent.startswith("execution/") else f"{read.names.id(iri.value)}/{parent}"
        listing.where("VALUES ?parent {} ?item prov:wasInformedBy ?parent .", parent=read.names.iri(whole))
    filter_status(listing, status)
    _filter_type(listing, type_)
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    if not items:
        _require(read, (await describe(read.store, [iri.value], ("rdf:type",)))[iri.value])
    return models.Page(items=await _activities(read, items), next=following)


def activity_fields(read: Reader, said: Description) -> dict[str, object]:
    """The fields of :class:`query_engine.models.Activity`."""
    part_of = said.iris("provlake:isPartOf")
    plan = said.iris("prov:wasInfluencedBy")
    return {
        **run_fields(read.names, said),
        "execution": read.names.id(part_of[0]) if part_of else None,
        "transformation": read.names.name(plan[0]) if plan else "",
        "informed_by": ids(read.names, said.iris("prov:wasInformedBy")),
    }


def _named(read: Reader, mint: Callable[[str], str], name: str) -> Iri:
    return read.names.iri(mint(name))


def execution_iri(read: Reader, workflow: str, execution: str) -> Iri:
    """The IRI of a workflow execution by the two segments of a path."""
    return read.names.iri(f"execution/{canonical(workflow)}/{canonical(execution)}")


async def require_run(read: Reader, run: Iri, field: str = "execution") -> None:
    """Goes on only where something is said of a run.

    Raises:
        NotFound: nothing is; ``field`` is the parameter at fault.
    """
    if not await read.store.ask("ASK { VALUES ?run {} ?run ?p ?o }", run=run):
        raise no_run(read, run, field)


def no_run(read: Reader, run: Iri, field: str) -> NotFound:
    """The answer where there is no such run."""
    return NotFound(f"there is no run with the id {read.names.id(run.value)!r}", field=field)


def _require(read: Reader, said: Description) -> None:
    if not said:
        raise NotFound(f"there is no workflow execution with the id {read.names.id(said.iri)!r}")


def _task_listing(execution: Iri) -> Listing:
    listing = Listing("VALUES ?execution {} ?item provlake:isPartOf ?execution .", timed=True)
    listing.where("", execution=execution)
    return listing


def _tasks_page(request: Request) -> Page:
    return Page(request, _FIRST_TASKS, None, path=request.scope["path"] + "/tasks", parameters=[])


def filter_executions(
    read: Reader, listing: Listing, workflow: Optional[str], study: Optional[str], person: Optional[str]
) -> None:
    """Leaves in a list of workflow executions those of a workflow, a study and a person."""
    if workflow is not None:
        listing.where("VALUES ?plan {} ?item prov:wasInfluencedBy ?plan .", plan=_named(read, iris.workflow, workflow))
    if study is not None:
        pattern = "VALUES ?study {} ?study provlake:hasPart/^prov:wasInfluencedBy ?item ."
        listing.where(pattern, study=_named(read, iris.study, study))
    if person is not None:
        listing.where(_OF_PERSON, person=_named(read, iris.person, person))


def filter_times(listing: Listing, from_: Optional[datetime], to: Optional[datetime]) -> None:
    """Leaves in a list what began in a time, the end of which is not in it."""
    if from_ is not None:
        pattern = "VALUES ?from {} ?item prov:startedAtTime ?begin . FILTER(?begin >= ?from)"
        listing.where(pattern, **{"from": utc(from_)})
    if to is not None:
        listing.where("VALUES ?to {} ?item prov:startedAtTime ?begun . FILTER(?begun < ?to)", to=utc(to))


def _filter_type(listing: Listing, type_: Optional[str]) -> None:
    if type_ is not None:
        listing.where(_OF_TYPE, type=classes(type_))


def filter_status(listing: Listing, status: Optional[str]) -> None:
    """Leaves in a list what is running, has finished or has failed."""
    if status is None:
        return
    if one_of("status", status, _STATUSES) == "running":
        listing.where(
            "?item prov:startedAtTime ?any . FILTER NOT EXISTS { ?item provlake:status|prov:endedAtTime ?end }"
        )
    else:
        listing.where("VALUES ?status {} ?item provlake:status ?status .", status=status)


async def _executions(read: Reader, items: list[str], counted: bool) -> list[Execution]:
    said = await describe(read.store, items, RUN_PROPERTIES)
    counts = await _activity_counts(read, items) if counted else {}
    return [_execution(read, one, counts.get(iri)) for iri, one in said.items()]


def _execution(read: Reader, said: Description, counts: Optional[ActivityCounts]) -> Execution:
    _, workflow, execution = [*read.names.id(said.iri).split("/"), "", ""][:3]
    return Execution(
        **run_fields(read.names, said),
        workflow=plain(workflow),
        execution=plain(execution),
        agents=ids(read.names, said.iris("prov:wasAssociatedWith")),
        activities=counts,
    )


async def _activity_counts(read: Reader, items: list[str]) -> dict[str, ActivityCounts]:
    found: dict[str, dict[str, Counter[str]]] = {iri: defaultdict(Counter) for iri in items}
    if items:
        for row in await read.store.select(_COUNTS, item=[Iri(iri) for iri in items]):
            name = read.names.name(row["plan"].value) if "plan" in row else ""
            status = row["status"].value if "status" in row else "running"
            found[row["item"].value][name][status] += row["n"].python
    return {iri: _counts(by_name) for iri, by_name in found.items()}


def _counts(by_name: dict[str, Counter[str]]) -> ActivityCounts:
    total: Counter[str] = sum(by_name.values(), Counter())
    return ActivityCounts(
        total=total.total(),
        by_status=dict(total),
        by_transformation=[
            TransformationCounts(transformation=name, total=statuses.total(), by_status=dict(statuses))
            for name, statuses in sorted(by_name.items())
        ],
    )


async def _activities(read: Reader, items: list[str]) -> list[Activity]:
    said = await describe(read.store, items, RUN_PROPERTIES)
    return [Activity.model_validate(activity_fields(read, one)) for one in said.values()]
