"""Shipping: from a source of batches to a tracker, with retries; the same for the background thread and ``pllib ship``."""

from __future__ import annotations

import json
import os
import threading
import time
from contextlib import suppress
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Protocol

from ._boundary import report, shielded
from .errors import TransportError
from .packing import unpacked
from .spool import Batch
from .spool_reader import breathe
from .transport import Transport

FIRST_DELAY = 0.2
FRAME_BYTES = 14
"""About what a frame adds to its payload."""
LONGEST_DELAY = 10.0
LONGEST_ASKED = 600.0
"""A server that asks to wait longer is asked again after this."""

QUIET_RECORDS = 10
BUSY_LOOKS = 4
BUSY_STEP = 2
"""While a script captures much there are so many looks between two exchanges, and so many intervals between two looks."""
FULL_BATCH = 2000
WORTH_RECORDS = 100
"""For so many records that came during an exchange another one is made at once; fewer go with the next look."""

Json = Any


class Source(Protocol):
    """Where batches come from: a spool's reader or a queue in memory."""

    producer: str

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]: ...

    def done(self, batch: Batch, refused: int = 0) -> None: ...

    def refuse(self, refused: List[Dict[str, object]]) -> None: ...

    def save(self) -> None: ...

    def finish(self) -> None: ...

    def abandon(self) -> None: ...


class OwnSource(Source, Protocol):
    """A source of this process, which knows without looking whether there is something."""

    def ready(self) -> bool: ...

    def waiting(self) -> int: ...

    def hurry(self) -> None: ...

    def link_slowly(self) -> None:
        """Makes records that are still to be made, also where there is nobody to take them."""


def uniform(low: float, high: float) -> float:
    """A number between the two by chance; the script's own ``random`` is left as it is, or its runs would differ."""
    return low + (high - low) * int.from_bytes(os.urandom(6), "big") / 2**48


