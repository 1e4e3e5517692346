"""Sessions: the parts that several processes, or several resumptions, have in one execution."""

from __future__ import annotations

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.binding import Iri
from query_engine.descriptions import Description, count_subjects, describe
from query_engine.models import Session
from query_engine.names import Names
from query_engine.reading import RUN_PROPERTIES, Reader, ids, json_value, run_fields

_MOST = 1000
_SESSIONS = f"""{SPARQL_PREFIXES}SELECT ?session WHERE {{
  VALUES ?execution {{}} ?session provlake:sessionOf ?execution OPTIONAL {{ ?session prov:startedAtTime ?start }}
}} ORDER BY ?start ?session LIMIT {_MOST}"""
_PROPERTIES = (*RUN_PROPERTIES, "provlake:rank", "provlake:resumes")


async def sessions_of(read: Reader, execution: str) -> tuple[list[Session], int]:
    """The sessions of an execution, oldest first, and how many there are; at most 1,000 are told."""
    rows = await read.store.select(_SESSIONS, execution=Iri(execution))
    found = [row["session"].value for row in rows]
    count = len(found) if len(found) < _MOST else await _count(read, execution)
    said = await describe(read.store, found, _PROPERTIES)
    return [_session(read.names, one) for one in said.values()], count


async def _count(read: Reader, execution: str) -> int:
    return (await count_subjects(read.store, [execution], "provlake:sessionOf"))[execution]


def _session(names: Names, said: Description) -> Session:
    processes = [each for each in ids(names, said.iris("prov:wasAssociatedWith")) if each.startswith("agent/process/")]
    rank = json_value(said, "provlake:rank")
    return Session.model_validate(
        {
            **run_fields(names, said),
            "process": processes[0] if processes else None,
            "rank": rank if isinstance(rank, int) else None,
            "resumes": json_value(said, "provlake:resumes") is True,
        }
    )
