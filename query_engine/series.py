"""The points of a series, ``/v1/series/{id}``, and the series of a run, ``/v1/runs/{experiment}/{execution}/series``."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Optional, Sequence

import numpy as np
import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from pllib.provml import iris
from query_engine import formats, models
from query_engine.errors import NotFound
from query_engine.executions import Name, execution_iri, require_run
from query_engine.models import Model, Series
from query_engine.names import canonical
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import Read, Reader, one_of, series_fields, utc
from query_engine.series_downsampling import LEAST, METHODS, chosen
from query_engine.series_points import Axis, Integers, Numbers, Points, Window, ordered, text_of
from query_engine.series_reading import chunk_counts, describe_series, fetch

router = APIRouter(prefix="/v1", tags=["runs"])

MOST_POINTS = 1_000_000
_LINES = 50_000
POINTS = "X-PLLib-Points"
_FORMATS = {"json": formats.JSON, "csv": formats.CSV}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_OF_EXECUTION = """VALUES ?execution {} { ?item prov:wasGeneratedBy ?execution }
UNION { ?part provlake:isPartOf ?execution . ?item prov:wasGeneratedBy ?part } ?item a provlake:Series ."""
_IN_CONTEXT = "VALUES ?context {} ?item prov:wasGeneratedBy ?context ; a provlake:Series ."
_NAMED = "VALUES ?name {} ?item prov:wasDerivedFrom/rdfs:label ?name ."
_TELEMETRY = "?item a provlake:Telemetry ."
_NO_TELEMETRY = "FILTER NOT EXISTS { ?item a provlake:Telemetry }"

# Wrong values are answered with 400 and what is possible, so these parameters are taken as text.
_METHOD = Query(
    description="How points are chosen where there are more: `lttb` (the line looks the same), `minmax` (no peak is "
    "lost), `every` (every n-th).",
    json_schema_extra={"enum": list(METHODS)},
)
_X = Query(description="What the points are ordered by.", json_schema_extra={"enum": ["step", "time"]})
FORMAT = Query(description="Instead of an Accept header.", json_schema_extra={"enum": list(_FORMATS)})
Step = Annotated[Optional[int], Query(ge=-(2**53), le=2**53)]
MostPoints = Annotated[int, Query(alias="points", ge=LEAST, le=MOST_POINTS, description="At most so many points.")]


class PointProducer(Model):
    """Who measured some of the points."""

    process: str = Field(description="Id of the process.")
    rank: Optional[int] = Field(description="Its rank in the job.")


class SeriesPoints(Model):
    """Points of a series, column by column."""

    series: Series
    total: int = Field(description="How many points there are in the window that was asked for.")
    returned: int
    downsampled: bool = Field(description="Whether points were left out.")
    method: Optional[str] = Field(description="How the points were chosen; null where all are here.")
    x: str = Field(description="What they are ordered by.")
    non_finite: dict[str, int] = Field(description="How many of all points are `NaN`, `INF` and `-INF`.")
    producers: list[PointProducer]
    steps: list[int]
    times: list[datetime]
    values: list[Any] = Field(description="Numbers; `NaN`, `INF` and `-INF` are text.")
    sources: Optional[list[int]] = Field(
        description="For each point, which of `producers` measured it; null where there is one."
    )


@router.get("/runs/{experiment}/{execution}/series", responses={404: {"description": "No such run."}})
async def list_series(
    experiment: str,
    execution: str,
    request: Request,
    read: Read,
    name: Name = None,
    context: Annotated[
        Optional[str], Query(max_length=2000, description="Part of the run: `training`; empty for the run as a whole.")
    ] = None,
    telemetry: Annotated[Optional[bool], Query(description="Only readings of the machine, or none.")] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[Series]:
    """The series of a run: metrics and readings of the machine, with their latest, least and greatest values."""
    run = execution_iri(read, experiment, execution)
    if context is None:
        listing = Listing(_OF_EXECUTION)
        listing.where("", execution=run)
    else:
        listing = Listing(_IN_CONTEXT)
        listing.where("", context=read.names.iri(context_id(read.names.id(run.value), context)))
    if name is not None:
        listing.where(_NAMED, name=name)
    if telemetry is not None:
        listing.where(_TELEMETRY if telemetry else _NO_TELEMETRY)
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    if not items:
        await require_run(read, run)
    said, counts = await describe_series(read.store, items), await chunk_counts(read.store, items)
    found = [series_fields(read.names, said[iri], counts.get(iri, 0)) for iri in items]
    return models.Page(items=[Series.model_validate(each) for each in found], next=following)


@router.get(
    "/series/{id:path}",
    response_model=SeriesPoints,
    responses={
        200: {
            "description": f"The points; in CSV the columns `step`, `time`, `value` and `rank`, and the header `{POINTS}` "
            "says how many there are.",
            "content": {form.media_type: {} for form in _FORMATS.values()},
        },
        400: {"description": "No such method, axis or format."},
        404: {"description": "No such series."},
        413: {"description": "More than five million points are asked for."},
    },
)
async def get_series(
    id: str,
    request: Request,
    read: Read,
    from_step: Step = None,
    to_step: Step = None,
    from_: Annotated[Optional[datetime], Query(alias="from", description="Measured then or later.")] = None,
    to: Annotated[Optional[datetime], Query(description="Measured before.")] = None,
    rank: Annotated[Optional[int], Query(ge=0, description="Only what this rank measured.")] = None,
    most: MostPoints = 1000,
    method: Annotated[str, _METHOD] = "lttb",
    x: Annotated[str, _X] = "step",
    format: Annotated[Optional[str], FORMAT] = None,
) -> Response:
    """The points of a series, by the id that lists of series tell; those of several processes together.

    Where there are more than `points`, so many are chosen. Points that are NaN or infinite are kept beside those, up to
    half of them, and `non_finite` says how many there are.
    """
    axis: Axis = "time" if one_of("x", x, ("step", "time")) == "time" else "step"
    one_of("method", method, tuple(METHODS))
    form = chosen_format(request, format)
    series = await _described(read, id)
    window = Window(from_step, to_step, _microseconds(from_), _microseconds(to), rank)
    async with request.app.state.series:
        points = await fetch(read.store, series.iri, window)
        content, told = await asyncio.to_thread(_written, series, points, axis, most, method, form)
    return Response(content, media_type=form.media_type, headers={"Vary": "Accept", POINTS: told})


def chosen_format(request: Request, name: Optional[str]) -> formats.Format:
    """The format that a request asks for, by name or by its Accept header."""
    if name is not None:
        return _FORMATS[one_of("format", name, tuple(_FORMATS))]
    return formats.choose(request.headers.get("accept"), tuple(_FORMATS.values()))


def context_id(execution: str, context: str) -> str:
    """The id of a part of a run by its name; of the run itself when that is empty."""
    return f"{execution}/{iris.encode(context)}/0" if context else execution


def times_text(times: Integers) -> list[str]:
    """Times as REST answers say them."""
    return np.datetime_as_string(times.astype("datetime64[us]"), timezone="UTC").tolist()  # type: ignore[no-any-return]


def numbers(values: Numbers) -> list[Any]:
    """Values as JSON can say them."""
    found: list[Any] = values.tolist()
    for place in np.flatnonzero(~np.isfinite(values)):
        found[place] = text_of(values[place])
    return found


def _microseconds(time: Optional[datetime]) -> Optional[int]:
    return None if time is None else (utc(time) - _EPOCH) // timedelta(microseconds=1)


async def _described(read: Reader, identifier: str) -> Series:
    series = read.names.iri("/".join(canonical(part) for part in identifier.split("/")))
    said = await describe_series(read.store, [series.value])
    if not said:
        told = f"there is no series with the id {read.names.id(series.value)!r}"
        raise NotFound(told, field="id", fix="/v1/runs/{experiment}/{execution}/series lists those of a run.")
    counts = await chunk_counts(read.store, [series.value])
    return Series.model_validate(series_fields(read.names, said[series.value], counts.get(series.value, 0)))


def _written(
    series: Series, points: Points, axis: Axis, most: int, method: str, form: formats.Format
) -> tuple[bytes, str]:
    """The answer, and what the header says of it."""
    everything = ordered(points, axis)
    found = everything.at(chosen(everything.along(axis), everything.values, most, method))
    downsampled = len(found) < len(everything)
    told = f"total={len(everything)}, returned={len(found)}, method={method if downsampled else 'all'}"
    if form == formats.CSV:
        return _csv(found), told
    answer = {
        "series": series.model_dump(mode="json"),
        "total": len(everything),
        "returned": len(found),
        "downsampled": downsampled,
        "method": method if downsampled else None,
        "x": axis,
        "non_finite": _non_finite(everything.values),
        "producers": [{"process": iris.process(by), "rank": rank} for by, rank in found.producers],
        "steps": found.steps,
        "times": times_text(found.times),
        "values": numbers(found.values),
        "sources": found.sources if len(found.producers) > 1 else None,
    }
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY), told


def _non_finite(values: Numbers) -> dict[str, int]:
    counts = {"NaN": np.isnan(values).sum(), "INF": (values == np.inf).sum(), "-INF": (values == -np.inf).sum()}
    return {name: int(count) for name, count in counts.items() if count}


def _csv(points: Points) -> bytes:
    found = bytearray(b"step,time,value,rank\r\n")
    for begin in range(0, len(points), _LINES):
        found += _csv_lines(points.at(slice(begin, begin + _LINES))).encode()
    return bytes(found)


def _csv_lines(points: Points) -> str:
    ranks: Sequence[Any] = ["" if rank is None else rank for _, rank in points.producers]
    rows = zip(points.steps.tolist(), times_text(points.times), numbers(points.values), points.sources.tolist())
    return "".join([f"{step},{time},{value},{ranks[source]}\r\n" for step, time, value, source in rows])
