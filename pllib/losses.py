"""What was lost, and telling it: drops by reason, and the gap records that bring them into the provenance.

A gap record says how many records were dropped between two times, and why (docs/reference/capture-format.md). It goes before the next
record that is accepted, so whoever reads the records in order meets the gap where it is.
"""

from __future__ import annotations

import threading
import time
from typing import Callable, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .encoding import dumps

FIRST_TELLING = 1.0


class Gap(NamedTuple):
    """So many drops between two times (microseconds since 1970)."""

    drops: int
    since: int
    to: int

    def joined(self, other: Gap) -> Gap:
        return Gap(self.drops + other.drops, min(self.since, other.since), max(self.to, other.to))


class Losses:
    """Counts drops, and keeps what no record has told yet.

    Attributes:
        dropped: reason to count, of all drops.
        pending: whether something is to be put before the next record.
    """

    def __init__(self, clock: Callable[[], int] = time.time_ns, steady: Callable[[], int] = time.monotonic_ns) -> None:
        self.dropped: Dict[str, int] = {}
        self.pending = False
        self._clock, self._steady = clock, steady
        self._telling = False
        self._owed: List[bytes] = []
        self._gaps: Dict[str, Gap] = {}
        self._due = 0.0  # when drops that go on are told the next time, on the monotonic clock (seconds)
        self._wait = 0.0
        # Whoever takes a lock of ours may be interrupted by a signal's handler or a finaliser that captures too.
        self._lock = threading.RLock()

    def owe(self, payload: bytes) -> None:
        """Keeps a record of the client's own that found no room; it goes before the next one that does."""
        with self._lock:
            self._owed.append(payload)
            self.pending = True

    def drop(self, reason: str, count: int = 1) -> bool:
        """Counts drops; whether it is time to tell them at once.

        That is at the first one, then after a second, two, four and so on: should the process be killed while there is no
        room, little of the loss stays unsaid.
        """
        now = self._clock() // 1000
        with self._lock:
            self.dropped[reason] = self.dropped.get(reason, 0) + count
            gap, known = Gap(count, now, now), self._gaps.get(reason)
            self._gaps[reason] = gap if known is None else known.joined(gap)
            self.pending = True
            return self._steady() / 1e9 >= self._due

    def tell(
        self, numbers: Iterator[int], put: Callable[[List[bytes]], Optional[str]], going_on: bool
    ) -> Optional[str]:
        """Hands the records that tell what is pending to ``put``; they are told when it answers ``None``.

        Args:
            going_on: the drops are not over, so this is not asked for again too soon.

        Returns:
            the answer of ``put``.
        """
        with self._lock:
            if self._telling:  # a signal's handler captures in the middle of this
                return put([])
            self._telling = True
            told, owed = dict(self._gaps), list(self._owed)
            try:
                reason = put(owed + [self._record(next(numbers), why, gap) for why, gap in told.items()])
            finally:
                self._telling = False
            if reason is None:
                del self._owed[: len(owed)]
                self._gaps = {why: gap for why, gap in map(_less(told), self._gaps.items()) if gap.drops}
                self.pending = bool(self._gaps or self._owed)
            if going_on:
                self._wait = min(2 * self._wait or FIRST_TELLING, 3600.0)
                self._due = self._steady() / 1e9 + self._wait
            elif reason is None:
                self._wait = self._due = 0.0
            return reason

    def untold(self) -> int:
        """How many drops no record tells yet."""
        return sum(gap.drops for gap in list(self._gaps.values()))

    def _record(self, number: int, reason: str, gap: Gap) -> bytes:
        now, steady = self._clock() // 1000, self._steady()
        said = f'"count":{gap.drops},"from":{gap.since},"to":{gap.to},"reason":{dumps(reason)}'
        return f'{{"n":{number},"op":"gap","t":{now},"m":{steady},{said}}}'.encode("ascii")


def _less(told: Dict[str, Gap]) -> Callable[[Tuple[str, Gap]], Tuple[str, Gap]]:
    """Takes what was told off a gap, which may have grown meanwhile."""

    def without(entry: Tuple[str, Gap]) -> Tuple[str, Gap]:
        why, gap = entry
        return why, gap._replace(drops=gap.drops - told[why].drops) if why in told else gap

    return without
