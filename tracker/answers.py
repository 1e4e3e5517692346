"""Answers of the tracker: JSON bodies, and one form for all errors."""

from __future__ import annotations

from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from edge.errors import RequestError

from .errors import QueueUnavailable

_encoder = msgspec.json.Encoder()
UNAVAILABLE_RETRY_SECONDS = 5


def answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON answer; ``msgspec.Raw`` parts go in as they are."""
    return Response(_encoder.encode(content), status, headers, media_type="application/json")


def error_answer(error: RequestError) -> Response:
    """``{"error": {"code", "message", "field", "fix"}}`` with the status of the error."""
    return answer(error.body, error.status, error.headers)


def add_error_answers(app: FastAPI) -> None:
    """Makes every error of the application answer in that form."""

    @app.exception_handler(RequestError)
    async def refused(request: Request, error: RequestError) -> Response:
        return error_answer(error)

    @app.exception_handler(QueueUnavailable)
    async def unavailable(request: Request, error: QueueUnavailable) -> Response:
        return error_answer(queue_unavailable(error))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        return error_answer(RequestError(422, "bad_parameter", first["msg"], field=field, fix="see /docs"))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> Response:
        code = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "http_error")
        found = error_answer(RequestError(error.status_code, code, str(error.detail), fix="see /docs"))
        found.headers.update(error.headers or {})
        return found


def queue_unavailable(error: QueueUnavailable) -> RequestError:
    """The refusal of a request whose effect could not be made durable."""
    return RequestError(
        503,
        "queue_unavailable",
        f"nothing was taken: {error}",
        fix="send it again; if it goes on, look at GET /health of the tracker, and for free space and rights where its queue is kept",
        retry_after=UNAVAILABLE_RETRY_SECONDS,
    )
