"""One tracker's part in a queue that several trackers share: what it has claimed, and what it knows of the rest."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import NamedTuple

from . import redis_scripts_keeping as scripts
from .errors import QueueUnavailable
from .redis_scripts import GIVE_BACK, SET_BACK_SECONDS
from .redis_server import RedisServer

log = logging.getLogger("tracker.redis")

MICRO = 1_000_000


class Claimed(NamedTuple):
    """An entry that this tracker has claimed: how many claims, with this one, have not ended well, and since when."""

    silent: int
    since: float


class Part:
    """What this tracker knows of one partition.

    Attributes:
        held: what it has claimed, by id.
        news: set when there may be something to claim.
        in_doubt: the answer to a claim was lost, so it may have claimed more than it knows.
    """

    __slots__ = ("held", "in_doubt", "news")

    def __init__(self) -> None:
        self.held: dict[str, Claimed] = {}
        self.news = asyncio.Event()
        self.in_doubt = False

    def let_go(self, ids: Sequence[str]) -> None:
        """Notes that claims have ended."""
        for id_ in ids:
            self.held.pop(id_, None)


class Share:
    """What the queue and its keeper have in common.

    Args:
        server: where the queue is.
        name: the tracker's name, the same after a restart: what it had claimed is its own again.
        partitions: number of partitions.
        keep: seconds for which delivered entries are kept.
        idle: seconds without a refresh after which a claim has ended.
        safe: refuse a server that is not set up to keep what it has taken.

    Attributes:
        epoch: changes when the server has lost its data.
        unfit: why nothing may be appended at present; else ``None``.
        expelled: why this tracker may do nothing here any more; else ``None``.
        depth: entries waiting or claimed, as last heard.
    """

    def __init__(self, server: RedisServer, name: str, partitions: int, keep: float, idle: float, safe: bool) -> None:
        self.server = server
        self.name = name
        self.process = secrets.token_hex(8)
        self.partitions = partitions
        self.parts = [Part() for _ in range(partitions)]
        self.keep = int(keep * MICRO)
        self.idle = idle
        self.safe = safe
        self.epoch = ""
        self.unfit: str | None = None
        self.expelled: str | None = None
        self.depth = 0
        self._heard = 0

    def hear(self, when: int, depth: int) -> None:
        """Notes the depth as of a moment of the server's clock; answers may come out of order."""
        if when >= self._heard or when < self._heard - SET_BACK_SECONDS * MICRO:
            self._heard = when
            self.depth = depth

    def usable(self) -> None:
        """Raises ``QueueUnavailable`` when this tracker has no part in the queue any more."""
        if self.expelled is not None:
            raise QueueUnavailable(self.expelled)

    def miss(self, partition: int, count: int) -> None:
        """Tells that entries are gone that no tracker removed."""
        log.error("%d documents of partition %d are not on %s any more", count, partition, self.server)

    async def expire(self, keep: int) -> int:
        """Deletes entries that were delivered more than ``keep`` microseconds ago (-1: the oldest, however young)."""
        gone = 0
        for partition in range(self.partitions):
            while some := await self.server.run(scripts.EXPIRE, self.partitions, partition, keep):
                gone += some
                if keep < 0:
                    break
        return gone

    async def replay_delivered(self, since: int) -> int:
        """Makes wait again what was delivered since then (microseconds since 1970)."""
        replayed = 0
        for partition, part in enumerate(self.parts):
            some = 1
            while some:
                when, depth, some = await self.server.run(
                    scripts.REPLAY_DELIVERED, self.partitions, partition, self.name, max(since, 0)
                )
                self.hear(when, depth)
                replayed += some
            part.news.set()
        return replayed

    async def give_back(self, partition: int, ids: Sequence[str], delay: int, *, counted: bool) -> None:
        """Gives claims back that ended in order; they may be claimed again after so many microseconds."""
        await self.server.run(GIVE_BACK, self.partitions, partition, self.name, delay, int(counted), *ids)

    async def give_left_over(self, partition: int) -> None:
        """Gives back what the server holds for claimed by this tracker and this process does not."""
        part, after = self.parts[partition], "0-0"
        while after:
            answer = await self.server.run(scripts.LEFT_OVER, self.partitions, partition, self.name, after, *part.held)
            after = answer.decode()
        part.in_doubt = False
