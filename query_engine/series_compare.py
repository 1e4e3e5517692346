"""One series of several runs, aligned by step: ``/v1/compare/series``."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Optional, Sequence

import orjson
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import formats
from query_engine.binding import Iri
from query_engine.errors import BadParameter, NotFound
from query_engine.executions import require_run
from query_engine.models import Model, Series
from query_engine.reading import Read, Reader, series_fields
from query_engine.runs_compare import RunsToCompare, runs_of
from query_engine.series import FORMAT, POINTS, MostPoints, Step, chosen_format, context_id
from query_engine.series_alignment import Alignment, align
from query_engine.series_points import Points, Window
from query_engine.series_reading import MAX_POINTS, describe_series, fetch

router = APIRouter(prefix="/v1", tags=["runs"])

_CANDIDATES = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?series WHERE {{
  VALUES ?name {{}} VALUES ?run {{}}
  {{ ?series prov:wasGeneratedBy ?run }} UNION {{ ?part provlake:isPartOf ?run . ?series prov:wasGeneratedBy ?part }}
  ?series a provlake:Series ; prov:wasDerivedFrom/rdfs:label ?name
}} ORDER BY ?series LIMIT 20"""


class AlignedSeries(Model):
    """A series in the rows of the alignment; null where it has no point, text where none is finite."""

    run: str = Field(description="Id of the run.")
    series: Series
    total: int = Field(description="How many points it has in the window.")
    values: list[Any] = Field(description="Mean of the finite points of each row.")
    minimum: list[Any]
    maximum: list[Any]


class SeriesComparison(Model):
    """One series of several runs, side by side."""

    name: str
    alignment: str = Field(
        description="`steps`: each row is a step that any of them has; `buckets`: a stretch of steps."
    )
    width: Optional[int] = Field(description="How many steps a bucket has; null where each row is a step.")
    steps: list[int] = Field(description="The step, or the first step, of each row.")
    runs: list[AlignedSeries]


@router.get(
    "/compare/series",
    response_model=SeriesComparison,
    responses={
        200: {
            "description": "Rows by step; in CSV a column a run, with its id as title.",
            "content": {form.media_type: {} for form in (formats.JSON, formats.CSV)},
        },
        400: {"description": "No runs, too many, or a run with several series of that name."},
        404: {"description": "No such run, or it has no such series."},
        413: {"description": "More than five million points are asked for."},
    },
)
async def compare_series(
    request: Request,
    read: Read,
    name: Annotated[str, Query(min_length=1, max_length=2000, description="Name of the series.")],
    run: RunsToCompare = [],  # noqa: B006 - FastAPI makes it anew
    context: Annotated[
        Optional[str],
        Query(max_length=2000, description="Part of the runs: `training`; empty for the runs themselves."),
    ] = None,
    from_step: Step = None,
    to_step: Step = None,
    most: MostPoints = 1000,
    format: Annotated[Optional[str], FORMAT] = None,
) -> Response:
    """The series of one name in several runs, aligned by step.

    Rows are the steps that any of them has; where these are more than `points`, equally wide buckets of steps. Each
    value is the mean of the finite points of the row (of several ranks, or of a step that was measured twice), beside
    the least and the greatest of them.
    """
    form = chosen_format(request, format)
    window = Window(from_step, to_step)
    runs = runs_of(read, run)
    series = [await _series(read, iri, name, context) for iri in runs]
    async with request.app.state.series:
        points: list[Points] = []
        for each in series:
            points.append(await fetch(read.store, each.iri, window, MAX_POINTS - sum(map(len, points))))
        found = await asyncio.to_thread(align, points, most)
    ids = [read.names.id(iri.value) for iri in runs]
    headers = {"Vary": "Accept", POINTS: f"total={sum(map(len, points))}, returned={len(found.steps)}"}
    if form == formats.CSV:
        return Response(_csv(ids, found), media_type=form.media_type, headers=headers)
    content = orjson.dumps(_answer(name, ids, series, points, found))
    return Response(content, media_type=form.media_type, headers=headers)


def _answer(
    name: str, runs: Sequence[str], series: Sequence[Series], points: Sequence[Points], found: Alignment
) -> dict[str, Any]:
    """The fields of :class:`SeriesComparison`."""
    return {
        "name": name,
        "alignment": "steps" if found.width is None else "buckets",
        "width": found.width,
        "steps": found.steps.tolist(),
        "runs": [
            {
                "run": run,
                "series": one.model_dump(mode="json"),
                "total": len(of_run),
                "values": column.cells(column.mean),
                "minimum": column.cells(column.least),
                "maximum": column.cells(column.greatest),
            }
            for run, one, of_run, column in zip(runs, series, points, found.columns, strict=True)
        ],
    }


async def _series(read: Reader, run: Iri, name: str, context: Optional[str]) -> Series:
    """The series of a name in a run.

    Raises:
        NotFound: no such run, or no such series in it.
        BadParameter: several, in different contexts.
    """
    rows = await read.store.select(_CANDIDATES, run=run, name=name)
    said = await describe_series(read.store, [row["series"].value for row in rows])
    found = [Series.model_validate(series_fields(read.names, said[iri])) for iri in sorted(said)]
    identifier = read.names.id(run.value)
    if context is not None:
        found = [each for each in found if each.activity == context_id(identifier, context)]
    if len(found) == 1:
        return found[0]
    if found:
        contexts = ", ".join(each.context or "(the run itself)" for each in found)
        told = f"{identifier} has a series {name[:200]!r} in several contexts: {contexts}"
        raise BadParameter(told, field="context", fix="Say which, as context=…; empty for the run itself.")
    await require_run(read, run, field="run")
    where = f" in the context {context[:200]!r}" if context else ""
    fix = f"/v1/runs/{identifier.removeprefix('execution/')}/series lists those it has."
    raise NotFound(f"{identifier} has no series {name[:200]!r}{where}", field="name", fix=fix)


def _csv(runs: list[str], found: Alignment) -> bytes:
    columns = [column.cells(column.mean) for column in found.columns]
    rows = zip(found.steps.tolist(), *columns, strict=True)
    lines = [",".join("" if cell is None else str(cell) for cell in row) for row in rows]
    return "\r\n".join([",".join(["step", *runs]), *lines, ""]).encode()
