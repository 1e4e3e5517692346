"""Runs of experiments: ``/v1/runs``, a table to be filtered and ranked, and ``/v1/runs/{experiment}/{execution}``."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Optional, Sequence

from fastapi import APIRouter, Query, Request

from pllib.provml import iris
from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.binding import Iri
from query_engine.descriptions import Description, describe
from query_engine.errors import BadParameter, NotFound
from query_engine.executions import (
    Name,
    Status,
    activity_fields,
    execution_iri,
    filter_executions,
    filter_status,
    filter_times,
    no_run,
)
from query_engine.models import Activity, Series
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import RUN_PROPERTIES, TEXT_PROPERTIES, Read, Reader, ids, one_of, run_fields
from query_engine.runs_models import LearningRunDetail, NestedRun, RunItem, RunPage
from query_engine.runs_reading import HYPERPARAMETERS, MOST_SERIES, Runs, items_of, read_runs, run_model
from query_engine.series_reading import series_of
from query_engine.sessions import sessions_of
from query_engine.values import meanings

router = APIRouter(prefix="/v1", tags=["runs"])

ENERGY = frozenset(
    [
        *("emissions", "emissions_rate", "cpu_power", "gpu_power", "ram_power"),
        *("cpu_energy", "gpu_energy", "ram_energy", "energy_consumed"),
    ]
)
"""Names of the values of energy and carbon, as codecarbon has them."""

_MOST_PARAMETERS = 20
_MOST_NESTED = 1000
_RUNS = "?item a provml:LearningProcessExecution ."
_STATISTICS = {"latest": "prov:value", "minimum": "provlake:minimum", "maximum": "provlake:maximum"}
# In the outer text the class is asked for again, and so nothing but runs is ranked.
_RANKED = """{{ SELECT ?item ({least}(?number) AS ?key) WHERE {{
  VALUES ?metric {{}} {ending} ?label rdfs:label ?metric . ?series prov:wasDerivedFrom ?label ; a provlake:Series ;
    {statistic} ?said ; prov:wasGeneratedBy ?activity .
  OPTIONAL {{ ?activity provlake:isPartOf ?whole }} {within} BIND(COALESCE(?whole, ?activity) AS ?item)
  BIND(IF(?said = ?said, ?said, {last}) AS ?number)
}} GROUP BY ?item }}"""
_WITH_PARAMETER = """{{ SELECT DISTINCT ?item WHERE {{
  VALUES ?name{0} {{}} VALUES ?wanted{0} {{}} ?label rdfs:label ?name{0} .
  ?value prov:wasDerivedFrom ?label ; a ?class ; prov:value ?literal . FILTER(?class IN ({1}) && ?literal = ?wanted{0})
  ?user prov:used ?value . OPTIONAL {{ ?user provlake:isPartOf ?whole }}
  FILTER(!BOUND(?whole) || STRENDS(STR(?user), "/0")) BIND(COALESCE(?whole, ?user) AS ?item)
}} }}"""
_ANY_SERIES = f"""{SPARQL_PREFIXES}ASK {{
  VALUES ?metric {{}} ?label rdfs:label ?metric . ?series prov:wasDerivedFrom ?label ; a provlake:Series }}"""
_METRICS = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?name WHERE {{
  ?label a provml:EvaluationMeasure ; rdfs:label ?name }} ORDER BY ?name LIMIT 20"""
_NESTED = f"""{SPARQL_PREFIXES}SELECT ?inside ?run WHERE {{
  VALUES ?inside {{}} ?run provlake:within ?inside }} ORDER BY ?run LIMIT {_MOST_NESTED + 1}"""
