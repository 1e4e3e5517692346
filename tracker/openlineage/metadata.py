"""An event as it is kept beside what the graph says of it: whole, unless it is very large. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from pllib.provml.openlineage import METADATA, OMITTED

from .events import Event

Json = Any

MAX_FACET_BYTES = 65_536
"""Of a facet that is kept; of a larger one only where it came from and its size."""
MAX_EVENT_BYTES = 1_000_000
"""Of an event that is kept; in a larger one the facets of datasets, and then the datasets, are left out."""

_encode = msgspec.json.Encoder().encode
_FACETS = frozenset(("facets", "inputFacets", "outputFacets"))


def kept(event: Event) -> dict[str, Json]:
    """Metadata of what the event is about: under a key of its own, so that those of several events stand side by side."""
    return {f"{METADATA}{event.record['eventTime']} {event.type}": _bounded(event.record)}


def _bounded(record: Mapping[str, Json]) -> Json:
    small = _trimmed(record, MAX_FACET_BYTES)
    for limit in (0, None):
        if len(_encode(small)) <= MAX_EVENT_BYTES:
            break
        small = {name: _reduced(value, limit) if _is_datasets(name) else value for name, value in small.items()}
    return small if len(_encode(small)) <= MAX_EVENT_BYTES else _trimmed(small, 0)


def _is_datasets(name: str) -> bool:
    return name in ("inputs", "outputs", "dataset")


def _reduced(datasets: Json, limit: int | None) -> Json:
    """Datasets with no facets over so many bytes, or with ``None`` their size only."""
    return {OMITTED: len(_encode(datasets))} if limit is None else _trimmed(datasets, limit)


def _trimmed(value: Json, limit: int) -> Json:
    """The same with no facet of more than so many bytes."""
    if isinstance(value, list):
        return [_trimmed(item, limit) for item in value]
    if not isinstance(value, dict):
        return value
    return {name: _facets(item, limit) if name in _FACETS else _trimmed(item, limit) for name, item in value.items()}


def _facets(facets: Json, limit: int) -> Json:
    if not isinstance(facets, dict):
        return facets
    return {name: _facet(facet, limit) for name, facet in facets.items()}


def _facet(facet: Json, limit: int) -> Json:
    size = len(_encode(facet))
    if size <= limit or not isinstance(facet, dict):
        return facet
    told = {name: facet[name] for name in ("_producer", "_schemaURL") if name in facet}
    return {**told, OMITTED: size}
