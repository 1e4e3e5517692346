"""Workflow executions as OpenLineage events: ``/v1/executions/{workflow}/{execution}/openlineage``."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any, Iterable, Optional

from fastapi import APIRouter, Query, Request

from pllib.provml.openlineage import METADATA, job_of, without_omitted
from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import models
from query_engine.binding import Iri, slices
from query_engine.descriptions import Description, describe
from query_engine.errors import NotFound, TooLarge
from query_engine.names import canonical, plain
from query_engine.openlineage_events import Activity, Data, Made, events
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import RUN_PROPERTIES, VALUE_PROPERTIES, Read, Reader, run_fields, value_fields

router = APIRouter(prefix="/v1", tags=["executions"])

Json = Any

_MOST_VALUES = 50_000
_BATCH = 2000
_WITHIN = "provlake:within"
_VALUES = f"""{SPARQL_PREFIXES}SELECT ?a ?role ?value WHERE {{
  {{ VALUES ?a {{}} ?a prov:used ?value BIND("used" AS ?role) }} UNION
  {{ VALUES ?a {{}} ?value prov:wasGeneratedBy ?a BIND("generated" AS ?role) }}
}} ORDER BY ?a ?role ?value LIMIT {_MOST_VALUES + 1}"""
# Each literal begins with the time of its event.
_KEPT = f"""{SPARQL_PREFIXES}SELECT ?event WHERE {{
  VALUES ?execution {{}} ?execution provlake:metadata ?event FILTER(STRSTARTS(STR(?event), '{{"{METADATA}'))
}} ORDER BY STR(?event) OFFSET %d LIMIT %d"""

Namespace = Annotated[
    str, Query(max_length=500, min_length=1, description="Of the jobs that workflows and their tasks become.")
]


@router.get("/executions/{workflow}/{execution}/openlineage", responses={404: {"description": "No such execution."}})
async def list_events(
    workflow: str,
    execution: str,
    request: Request,
    read: Read,
    namespace: Namespace = "pllib",
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[dict[str, Any]]:
    """A workflow execution as OpenLineage events: START, and COMPLETE or FAIL, of it and of its tasks.

    What came as OpenLineage is answered as it came. `limit` counts activities, each of which is up to two events.
    """
    iri = read.names.iri(f"execution/{canonical(workflow)}/{canonical(execution)}")
    said = (await describe(read.store, [iri.value], (*RUN_PROPERTIES, _WITHIN)))[iri.value]
    if not said:
        raise NotFound(f"there is no workflow execution with the id {read.names.id(iri.value)!r}")
    page = Page(request, limit, cursor)
    if job_of(plain(workflow), plain(execution)) is not None:
        kept = await _as_they_came(read, iri, page)
        if kept.items or page.after is not None:
            return kept
    listing = Listing("VALUES ?execution {} ?item provlake:isPartOf ?execution .", timed=True)
    listing.where("", execution=iri)
    items, following = await listing.page(read.store, read.names, page)
    tasks = await describe(read.store, items, RUN_PROPERTIES)
    activities = await _activities(read, [said, *tasks.values()], said)
    found = [event for each in activities[1:] for event in events(each, namespace)]
    whole = events(activities[0], namespace)
    # The whole begins before its tasks and ends after them, on whatever pages these are.
    begins = whole[:1] if page.after is None else []
    return models.Page(items=[*begins, *found, *(whole[1:] if following is None else [])], next=following)


async def _as_they_came(read: Reader, iri: Iri, page: Page) -> models.Page[dict[str, Any]]:
    start = int(page.after[1]) if page.after is not None and page.after[1].isdecimal() else 0
    rows = await read.store.select(_KEPT % (start, page.limit + 1), execution=iri)
    kept = [row["event"].json for row in rows[: page.limit]]
    items = [without_omitted(event) for each in kept if isinstance(each, dict) for event in each.values()]
    following = page.next("", str(start + page.limit)) if len(rows) > page.limit else None
    return models.Page(items=items, next=following)


async def _activities(read: Reader, said: list[Description], whole: Description) -> list[Activity]:
    """The activities with what they used and generated."""
    rows = await read.store.select(_VALUES, a=[Iri(each.iri) for each in said])
    if len(rows) > _MOST_VALUES:
        fix = "Ask for fewer activities at once with `limit`."
        raise TooLarge(f"these activities have more than {_MOST_VALUES:,} values", field="limit", fix=fix)
    roles: dict[tuple[str, str], list[str]] = defaultdict(list)
    for row in rows:
        if row["value"].kind == "iri":
            roles[row["a"].value, row["role"].value].append(row["value"].value)
    values = await _values(read, {iri for iris in roles.values() for iri in iris})
    within = whole.iris(_WITHIN)
    outer = read.names.id(within[0]) if within else None
    found = []
    for each in said:
        used, generated = ([values[iri] for iri in roles[each.iri, role]] for role in ("used", "generated"))
        found.append(_activity(read, each, outer, used, generated))
    return found


def _activity(
    read: Reader, said: Description, outer: Optional[str], used: Iterable[Made | Data], generated: Iterable[Made | Data]
) -> Activity:
    fields = run_fields(read.names, said)
    error = fields["error"]
    return Activity(
        id=fields["id"],
        iri=said.iri,
        types=fields["types"],
        started=fields["started"],
        ended=fields["ended"],
        status=fields["status"],
        error=None if error is None else ": ".join(filter(None, (error.type, error.message))),
        outer=outer,
        inputs=[each for each in used if isinstance(each, Data)],
        outputs=[each for each in generated if isinstance(each, Data)],
        parameters=[each for each in used if isinstance(each, Made)],
    )


async def _values(read: Reader, iris: set[str]) -> dict[str, Made | Data]:
    found: dict[str, Made | Data] = {}
    for some in slices(sorted(iris), _BATCH):
        said = await describe(read.store, some, VALUE_PROPERTIES)
        found |= {iri: _value(read, one) for iri, one in said.items()}
    return found


def _value(read: Reader, said: Description) -> Made | Data:
    fields = value_fields(read.names, said)
    data = fields["data"]
    if data is None or data.store is None or data.key is None:
        return Made(fields["names"][0] if fields["names"] else "", fields["value"])
    # A state that nobody saw has no version, but a name, by which what used it finds it.
    state = fields["id"].split("/")[3:4]
    version = data.version or (plain(state[0]) if state else None)
    code = "provml:Implementation" in fields["types"]
    return Data(store=plain(data.store), key=data.key, version=version, size=data.size, code=code)
