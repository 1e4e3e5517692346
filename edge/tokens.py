"""Lets in those who send the token, and nobody else."""

from __future__ import annotations

import hmac

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from .errors import RequestError

OPEN = ("/health",)
"""Paths that need no token: they say whether the service is usable, and nothing of what it holds."""


class RequireToken:
    """Answers 401 to requests without ``Authorization: Bearer TOKEN``, before anything of them is read.

    Args:
        token: the token; a comparison with it takes the same time whatever was sent.
    """

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] not in OPEN and not self._lets_in(scope):
            error = RequestError(
                401,
                "unauthorized",
                "this service wants a token, and the request has none or another one",
                field="Authorization",
                fix="send `Authorization: Bearer TOKEN`; clients of pllib take it from PLLIB_TOKEN_FILE or PLLIB_TOKEN",
            )
            await JSONResponse(error.body, 401, {"WWW-Authenticate": "Bearer"})(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _lets_in(self, scope: Scope) -> bool:
        sent = [value for name, value in scope["headers"] if name == b"authorization"]
        if len(sent) != 1:
            return False
        scheme, _, token = sent[0].partition(b" ")
        return scheme.lower() == b"bearer" and hmac.compare_digest(token.strip(), self._token)
