"""Answers of the manager: JSON bodies, and one form for all errors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from .errors import DocumentError, RequestError, StoreRejected, StoreUnavailable

RETRY_SECONDS: Final = 2
"""When to send again what the store could not take."""

_encoder = msgspec.json.Encoder()


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(_encoder.encode(content), status, headers, media_type="application/json")


def refused_documents(errors: Sequence[tuple[int, DocumentError]]) -> Response:
    """422: which documents are bad, by index, and how."""
    told = [{"index": i, "field": bad.field or None, "message": bad.message, "fix": bad.fix} for i, bad in errors]
    return answer({"errors": told}, 422)


def error_answer(error: RequestError) -> Response:
    """``{"error": {"code", "message", "field", "fix"}}`` with the status of the error."""
    body = {"code": error.code, "message": error.message, "field": error.field, "fix": error.fix}
    headers = {"Retry-After": str(error.retry_after)} if error.retry_after is not None else None
    return answer({"error": body}, error.status, headers)


def add_error_answers(app: FastAPI) -> None:
    """Makes every error of the application answer in that form."""

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return error_answer(error)

    @app.exception_handler(StoreUnavailable)
    async def unavailable(request: Request, error: StoreUnavailable) -> Response:
        fix = "send it again; if it goes on, look whether the store runs and has space"
        return error_answer(RequestError(503, "store_unavailable", str(error), fix=fix, retry_after=RETRY_SECONDS))

    @app.exception_handler(StoreRejected)
    async def rejected(request: Request, error: StoreRejected) -> Response:
        fix = "send fewer documents at once, to find the one that the store refuses"
        return error_answer(RequestError(500, "store_rejected", str(error), fix=fix))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        found = error_answer(RequestError(error.status_code, code, str(error.detail), fix="see /docs"))
        found.headers.update(error.headers or {})
        return found
