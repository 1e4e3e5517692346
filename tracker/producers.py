"""What each producer says of its records: how many it accepted, delivered, still has, and dropped.

A batch may carry such an accounting. The tracker keeps the newest one of each producer in memory, beside what it saw itself, so
that loss shows: what a client dropped it cannot send. It is only told, never acted on.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, Optional

import msgspec
from msgspec import Meta, Struct

MAX_PRODUCERS = 10_000
"""Producers that are remembered; the ones not seen for longest make room."""
MAX_REASONS = 32
"""Reasons for drops that are told apart; more count as ``other``."""

Count = Annotated[int, Meta(ge=0, le=2**53)]
Word = Annotated[str, Meta(max_length=100)]


class Accounting(Struct, gc=False):
    """What a producer says of its records since its start.

    Args:
        accepted: records that captures returned for.
        delivered: records that a tracker acknowledged.
        refused: records that a tracker refused for good.
        waiting: records that are still to be sent.
        dropped: records given up, by reason.
        mode: where the producer keeps records until they are sent.
    """

    accepted: Count = 0
    delivered: Count = 0
    refused: Count = 0
    waiting: Count = 0
    dropped: Annotated[dict[Word, Count], Meta(max_length=MAX_REASONS)] = {}
    mode: Optional[Word] = None


class Totals(NamedTuple):
    """All producers together.

    Args:
        seen: producers that are remembered.
        waiting: records that they still have, by their last word.
        dropped: records that they gave up since the tracker's start, by reason.
    """

    seen: int
    waiting: int
    dropped: dict[str, int]


class _Producer:
    __slots__ = ("accounting", "highest_n", "last_seen", "received")

    def __init__(self) -> None:
        self.received = 0
        self.highest_n: int | None = None
        self.last_seen = 0.0
        self.accounting: Accounting | None = None


_decoder = msgspec.json.Decoder(Accounting)


def decode(raw: bytes | None) -> Accounting | None:
    """The accounting in a batch; ``None`` when there is none that can be understood, which costs the batch nothing."""
    if raw is None:
        return None
    try:
        return _decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


class Producers:
    """The producers that sent something since the tracker's start.

    Args:
        limit: how many are remembered.
        clock: seconds since 1970.
    """

    def __init__(self, limit: int = MAX_PRODUCERS, clock: Callable[[], float] = time.time) -> None:
        self._limit = limit
        self._clock = clock
        self._known: OrderedDict[str, _Producer] = OrderedDict()
        self._dropped_by_forgotten: Counter[str] = Counter()

    def saw(self, producer: str, received: int, highest_n: int | None, accounting: Accounting | None) -> None:
        """Notes a batch that was taken: how many records, the highest number of them, and what the producer says."""
        known = self._known.pop(producer, None) or _Producer()
        known.received += received
        if highest_n is not None:
            known.highest_n = max(highest_n, known.highest_n or 0)
        known.last_seen = self._clock()
        if accounting is not None and not _is_older(accounting, known.accounting):
            known.accounting = accounting
        self._known[producer] = known
        if len(self._known) > self._limit:
            _, forgotten = self._known.popitem(last=False)
            if forgotten.accounting is not None:
                _add(self._dropped_by_forgotten, forgotten.accounting.dropped)

    def page(self, limit: int, after: str | None = None) -> Sequence[dict[str, Any]]:
        """Producers by id, from the one after ``after``: what they say and what was seen of them."""
        names = sorted(name for name in self._known if name > (after or ""))[:limit]
        return [{"id": name, **_described(self._known[name])} for name in names]

    def totals(self) -> Totals:
        """What all producers say."""
        told = [known.accounting for known in self._known.values() if known.accounting is not None]
        dropped = Counter(self._dropped_by_forgotten)
        for one in told:
            _add(dropped, one.dropped)
        return Totals(len(self._known), sum(one.waiting for one in told), dict(dropped))


def _is_older(new: Accounting, old: Accounting | None) -> bool:
    """Whether a statement was overtaken by another on its way: what is counted since the start never gets less."""
    return old is not None and (new.accepted, new.delivered) < (old.accepted, old.delivered)


def _add(counter: Counter[str], dropped: dict[str, int]) -> None:
    for reason, count in dropped.items():
        counter[reason if reason in counter or len(counter) < MAX_REASONS else "other"] += count


def _described(known: _Producer) -> dict[str, Any]:
    return {
        "received": known.received,
        "highest_n": known.highest_n,
        "last_seen": known.last_seen,
        "accounting": known.accounting,
    }
