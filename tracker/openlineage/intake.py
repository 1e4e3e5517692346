"""From the body of a request with OpenLineage events to durable entries in the queue."""

from __future__ import annotations

import asyncio
from hashlib import blake2b
from typing import NamedTuple

import msgspec

from .. import lenient_json
from ..errors import RecordError
from ..intake import RECORDS_A_TURN
from ..metrics import Metrics
from ..queue import NewEntry, Refused, WorkQueue
from . import conversion, events

FIX = "send OpenLineage events as JSON (docs/reference/tracker.md, OpenLineage)"
PRODUCER = blake2b(b"openlineage", digest_size=16).hexdigest()
"""Who refused events are said to be from, where they are kept: no event names the process that sent it."""

_encode = msgspec.json.Encoder().encode


class Refusal(NamedTuple):
    """An event that was refused for good."""

    position: int
    field: str
    message: str


class Taken(NamedTuple):
    """What became of a body.

    Attributes:
        received: events of it.
    """

    received: int
    refusals: list[Refusal]


class OpenLineageIntake:
    """Takes events.

    Args:
        queue: where what they say is kept.
        metrics: what is counted.
    """

    def __init__(self, queue: WorkQueue, metrics: Metrics) -> None:
        self._queue = queue
        self._metrics = metrics

    async def take(self, body: bytes) -> Taken:
        """What became of the events of a body; every one that was not refused is on disk by then.

        Raises:
            RequestError: it holds no events.
            QueueUnavailable: nothing of it was taken.
        """
        items = lenient_json.decode(body, FIX)
        entries: list[NewEntry] = []
        refused: list[Refused] = []
        refusals: list[Refusal] = []
        for index, item in enumerate(items):
            if index % RECORDS_A_TURN == RECORDS_A_TURN - 1:
                await asyncio.sleep(0)
            try:
                entries += _entries(item.record)
            except RecordError as error:
                refused.append(Refused(PRODUCER, item.raw, error.field, error.message))
                refusals.append(Refusal(index, error.field, error.message))
        await self._queue.append(entries, refused)
        self._metrics.batches += 1
        self._metrics.accepted += len(items) - len(refused)
        self._metrics.rejected += len(refused)
        self._metrics.appended += len(entries)
        return Taken(len(items), refusals)


def _entries(record: lenient_json.Json) -> list[NewEntry]:
    event = events.read(record)
    key = conversion.key_of(event)
    return [NewEntry(key, _encode(document)) for document in conversion.documents(event)]
