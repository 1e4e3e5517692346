"""From the queue to the manager: one dispatcher a partition.

What the answer to a post means:

* 2xx — the group is in the store: acknowledged.
* 422 that names documents — those are dead letters; the rest of the group is sent again.
* another answer that a document may have caused (400, 413, 500, …) — the group is sent once more, then halved until the
  document stands alone; alone it gets ``MAX_DELIVERIES`` counted deliveries, between which the others go on, and is
  then a dead letter. A 5xx counts only if the manager takes an empty group at that time.
* no answer, 429, 502, 503, 504, and answers that say the manager is not set up (401, 404, …) — not the documents'
  fault: sent again for as long as it takes, with exponential backoff, full jitter and regard to ``Retry-After``; no
  delivery is counted.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import NamedTuple

import httpx
import msgspec

from .errors import QueueUnavailable
from .metrics import Metrics
from .queue import Entry, WorkQueue

log = logging.getLogger("tracker.dispatch")

MAX_DELIVERIES = 5
GROUP_TRIES = 2
"""Posts of one group that fail without a reason before it is halved."""
BACKOFF_BASE = 0.1
BACKOFF_CAP = 5.0
RETRY_AFTER_CAP = 300.0
CLAIM_WAIT = 30.0
MAX_REASON = 2000
AT_A_TIME = 2
"""Groups of a partition on their way at the same time under a backlog: one is converted while the store commits the other."""

_NOT_THE_DOCUMENTS = frozenset((401, 403, 404, 405, 407, 408, 421, 425, 429, 502, 503, 504))


class Delivered(NamedTuple):
    """The manager has committed the group."""


class Unavailable(NamedTuple):
    """The manager did not take the group, whatever is in it; ``retry_after`` in seconds."""

    reason: str
    retry_after: float


class Named(NamedTuple):
    """The manager refused documents of the group: index → reason."""

    errors: dict[int, str]


class Unexplained(NamedTuple):
    """The manager failed, perhaps because of a document."""

    reason: str
    status: int


Outcome = Delivered | Unavailable | Named | Unexplained


class _NamedError(msgspec.Struct):
    index: int
    message: str = ""
    code: str = ""
    field: str | None = None


class _NamedErrors(msgspec.Struct):
    errors: list[_NamedError]


def body_of(group: Sequence[Entry]) -> bytes:
    """The request that posts a group; the documents are joined as they are."""
    return b'{"version":1,"documents":[' + b",".join([entry.body for entry in group]) + b"]}"


def outcome_of(response: httpx.Response, size: int) -> Outcome:
    """What the manager's answer to a post of ``size`` documents means."""
    status = response.status_code
    if 200 <= status < 300:
        return Delivered()
    reason = f"HTTP {status}: {response.text[:MAX_REASON]}"
    if status in _NOT_THE_DOCUMENTS or 300 <= status < 400:
        return Unavailable(reason, retry_after(response.headers.get("retry-after"), _answered(response)))
    if status == 422:
        errors = _named_errors(response.content, size)
        if errors:
            return Named(errors)
    return Unexplained(reason, status)


def _named_errors(content: bytes, size: int) -> dict[int, str]:
    try:
        found = msgspec.json.decode(content, type=_NamedErrors).errors
    except (msgspec.DecodeError, UnicodeDecodeError):
        return {}
    return {
        error.index: " ".join(filter(None, ("HTTP 422:", error.code, error.field, error.message)))[:MAX_REASON]
        for error in found
        if 0 <= error.index < size
    }


def retry_after(header: str | None, now: datetime) -> float:
    """Seconds to wait by a ``Retry-After`` header, which holds seconds or a date (RFC 9110, 10.2.3)."""
    if header is None:
        return 0.0
    if header.strip().isdecimal():
        return min(float(header), RETRY_AFTER_CAP)
    try:
        seconds = (parsedate_to_datetime(header) - now).total_seconds()
    except (ValueError, TypeError):
        return 0.0
    return min(max(seconds, 0.0), RETRY_AFTER_CAP)


def _answered(response: httpx.Response) -> datetime:
    """When an answer was given by the clock of who gave it, which the date in its ``Retry-After`` goes by; else by ours."""
    try:
        return parsedate_to_datetime(response.headers.get("date", ""))
    except ValueError:
        return datetime.now(UTC)


def backoff(failures: int, chance: float) -> float:
    """Seconds to wait after so many failures in a row: exponential, full jitter (``chance`` in 0 … 1)."""
    return chance * min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(failures, 20))


