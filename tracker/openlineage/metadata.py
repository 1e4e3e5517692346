"""What is kept of an event beside what the graph says of it: all of it, but for facets that are very large. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import msgspec

from pllib.provml.openlineage import METADATA, OMITTED

from ..errors import RecordError
from ..plain_values import check_size

Json = Any

MAX_FACET_BYTES = 65_536
"""Of a facet that is kept; of a larger one only where it came from."""
MAX_EVENT_BYTES = 1_000_000
"""Of an event that is kept; in a larger one the facets of datasets, and then the datasets, are left out."""
FACET_VALUES = (10_000, 1_000, 100)
"""Values that a facet may have in an event that holds too many, tried one after the other."""

_encode = msgspec.json.Encoder().encode
_FACETS = ("facets", "inputFacets", "outputFacets")
_HOLDERS, _LISTS = ("run", "job", "dataset"), ("inputs", "outputs")


def kept(record: Mapping[str, Json], kind: str) -> dict[str, Json]:
    """Metadata of what an event is about: under a key of its own, so that those of several events stand side by side.

    Args:
        record: the event, as JSON that the graph can hold.
        kind: its type.
    """
    return {f"{METADATA}{record['eventTime']} {kind}": _bounded(record)}


def slim(record: Json) -> Json:
    """An event that holds no more than events may, without the largest facets where it is too large: lineage is worth more.

    Raises:
        RecordError: it is too large without them, too.
    """
    for most in FACET_VALUES:
        try:
            check_size(record, "$")
        except RecordError:
            if not isinstance(record, dict):
                raise
            record = _with_facets(record, partial(_few, most))
        else:
            return record
    check_size(record, "$")
    return record


def _few(most: int, facet: Json) -> Json:
    try:
        check_size(facet, "$", most)
    except RecordError:
        return _omitted(facet, f"more than {most} values, or nested too deep")
    return facet


def _bounded(record: Mapping[str, Json]) -> Json:
    small = _with_facets(record, _short)
    if len(_encode(small)) > MAX_EVENT_BYTES:
        small = _with_facets(small, lambda facet: _omitted(facet, "the event is too large"), _LISTS)
    if len(_encode(small)) > MAX_EVENT_BYTES:
        large = {name: {OMITTED: f"{len(small[name])} datasets"} for name in _LISTS if small.get(name)}
        small = {**small, **large}
    if len(_encode(small)) > MAX_EVENT_BYTES:
        small = _with_facets(small, lambda facet: _omitted(facet, "the event is too large"))
    return small


def _short(facet: Json) -> Json:
    size = len(_encode(facet))
    return facet if size <= MAX_FACET_BYTES else _omitted(facet, f"{size} bytes")


def _omitted(facet: Json, reason: str) -> Json:
    told = facet if isinstance(facet, dict) else {}
    origin = {name: told[name] for name in ("_producer", "_schemaURL") if isinstance(told.get(name), str)}
    return {**origin, OMITTED: reason}


def _with_facets(
    record: Mapping[str, Json], change: Callable[[Json], Json], where: tuple[str, ...] = (*_HOLDERS, *_LISTS)
) -> dict[str, Json]:
    """The event with each of its facets changed; nothing is walked in depth."""
    found = dict(record)
    for name in where:
        value = found.get(name)
        if isinstance(value, dict):
            found[name] = _holder(value, change)
        elif isinstance(value, list):
            found[name] = [_holder(each, change) if isinstance(each, dict) else each for each in value]
    return found


def _holder(value: Mapping[str, Json], change: Callable[[Json], Json]) -> dict[str, Json]:
    return {
        name: {key: change(facet) for key, facet in part.items()}
        if name in _FACETS and isinstance(part, dict)
        else part
        for name, part in value.items()
    }
