"""One execution of a task, with all it used and generated: ``/v1/activities/{id}``."""

from __future__ import annotations

from fastapi import APIRouter

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.descriptions import describe
from query_engine.errors import NotFound
from query_engine.executions import activity_fields
from query_engine.models import ActivityDetail, Value
from query_engine.reading import (
    RUN_PROPERTIES,
    TEXT_PROPERTIES,
    Read,
    ids,
    said_values,
    value_fields,
)
from query_engine.series_reading import describe_values
from query_engine.sessions import sessions_of

router = APIRouter(prefix="/v1", tags=["executions"])

_MOST_VALUES = 1000
_VALUES = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?role ?value WHERE {{
  {{ VALUES ?activity {{}} ?activity prov:used ?value BIND("used" AS ?role) }} UNION
  {{ VALUES ?activity {{}} ?value prov:wasGeneratedBy ?activity BIND("generated" AS ?role) }}
}} ORDER BY ?role ?value LIMIT {_MOST_VALUES + 1}"""


@router.get("/activities/{id:path}", responses={404: {"description": "No such execution."}})
async def get_activity(id: str, read: Read) -> ActivityDetail:
    """The execution of a task, stage, section, cycle or iteration, with the values it used and generated.

    The id is the whole of it, `execution/{workflow}/{execution}/{name}/{number}`, percent-encoded as in other answers.
    """
    iri = read.names.iri(id)
    said = (await describe(read.store, [iri.value], (*RUN_PROPERTIES, *TEXT_PROPERTIES)))[iri.value]
    if not said or not id.startswith("execution/"):
        raise NotFound(f"there is no activity with the id {id!r}", field="id")
    rows = await read.store.select(_VALUES, activity=iri)
    roles = [(row["role"].value, row["value"].value) for row in rows[:_MOST_VALUES] if row["value"].kind == "iri"]
    values = await describe_values(read.store, sorted({value for _, value in roles}))
    sessions, session_count = await sessions_of(read, iri.value)
    found = {value: Value.model_validate(value_fields(read.names, one)) for value, one in values.items()}
    return ActivityDetail.model_validate(
        {
            **activity_fields(read, said),
            "agents": ids(read.names, said.iris("prov:wasAssociatedWith")),
            "used": [found[value] for role, value in roles if role == "used"],
            "generated": [found[value] for role, value in roles if role == "generated"],
            "truncated": len(rows) > _MOST_VALUES,
            "sessions": sessions,
            "session_count": session_count,
            "metadata": said_values(said, "provlake:metadata"),
            "stdout": said.text("provlake:stdout"),
            "stderr": said.text("provlake:stderr"),
        }
    )
