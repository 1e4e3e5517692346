"""``python -m tracker``: runs the tracker until it is told to stop."""

from __future__ import annotations

import sys

from fastapi import FastAPI

from edge.listening import run

from .app import create_app
from .settings import Settings, from_arguments


def begin(settings: Settings) -> FastAPI:
    """The application, once the server of its queue answers."""
    if settings.queue:
        from .waiting import wait_for_server

        wait_for_server(settings.queue)
    return create_app(settings)


if __name__ == "__main__":
    sys.exit(run("tracker", from_arguments, begin))