def delay(failures: int, asked: Optional[float], between: Callable[[float, float], float] = uniform) -> float:
    """Seconds to wait after ``failures`` failures in a row: exponential with full jitter, on top of what the server asks for."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10))
    return between(0.0, longest) + min(asked or 0.0, LONGEST_ASKED)


class Outcome(NamedTuple):
    """What became of records that were posted."""

    delivered: int
    refused: List[Dict[str, object]]

    def __add__(self, other: object) -> Outcome:
        return Outcome(self.delivered + other.delivered, self.refused + other.refused)  # type: ignore[attr-defined]


class Delivery:
    """Delivers what one source holds and counts it.

    Args:
        max_records, max_bytes: bounds of one batch.
        accounting: figures of the producer, told with each batch.
    """

    def __init__(
        self,
        source: Source,
        transport: Transport,
        max_records: int,
        max_bytes: int,
        accounting: Callable[[], Optional[Json]] = lambda: None,
    ) -> None:
        self.source, self.transport = source, transport
        self.delivered = self.refused = self.damaged = self.bytes = 0
        self._max_records, self._max_bytes = max_records, max_bytes
        self._accounting = accounting

    def step(self) -> bool:
        """Delivers one batch; ``False`` when there was none.

        Raises:
            TransportError: it was not taken, and is still there.
        """
        batch = self.source.take(self._max_records, self._max_bytes)
        if batch is None:
            return False
        outcome = self._posted(batch.payloads) if batch.payloads else Outcome(0, [])
        if outcome.refused:
            self.source.refuse(outcome.refused)
        self.source.done(batch, len(outcome.refused))
        self.delivered += outcome.delivered
        self.refused += len(outcome.refused)
        self.damaged += len(batch.damaged)
        self.bytes += sum(map(len, batch.payloads)) + FRAME_BYTES * len(batch.payloads)
        return True

    def post(self, payloads: List[bytes]) -> None:
        """Delivers records that no source holds.

        Raises:
            TransportError: they were not taken.
        """
        outcome = self._posted(payloads)
        self.delivered += outcome.delivered
        self.refused += len(outcome.refused)

    def tell(self) -> None:
        """Tells the tracker the figures at the end, if it got anything; whether it hears them or not."""
        figures = self._accounting()
        if figures is not None and self.delivered:
            try:
                self.transport.post(self.source.producer, [], figures)
            except TransportError:
                return  # they are only for whoever asks

    def _posted(self, payloads: List[bytes]) -> Outcome:
        """Posts records. When they are refused as a whole, in halves, until the record that is to blame stands alone."""
        try:
            answer = self.transport.post(self.source.producer, payloads, self._accounting())
        except TransportError as error:
            if not error.permanent:
                raise
            if len(payloads) == 1:
                return Outcome(0, _refused(payloads, [{"index": 0, "status": error.status, "message": str(error)}]))
            middle = len(payloads) // 2
            return self._posted(payloads[:middle]) + self._posted(payloads[middle:])
        refused = _refused(payloads, answer.get("results", []))
        return Outcome(len(payloads) - len(refused), refused)


def _refused(payloads: List[bytes], results: List[Dict[str, Any]]) -> List[Dict[str, object]]:
    found: Dict[int, Dict[str, object]] = {}
    for entry in results:
        index = entry.get("index")
        if entry.get("status", 200) >= 400 and isinstance(index, int) and 0 <= index < len(payloads):
            found[index] = {"reason": entry, "record": json.loads(unpacked(payloads[index]))}
    return list(found.values())


class Call:
    """Wakes one thread that waits for it; a call that was heard is over. Of one lock: an ``Event`` makes another one for each wait."""

    def __init__(self) -> None:
        self._unheard = threading.Lock()
        self._unheard.acquire()

    def make(self) -> None:
        """Calls, if no call is under way."""
        with suppress(RuntimeError):
            self._unheard.release()

    def within(self, seconds: float) -> bool:
        """Waits for a call; whether there was one in time."""
        return self._unheard.acquire(timeout=seconds)


class Shipper:
    """The background thread that delivers while the script runs.

    It looks at the source every ``interval`` seconds rather than being woken, so a capture call costs nothing here. While a script captures
    much, it looks and ships less often, or when a whole batch waits: the two share the interpreter, and each exchange may hold up calls.
    """

    def __init__(self, delivery: Delivery, source: OwnSource, interval: float) -> None:
        self.delivery = delivery
        self.last_error: Optional[str] = None
        self._source, self._interval = source, interval
        self._called = Call()
        self._stop_at: Optional[float] = None
        self._last: List[bytes] = []
        self._failures = 0
        self._found = 0  # by the last round
        self._delivered_all = False  # when it ended
        self._answered = False  # whether the last failure was an answer, not the lack of one
        self._next = 0.0  # when to try again after it
        self._thread = threading.Thread(target=self._run, name="pllib-shipper", daemon=True)
        self._thread.start()

    def hurry(self) -> None:
        """Looks at the source now, unless the tracker asked to be left alone or did not answer."""
        if not self._failures:
            self._called.make()

    def stop(self, timeout: float, last: List[bytes]) -> bool:
        """Delivers the rest, for at most ``timeout`` seconds, and ends the thread; whether nothing was left.

        A tracker that nobody answers for is asked once more and not waited for; one that asks to wait is waited for
        as far as the time goes.

        Args:
            last: records that the source has no room for, delivered when all else is.
        """
        self._last = last
        self._source.hurry()
        self._stop_at = time.monotonic() + timeout
        self._called.make()
        self._thread.join(timeout)
        return self._delivered_all

    def _run(self) -> None:
        going_on = True
        while going_on:
            stopping = self._stop_at is not None
            self._round(stopping)
            going_on = self._after_failure(stopping) if self._failures else self._after_success(stopping)
        self._delivered_all = not self._failures
        self._farewell()
        self.delivery.transport.close()

    @shielded(lambda self: None, always=True)
    def _farewell(self) -> None:
        if not self._failures:
            self.delivery.tell()

    def _after_success(self, stopping: bool) -> bool:
        """Waits for the next round; ``False`` when there is to be none."""
        if stopping:
            return self._source.ready()
        looks, intervals = (BUSY_LOOKS, BUSY_STEP) if self._found > QUIET_RECORDS else (1, 1)
        for _ in range(looks):
            if self._called.within(intervals * self._interval) or self._source.waiting() >= FULL_BATCH:
                break
        return True

    def _after_failure(self, stopping: bool) -> bool:
        if stopping and not self._answered:
            return False  # asked once more, in vain
        self._called.within(0.0)
        if self._stop_at is None:
            self._called.within(max(0.0, self._next - time.monotonic()))
        if self._stop_at is None or not self._answered:
            return True
        if self._next >= self._stop_at:
            return False
        time.sleep(max(0.0, self._next - time.monotonic()))
        return True

    @shielded(lambda self, stopping: self._failed("an error of its own", None), always=True)
    def _round(self, stopping: bool) -> None:
        """Delivers until little is left, at the end nothing, or something fails."""
        before = self.delivery.delivered
        try:
            self._source.link_slowly()
            if self._source.ready() or self._last:
                self.delivery.transport.open()
                while self.delivery.step():
                    if self._stop_at is None:
                        if self._source.waiting() < WORTH_RECORDS:
                            break  # else the script and this would go on in turns, with an exchange for every few records
                        breathe()
            if stopping and self._last:
                self.delivery.post(self._last)
                self._last = []
            self._failures = 0
            self._found = self.delivery.delivered - before
        except TransportError as error:
            if not self._failures:
                report("shipping", error)
            self._failed(str(error), error)

    def _failed(self, why: str, error: Optional[TransportError]) -> None:
        self.last_error = why
        self._failures += 1
        self._answered = error is not None and error.status is not None
        self._next = time.monotonic() + delay(self._failures, error.retry_after if error is not None else None)
