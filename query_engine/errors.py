"""What can go wrong in the query engine, and how it is told to a client.

::

    QueryEngineError
    ├── BadQuery              400  the SPARQL text is malformed, or asks for what is refused
    ├── BadSql                400  so is the SQL text of a query over stores
    ├── BadParameter          400  a parameter of a REST request cannot be used
    │   └── BadCursor         400  a page cursor that this server did not make
    ├── ReadOnly              403  an update
    ├── NotFound              404
    │   └── NoData            404  none of the data that provenance refers to can be read
    ├── NotAcceptable         406  no format the client accepts
    ├── Conflict              409  a name that is taken
    ├── TooLarge              413  the query or its answer
    ├── UnsupportedMedia      415  a request body of a type the protocol does not have
    ├── Unprocessable         422  a body of the wrong form
    ├── BadTerm               422  a value that is no IRI or no RDF literal
    ├── StoreFailed           502  the store answered, but not what SPARQL says
    ├── StoreUnavailable      503  the store does not answer
    ├── Busy                  503  as many queries over stores as can be are running
    └── QueryTimeout          504  the time limit of a query

Every answer that is no success has the same body:
``{"error": {"code", "message", "field", "fix"}}``.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, Optional

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException


class QueryEngineError(Exception):
    """Root of the errors of the query engine; each knows its HTTP status and what the client can do.

    Args:
        message: what is wrong, for people.
        field: name of the parameter at fault.
        fix: what to do about it; the class's own advice when not given.
    """

    status = 500
    code = "internal"
    fix = "Look in the log of the query engine."

    def __init__(self, message: str, *, field: Optional[str] = None, fix: Optional[str] = None) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        if fix is not None:
            self.fix = fix


class BadQuery(QueryEngineError):
    status = 400
    code = "bad_query"
    fix = "Correct the SPARQL text; the message says where."


class BadSql(QueryEngineError):
    status = 400
    code = "bad_sql"
    fix = "Correct the SQL text: one SELECT over `prov` and the tables of `data`."


class BadParameter(QueryEngineError):
    status = 400
    code = "bad_parameter"
    fix = "See /docs for the parameters of this resource."


class BadCursor(BadParameter):
    code = "bad_cursor"
    fix = "Use the `next` link of the page before, as it is, or ask again without a cursor."


class ReadOnly(QueryEngineError):
    status = 403
    code = "read_only"
    fix = "This endpoint only answers queries; provenance is written through the tracker."


class NotFound(QueryEngineError):
    status = 404
    code = "not_found"
    fix = "Check the spelling; what was captured seconds ago may still be on its way."


class NoData(NotFound):
    code = "no_data"
    fix = "See /v1/poly/stores for the registered stores, and /v1/data for what provenance refers to."


class NotAcceptable(QueryEngineError):
    status = 406
    code = "not_acceptable"
    fix = "Send an Accept header with one of the formats named in the message."


class Conflict(QueryEngineError):
    status = 409
    code = "conflict"
    fix = "Choose another name."


class TooLarge(QueryEngineError):
    status = 413
    code = "too_large"
    fix = "Ask for less: add conditions, LIMIT and OFFSET."


class UnsupportedMedia(QueryEngineError):
    status = 415
    code = "unsupported_media_type"
    fix = "Post application/sparql-query or application/x-www-form-urlencoded."


class Unprocessable(QueryEngineError):
    status = 422
    code = "unprocessable"
    fix = "See /docs for the form."


class BadTerm(QueryEngineError):
    status = 422
    code = "bad_term"
    fix = "Give an absolute IRI, or a value that RDF has a literal for."


class StoreFailed(QueryEngineError):
    status = 502
    code = "store_failed"
    fix = "Look in the log of the store."


class StoreUnavailable(QueryEngineError):
    status = 503
    code = "store_unavailable"
    fix = "Start the triple store, or point --store-url at it; then ask again."


class Busy(QueryEngineError):
    status = 503
    code = "busy"
    fix = "Ask again in a moment."


class QueryTimeout(QueryEngineError):
    status = 504
    code = "query_timeout"
    fix = "Ask for less: bind more terms, add LIMIT, or raise --timeout."


def error_body(code: str, message: str, field: Optional[str], fix: str) -> dict[str, Any]:
    """The body of every answer that is no success."""
    return {"error": {"code": code, "message": message, "field": field, "fix": fix}}


async def _engine_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, QueryEngineError)  # noqa: S101 - narrows what Starlette types as Exception
    headers = {"Retry-After": "2"} if isinstance(error, (StoreUnavailable, Busy)) else None
    return JSONResponse(error_body(error.code, error.message, error.field, error.fix), error.status, headers)


async def _validation_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"][1:]) or None
    body = error_body("bad_parameter", f"{field or 'request'}: {first['msg']}", field, BadParameter.fix)
    return JSONResponse(body, 422)


async def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    phrase = HTTPStatus(error.status_code).phrase
    code = phrase.lower().replace(" ", "_").replace("-", "_")
    fix = "See /docs for what this server answers."
    return JSONResponse(error_body(code, str(error.detail), None, fix), error.status_code, error.headers)


def install(app: FastAPI) -> None:
    """Makes ``app`` answer every error with the uniform body."""
    app.add_exception_handler(QueryEngineError, _engine_error)
    app.add_exception_handler(RequestValidationError, _validation_error)
    app.add_exception_handler(HTTPException, _http_error)
