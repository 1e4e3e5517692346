"""What every REST resource needs of a request, and the parts of answers that several resources share."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Annotated, Any, Optional, Sequence

from fastapi import Depends, Request

from query_engine.descriptions import Description
from query_engine.errors import BadParameter
from query_engine.models import DataState, Failure, Series
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
SERIES_PROPERTIES = (
    "rdf:type",
    "prov:value",
    "prov:wasDerivedFrom",
    "prov:wasGeneratedBy",
    "provlake:unit",
    "provlake:lastStep",
    "provlake:lastTime",
    "provlake:minimum",
    "provlake:maximum",
)


@dataclass(frozen=True, slots=True)
class Reader:
    """The store, and the names of what is in it."""

    store: StoreClient
    names: Names


def _reader(request: Request) -> Reader:
    return Reader(request.app.state.store, Names(request.app.state.settings.base))


Read = Annotated[Reader, Depends(_reader)]


def one_of(field: str, value: str, allowed: Sequence[str]) -> str:
    """The value, which is one of those that a parameter may have.

    Raises:
        BadParameter: it is none; the message says which there are.
    """
    if value not in allowed:
        raise BadParameter(f"{field}: {value[:100]!r} is none of {', '.join(allowed)}", field=field)
    return value


def utc(time: datetime) -> datetime:
    """The time in UTC, which is also what a time with no zone means."""
    return time.replace(tzinfo=timezone.utc) if time.tzinfo is None else time.astimezone(timezone.utc)


def types(description: Description) -> list[str]:
    return [short(iri) for iri in description.iris("rdf:type")]


def ids(names: Names, iris: list[str]) -> list[str]:
    return [names.id(iri) for iri in iris]


def json_value(description: Description, property_: str) -> Optional[Any]:
    """A property's value as JSON has it."""
    term = description.one(property_)
    return None if term is None else term.json


def said_values(description: Description, property_: str) -> Optional[Any]:
    """Facts that were said bit by bit, as JSON objects: all of them in one; what else was said when there are none.

    Where a name was given several values they are a list.
    """
    told = [term.json for term in description.all(property_)]
    objects = [each for each in told if isinstance(each, dict)]
    if not objects:
        return told[0] if told else None
    found: dict[str, Any] = {}
    for name, value in (pair for each in objects for pair in each.items()):
        add_value(found, name, value)
    return found


def add_value(found: dict[str, Any], name: str, value: Any) -> None:
    """Sets what a name stands for; a second value that is another one makes it a list of all."""
    if name not in found:
        found[name] = value
    elif found[name] != value and not (isinstance(found[name], _Several) and value in found[name]):
        found[name] = _Several([*(found[name] if isinstance(found[name], _Several) else [found[name]]), value])


class _Several(list[Any]):
    """Values of one name; a list that is itself a value is none of these."""


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
        "series": Series.model_validate(series_fields(names, said)) if "provlake:Series" in types(said) else None,
    }


def series_fields(names: Names, said: Description, chunks: Optional[int] = None) -> dict[str, Any]:
    """The fields of :class:`query_engine.models.Series`."""
    identifier = names.id(said.iri)
    step = json_value(said, "provlake:lastStep")
    return {
        "id": identifier,
        "iri": said.iri,
        "name": names.name(said.iri),
        "activity": identifier.rpartition("/")[0] or None,
        "context": _context(identifier),
        "unit": said.text("provlake:unit"),
        "telemetry": "provlake:Telemetry" in types(said),
        "latest": json_value(said, "prov:value"),
        "minimum": json_value(said, "provlake:minimum"),
        "maximum": json_value(said, "provlake:maximum"),
        "last_step": step if isinstance(step, int) else None,
        "last_time": said.time("provlake:lastTime"),
        "chunks": chunks,
        "points": f"/v1/series/{identifier}",
    }


def _context(identifier: str) -> Optional[str]:
    """The part of a run that a series belongs to, as people call it."""
    _, _, _, *inside = identifier.split("/")
    if len(inside) != 3:
        return None
    name, number = plain(inside[0]), plain(inside[1])
    return name if number == "0" else f"{name}/{number}"


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
