"""The routes of a ProvLake service, below any prefix that the script has in its ``service_url``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from edge.bodies import read_body
from edge.errors import RequestError

from .. import lenient_json
from ..answers import answer
from ..parts import MAX_RAW, Parts
from ..routes import check_backlog
from ..specifications import SpecificationForm
from ..validation import Finding
from . import answers, prospective, stores
from .intake import CHECKS, ProvLakeIntake

router = APIRouter(tags=["ProvLake"])

_JSON: dict[str, Any] = {"requestBody": {"content": {"application/json": {}}}}
_STORES = "/provenance/api/data-stores"
_MAX_IDENTIFIER = 1000

Handler = TypeVar("Handler", bound=Callable[..., Any])

WithValidation = Annotated[
    str, Query(max_length=20, description="`True`: tell what is not as planned; `strict`: refuse such records")
]


@dataclass(frozen=True, slots=True)
class ProvLakeParts:
    """What these routes work with."""

    tracker: Parts
    intake: ProvLakeIntake


def _parts(request: Request) -> ProvLakeParts:
    return cast(ProvLakeParts, request.app.state.provlake)


def _anywhere(path: str, method: str, **options: Any) -> Callable[[Handler], Handler]:
    """Registers a route at a path and below any prefix."""

    def register(handler: Handler) -> Handler:
        router.add_api_route(path, handler, methods=[method], **options)
        router.add_api_route("/{prefix:path}" + path, handler, methods=[method], include_in_schema=False)
        return handler

    return register


@_anywhere("/retrospective-provenance", "POST", openapi_extra=_JSON)
async def take_retrospective(request: Request, with_validation: WithValidation = "False") -> Response:
    """Takes ProvLake records; what is accepted is on disk when this answers."""
    parts = _parts(request)
    await check_backlog(parts.tracker)
    body = await read_body(request, MAX_RAW)
    with parts.tracker.gate.passage():
        return await parts.intake.take(body, CHECKS.get(with_validation.lower(), "none"))


@_anywhere("/prospective-provenance", "POST", openapi_extra=_JSON)
async def post_prospective(request: Request, overwrite: bool = True) -> Response:
    """Keeps a ProvLake prospective document: 201 for a new version, 200 when the newest says the same, 406 when refused."""
    return await _keep(request, overwrite)


@_anywhere("/prospective-provenance", "PUT", openapi_extra=_JSON)
async def put_prospective(request: Request) -> Response:
    """As POST."""
    return await _keep(request, True)


async def _keep(request: Request, overwrite: bool) -> Response:
    plan = prospective.read(await read_body(request, MAX_RAW))
    if plan.form is None:
        return answers.not_acceptable(plan.findings)
    tracker = _parts(request).tracker
    known = tracker.specifications
    if not overwrite and await known.get(plan.form.workflow) is not None:
        return answers.not_acceptable([_there_already(plan.form)])
    with tracker.gate.passage():
        kept, new = await known.put(plan.form)
    return answers.stored({"workflow": kept.workflow, "version": kept.version, "created": kept.created}, new)


def _there_already(form: SpecificationForm) -> Finding:
    told = f"there is a specification of `{form.workflow}` already: send overwrite=True for a new version"
    return Finding("207", "already_there", told.replace("'", "’"))


@_anywhere(_STORES, "POST", status_code=201, openapi_extra=_JSON)
async def put_data_store(request: Request) -> Response:
    """Describes a data store; 201 with the id that references to its data give."""
    store = stores.catalogued(lenient_json.parse(await read_body(request, MAX_RAW)))
    parts = _parts(request)
    with parts.tracker.gate.passage():
        await parts.tracker.catalogue.put(store)
    return answer({"data_store_hkg_id": store.id}, 201)


@_anywhere(_STORES, "GET")
async def list_data_stores(request: Request) -> Response:
    """The data stores that were described, by id."""
    return answer([stores.told(store) for store in await _parts(request).tracker.catalogue.all()])


@_anywhere(_STORES + "/{identifier:path}", "GET")
async def get_data_store(request: Request, identifier: str) -> Response:
    """One data store."""
    found = await _parts(request).tracker.catalogue.get(identifier[:_MAX_IDENTIFIER])
    if found is None:
        told = f"no data store {identifier[:200]!r}"
        raise RequestError(404, "not_found", told, field="id", fix="see GET /provenance/api/data-stores")
    return answer(stores.told(found))
