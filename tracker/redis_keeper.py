"""What looks after one tracker's part in a queue that several trackers share: joins, shows that it lives, takes over.

Once a second a tracker says that it lives and reads what has changed. A few times in ``idle`` seconds it refreshes what it
has claimed, so that nobody else takes that over however long the manager is away, and takes over claims that were not
refreshed for ``idle`` seconds: their tracker has died, or the answer that told it of them was lost.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

from . import redis_scripts_keeping as scripts
from .errors import QueueInUse, QueueUnavailable
from .redis_checks import check_server
from .redis_scripts import SET_BACK_SECONDS
from .redis_share import MICRO, Claimed, Share

log = logging.getLogger("tracker.redis")

TICK_SECONDS = 1.0
STOP_SECONDS = 3.0
LIVE_SECONDS = 10.0
"""A tracker that gave no sign of life for so long is not there: others may choose another number of partitions."""
PROVEN_SECONDS = 5.0
"""A tracker that has held an entry for so long and lives is not killed by it."""


class Keeper:
    """Looks after one tracker's share of a queue, from ``start`` to ``stop``.

    Args:
        share: the tracker's share.
        monotonic: seconds.
    """

    def __init__(self, share: Share, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._share = share
        self._server = share.server
        self._monotonic = monotonic
        self._forget: Callable[[], None] = lambda: None
        self._specified: Callable[[], Awaitable[None]] = _nothing
        self._given_up = b""
        self._specifications = b""
        self._server_run = ""
        self._rounds = _Rounds(share.idle / 4, monotonic)
        self._clock = _ServerClock(monotonic)
        self._trouble = ""
        self._incomplete: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()

    def watch(self, forget: Callable[[], None], specified: Callable[[], Awaitable[None]]) -> None:
        """Says whom to tell of changes.

        Args:
            forget: called when something that the queue held may never be delivered.
            specified: called when there are other specifications.
        """
        self._forget = forget
        self._specified = specified
        self._server.on_loss = forget

    async def start(self) -> None:
        """Takes this tracker's place in the queue.

        Raises:
            QueueInUse: other trackers use another number of partitions.
            QueueUnavailable: the server does not answer, or is not set up to keep what it takes.
        """
        self._server_run = (await check_server(self._server, self._share.safe)).run
        await self._join()
        await self._tick()
        await self._round()
        self._task = asyncio.create_task(self._run())
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Ends the looking after; the share stays as it is."""
        self._stopping.set()
        if self._task is not None:
            # Not by cancelling it: in the midst of a call the client may take that for an answer that did not come.
            await asyncio.wait((self._task,), timeout=STOP_SECONDS)
            self._task.cancel()

    async def leave(self) -> None:
        """Gives back all that is claimed and notes that the stop was clean."""
        share = self._share
        for partition, part in enumerate(share.parts):
            if part.held:
                await share.give_back(partition, list(part.held), 0, counted=False)
            part.held.clear()
            await share.give_left_over(partition)
        await self._server.run(scripts.LEAVE, share.name, share.process)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("nobody looks after the queue any more", exc_info=error)
            self._share.expelled = "this tracker's part in the queue is not looked after: start it again"

    async def _join(self) -> None:
        share = self._share
        answer = await self._server.run(
            scripts.JOIN, share.name, share.process, share.partitions, int(LIVE_SECONDS * MICRO), secrets.token_hex(8)
        )
        if answer[0] == b"refused":
            raise QueueInUse(_refusal(share, *answer[1:]))
        _, epoch, self._given_up, self._specifications, unclean, layouts, set_back = answer
        share.epoch = epoch.decode()
        for layout in layouts:
            await self._deal(layout)
        for partition, part in enumerate(share.parts):
            part.held.clear()
            await share.give_left_over(partition)
            part.news.set()
        share.expelled = None
        if set_back:
            await self._take_all_over()
        if unclean:
            replayed = await share.replay_delivered(int(unclean) - share.keep) if share.keep else 0
            await self._server.command("HDEL", self._server.prefix + "unclean", share.name)
            if replayed:
                log.warning(
                    "the last stop was not clean: the %d documents delivered last are delivered again", replayed
                )

    async def _deal(self, layout: int) -> None:
        """Moves what waits in partitions of another number to where it belongs now."""
        share, moved = self._share, 0
        while some := await self._server.run(scripts.DEAL, share.epoch, share.partitions, layout):
            moved += some
        if moved:
            log.info("%d documents of %d partitions were dealt out to %d", moved, layout, share.partitions)

    async def _run(self) -> None:
        while not self._server.closed and not self._stopping.is_set():
            try:
                await self._tick()
                self._tell(self._share.unfit or "")
            except QueueUnavailable as error:
                self._tell(str(error))
            except QueueInUse as error:
                self._share.expelled = str(error)
                self._tell(str(error))
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), TICK_SECONDS)

    def _tell(self, trouble: str) -> None:
        """Logs trouble once, and its end."""
        if trouble != self._trouble:
            if trouble:
                log.error("%s", trouble)
            else:
                log.info("the queue works again")
            self._trouble = trouble

    async def _tick(self) -> None:
        await self._look_at_server()
        share = self._share
        answer = await self._server.run(scripts.BEAT, share.name, share.process, share.partitions)
        owner, epoch, partitions, given_up, specifications, when, depth, *waiting = answer
        self._require_place(owner.decode(), partitions.decode())
        if epoch.decode() != share.epoch:
            log.error("%s has lost the queue's data; what was in it and not delivered is gone", self._server)
            await self._join()
            self._forget()
            await self._specified()
            return
        if self._clock.was_set_back(when):
            await self._take_all_over()
        share.hear(when, depth)
        if given_up != self._given_up:
            self._given_up = given_up
            self._forget()
        if specifications != self._specifications:
            await self._specified()
            self._specifications = specifications
        self._wake(waiting)
        await self._prove_harmless()
        await share.expire(share.keep)
        if self._rounds.due():
            await self._round()

    async def _look_at_server(self) -> None:
        """Looks whether it is another server now, or was started anew."""
        information = await self._server.information("server")
        if information.get("run_id", "") != self._server_run:
            self._forget()  # the new one may have lost the last of it
            for part in self._share.parts:
                part.in_doubt = True
            await self._check_server()

    async def _check_server(self) -> None:
        try:
            self._server_run = (await check_server(self._server, self._share.safe)).run
            self._share.unfit = None
        except QueueUnavailable as error:
            self._share.unfit = str(error)

    def _require_place(self, owner: str, partitions: str) -> None:
        """Raises ``QueueUnavailable`` when another tracker has this one's name, or the others another number of partitions."""
        share = self._share
        if owner != share.process:
            reason = f"another tracker has the name {share.name} now: give each a folder, or a --name, of its own"
        elif partitions not in ("", str(share.partitions)):
            reason = (
                f"the other trackers use {partitions} partitions now: start this one with --partitions {partitions}"
            )
        else:
            share.expelled = None
            return
        share.expelled = reason
        raise QueueUnavailable(reason)

    def _wake(self, waiting: list[int]) -> None:
        for partition, (part, count) in enumerate(zip(self._share.parts, waiting, strict=True)):
            if count > 0:
                part.news.set()
            if count >= 0:
                self._incomplete.discard(partition)
            elif partition not in self._incomplete:
                self._incomplete.add(partition)
                self._miss(partition)

    def _miss(self, partition: int) -> None:
        log.error(
            "partition %d of %s lacks entries that no tracker removed: something else trims or deletes keys %s*",
            partition,
            self._server,
            self._server.prefix,
        )

    async def _prove_harmless(self) -> None:
        """Takes suspicion off entries that this tracker holds, and lives."""
        now = self._monotonic()
        for partition, part in enumerate(self._share.parts):
            ids = [id_ for id_, one in part.held.items() if one.silent > 1 and now - one.since > PROVEN_SECONDS]
            if ids:
                await self._hold(partition, ids)
                part.held.update((id_, Claimed(0, part.held[id_].since)) for id_ in ids if id_ in part.held)

    async def _hold(self, partition: int, ids: list[str]) -> None:
        await self._server.run(scripts.HOLD, self._share.partitions, partition, self._share.name, *ids)

    async def _round(self) -> None:
        """Refreshes what this tracker has claimed, takes over what nobody does, and forgets trackers that are gone."""
        share = self._share
        await self._check_server()
        for partition in await self._server.run(scripts.MISSING, share.partitions):
            self._miss(partition)
        for partition, part in enumerate(share.parts):
            if part.held:
                await self._hold(partition, list(part.held))
        for partition in range(share.partitions):
            await self._take_over(partition, int(share.idle * 1000))
        silent = await self._server.run(scripts.SILENT, int(share.idle * MICRO))
        for name, beat in _pairs(silent):
            replayed = await share.replay_delivered(int(beat) - share.keep) if share.keep else 0
            await self._server.run(scripts.FORGET_TRACKER, share.partitions, name, beat)
            log.warning("tracker %s is gone; %d documents delivered last are delivered again", name.decode(), replayed)

    async def _take_all_over(self) -> None:
        """Ends all claims. The server's clock was set back, so it may not tell for long how old they are."""
        log.warning("the clock of %s was set back: what is claimed may be delivered twice", self._server)
        for partition in range(self._share.partitions):
            await self._take_over(partition, 0)

    async def _take_over(self, partition: int, idle: int) -> None:
        """Makes wait again what was claimed and not refreshed for so many milliseconds."""
        share, cursor, taken, lost = self._share, b"0-0", 0, 0
        while True:
            cursor, some, gone = await self._server.run(
                scripts.TAKE_OVER, share.partitions, partition, share.name, idle, cursor
            )
            taken += int(some)
            lost += int(gone)
            if cursor == b"0-0":
                break
        if lost:
            share.miss(partition, lost)
        if taken:
            log.warning("%d documents of partition %d, whose claims have ended, wait again", taken, partition)
            share.parts[partition].news.set()


