"""Versions of specifications on the queue's server, seen by all trackers there."""

from __future__ import annotations

from collections.abc import Sequence

from .redis_scripts_keeping import SPECIFICATIONS, SPECIFY
from .redis_server import RedisServer
from .specification_store import Stored


class RedisSpecifications:
    """``SpecificationRecords`` on a server.

    Args:
        server: where the queue is, which tells the other trackers of a new version.
    """

    def __init__(self, server: RedisServer) -> None:
        self._server = server

    async def get(self, workflow: str, version: int | None = None) -> Stored | None:
        found = await self._rows(workflow, "newest" if version is None else version)
        return found[0] if found else None

    async def newest(self) -> list[Stored]:
        return await self._rows("", "newest")

    async def all(self) -> list[Stored]:
        return await self._rows("", "all")

    async def _rows(self, workflow: str, which: int | str) -> list[Stored]:
        rows = await self._server.run(SPECIFICATIONS, workflow.encode(), which)
        return sorted(
            Stored(name.decode(), int(version), float(created), body) for name, version, created, body in rows
        )

    async def add(self, stored: Sequence[Stored]) -> int:
        words = [word for one in stored for word in (one.workflow.encode(), one.version, repr(one.created), one.body)]
        return int(await self._server.run(SPECIFY, *words))