class Dispatcher:
    """Delivers the entries of one partition.

    Args:
        queue: where they come from.
        partition: number of the partition.
        client: HTTP client whose base is the manager's URL.
        group: most documents and bytes of one post.
        metrics: what is counted.
        given_up: called after entries were made dead letters.
        chance: a random number in 0 … 1.
    """

    def __init__(
        self,
        queue: WorkQueue,
        partition: int,
        client: httpx.AsyncClient,
        group: tuple[int, int],
        metrics: Metrics,
        given_up: Callable[[], None],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._queue = queue
        self._partition = partition
        self._client = client
        self._group = group
        self._metrics = metrics
        self._given_up = given_up
        self._chance = chance
        self._stopping = asyncio.Event()
        self._failures = 0

    async def run(self) -> None:
        """Delivers until ``stop``; ends after the posts in flight were answered.

        What comes while a group is on its way waits and makes the next one. Only behind a group that is as large as groups
        get, so with more waiting perhaps than one more, does the next one follow at once.
        """
        stopping = asyncio.ensure_future(self._stopping.wait())
        on_the_way: set[asyncio.Task[None]] = set()
        async with asyncio.TaskGroup() as deliveries:
            while not self._stopping.is_set():
                claim = asyncio.ensure_future(self._queue.claim(self._partition, *self._group, CLAIM_WAIT))
                await asyncio.wait((claim, stopping), return_when=asyncio.FIRST_COMPLETED)
                if not claim.done():
                    claim.cancel()
                    await asyncio.wait((claim,))
                    break
                try:
                    entries = claim.result()
                except QueueUnavailable as error:
                    log.error("the queue does not work: %s", error)
                    await self._pause(self._next_backoff())
                    continue
                on_the_way.add(deliveries.create_task(self.deliver(entries)))
                on_the_way = await self._until_another_may_follow(entries, on_the_way)
        stopping.cancel()

    async def _until_another_may_follow(
        self, entries: Sequence[Entry], on_the_way: set[asyncio.Task[None]]
    ) -> set[asyncio.Task[None]]:
        """The deliveries that are not done by then."""
        size = sum(len(entry.body) for entry in entries)
        full = len(entries) >= self._group[0] or size > self._group[1] // 2
        if full and len(on_the_way) < AT_A_TIME:
            return on_the_way
        when = asyncio.FIRST_COMPLETED if full else asyncio.ALL_COMPLETED
        _, rest = await asyncio.wait(on_the_way, return_when=when)
        return rest

    def stop(self) -> None:
        """Asks ``run`` to end; what it has claimed and not delivered stays in the queue."""
        self._stopping.set()

    async def deliver(self, entries: Sequence[Entry]) -> None:
        """Delivers claimed entries, or gives them back, or gives them up."""
        suspects = [entry for entry in entries if entry.deliveries]
        groups = [([entry], GROUP_TRIES) for entry in reversed(suspects)]
        healthy = [entry for entry in entries if not entry.deliveries]
        if healthy:
            groups.append((healthy, 0))
        while groups and not self._stopping.is_set():
            group, tries = groups.pop()
            try:
                groups.extend(await self._deliver(group, tries))
            except QueueUnavailable as error:
                log.error("the queue does not work: %s", error)
                groups.append((group, tries))  # delivered perhaps, but to deliver twice does no harm
                await self._pause(self._next_backoff())

    async def _deliver(self, group: list[Entry], tries: int) -> list[tuple[list[Entry], int]]:
        """Posts one group; what is to be posted next because of the answer."""
        outcome = await self._post(group)
        if isinstance(outcome, Delivered):
            self._failures = 0
            await self._queue.acknowledge(self._partition, [entry.id for entry in group])
            self._metrics.delivered += len(group)
            return []
        if isinstance(outcome, Named):
            return await self._bury_named(group, outcome.errors)
        if isinstance(outcome, Unavailable):
            await self._wait_for_manager(outcome)
            return [(group, tries)]
        if len(group) == 1 and tries + 1 >= GROUP_TRIES:
            if outcome.status >= 500 and not await self._manager_works():
                await self._wait_for_manager(Unavailable(outcome.reason, 0.0))
                return [(group, tries)]
            await self._blame(group[0], outcome.reason)
            return []
        if tries + 1 < GROUP_TRIES:
            await self._pause(self._next_backoff())
            return [(group, tries + 1)]
        middle = len(group) // 2
        return [(group[middle:], GROUP_TRIES - 1), (group[:middle], GROUP_TRIES - 1)]

    async def _post(self, group: list[Entry]) -> Outcome:
        self._metrics.posts += 1
        with self._metrics.post_seconds.time():
            try:
                response = await self._client.post(
                    "/v1/prov-ml", content=body_of(group), headers={"content-type": "application/json"}
                )
            except httpx.HTTPError as error:
                self._metrics.failed_posts += 1
                return Unavailable(f"{type(error).__name__}: {error}", 0.0)
        outcome = outcome_of(response, len(group))
        self._metrics.failed_posts += not isinstance(outcome, Delivered)
        return outcome

    async def _manager_works(self) -> bool:
        """Whether the manager answers a post of nothing with anything better than 5xx."""
        outcome = await self._post([])
        return not isinstance(outcome, Unavailable) and not (isinstance(outcome, Unexplained) and outcome.status >= 500)

    async def _bury_named(self, group: list[Entry], errors: dict[int, str]) -> list[tuple[list[Entry], int]]:
        for index, reason in errors.items():
            await self._give_up(group[index], reason)
        rest = [entry for index, entry in enumerate(group) if index not in errors]
        return [(rest, 0)] if rest else []

    async def _blame(self, entry: Entry, reason: str) -> None:
        """Counts a delivery of an entry that failed alone; the last one makes it a dead letter."""
        if entry.deliveries + 1 >= MAX_DELIVERIES:
            await self._give_up(entry, f"{MAX_DELIVERIES} deliveries failed; the last: {reason}")
            return
        log.warning("a document failed alone, delivery %d: %s", entry.deliveries + 1, reason[:300])
        delay = backoff(entry.deliveries + 3, self._chance())
        await self._queue.retry(self._partition, [entry.id], delay, counted=True)

    async def _give_up(self, entry: Entry, reason: str) -> None:
        log.error("entry %s is a dead letter: %s", entry.id, reason[:300])
        await self._queue.bury(self._partition, [entry.id], reason)
        self._given_up()

    async def _wait_for_manager(self, outcome: Unavailable) -> None:
        if self._failures == 0:
            log.warning("the manager does not take documents, they wait: %s", outcome.reason[:300])
        await self._pause(max(outcome.retry_after, self._next_backoff()))

    def _next_backoff(self) -> float:
        self._failures += 1
        return backoff(self._failures, self._chance())

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
