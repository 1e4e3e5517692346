"""Where a service listens, who may call it by which name, and how it runs until it is told to stop."""

from __future__ import annotations

import gc
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeVar

import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import SettingsError, StartError

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "[::1]", "::1")
CONNECTIONS = 512
STOP_SECONDS = 5
EXIT_USAGE = 2


class Listening(Protocol):
    """Settings that say where a service listens."""

    @property
    def host(self) -> str: ...

    @property
    def port(self) -> int: ...


SettingsT = TypeVar("SettingsT", bound=Listening)


def run(
    service: str,
    read_settings: Callable[[Sequence[str], Mapping[str, str]], SettingsT],
    create_app: Callable[[SettingsT], FastAPI],
) -> int:
    """Runs a service by this process's command line and environment until it is told to stop.

    Returns:
        the exit status: 0 after a stop, 2 when the settings make no sense (3 is uvicorn's, when it could not start).
    """
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = read_settings(sys.argv[1:], os.environ)
    except SettingsError as error:
        print(f"{service}: {error}", file=sys.stderr)
        return EXIT_USAGE
    serve(create_app(settings), settings.host, settings.port)
    return 0


def serve(app: FastAPI, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT; requests in flight have ``STOP_SECONDS`` to end."""
    # Requests make very many short-lived objects and hardly a cycle: look for garbage less often, and not in the modules.
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    # uvicorn stops in order and then raises the signal again, for which the default would be a death by signal.
    signal.signal(signal.SIGTERM, lambda *_: None)
    uvicorn.run(
        _plainly(app),
        host=host.strip("[]"),
        port=port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        log_config=None,
        server_header=False,
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=STOP_SECONDS,
    )


def _plainly(app: ASGIApp) -> ASGIApp:
    """The application; a ``StartError`` is logged as its message alone, not as a trace of calls."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        async def told(message: Message) -> None:
            error = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(error, StartError):
                message = {**message, "message": str(error)}
            await send(message)

        await app(scope, receive, told if scope["type"] == "lifespan" else send)

    return application
