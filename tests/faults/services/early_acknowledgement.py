"""A service that says yes too soon, to show that the tests notice: ``python early_acknowledgement.py MODULE ARGUMENTS``.

The tracker answers before its queue holds the documents, the manager before the store has committed them. Never part of
the product; the tests run it in place of ``python -m MODULE``.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from collections.abc import Awaitable, Callable
from typing import Any

DELAY = 1.0
"""Seconds by which the work is late."""

_running: set[asyncio.Task[None]] = set()


def late(work: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[None]]:
    """Does the work some time after it said that it was done."""

    async def answered(*arguments: Any) -> None:
        async def run() -> None:
            await asyncio.sleep(DELAY)
            await work(*arguments)

        task = asyncio.create_task(run())
        _running.add(task)
        task.add_done_callback(_running.discard)

    return answered


def spoil(module: str) -> None:
    """Takes the promise out of a service."""
    if module == "tracker":
        from tracker.queue_sqlite import SqliteQueue

        SqliteQueue.append = late(SqliteQueue.append)  # type: ignore[method-assign,assignment]
    else:
        from manager.store import SparqlStore

        SparqlStore.load = late(SparqlStore.load)  # type: ignore[method-assign,assignment]


if __name__ == "__main__":
    module = sys.argv.pop(1)
    spoil(module)
    runpy.run_module(module, run_name="__main__")
