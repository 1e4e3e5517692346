"""``/v1/poly``: queries over provenance and the data in registered stores."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from dataclasses import dataclass, field
from typing import Any, Optional, TypeVar

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from edge.bodies import read_body
from edge.errors import RequestError
from query_engine.aliases import Aliases, load
from query_engine.errors import NoData, NotFound, TooLarge, Unprocessable, UnsupportedMedia
from query_engine.formats import CSV, JSON, choose
from query_engine.poly import provenance
from query_engine.poly.engine import Result, Workers
from query_engine.poly.form import EXAMPLE, Data, PolyQuery, parse
from query_engine.poly.provenance import Table
from query_engine.poly.references import Reference, in_column, of_place
from query_engine.poly.registry import Registry
from query_engine.reading import Read, Reader
from query_engine.settings import Settings
from query_engine.sparql import TRUNCATED

REFERENCES = "X-PLLib-References"
_MOST_BODY = 1024 * 1024
_MOST_ANSWER = 64 * 1024 * 1024
_LOOK_SECONDS = 0.5
_T = TypeVar("_T")

router = APIRouter(prefix="/v1/poly", tags=["data in stores"])


class StoreTold(BaseModel):
    """A registered store."""

    name: str
    kind: str = Field(description="`files`, `sqlite` or `postgresql`.")
    folders: Optional[list[str]] = Field(None, description="Paths below its root that may be read; none for all.")
    tables: Optional[list[str]] = Field(None, description="Tables that may be read.")


class Stores(BaseModel):
    items: list[StoreTold]
    next: Optional[str] = None


class ReferenceTold(BaseModel):
    """What became of one data reference."""

    data: str = Field(description="The table it belongs to.")
    reference: str = Field(description="As the provenance rows have it.")
    store: str
    key: str
    status: str = Field(description="`read`, `missing`, `refused`, `unreadable`, `unavailable` or `unregistered`.")
    rows: int
    stale: Optional[bool] = Field(description="Whether the file has left the state that the provenance speaks of.")
    reason: Optional[str]


class Told(BaseModel):
    name: str
    type: str = Field(description="SQL type.")


class PolyAnswer(BaseModel):
    """One table of provenance and data."""

    columns: list[Told]
    references: list[ReferenceTold]
    stale: list[str] = Field(description="References whose file is not in the state that the provenance speaks of.")
    provenance: dict[str, Any] = Field(description="Columns of `prov` and the number of its rows.")
    truncated: Optional[dict[str, int]] = Field(description="What was cut, after how many rows: `rows`, `provenance`.")
    elapsed_ms: float
    rows: list[dict[str, Any]]


@router.get("/stores")
async def list_stores(request: Request) -> Stores:
    """The registered stores: where data can be read from."""
    registry: Registry = request.app.state.settings.stores
    return Stores(items=[StoreTold(name=name, **store.told()) for name, store in registry.stores.items()])


@router.post(
    "",
    response_model=PolyAnswer,
    responses={
        200: {"content": {CSV.media_type: {}}},
        400: {"description": "The SPARQL or the SQL is none, or is refused."},
        404: {"description": "No store is registered, or nothing that provenance refers to can be read."},
        413: {"description": "Too many references, or more memory than a query has."},
        415: {"description": "The body is not posted as JSON."},
        504: {"description": "It took longer than the server's limit."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {JSON.media_type: {"schema": PolyQuery.model_json_schema(), "example": EXAMPLE}},
        }
    },
)
async def poly(request: Request, read: Read) -> Response:
    """Provenance rows joined with the data that they refer to.

    The data is read where it is, only from registered stores, and is in no other way touched.
    """
    started = time.monotonic()
    form = choose(", ".join(request.headers.getlist("accept")) or None, (JSON, CSV))
    query = parse(await _body(request))
    settings: Settings = request.app.state.settings
    if not settings.stores.stores:
        fix = "Start the query engine with --stores FILE; see docs/how-to/query-the-data-itself.md."
        raise NotFound("no data stores are registered", fix=fix)
    table = await provenance.rows(query.provenance, read, settings)
    aliases = await load(read.store, read.names)
    found = [await _find(data, table, read, settings.stores, aliases) for data in query.data]
    limit = min(query.limit or settings.max_rows, settings.max_rows)
    job = {
        "provenance": table.job(),
        "data": [each.job() for each in found],
        "stores": {name: settings.stores.stores[name].job() for each in found for name in each.stores()},
        "sql": query.statement(query.data[0].column),
        "form": "csv" if form is CSV else "json",
        "rows": limit,
        "bytes": min(settings.max_bytes, _MOST_ANSWER),
        "seconds": settings.timeout,
        "memory_mb": settings.stores.memory_mb,
    }
    result = await _unless_gone(request, _workers(request).run(job))
    told = _Told(table, found, result)
    headers = told.headers()
    if form is CSV:
        return Response(result.rows, headers=headers, media_type=CSV.media_type)
    return Response(told.body((time.monotonic() - started) * 1000), headers=headers, media_type=JSON.media_type)


@dataclass(slots=True)
class _Found:
    """One table of data: the references that can be read, and those of stores that nobody registered."""

    data: Data
    readable: list[Reference] = field(default_factory=list)
    unregistered: list[Reference] = field(default_factory=list)

    def stores(self) -> set[str]:
        return {reference.store for reference in self.readable}

    def job(self) -> dict[str, Any]:
        references = [
            {
                "reference": each.cell,
                "store": each.store,
                "key": each.key,
                "version": each.version,
                "format": self.data.format,
            }
            for each in self.readable
        ]
        return {"name": self.data.name, "references": references}


async def _find(data: Data, table: Table, read: Reader, registry: Registry, aliases: Aliases) -> _Found:
    """What a table of data is made of. Raises ``NoData`` when that is nothing."""
    if data.reference is not None:
        references = await of_place(data.reference, read, aliases)
    else:
        references = await in_column(table.column(str(data.column)), read)
    found = _Found(data)
    for each in references:
        registered = [name for name in aliases.stores(each.store) if name in registry.stores]
        if registered:
            found.readable.append(each._replace(store=registered[0]))
        else:
            found.unregistered.append(each)
    if not references:
        told = f"none of the {len(table.rows)} provenance rows has a data reference in {data.column!r}"
        raise NoData(told, field="data.column", fix="Select the IRI or id of data (provlake:DataReference).")
    if not found.readable:
        stores = ", ".join(sorted({repr(each.store) for each in found.unregistered})[:10])
        raise NoData(f"the data of {data.name} is in stores that are not registered: {stores}", field="data")
    return found


@dataclass(frozen=True, slots=True)
class _Told:
    """What is said beside the rows."""

    table: Table
    found: list[_Found]
    result: Result

    def truncated(self) -> Optional[dict[str, int]]:
        cut = {"rows": self.result.head["count"]} if self.result.head["cut"] else {}
        if self.table.cut_after is not None:
            cut["provenance"] = self.table.cut_after
        return cut or None

    def references(self) -> list[dict[str, Any]]:
        said = {(each["data"], each["reference"]): each for each in self.result.head["references"]}
        told = []
        for part in self.found:
            name = part.data.name
            for each in part.readable:
                place = {"data": name, "reference": each.cell, "store": each.store, "key": each.key}
                told.append({**place, **said[name, each.cell]})
            for each in part.unregistered:
                place = {"data": name, "reference": each.cell, "store": each.store, "key": each.key}
                told.append(
                    {
                        **place,
                        "status": "unregistered",
                        "rows": 0,
                        "stale": None,
                        "reason": "its store is not registered",
                    }
                )
        return told

    def headers(self) -> dict[str, str]:
        counts: dict[str, int] = {}
        for each in self.references():
            counts[each["status"]] = counts.get(each["status"], 0) + 1
            counts["stale"] = counts.get("stale", 0) + bool(each["stale"])
        cut = self.truncated()
        return {
            "Vary": "Accept",
            REFERENCES: _pairs(counts),
            **({TRUNCATED: _pairs(cut)} if cut else {}),
        }

    def body(self, milliseconds: float) -> bytes:
        """The JSON answer; the rows are put in as the worker wrote them."""
        references = self.references()
        head = {
            "columns": self.result.head["columns"],
            "references": references,
            "stale": list(dict.fromkeys(each["reference"] for each in references if each["stale"])),
            "provenance": {"columns": self.table.names, "rows": len(self.table.rows)},
            "truncated": self.truncated(),
            "elapsed_ms": round(milliseconds, 3),
        }
        return orjson.dumps(head)[:-1] + b',"rows":' + self.result.rows + b"}"


def _pairs(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}={count}" for name, count in counts.items())


async def _body(request: Request) -> bytes:
    # A page of a browser can post other types to any address without being asked back.
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != JSON.media_type:
        told = "a query over stores is posted as application/json"
        raise UnsupportedMedia(told, field="Content-Type", fix=f"Send Content-Type: {JSON.media_type}.")
    try:
        return await read_body(request, _MOST_BODY)
    except RequestError as error:
        kind = TooLarge if error.status == 413 else Unprocessable
        raise kind(error.message, fix=error.fix) from error


def _workers(request: Request) -> Workers:
    state = request.app.state
    if not hasattr(state, "workers"):
        state.workers = Workers()
    workers: Workers = state.workers
    return workers


async def _unless_gone(request: Request, work: Awaitable[_T]) -> _T:
    """The result of some work, which is given up when the client goes away."""
    task = asyncio.ensure_future(work)
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=_LOOK_SECONDS)
            if done or await request.is_disconnected():
                break
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
    return await task
