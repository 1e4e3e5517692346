"""What the graph says of series: their descriptions, and their points, which stand in it a literal a chunk.

The chunks of a series may be many, so nothing here goes over all that is said of one to find some of it.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any, AsyncGenerator, Iterable, Mapping, Optional, Sequence

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.binding import Iri, bind, slices
from query_engine.descriptions import Description, describe, expand
from query_engine.errors import StoreFailed, TooLarge
from query_engine.models import Series
from query_engine.reading import SERIES_PROPERTIES, VALUE_PROPERTIES, Reader, series_fields
from query_engine.series_points import Chunk, NoChunk, Points, Window, decode, merge
from query_engine.store import TAIL, StoreClient, broken_off, ends_early

MAX_POINTS = 5_000_000
"""Points that one answer may be made of; they take some 200 MB."""

_AT_ONCE = 1000
_BATCH = 1 << 20
_CSV = "text/csv"
_OPTIONALS = " ".join(f"OPTIONAL {{ ?item {curie} ?v{place} }}" for place, curie in enumerate(SERIES_PROPERTIES))
_DESCRIBE = f"{SPARQL_PREFIXES}SELECT * WHERE {{ VALUES ?item {{}} ?item a provlake:Series {_OPTIONALS} }}"
_GENERATED = (
    SPARQL_PREFIXES
    + """SELECT DISTINCT ?series WHERE {{
  VALUES ?activity {{}} ?series prov:wasGeneratedBy ?activity ; a provlake:Series . {named} {kind}
}} ORDER BY ?series LIMIT """
)
_NAMED = "VALUES ?name {} ?series prov:wasDerivedFrom/rdfs:label ?name ."
_TELEMETRY, _OTHERS = "?series a provlake:Telemetry .", "FILTER NOT EXISTS { ?series a provlake:Telemetry }"
_COUNT = f"""{SPARQL_PREFIXES}SELECT ?item (COUNT(?chunk) AS ?n) WHERE {{
  VALUES ?item {{}} ?item provlake:points ?chunk
}} GROUP BY ?item"""
_POINTS = f"{SPARQL_PREFIXES}SELECT ?chunk WHERE {{ VALUES ?series {{}} ?series provlake:points ?chunk }}"


async def describe_series(store: StoreClient, iris: Sequence[str]) -> dict[str, Description]:
    """What is said of those of the resources that are series, but for their points."""
    found: dict[str, Description] = {}
    for some in slices(iris, _AT_ONCE):
        for row in await store.select(_DESCRIBE, item=[Iri(iri) for iri in some]):
            said = found.setdefault(row["item"].value, Description(row["item"].value))
            for place, curie in enumerate(SERIES_PROPERTIES):
                term = row.get(f"v{place}")
                if term is not None and term not in said.all(curie):
                    said.add(expand(curie), term)
    return found


async def describe_values(store: StoreClient, iris: Iterable[str]) -> dict[str, Description]:
    """What is said of values, series among them, but for the points of these; in the order of ``iris``."""
    asked = list(iris)
    series = await describe_series(store, asked)
    others = await describe(store, [iri for iri in asked if iri not in series], VALUE_PROPERTIES)
    return {iri: series[iri] if iri in series else others[iri] for iri in asked}


async def series_of(
    read: Reader, activities: Sequence[str], most: int, *, telemetry: bool, name: Optional[str] = None
) -> tuple[list[Series], bool]:
    """The series that activities generate, by their ids, and whether there are more than ``most``.

    Args:
        telemetry: readings of the machine, or all others.
        name: only those of this name.
    """
    iris: list[str] = []
    query = _GENERATED.format(named="" if name is None else _NAMED, kind=_TELEMETRY if telemetry else _OTHERS)
    bindings: dict[str, Any] = {} if name is None else {"name": name}
    for some in slices(activities, _AT_ONCE):
        rows = await read.store.select(f"{query}{most + 1}", activity=[Iri(iri) for iri in some], **bindings)
        iris += [row["series"].value for row in rows]
    said = await describe_series(read.store, iris[:most])
    return [Series.model_validate(series_fields(read.names, said[iri])) for iri in sorted(said)], len(iris) > most


async def chunk_counts(store: StoreClient, iris: Sequence[str]) -> Mapping[str, int]:
    """In how many chunks the points of series stand."""
    found: dict[str, int] = {}
    for some in slices(iris, _AT_ONCE):
        rows = await store.select(_COUNT, item=[Iri(iri) for iri in some])
        found |= {row["item"].value: row["n"].python for row in rows}
    return found


async def fetch(store: StoreClient, series: str, window: Window, most: int = MAX_POINTS) -> Points:
    """The points of a series that are in a window, ordered by producer and number.

    They are decoded while the store sends them, in another thread, and what lies outside is not kept.

    Raises:
        TooLarge: they are more than ``most``.
        StoreFailed: what stands in the graph are no chunks; and what :meth:`StoreClient.proxy` raises.
    """
    kept: list[Chunk] = []
    count = 0
    async with aclosing(_lines(store, bind(_POINTS, {"series": Iri(series)}))) as parts:
        async for lines in parts:
            chunks = await asyncio.to_thread(_decode, series, lines, window)
            kept += chunks
            count += sum(len(chunk.values) for chunk in chunks)
            if count > most:
                told = f"more than {MAX_POINTS} points are asked for at once"
                raise TooLarge(told, fix="Ask for some of them: with from_step and to_step.")
    return window.of(await asyncio.to_thread(merge, kept))


async def _lines(store: StoreClient, query: str) -> AsyncGenerator[list[bytes], None]:
    """The rows of a query for one variable, some at a time: CSV has each literal on a line, since JSON has no breaks."""
    pending, header = bytearray(), True
    async with store.proxy(query, _CSV) as response:
        async for part in response.aiter_bytes():
            pending += part
            if len(pending) >= _BATCH and (end := pending.rfind(b"\n")) >= 0:
                rows = bytes(pending[:end]).split(b"\n")
                del pending[: end + 1]
                yield rows[1:] if header else rows
                header = False
    rows = bytes(pending).split(b"\n")
    if rows[-1] or ends_early(bytes(pending[-TAIL:])):
        raise broken_off(bytes(pending[-TAIL:]))
    yield rows[1:-1] if header else rows[:-1]


def _decode(series: str, lines: list[bytes], window: Window) -> list[Chunk]:
    try:
        chunks = decode([_unquoted(line.rstrip(b"\r")) for line in lines])
    except NoChunk as error:
        raise StoreFailed(f"{series}: {error}") from error
    return [chunk for chunk in chunks if window.meets(chunk)]


def _unquoted(cell: bytes) -> bytes:
    return cell[1:-1].replace(b'""', b'"') if cell[:1] == b'"' else cell
