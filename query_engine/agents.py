"""Persons, processes and software: ``/v1/agents``."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from fastapi import APIRouter, Query, Request

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import models
from query_engine.binding import Iri
from query_engine.descriptions import Description, describe, expand
from query_engine.errors import BadParameter, NotFound
from query_engine.models import Agent, AgentDetail
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import Read, Reader, ids, json_value

router = APIRouter(prefix="/v1", tags=["agents"])

_KINDS = {"person": "prov:Person", "process": "prov:SoftwareAgent", "software": "provlake:Program"}
_PROPERTIES = (
    "rdf:type",
    "rdfs:label",
    "provlake:host",
    "provlake:pid",
    "provlake:command",
    "provlake:version",
    "provlake:environment",
    "provlake:ran",
    "provlake:lost",
    "prov:actedOnBehalfOf",
)
# A session is a part of an activity that is counted already.
_ACTIVITIES = f"""{SPARQL_PREFIXES}SELECT (COUNT(?a) AS ?n) WHERE {{
  VALUES ?agent {{}} ?a prov:wasAssociatedWith ?agent FILTER NOT EXISTS {{ ?a provlake:sessionOf ?whole }} }}"""


@router.get("/agents")
async def list_agents(
    request: Request,
    read: Read,
    kind: Annotated[Optional[str], Query(description="`person`, `process` or `software`.")] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[Agent]:
    """Agents: persons, processes and the software these ran."""
    if kind is not None and kind not in _KINDS:
        raise BadParameter(f"no kind is called {kind[:50]!r}; there are {', '.join(_KINDS)}", field="kind")
    wanted = [Iri(expand(class_)) for name, class_ in _KINDS.items() if kind in (None, name)]
    listing = Listing("VALUES ?class {} ?item a ?class .")
    listing.where("", **{"class": wanted})
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    said = await describe(read.store, items, ("rdf:type", "rdfs:label"))
    return models.Page(items=[Agent.model_validate(_fields(read, one)) for one in said.values()], next=following)


@router.get("/agents/{id:path}", responses={404: {"description": "No such agent."}})
async def get_agent(id: str, read: Read) -> AgentDetail:
    """One agent; the id with or without its leading `agent/`: `person/ana`, `agent/process/9f2c`."""
    iri = read.names.iri(id if id.startswith("agent/") else "agent/" + id)
    said = (await describe(read.store, [iri.value], _PROPERTIES))[iri.value]
    if not said:
        raise NotFound(f"there is no agent with the id {read.names.id(iri.value)!r}", field="id")
    (counted,) = await read.store.select(_ACTIVITIES, agent=iri)
    pid = json_value(said, "provlake:pid")
    return AgentDetail.model_validate(
        {
            **_fields(read, said),
            "host": said.text("provlake:host"),
            "pid": pid if isinstance(pid, int) else None,
            "command": said.text("provlake:command"),
            "version": said.text("provlake:version"),
            "environment": json_value(said, "provlake:environment"),
            "acted_for": ids(read.names, said.iris("prov:actedOnBehalfOf")),
            "software": ids(read.names, said.iris("provlake:ran")),
            "lost": [term.json for term in said.all("provlake:lost")],
            "activities": counted["n"].python,
        }
    )


def _fields(read: Reader, said: Description) -> dict[str, Any]:
    classes = said.iris("rdf:type")
    kind = next((name for name, class_ in _KINDS.items() if expand(class_) in classes), "agent")
    return {"id": read.names.id(said.iri), "iri": said.iri, "kind": kind, "label": said.text("rdfs:label")}
