"""The points of a process's series: gathered, and made into records (*sealed*) from time to time.

A point waits for at most ``PERIOD``, one of telemetry ``TELEMETRY_PERIOD``, before it goes into a record with those before it.
Meanwhile it is in memory and, but for mode ``memory``, in the process's points file (see ``points_file.py``), so that a record
is not needed for each.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Optional, Sequence, Set, Tuple

from . import points
from ._boundary import report, shielded
from .errors import FullError
from .points_file import GONE, MOVED, PointsFile, Sealed, line
from .spool import DISK, FULL
from .syncing import sync_folder
from .tally import BYTES, RECORD, tally

if TYPE_CHECKING:
    from .client import Client

PERIOD = 0.25
"""Seconds between two rounds of the thread that seals."""
TELEMETRY_PERIOD = 5.0
"""Seconds that telemetry waits for more: it is sampled seldom, and each record of a series becomes a triple."""
CALLS_PERIOD = 1.0
"""The same where there is no thread, and calls do it."""
POINT_BYTES = 250
"""About what a point takes in memory before it is sealed."""
ONE = RECORD + 1
"""A point that was taken and waits."""
TOGETHER = 64
"""Series whose records are announced at once."""


class Buffer:
    """Points of one series that are in no record yet.

    Attributes:
        number: of the series in the points file.
        head: the fields of its records that are the same in all.
        file: number of the points file that was told of the series.
        most: how many make a record at once.
        telemetry: whether they are measurements of the machine.
    """

    __slots__ = ("file", "head", "indexes", "most", "number", "telemetry", "waiting")

    def __init__(self, number: int, head: str, most: int, telemetry: bool) -> None:
        self.number, self.head, self.most, self.file = number, head, most, 0
        self.telemetry = telemetry
        self.indexes = count()
        # One deque for good, only popped and appended to: a signal's handler may come between any two steps.
        self.waiting: Deque[points.Point] = deque()


class Points:
    """All series of one client.

    Args:
        durable: there are spool files; until there is a points file, too, every point is a record of its own.

    Attributes:
        file: where points are until they are in records; ``None``: in memory alone.
    """

    def __init__(self, client: Client, durable: bool) -> None:
        self._tally = tally()  # points that were taken, and those of them that are in no record yet
        self._held = 0  # the sum after some point
        self.file: Optional[PointsFile] = None
        self._client = client
        self._syncs = False
        self._most_of_series = 1 if durable else points.MAX_POINTS
        self._series: Dict[Tuple[str, str], Dict[str, Buffer]] = {}
        self._numbers = count()
        self._most = max(points.MAX_POINTS, client.settings.queue_bytes // 4 // POINT_BYTES)
        self._lock = threading.RLock()  # reentrant: a signal's handler may log while this thread is inside
        self._returned = False  # whether points that were to go into records wait again
        self._unsettled: Set[int] = set()  # records that were announced in the file and not said to be taken
        self._taken: Set[int] = set()  # those of them that only are to be synced
        self._synced, self._named = (0, 0), 0  # position in the file, and number of the file whose name is on the disk
        self._due = time.monotonic() + CALLS_PERIOD
        self._telemetry_due = time.monotonic() + TELEMETRY_PERIOD
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None

    def use(self, file: PointsFile, syncs: bool) -> None:
        """Puts points into a file from now on; ``syncs``: it is synced from time to time (``sync``), and so are the records."""
        with self._lock:
            self.file, self._syncs, self._most_of_series = file, syncs, points.MAX_POINTS
            for buffer in self._buffers():
                buffer.most = points.MAX_POINTS

    def start(self) -> None:
        """Has a thread make the records; else calls do."""
        self._thread = self._started()

    def _started(self) -> Optional[threading.Thread]:
        thread = threading.Thread(target=self._run, name="pllib-points", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the interpreter ends, or there are too many threads already
            report("points", error)
            return None
        return thread

    def buffer(self, wf: str, identifier: str, name: str, head: str, telemetry: bool = False) -> Buffer:
        """The series of that name in an activity; what was said of it first stands."""
        with self._lock:
            of_activity = self._series.setdefault((wf, identifier), {})
            found = of_activity.get(name)
            # In one step, since a signal's handler may do the same in the middle of this.
            return found or of_activity.setdefault(
                name, Buffer(next(self._numbers), head, self._most_of_series, telemetry)
            )

    @property
    def accepted(self) -> int:
        """Points that were taken."""
        return self._tally.total() // RECORD

    @property
    def waiting(self) -> int:
        """Those of them that are in no record yet."""
        return self._tally.total() & BYTES

    def figures(self) -> Dict[str, Any]:
        """Points that were taken, and those of them that are in no record yet."""
        return {"accepted": self.accepted, "waiting": self.waiting}

    # -- taking points ----------------------------------------------------------------------------------------------

    def add(self, buffer: Buffer, step: Optional[int], t: int, text: str) -> None:
        """Takes a point; ``step``: ``None`` for the count of those before it.

        Raises:
            FullError: there is no room, with ``full="raise"``.
        """
        reason = self._put(buffer, step, t, text)
        if reason == FULL:
            self._next_file()
            reason = self._put(buffer, step, t, text)
        if reason is not None:
            self._client.no_room(reason, lambda: self._put(buffer, step, t, text))
        if len(buffer.waiting) >= buffer.most:
            self.seal((buffer,))
        elif self._held & BYTES >= self._most:
            self.seal_all()
        elif self._thread is None and time.monotonic() >= self._due:
            self._seal_due()
        if self.file is not None and self.file.due():
            self._next_file()

    def _put(self, buffer: Buffer, step: Optional[int], t: int, text: str) -> Optional[str]:
        """Takes a point, to the disk and to memory; ``None``, or why not. No thread waits for another one here."""
        index = next(buffer.indexes)
        if step is None:
            step = index
        file = self.file
        if file is None:
            self._keep(buffer, (index, step, t, text))
            return None
        lines = line(f"{buffer.number} {index} {step} {t} {text}".encode())
        segment, reason = file.segment, MOVED  # held until the point is in memory too: then another file may be begun
        try:
            if segment.number == buffer.file:
                reason = file.write(segment, lines)  # type: ignore[assignment]
                if reason is None:
                    self._keep(buffer, (index, step, t, text))
                    return None
        finally:
            del segment
        return self._put_in_turn(file, buffer, (index, step, t, text), lines, reason)

    def _keep(self, buffer: Buffer, point: points.Point) -> None:
        buffer.waiting.append(point)
        self._held = self._tally.add(ONE)

    def _put_in_turn(
        self, file: PointsFile, buffer: Buffer, point: points.Point, lines: bytes, reason: str
    ) -> Optional[str]:
        """Takes a point of a series that the file does not know yet, or sees to what follows when it was not taken."""
        with self._lock:
            if reason not in (MOVED, GONE):
                return file.after(reason)
            held = file.segment if reason == MOVED else None
            refused = self._introduced(file, buffer, lines)
            if refused is None:
                self._keep(buffer, point)
            del held
            return refused

    @staticmethod
    def _introduced(file: PointsFile, buffer: Buffer, lines: bytes) -> Optional[str]:
        """Writes lines of a series that the file does not know yet; ``None``, or why not."""
        told = line(b"s %d %b" % (buffer.number, buffer.head.encode("ascii")))
        for _ in range(2):
            number = file.number
            reason = file.append(told + lines, len(told))
            if reason is None:
                buffer.file = number
            if reason != MOVED:
                return reason
        return DISK

    # -- sealing --------------------------------------------------------------------------------------------------

    def _seal_due(self, pause: Callable[[], None] = lambda: None) -> None:
        """Makes records of the points that wait, of telemetry's only each ``TELEMETRY_PERIOD``; raises as ``seal_all``."""
        self._due = time.monotonic() + CALLS_PERIOD
        if time.monotonic() >= self._telemetry_due or (self.file is not None and self.file.old):
            self.seal_all(pause)
        else:
            self.seal([buffer for buffer in self._waiting() if not buffer.telemetry], pause)

    def seal_all(self, pause: Callable[[], None] = lambda: None) -> None:
        """Makes records of all points that wait.

        Raises:
            FullError: there is no room, with ``full="raise"``; all that can be taken was.
        """
        now = time.monotonic()
        self._due, self._telemetry_due = now + CALLS_PERIOD, now + TELEMETRY_PERIOD
        if self.file is None or not self.file.old:
            self.seal(self._waiting(), pause)
            return
        with self._lock:
            self._returned = False
            try:
                self.seal(self._waiting())
            finally:
                if not self._returned:
                    self.file.release(self._unsettled)

    def _waiting(self) -> List[Buffer]:
        with self._lock:
            return [buffer for buffer in self._buffers() if buffer.waiting]

    def _buffers(self) -> List[Buffer]:
        return [buffer for of_activity in list(self._series.values()) for buffer in list(of_activity.values())]

    def seal(self, buffers: Sequence[Buffer], pause: Callable[[], None] = lambda: None) -> None:
        """Makes records of the points that wait in some series.

        Raises:
            FullError: there is no room, with ``full="raise"``; all that can be taken was.
        """
        full: Optional[FullError] = None
        for start in range(0, len(buffers), TOGETHER):
            sealed = self._announced(buffers[start : start + TOGETHER])
            for each in sealed:
                try:
                    self._client.accept(each.text, {}, len(each.points))
                except FullError as error:
                    full = error
            self._settle([each.n for each in sealed])
            pause()
        if full is not None:
            raise full

    def _announced(self, buffers: Sequence[Buffer]) -> List[Sealed]:
        """Takes the points that wait and says in the file which record they will be in.

        Where the file does not take that they go on waiting, as long as there is memory: should the process be killed after the record
        was accepted, nobody could tell that they are in one.
        """
        with self._lock:
            sealed: List[Sealed] = []
            for buffer in buffers:
                taken = _drained(buffer.waiting)
                now, steady = time.time_ns() // 1000, time.monotonic_ns()
                sealed += [
                    Sealed(next(self._client.numbers), now, steady, buffer.number, buffer.head, run)
                    for run in points.runs(taken)
                ]
            told = b"".join([each.announcement for each in sealed]) if self.file is not None else b""
            if told and self.file.append(told) is not None and not self._must_go():  # type: ignore[union-attr]
                self._put_back(buffers, sealed)
                return []
            self._tally.add(-sum([len(each.points) for each in sealed]))
            self._unsettled.update([each.n for each in sealed])
            return sealed

    def _must_go(self) -> bool:
        """Whether points may not wait any longer."""
        return self._stop.is_set() or self.waiting >= self._most

    def _put_back(self, buffers: Sequence[Buffer], sealed: List[Sealed]) -> None:
        self._returned = True
        of = {buffer.number: buffer for buffer in buffers}
        for each in reversed(sealed):
            of[each.series].waiting.extendleft(reversed(each.points))

    def _settle(self, numbers: List[int]) -> None:
        """Notes that records were taken, where they are as safe as the points file."""
        with self._lock:
            if self._syncs:
                self._taken.update(numbers)
            else:
                self._say_taken(set(numbers))

    def _say_taken(self, numbers: Set[int]) -> None:
        if self.file is not None and numbers:
            # Should that fail they are sent again after a crash, as the same records.
            self.file.append(b"".join([line(b". %d" % n) for n in sorted(numbers)]))
            self.file.forget(numbers)
        self._unsettled -= numbers

    def _next_file(self, lost: bool = False) -> None:
        """Goes on in another file, for which all points of the one until now go into records."""
        with self._lock:
            file = self.file
            # It is not renewed in the middle of a call that a signal's handler has come into: its point may be in the file alone.
            if file is not None and (lost or not file.old) and file.renew():
                self.seal_all()

    def sync(self, records: Callable[[], None], fsync: Callable[[int], None]) -> None:
        """Brings records and points to the disk.

        Args:
            records: does so with the records that were accepted.
            fsync: with a file.

        Raises:
            OSError: that cannot be done.
        """
        taken = set(self._taken)
        records()
        with self._lock:
            self._taken -= taken
            self._say_taken(taken)
        file = self.file
        if file is None or (position := file.position) == self._synced:
            return
        for fd in file.fds():
            fsync(fd)
        if position[0] != self._named:
            sync_folder(os.path.dirname(file.path), fsync)
        self._synced, self._named = position, position[0]

    # -- the end ----------------------------------------------------------------------------------------------------

    def end(self, wf: str, identifier: str) -> None:
        """Seals the series of an activity that ends; it gets no more points. What finds no room is only counted."""
        if (wf, identifier) not in self._series:
            return
        with self._lock:
            buffers = list(self._series.get((wf, identifier), {}).values())
            for buffer in buffers:
                buffer.most = 1  # another thread may be about to add one more
        with suppress(FullError):
            self.seal(buffers)
        if not any([buffer.waiting for buffer in buffers]):
            self._series.pop((wf, identifier), None)

    def flush(self) -> None:
        """Seals all; what finds no room is only counted."""
        with suppress(FullError):
            self.seal_all()

    def close(self) -> None:
        """Seals all, at the end of the process."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(PERIOD)
        self._round(self.seal_all)

    def finish(self) -> None:
        """Removes the file, when every record was taken; after the records were closed."""
        if self.file is not None:
            self.file.close(remove=not self._unsettled and not self.waiting)

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's file. Takes no lock."""
        if self.file is not None:
            self.file.abandon()

    def _run(self) -> None:
        while not self._stop.wait(PERIOD):
            self._round(lambda: self._seal_due(lambda: time.sleep(0.001)))

    @shielded(lambda *_: None, always=True)
    def _round(self, seal: Callable[[], None]) -> None:
        if self.file is not None and self.file.lost():
            self._next_file(lost=True)
        elif self.waiting:
            with suppress(FullError):
                seal()


def _drained(waiting: Deque[points.Point]) -> List[points.Point]:
    """Takes all out, also where a signal's handler does the same in the middle of it."""
    taken: List[points.Point] = []
    try:
        while True:
            taken.append(waiting.popleft())
    except IndexError:
        return taken
