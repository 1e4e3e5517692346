"""Shipping: from a source of batches to a tracker, with retries; the same for the background thread and ``pllib ship``."""

from __future__ import annotations

import json
import random
import threading
import time
from typing import Any, Callable, Dict, List, Optional, Protocol

from ._boundary import report, shielded
from .errors import TransportError
from .spool import Batch
from .transport import Transport

FIRST_DELAY = 0.2
LONGEST_DELAY = 10.0


class Source(Protocol):
    """Where batches come from: a spool's reader or a queue in memory."""

    producer: str
    damaged: int

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]: ...

    def done(self, batch: Batch) -> int: ...

    def refuse(self, refused: List[Dict[str, object]]) -> None: ...

    def left(self) -> int: ...

    def finish(self) -> None: ...


def delay(failures: int, asked: Optional[float], uniform: Callable[[float, float], float] = random.uniform) -> float:
    """Seconds to wait after ``failures`` failures in a row: exponential with full jitter, never less than asked."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(failures - 1, 10))
    return min(uniform(0.0, longest) + (asked or 0.0), 60.0)


class Delivery:
    """Delivers what one source holds and counts it.

    Args:
        max_records, max_bytes: bounds of one batch.
    """

    def __init__(self, source: Source, transport: Transport, max_records: int, max_bytes: int) -> None:
        self.source, self.transport = source, transport
        self.delivered = self.refused = self.freed = 0
        self._max_records, self._max_bytes = max_records, max_bytes

    def step(self) -> bool:
        """Delivers one batch; ``False`` when there was none.

        Raises:
            TransportError: it was not taken, and is still there.
        """
        batch = self.source.take(self._max_records, self._max_bytes)
        if batch is None:
            return False
        self._deliver(batch.payloads)
        self.freed += self.source.done(batch)
        return True

    def _deliver(self, payloads: List[bytes]) -> None:
        if not payloads:
            return
        try:
            answer = self.transport.post(self.source.producer, payloads)
        except TransportError as error:
            if not error.permanent:
                raise
            self._isolate(payloads, error)
            return
        rejected = [entry for entry in answer.get("results", []) if entry.get("status", 200) >= 400]
        if rejected:
            self._keep(payloads, rejected)
        self.refused += len(rejected)
        self.delivered += len(payloads) - len(rejected)

    def _isolate(self, payloads: List[bytes], error: TransportError) -> None:
        """A batch was refused as a whole: halves it until the record that is to blame stands alone."""
        if len(payloads) == 1:
            self._keep(payloads, [{"index": 0, "status": error.status, "message": str(error)}])
            self.refused += 1
            return
        middle = len(payloads) // 2
        self._deliver(payloads[:middle])
        self._deliver(payloads[middle:])

    def _keep(self, payloads: List[bytes], rejected: List[Dict[str, Any]]) -> None:
        refused: List[Dict[str, object]] = []
        for entry in rejected:
            index = entry.get("index")
            if isinstance(index, int) and 0 <= index < len(payloads):
                refused.append({"reason": entry, "record": json.loads(payloads[index])})
        self.source.refuse(refused)


class Shipper:
    """The background thread that delivers while the script runs.

    It looks at the source every ``interval`` seconds rather than being woken, so a capture call costs nothing here.
    """

    def __init__(self, delivery: Delivery, interval: float, on_freed: Callable[[int], None]) -> None:
        self.delivery = delivery
        self.last_error: Optional[str] = None
        self._interval = interval
        self._on_freed = on_freed
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._stopping = False
        self._failures = 0
        self._thread = threading.Thread(target=self._run, name="pllib-shipper", daemon=True)
        self._thread.start()

    def flush(self, timeout: float) -> bool:
        """Delivers all that was accepted until now, for at most ``timeout`` seconds; whether it succeeded."""
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline and self._thread.is_alive():
            self._idle.clear()
            self._wake.set()
            if self._idle.wait(max(0.0, deadline - time.monotonic())) and not self._failures:
                return True
            if self._failures:
                time.sleep(0.05)
        return False

    def stop(self, timeout: float) -> bool:
        """Delivers the rest, for at most ``timeout`` seconds, and ends the thread; whether nothing was left.

        When the tracker did not answer the last time it is asked once more and not waited for.
        """
        self._stopping = True
        self._wake.set()
        self._thread.join(timeout)
        return not self._thread.is_alive() and not self._failures

    @shielded(lambda self: None)
    def _run(self) -> None:
        while True:
            self._wake.clear()
            wait = self._round()
            if self._stopping and (self._failures or self.delivery.source.take(1, 1) is None):
                self.delivery.transport.close()
                return
            self._wake.wait(wait)

    def _round(self) -> float:
        """Delivers until nothing is left or something fails; seconds to wait then."""
        try:
            while self.delivery.step():
                self._failures = 0
                if self.delivery.freed:
                    self._on_freed(self.delivery.freed)
                    self.delivery.freed = 0
            self._failures = 0
        except TransportError as error:
            self._failures += 1
            self.last_error = str(error)
            if self._failures == 1:
                report("shipping", error)
            self._idle.set()
            return delay(self._failures, error.retry_after)
        self._idle.set()
        return self._interval
