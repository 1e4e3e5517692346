"""The points of a process's series: gathered, and made into records (*sealed*) from time to time.

A point waits for at most ``PERIOD`` before it goes into a record with those before it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import count
from typing import TYPE_CHECKING, Any, Deque, Dict, Iterable, List, NamedTuple, Optional, Tuple

from . import points
from ._boundary import report, shielded
from .errors import FullError

if TYPE_CHECKING:
    from .client import Client

PERIOD = 0.25
"""Seconds between two rounds of the thread that seals."""
CALLS_PERIOD = 1.0
"""The same where there is no thread, and calls do it."""
POINT_BYTES = 250
"""About what a point takes in memory before it is sealed."""


class Buffer:
    """Points of one series that are in no record yet.

    Attributes:
        head: the fields of its records that are the same in all.
    """

    __slots__ = ("head", "indexes", "number", "waiting")

    def __init__(self, number: int, head: str) -> None:
        self.number, self.head = number, head
        self.indexes = count()
        # One deque for good, only popped and appended to: a signal's handler may come between any two steps.
        self.waiting: Deque[points.Point] = deque()


class Sealed(NamedTuple):
    """A record of points before it is accepted: all that makes it what it is."""

    n: int
    t: int
    m: int
    head: str
    points: List[points.Point]

    @property
    def text(self) -> str:
        """The record, but for its closing brace."""
        return f'{{"n":{self.n},"op":"points","t":{self.t},"m":{self.m},{self.head},{points.fields(self.points)}'


class Points:
    """All series of one client."""

    def __init__(self, client: Client, threaded: bool) -> None:
        self.accepted = self.waiting = 0
        self._client = client
        self._series: Dict[Tuple[str, str], Dict[str, Buffer]] = {}
        self._numbers = count()
        self._most = max(points.MAX_POINTS, client.settings.queue_bytes // 4 // POINT_BYTES)
        self._lock = threading.RLock()  # reentrant: a signal's handler may log while this thread is inside
        self._due = time.monotonic() + CALLS_PERIOD
        self._stop = threading.Event()
        self._thread = self._started() if threaded else None

    def _started(self) -> Optional[threading.Thread]:
        thread = threading.Thread(target=self._run, name="pllib-points", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter ends, or there are too many threads already
            report("points", error)
            return None
        return thread

    def buffer(self, wf: str, identifier: str, name: str, head: str) -> Buffer:
        """The series of that name in an activity; what was said of it first stands."""
        with self._lock:
            of_activity = self._series.setdefault((wf, identifier), {})
            found = of_activity.get(name)
            if found is None:
                found = of_activity[name] = Buffer(next(self._numbers), head)
            return found

    def add(self, buffer: Buffer, step: Optional[int], t: int, text: str) -> None:
        """Takes a point; ``step``: ``None`` for the count of those before it.

        Raises:
            FullError: there is no room, with ``full="raise"``.
        """
        with self._lock:
            index = next(buffer.indexes)
            buffer.waiting.append((index, index if step is None else step, t, text))
            self.accepted += 1
            self.waiting += 1
        if len(buffer.waiting) >= points.MAX_POINTS:
            self.seal((buffer,))
        elif self.waiting >= self._most or (self._thread is None and time.monotonic() >= self._due):
            self.seal_all()

    # -- sealing --------------------------------------------------------------------------------------------------

    def seal_all(self) -> None:
        """Makes records of all points that wait."""
        self._due = time.monotonic() + CALLS_PERIOD
        self.seal(self._buffers())

    def _buffers(self) -> List[Buffer]:
        with self._lock:
            return [buffer for of_activity in self._series.values() for buffer in of_activity.values()]

    def seal(self, buffers: Iterable[Buffer]) -> None:
        """Makes records of the points that wait in some series.

        Raises:
            FullError: there is no room, with ``full="raise"``; all that can be taken was.
        """
        full: Optional[FullError] = None
        for buffer in buffers:
            if buffer.waiting:
                try:
                    for sealed in self._sealed(buffer):
                        self._client.accept(sealed.text, {}, len(sealed.points))
                except FullError as error:
                    full = error
        if full is not None:
            raise full

    def _sealed(self, buffer: Buffer) -> List[Sealed]:
        with self._lock:
            take = buffer.waiting.popleft
            taken = [take() for _ in range(len(buffer.waiting))]
            self.waiting -= len(taken)
            now, steady = time.time_ns() // 1000, time.monotonic_ns()
            numbers = self._client.numbers
            return [Sealed(next(numbers), now, steady, buffer.head, run) for run in points.runs(taken)]

    def end(self, wf: str, identifier: str) -> None:
        """Seals the series of an activity that ends; it gets no more points."""
        with self._lock:
            buffers = list(self._series.pop((wf, identifier), {}).values())
        self.seal(buffers)

    def close(self) -> None:
        """Seals all, at the end."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(1.0)
        self._seal_rest()

    def figures(self) -> Dict[str, Any]:
        """Points that were taken, and those of them that are in no record yet."""
        return {"accepted": self.accepted, "waiting": self.waiting}

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            self._seal_rest()

    @shielded(lambda self: None, always=True)
    def _seal_rest(self) -> None:
        if self.waiting:
            self.seal_all()
