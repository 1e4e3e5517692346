"""The work queue: what the tracker has accepted and the manager has not yet confirmed.

The seam between the tracker and what keeps its entries: ``queue_sqlite`` in a file, or a server such as Redis Streams (a
partition is a stream, a claim is a consumer group's pending entry). States of an entry::

    append ──▶ waiting ──claim──▶ claimed ──acknowledge──▶ delivered ──after a while──▶ (gone)
                  ▲                 │ │                        │
                  ├──retry, delay───┘ └──bury──▶ dead          │
                  ├──replay──────────────────────┘             │
                  ├──replay_delivered, unclean stop────────────┘
                  └── restart: what was claimed and not acknowledged waits again

What was delivered is kept for ``keep`` seconds, because a store may say that it has committed before its disk has: after a
loss of power the last of it is missing there. A queue that was not closed is opened with what was delivered within
``keep`` of its last sign of life waiting again; to deliver twice does no harm.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from hashlib import blake2b
from typing import NamedTuple, Protocol
from zlib import crc32

MAX_QUARANTINED = 10_000
"""Refused records kept; older ones make room."""


class NewEntry(NamedTuple):
    """Something to deliver.

    Args:
        key: what decides the partition: the workflow execution.
        body: one PROV-ML JSON document.
    """

    key: str
    body: bytes


class Refused(NamedTuple):
    """A record that was refused for good.

    Args:
        producer: 32 hex digits.
        body: the record as it came.
        field: JSON path of what is wrong.
        message: what is wrong.
    """

    producer: str
    body: bytes
    field: str
    message: str


class Entry(NamedTuple):
    """A claimed entry.

    Args:
        id: opaque; orders the entries of a partition by age in most cases.
        body: one PROV-ML JSON document.
        deliveries: how many counted deliveries failed before.
    """

    id: str
    body: bytes
    deliveries: int


class DeadLetter(NamedTuple):
    """An entry that was given up.

    Args:
        id: opaque; later letters compare greater as integers.
        partition: where it waited.
        size: bytes of the document.
        deliveries: how many counted deliveries failed.
        accepted: seconds since 1970 when it was appended.
        died: seconds since 1970 when it was given up.
        reason: why.
    """

    id: str
    partition: int
    size: int
    deliveries: int
    accepted: float
    died: float
    reason: str


class QuarantinedRecord(NamedTuple):
    """A refused record, kept to be looked at."""

    id: str
    producer: str
    field: str
    message: str
    refused: float
    body: bytes


class QueueStatistics(NamedTuple):
    """The queue at one moment.

    Args:
        depths: entries waiting or claimed, by partition.
        oldest_seconds: age of the oldest of them; 0 when there is none.
        dead: number of dead letters.
        quarantined: number of refused records kept.
        kept: number of entries that were delivered and are still kept.
    """

    depths: Sequence[int]
    oldest_seconds: float
    dead: int
    quarantined: int
    kept: int = 0


class Exported(NamedTuple):
    """One thing that a queue holds, in the form in which it leaves and enters a queue of any kind.

    Args:
        kind: ``entry`` (waiting, claimed, or delivered and still kept), ``dead`` or ``refused``.
        hash: hash of the key, which decides the partition; 0 for refused records.
        accepted: seconds since 1970; of a refused record when it was refused.
        deliveries: how many counted deliveries failed.
        died: seconds since 1970, of dead letters; else 0.
        reason: why a letter is dead, what is wrong with a refused record; else empty.
        producer: 32 hex digits, of refused records; else empty.
        field: JSON path of what is wrong, of refused records; else empty.
        body: the document, or the refused record.
    """

    kind: str
    hash: int
    accepted: float
    deliveries: int
    died: float
    reason: str
    producer: str
    field: str
    body: bytes


class WorkQueue(Protocol):
    """A durable queue of several partitions, in the hands of one tracker; others may work on the same storage.

    All methods raise ``QueueUnavailable`` when the storage does not work; then nothing was changed, unless it was the answer
    of a server that was lost.
    """

    @property
    def partitions(self) -> int:
        """Number of partitions, which are numbered from 0."""
        ...

    async def append(self, entries: Sequence[NewEntry], refused: Sequence[Refused] = ()) -> None:
        """Adds all entries, or none. When it returns they survive the loss of power."""
        ...

    async def claim(self, partition: int, max_entries: int, max_bytes: int, wait: float) -> list[Entry]:
        """The oldest entries that wait, now claimed; empty when none came within ``wait`` seconds.

        Never more than ``max_entries``; more than ``max_bytes`` only when the first alone is larger.
        """
        ...

    async def acknowledge(self, partition: int, ids: Sequence[str]) -> None:
        """Takes claimed entries out, which have been delivered; they are kept for a while, out of sight."""
        ...

    async def retry(self, partition: int, ids: Sequence[str], delay: float, *, counted: bool) -> None:
        """Gives claimed entries back; they can be claimed again after ``delay`` seconds.

        Args:
            counted: whether this was a delivery that the entry itself may have made fail.
        """
        ...

    async def bury(self, partition: int, ids: Sequence[str], reason: str) -> None:
        """Makes claimed entries dead letters."""
        ...

    async def dead_letters(self, limit: int, after: str | None = None) -> list[DeadLetter]:
        """Dead letters, oldest first, from the one after id ``after``."""
        ...

    async def dead_letter_body(self, identifier: str) -> bytes | None:
        """The document of a dead letter, or ``None`` when there is no such letter."""
        ...

    async def replay(self, ids: Sequence[str] | None = None) -> int:
        """Makes dead letters (all, without ``ids``) wait again with no deliveries counted; how many they were."""
        ...

    async def replay_delivered(self, since: float) -> int:
        """Makes entries wait again that were delivered at or after ``since`` and are still kept; how many they were.

        Args:
            since: seconds since 1970.
        """
        ...

    def export(self) -> AsyncIterator[Exported]:
        """All that was in the queue when this was begun, oldest first; entries that are delivered meanwhile may be among it.

        What was being moved meanwhile may come twice.
        """
        ...

    async def take_in(self, items: Sequence[Exported]) -> None:
        """Adds what was exported; durable when it returns. To take in the same twice does no harm to the graph."""
        ...

    async def quarantined(self, limit: int, after: str | None = None) -> list[QuarantinedRecord]:
        """Refused records that are kept, oldest first, from the one after id ``after``."""
        ...

    async def depth(self) -> int:
        """Entries waiting or claimed, of all partitions; cheap enough to be asked with every request."""
        ...

    async def statistics(self) -> QueueStatistics:
        """The queue's numbers."""
        ...

    async def check(self) -> None:
        """Raises ``QueueUnavailable`` when entries cannot be appended at present."""
        ...

    async def close(self) -> None:
        """Finishes what was begun, notes that the stop was clean, and lets go of the storage. Claims end."""
        ...


def hash_of(key: str) -> int:
    """A hash of a partition key that is the same in every process and version."""
    return crc32(key.encode("utf-8", "surrogatepass"))


def digest_of(producer: str, body: bytes) -> bytes:
    """Tells a refused record from all others, so that it is kept once however often it is sent."""
    return blake2b(body, digest_size=16, key=producer.encode()[:64]).digest()
