"""What every REST resource needs of a request, and the parts of answers that several resources share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Optional

from fastapi import Depends, Request

from query_engine.descriptions import Description
from query_engine.models import DataState, Failure
from query_engine.names import Names, plain, short, short_or_none
from query_engine.store import StoreClient

RUN_PROPERTIES = (
    "rdf:type",
    "prov:startedAtTime",
    "prov:endedAtTime",
    "provlake:duration",
    "provlake:status",
    "provlake:errorType",
    "provlake:errorMessage",
    "prov:wasInfluencedBy",
    "prov:wasInformedBy",
    "prov:wasAssociatedWith",
    "provlake:isPartOf",
)
TEXT_PROPERTIES = ("provlake:metadata", "provlake:stdout", "provlake:stderr")
VALUE_PROPERTIES = (
    "rdf:type",
    "prov:value",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
    "prov:specializationOf",
    "provlake:store",
    "provlake:key",
    "provlake:path",
    "provlake:version",
    "provlake:size",
)


@dataclass(frozen=True, slots=True)
class Reader:
    """The store, and the names of what is in it."""

    store: StoreClient
    names: Names


def _reader(request: Request) -> Reader:
    return Reader(request.app.state.store, Names(request.app.state.settings.base))


Read = Annotated[Reader, Depends(_reader)]


def types(description: Description) -> list[str]:
    return [short(iri) for iri in description.iris("rdf:type")]


def ids(names: Names, iris: list[str]) -> list[str]:
    return [names.id(iri) for iri in iris]


def json_value(description: Description, property_: str) -> Optional[Any]:
    """A property's value as JSON has it."""
    term = description.one(property_)
    return None if term is None else term.json


def run_fields(names: Names, said: Description) -> dict[str, Any]:
    """The fields of :class:`query_engine.models.Run`."""
    started, ended = said.time("prov:startedAtTime"), said.time("prov:endedAtTime")
    return {
        "id": names.id(said.iri),
        "iri": said.iri,
        "types": types(said),
        "status": _status(said.text("provlake:status"), started, ended),
        "started": started,
        "ended": ended,
        "duration": _seconds(json_value(said, "provlake:duration"), started, ended),
        "error": _failure(said),
    }


def _status(said: Optional[str], started: Optional[datetime], ended: Optional[datetime]) -> str:
    if said is not None:
        return said
    return "running" if started is not None and ended is None else "unknown"


def _seconds(measured: Any, started: Optional[datetime], ended: Optional[datetime]) -> Optional[float]:
    """Seconds of a monotonic clock where they were measured, else between two times of a clock that may have been set."""
    if isinstance(measured, (int, float)) and not isinstance(measured, bool):
        return max(0.0, float(measured))
    if started is None or ended is None:
        return None
    return max(0.0, (ended - started).total_seconds())


def _failure(said: Description) -> Optional[Failure]:
    kind, message = said.text("provlake:errorType"), said.text("provlake:errorMessage")
    return None if kind is None and message is None else Failure(type=kind, message=message)


def value_fields(names: Names, said: Description) -> dict[str, Any]:
    """The fields of :class:`query_engine.models.Value`."""
    literal = said.one("prov:value")
    attributes = said.iris("prov:wasDerivedFrom")
    return {
        "id": names.id(said.iri),
        "iri": said.iri,
        "value": None if literal is None else literal.json,
        "datatype": None if literal is None else short_or_none(literal.datatype),
        "types": types(said),
        "names": list(dict.fromkeys(names.name(iri) for iri in attributes)),
        "attributes": ids(names, attributes),
        "generated_by": ids(names, said.iris("prov:wasGeneratedBy")),
        "specialization_of": ids(names, said.iris("prov:specializationOf")),
        "data": _data_state(names, said),
    }


def _data_state(names: Names, said: Description) -> Optional[DataState]:
    if "provlake:DataReference" not in types(said):
        return None
    store, key = said.text("provlake:store"), said.text("provlake:key")
    parts = names.id(said.iri).split("/")
    if parts[0] == "data" and len(parts) >= 3:
        # The id of a state names its store and key, whether or not they are also said of it.
        store, key = store or parts[1], key or plain(parts[2])
    size = json_value(said, "provlake:size")
    return DataState(
        store=None if store is None else names.name(store),
        key=key,
        path=said.text("provlake:path"),
        version=said.text("provlake:version"),
        size=size if isinstance(size, int) else None,
    )