class _ServerClock:
    """Tells when the server's clock was set back while this process looked."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._ahead: float | None = None

    def was_set_back(self, when: int) -> bool:
        """Whether it was since the last time; ``when`` is what it shows now, in microseconds."""
        ahead = when / MICRO - self._monotonic()
        before, self._ahead = self._ahead, ahead
        return before is not None and ahead < before - SET_BACK_SECONDS


class _Rounds:
    """When the next round is due; the clock of the server plays no part."""

    def __init__(self, every: float, monotonic: Callable[[], float]) -> None:
        self._every = every
        self._monotonic = monotonic
        self._last = monotonic()

    def due(self) -> bool:
        if self._monotonic() - self._last < self._every:
            return False
        self._last = self._monotonic()
        return True


async def _nothing() -> None:
    """Nobody is told."""


def _refusal(share: Share, other: bytes, age: int, partitions: bytes) -> str:
    number = partitions.decode()
    return (
        f"tracker {other.decode()} works on this queue with {number} partitions, and was there {age / MICRO:.0f} s ago: "
        f"start with --partitions {number}, or stop it first (one that was killed counts for {LIVE_SECONDS:.0f} s)"
    )


def _pairs(flat: list[Any]) -> Iterator[tuple[bytes, bytes]]:
    return zip(flat[::2], flat[1::2], strict=True)
