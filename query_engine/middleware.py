"""What stands around every request: names this server goes by, paths kept as they were sent, counts and times."""

from __future__ import annotations

import time
from typing import Callable, Collection

from fastapi.responses import JSONResponse
from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from query_engine.errors import error_body


class KeepEncoding:
    """Routes by the path as it was sent, percent-encoding and all.

    Ids have encoded slashes in their segments; a decoded path would cut them in two. Path parameters therefore reach
    the routes encoded.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if scope["type"] == "http" and raw:
            scope["path"] = raw.partition(b"?")[0].decode("latin-1")
        await self._app(scope, receive, send)


class KnownHosts:
    """Refuses requests that call this server by a name it does not go by (DNS rebinding)."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower().strip("[]") for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and self._host(scope) not in self._hosts:
            fix = "Call the server by one of its names, or start it with --allowed-host."
            body = error_body("unknown_host", "the Host header is none of this server's names", "Host", fix)
            await JSONResponse(body, 400)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    @staticmethod
    def _host(scope: Scope) -> str:
        values = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(values) != 1:
            return ""
        host: str = values[0]
        if host.startswith("["):
            return host[1:].partition("]")[0]
        return host.partition(":")[0]


class Measured:
    """Counts requests by route and status, and their seconds."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic) -> None:
        self._app = app
        self._clock = clock
        self._requests = Counter("pllib_query_requests", "Requests answered.", ["route", "status"], registry=registry)
        self._seconds = Histogram(
            "pllib_query_request_seconds",
            "Seconds from a request to the end of its answer.",
            ["route"],
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, begin = "500", self._clock()

        async def note_status(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, note_status)
        finally:
            # The route's pattern, not the path: ids would make the metrics grow without end.
            route = getattr(scope.get("route"), "path", "none")
            self._requests.labels(route, status).inc()
            self._seconds.labels(route).observe(self._clock() - begin)
