"""The queue in memory: the fastest capture, lost with the process.

The same two sides as the spool's: ``accept`` for the script, ``take`` and ``done`` for the shipper.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Deque, Dict, List, Optional, Union

from .spool import Batch

Pending = Union[bytes, Callable[[], bytes]]


class MemoryQueue:
    """A bounded queue of records; when it is full, new records are dropped and counted."""

    def __init__(self, producer: str, max_records: int) -> None:
        self.producer = producer
        self.accepted = self.dropped = self.damaged = 0
        self._max_records = max_records
        self._queue: Deque[Pending] = deque()
        self._in_flight: List[bytes] = []
        self._lock = threading.Lock()

    def accept(self, payload: Pending) -> bool:
        """Queues one record, as bytes or as a function that makes them later."""
        with self._lock:
            if len(self._queue) + len(self._in_flight) >= self._max_records:
                self.dropped += 1
                return False
            self._queue.append(payload)
            self.accepted += 1
            return True

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]:
        size = sum(map(len, self._in_flight))
        while self._queue and len(self._in_flight) < max_records and size < max_bytes:
            pending = self._queue.popleft()
            payload = pending if isinstance(pending, bytes) else pending()
            self._in_flight.append(payload)
            size += len(payload)
        if not self._in_flight:
            return None
        return Batch(self.producer, self._in_flight[:max_records], (0, 0), 0)

    def done(self, batch: Batch) -> int:
        del self._in_flight[: len(batch.payloads)]
        return 0

    def refuse(self, refused: List[Dict[str, object]]) -> None:
        """Refused records end here: there is no disk to keep them on."""

    def left(self) -> int:
        return len(self._queue) + len(self._in_flight)

    def finish(self) -> None:
        """Nothing remains of a queue in memory."""
