"""Descriptions of data stores on the queue's server, the same for all trackers there."""

from __future__ import annotations

from .redis_scripts_keeping import CATALOGUE
from .redis_server import RedisServer


class RedisCatalogue:
    """``CatalogueRecords`` on a server, in one hash."""

    def __init__(self, server: RedisServer) -> None:
        self._server = server
        self._key = server.prefix + "data_stores"

    async def put(self, identifier: str, body: bytes, before: bytes | None) -> bool:
        return bool(await self._server.run(CATALOGUE, identifier.encode(), body, before or b""))

    async def get(self, identifier: str) -> bytes | None:
        found: bytes | None = await self._server.command("HGET", self._key, identifier.encode())
        return found

    async def first(self, count: int) -> list[bytes]:
        flat = await self._server.command("HGETALL", self._key)
        return [body for _, body in sorted(zip(flat[::2], flat[1::2], strict=True))[:count]]
