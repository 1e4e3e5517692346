"""Which entries of the SQLite file are claimed: kept in memory, and gone with the process."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence

from .queue import Entry


class Partition:
    """Which entries of one partition are claimed: all up to ``cursor`` but those that were given back.

    Those in ``behind_us`` were delivered, or given back, by when the file was opened: the cursor passes over them.
    """

    __slots__ = ("behind_us", "claimed", "cursor", "depth", "given_back", "news")

    def __init__(self) -> None:
        self.cursor = 0
        self.depth = 0
        self.claimed: set[int] = set()
        self.given_back: list[tuple[float, int]] = []
        self.behind_us: set[int] = set()
        self.news = asyncio.Event()

    def give_back(self, ready: float, number: int) -> None:
        """Makes an entry claimable from the moment ``ready`` on."""
        self.claimed.discard(number)
        heapq.heappush(self.given_back, (ready, number))
        self.news.set()

    def ready(self, now: float, most: int) -> list[tuple[float, int]]:
        """Takes out the entries that were given back and can be claimed now."""
        found: list[tuple[float, int]] = []
        while self.given_back and self.given_back[0][0] <= now and len(found) < most:
            found.append(heapq.heappop(self.given_back))
        return found

    def gone(self, numbers: Sequence[int]) -> int:
        """Forgets claimed entries; how many of them there were."""
        gone = self.claimed.intersection(numbers)
        self.claimed -= gone
        self.depth -= len(gone)
        return len(gone)


class Found:
    """Entries found for a claim, within its limits."""

    __slots__ = ("_bytes_left", "_most", "cursor", "entries")

    def __init__(self, most: int, most_bytes: int, cursor: int) -> None:
        self.entries: list[Entry] = []
        self.cursor = cursor
        self._most = most
        self._bytes_left = most_bytes

    def take(self, row: tuple[int, bytes, int]) -> bool:
        """Whether the row was added; if not, the claim is full."""
        self._bytes_left -= len(row[1])
        if self.entries and (len(self.entries) >= self._most or self._bytes_left < 0):
            return False
        self.entries.append(Entry(str(row[0]), row[1], row[2]))
        return True