_STUDIES = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?name WHERE {{
  VALUES ?run {{}} ?run prov:wasInfluencedBy/^provlake:hasPart ?study . ?study a provml:Study ; rdfs:label ?name
}} ORDER BY ?name LIMIT 1000"""
_PARAMETER = {
    "name": "param.NAME",
    "in": "query",
    "schema": {"type": "string"},
    "description": "Only runs with this value of the parameter NAME: `param.lr=0.1` is the number and the text.",
}


@router.get(
    "/runs",
    responses={
        400: {"description": "No such order or status, or `by` with no metric."},
        404: {"description": "No run has such a metric."},
    },
    openapi_extra={"parameters": [_PARAMETER]},
)
async def list_runs(
    request: Request,
    read: Read,
    experiment: Name = None,
    study: Name = None,
    status: Status = None,
    person: Name = None,
    from_: Annotated[Optional[datetime], Query(alias="from", description="Started then or later.")] = None,
    to: Annotated[Optional[datetime], Query(description="Started before.")] = None,
    metric: Annotated[
        Optional[str], Query(max_length=2000, description="Rank by this metric; runs without it are left out.")
    ] = None,
    context: Annotated[
        Optional[str],
        Query(
            max_length=2000, description="The metric in this part of the run: `validation`; empty for the run itself."
        ),
    ] = None,
    by: Annotated[
        Optional[str],
        Query(description="What of the metric counts; `latest` if absent.", json_schema_extra={"enum": [*_STATISTICS]}),
    ] = None,
    order: Annotated[
        Optional[str],
        Query(
            description="`asc`: least first, the default with a metric; `desc`: greatest (newest) first, the default "
            "without.",
            json_schema_extra={"enum": ["asc", "desc"]},
        ),
    ] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> RunPage:
    """Runs with their parameters, tags and metrics, newest first, or ranked by a metric.

    Which run has the least validation loss: `metric=loss&context=validation&limit=1`. A run with a metric in several
    contexts is ranked by the best of them. NaN comes last, whatever the order.
    """
    listing = _listing(metric, context, by, order)
    filter_executions(read, listing, experiment, study, person)
    filter_times(listing, from_, to)
    filter_status(listing, status)
    _filter_parameters(listing, request.query_params.multi_items())
    page = Page(request, limit, cursor, key=datetime if metric is None else float)
    items, following = await listing.page(read.store, read.names, page)
    if metric is not None and not items:
        await _require_metric(read, metric)
    runs = await read_runs(read, items, also=metric)
    return RunPage(items=[run_model(read, runs, iri) for iri in items], next=following, truncated=runs.truncated)


@router.get("/runs/{experiment}/{execution}", responses={404: {"description": "No such run."}})
async def get_run(experiment: str, execution: str, read: Read) -> LearningRunDetail:
    """All of a run: parameters, metrics, models, data sets, code, environment, sessions, nested runs, energy."""
    return await run_detail(read, execution_iri(read, experiment, execution))


async def run_detail(read: Reader, run: Iri, field: str = "execution") -> LearningRunDetail:
    """All of a run.

    Raises:
        NotFound: there is none with this IRI; ``field`` is the parameter at fault.
    """
    runs = await read_runs(read, [run.value])
    said = runs.said[run.value]
    if not said:
        raise no_run(read, run, field)
    activities = [*runs.run_of]
    items, more_items = await items_of(read, activities)
    telemetry, more_telemetry = await series_of(read, activities, MOST_SERIES, telemetry=True)
    nested, more_nested = await _nested(read, activities)
    sessions, _ = await sessions_of(read, run.value)
    texts = (await describe(read.store, [run.value], TEXT_PROPERTIES))[run.value]
    base = run_model(read, runs, run.value)
    studies = await read.store.select(_STUDIES, run=run)
    return LearningRunDetail.model_validate(
        {
            **base.model_dump(),
            **_sorted(items),
            "studies": [row["name"].value for row in studies],
            "agents": ids(read.names, said.iris("prov:wasAssociatedWith")),
            "contexts": await _existing(read, runs, run.value),
            "energy": _energy([*telemetry, *base.metrics], items),
            "telemetry": telemetry,
            "parts": sessions,
            "nested": nested,
            "within": ids(read.names, said.iris("provlake:within")),
            "stdout": texts.text("provlake:stdout"),
            "stderr": texts.text("provlake:stderr"),
            "truncated": runs.truncated or more_items or more_telemetry or more_nested,
        }
    )


def _listing(metric: Optional[str], context: Optional[str], by: Optional[str], order: Optional[str]) -> Listing:
    if order is not None:
        one_of("order", order, ("asc", "desc"))
    if metric is None:
        for name, value in (("context", context), ("by", by)):
            if value is not None:
                raise BadParameter(f"{name} says nothing without a metric", field=name, fix="Say which metric.")
        return Listing(_RUNS, timed=True, newest_first=order != "asc")
    descending = order == "desc"
    ranked = _RANKED.format(
        least="MAX" if descending else "MIN",
        last='"-INF"^^xsd:double' if descending else '"INF"^^xsd:double',
        statistic=_STATISTICS[one_of("by", by or "latest", tuple(_STATISTICS))],
        ending="VALUES ?ending {}" if context else "",
        within={None: "", "": "FILTER(!BOUND(?whole))"}.get(context, "FILTER(STRENDS(STR(?activity), ?ending))"),
    )
    listing = Listing(_RUNS, newest_first=descending, key=ranked)
    listing.where("", metric=metric, **({"ending": f"/{iris.encode(context)}/0"} if context else {}))
    return listing


def _filter_parameters(listing: Listing, given: Sequence[tuple[str, str]]) -> None:
    wanted = [(name.removeprefix("param."), value) for name, value in given if name.startswith("param.")]
    if len(wanted) > _MOST_PARAMETERS:
        raise BadParameter(f"more than {_MOST_PARAMETERS} parameters", field="param")
    for place, (name, value) in enumerate(wanted):
        if not name or max(len(name), len(value)) > 16_000:
            raise BadParameter("a parameter is asked for as param.NAME=VALUE", field=f"param.{name[:100]}")
        pattern = _WITH_PARAMETER.format(place, ", ".join(HYPERPARAMETERS))
        listing.where(pattern, **{f"name{place}": name, f"wanted{place}": meanings(value)})


async def _require_metric(read: Reader, metric: str) -> None:
    if await read.store.ask(_ANY_SERIES, metric=metric):
        return
    known = ", ".join(row["name"].value for row in await read.store.select(_METRICS))
    fix = f"There are {known}." if known else "No run has logged a metric yet."
    raise NotFound(f"no run has a metric {metric[:200]!r}", field="metric", fix=fix)


async def _existing(read: Reader, runs: Runs, run: str) -> list[Activity]:
    """The parts of a run that there are, of those that it may have."""
    said = await describe(read.store, runs.contexts.get(run, []), RUN_PROPERTIES)
    return [Activity.model_validate(activity_fields(read, one)) for one in said.values() if one]


def _sorted(items: Sequence[RunItem]) -> dict[str, Any]:
    """What a run used and generated, by what it is."""
    found: dict[str, list[RunItem]] = {
        name: [] for name in ("models", "datasets", "code", "artifacts", "environments", "values")
    }
    for item in items:
        kind = _kind(item)
        if kind is not None:
            found[kind].append(item)
    environments = found.pop("environments")
    found["values"] += environments[1:]  # of other processes
    return {**found, "environment": environments[0].value if environments else None}


def _kind(item: RunItem) -> Optional[str]:
    if item.role == "used" and any(name in item.types for name in HYPERPARAMETERS):
        return None
    classes = {"provml:Model": "models", "provml:LearningDataset": "datasets", "provml:Implementation": "code"}
    for name, kind in classes.items():
        if name in item.types:
            return kind
    if item.data is not None:
        return "artifacts"
    return "environments" if "environment" in item.names and item.role == "used" else "values"


def _energy(series: Sequence[Series], items: Sequence[RunItem]) -> dict[str, Any]:
    """The values of energy and carbon, whichever way they were recorded."""
    found = {each.name.rpartition(".")[2]: {"value": each.latest, "unit": each.unit} for each in series}
    for item in items:
        found |= {name.rpartition(".")[2]: {"value": item.value, "unit": None} for name in item.names}
    return {name: told for name, told in sorted(found.items()) if name in ENERGY}


async def _nested(read: Reader, activities: Sequence[str]) -> tuple[list[NestedRun], bool]:
    rows = await read.store.select(_NESTED, inside=[Iri(iri) for iri in activities])
    inside = {row["run"].value: row["inside"].value for row in rows[:_MOST_NESTED]}
    said = await describe(read.store, list(inside), RUN_PROPERTIES)
    return [_nested_run(read, one, inside[iri]) for iri, one in said.items()], len(rows) > _MOST_NESTED


def _nested_run(read: Reader, said: Description, inside: str) -> NestedRun:
    fields = run_fields(read.names, said)
    return NestedRun(id=fields["id"], iri=said.iri, status=fields["status"], inside=read.names.id(inside))
