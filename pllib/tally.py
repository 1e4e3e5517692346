"""Counting by several threads, none of which ever waits for another.

A lock on the path of a capture call costs little as long as one thread captures. With several, and with threads that compute, the
one that holds it may have to wait for the interpreter, which takes up to 5 ms a thread, while all others come to the lock and
wait too: soon every call is a change of threads.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from itertools import accumulate
from typing import Deque, Iterator

RECORD = 1 << 48
"""A record, where records and their bytes are counted in one number: so many of these, and the bytes below."""
BYTES = RECORD - 1


class Tally:
    """A sum that any thread, and a signal's handler in the middle of that, may add to.

    Both steps of an addition are calls of functions in C that call no Python, so the interpreter changes threads between them at
    most. Then the numbers are added in another order, or by another thread.
    """

    __slots__ = ("_given", "_sums")

    def __init__(self) -> None:
        self._given: Deque[int] = deque()
        self._sums: Iterator[int] = accumulate(iter(self._given.popleft, None))

    def add(self, number: int) -> int:
        """Adds a number; the sum, which may lack it for a moment where another thread is about to add it."""
        self._given.append(number)
        try:
            found = next(self._sums)
            while self._given:  # others are between the two steps, or were when a signal's handler raised
                found = next(self._sums)
            return found
        except IndexError:  # another thread did our second step
            return self.add(0)

    def total(self) -> int:
        """The sum."""
        return self.add(0)


class _LockedTally(Tally):
    """Where the interpreter itself has no lock."""

    __slots__ = ("_lock", "_sum")

    def __init__(self) -> None:
        super().__init__()
        self._lock, self._sum = threading.RLock(), 0

    def add(self, number: int) -> int:
        with self._lock:
            self._sum += number
            return self._sum


def tally() -> Tally:
    """A sum for threads."""
    with_gil = getattr(sys, "_is_gil_enabled", None)
    return Tally() if with_gil is None or with_gil() else _LockedTally()
