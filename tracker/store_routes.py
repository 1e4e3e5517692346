"""The routes of the catalogue of data stores."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError

from . import store_forms
from .answers import answer
from .catalogue import Catalogue, CataloguedStore, other_names
from .parts import MAX_RAW, parts_of
from .store_forms import StoreStatement

router = APIRouter(tags=["data stores"])

_MAX_NAME = 1000


@router.post(
    "/v1/stores",
    openapi_extra={"requestBody": {"content": {"application/json": {"schema": StoreStatement.model_json_schema()}}}},
)
async def put_store(request: Request) -> Response:
    """Describes a data store, or adds to what is known of it: 201 for a new one, 200 for one that was known.

    `same_as` says other names of it, after a move or a rename. What was stated is not taken back.
    """
    parts = parts_of(request)
    store = store_forms.parse(await read_body(request, MAX_RAW))
    with parts.gate.passage():
        kept, new = await parts.catalogue.add(store)
    return answer(await _told(parts.catalogue, kept), 201 if new else 200)


@router.get("/v1/stores")
async def list_stores(request: Request) -> Response:
    """The data stores that were described, by name."""
    found = await parts_of(request).catalogue.all()
    names = other_names(found)
    return answer({"stores": [store_forms.told(store, names.get(store.id, [])) for store in found]})


@router.get("/v1/stores/{name:path}")
async def get_store(request: Request, name: str) -> Response:
    """One data store."""
    catalogue = parts_of(request).catalogue
    found = await catalogue.get(name[:_MAX_NAME])
    if found is None:
        told = f"no data store {name[:200]!r} was described"
        raise RequestError(404, "not_found", told, field="name", fix="see GET /v1/stores, or describe it by POST")
    return answer(await _told(catalogue, found))


async def _told(catalogue: Catalogue, store: CataloguedStore) -> Any:
    return store_forms.told(store, other_names(await catalogue.all()).get(store.id, []))
