"""Queues in memory: the fastest capture, lost with the process; and one that goes on in files when it is full.

The same two sides as the spool's: ``offer`` for the script, ``take`` and ``done`` for the shipper.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union

from .encoding import weight
from .spool import CLOSED, FULL, Batch, SpoolWriter
from .spool_reader import STEP_RECORDS, OwnSpool, breathe, nothing

Parts = Tuple[str, Dict[str, Any]]
Item = Union[bytes, Parts]
"""A payload, packed or not, or what one can be made of (``encoding.payload``), which nobody changes any more."""

Encode = Callable[[str, Dict[str, Any]], Optional[bytes]]

Unlinked = Tuple[int, Callable[..., Item], Tuple[Any, ...]]
"""Bytes of memory, and what makes the record from what."""

ITEM_BYTES = 120
"""What the queue itself takes for an entry."""
LINK_STEP = 16
"""Records that are linked while the script's thread may have to wait."""


class MemoryQueue:
    """A bounded queue of records.

    Some of them are *unlinked*: still to be made, and with that linked to the values that records before them generated. They
    are the newest, and linked in the order in which they came: by the shipper's thread, or before a record that cannot wait.

    Args:
        max_records, max_bytes: the bounds; bytes of memory, of records that are not yet encoded by estimate.
        encode: makes payloads, on the shipper's thread; ``None``, and counted there, when it cannot.
    """

    def __init__(self, producer: str, max_records: int, max_bytes: int, encode: Encode) -> None:
        self.producer = producer
        self.accepted = 0
        self._max_records, self._max_bytes, self._encode = max_records, max_bytes, encode
        self._half_records, self._half_bytes = max_records // 2, max_bytes // 2
        self._queue: Deque[Tuple[int, Item]] = deque()
        self._unlinked: Deque[Unlinked] = deque()
        self._linking = threading.RLock()
        self._in_flight: List[bytes] = []
        self._bytes = self._flying = 0  # memory of all, and of those in flight
        self._closed = False
        self._pause = breathe
        self._lock = threading.RLock()

    def offer(self, item: Item, *more: Item, reserve: bool = False) -> Optional[str]:
        """Queues records, all or none; ``reserve``: whatever the bounds say. ``None``, or why not."""
        if more or reserve:
            return self._offer_all((item, *more), reserve)
        size = ITEM_BYTES + (len(item) if type(item) is bytes else weight(*item))
        with self._lock:
            known = self._bytes + size
            if known > self._max_bytes or self.waiting() >= self._max_records or self._closed:
                return CLOSED if self._closed else FULL
            self._bytes = known
            self._queue.append((size, item))
            self.accepted += 1
        return None

    def offer_unlinked(self, size: int, make: Callable[..., Item], given: Tuple[Any, ...]) -> bool:
        """Queues a record of about ``size`` bytes that ``make(*given)`` will make; ``False``: no room, make it and ask again."""
        with self._lock:
            known = self._bytes + size
            count = len(self._unlinked) + len(self._queue) + len(self._in_flight)
            if known > self._max_bytes or count >= self._max_records or self._closed:
                return False
            self._bytes = known
            self._unlinked.append((size, make, given))
            self.accepted += 1
        if (
            count > self._half_records or known > self._half_bytes
        ):  # nobody takes them, and what has to be linked at once would wait for all
            self.link(2)
        return True

    def link(self, most: int = sys.maxsize) -> None:
        """Links unlinked records, the oldest first."""
        with self._linking:
            for _ in range(min(most, len(self._unlinked))):
                try:
                    size, make, given = self._unlinked.popleft()
                except IndexError:
                    return
                self._queue.append((size, make(*given)))

    def link_slowly(self) -> None:
        """The same on a thread of its own, so that nobody has much to link at once."""
        while self._unlinked:
            for _ in range(STEP_RECORDS // LINK_STEP):
                self.link(LINK_STEP)
            self._pause()

    def _offer_all(self, items: Tuple[Item, ...], reserve: bool) -> Optional[str]:
        sized = [(ITEM_BYTES + (len(item) if type(item) is bytes else weight(*item)), item) for item in items]
        with self._lock:
            known = self._bytes + sum(size for size, _ in sized)
            waiting = self.waiting() + len(items)
            if self._closed:
                return CLOSED
            if not reserve and (known > self._max_bytes or waiting > self._max_records):
                return FULL
            self._bytes = known
            self._queue.extend(sized)
            self.accepted += len(items)
        return None

    def ready(self) -> bool:
        """Whether there is something to take."""
        return bool(self._queue or self._in_flight or self._unlinked)

    def waiting(self) -> int:
        """How many records there are to take."""
        return len(self._queue) + len(self._in_flight) + len(self._unlinked)

    def hurry(self) -> None:
        """Makes no more pauses, since the script has come to its end."""
        self._pause = nothing

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]:
        """The oldest records; they stay until they are ``done``."""
        while len(self._in_flight) < max_records and self._flying < max_bytes:
            if not self._queue:
                self.link(LINK_STEP)
            try:
                size, item = self._queue.popleft()
            except IndexError:
                break
            self._fly(size, item if type(item) is bytes else self._encode(*item))
            if not len(self._in_flight) % STEP_RECORDS:
                self._pause()
        if not self._in_flight:
            return None
        return Batch(self.producer, self._in_flight[:max_records], (0, 0))

    def _fly(self, size: int, payload: Optional[bytes]) -> None:
        with self._lock:
            self._bytes -= size
            if payload is None:
                self.accepted -= 1
                return
            self._in_flight.append(payload)
            self._bytes += ITEM_BYTES + len(payload)
            self._flying += ITEM_BYTES + len(payload)

    def done(self, batch: Batch, refused: int = 0) -> None:
        with self._lock:
            del self._in_flight[: len(batch.payloads)]
            size = sum(ITEM_BYTES + len(payload) for payload in batch.payloads)
            self._bytes -= size
            self._flying -= size

    def refuse(self, refused: List[Dict[str, object]]) -> None:
        """Refused records end here: there is no disk to keep them on."""

    def close(self, synced: bool = True) -> None:
        """Ends it; what is offered after this is not taken."""
        with self._lock:
            self._closed = True

    def give_up(self) -> int:
        """Takes back what is left, when nobody will take it any more; how many records."""
        with self._lock:
            count = self.waiting()
            self._queue.clear()
            self._unlinked.clear()
            self._in_flight.clear()
            self.accepted -= count
            return count

    def abandon(self) -> None:
        """In a forked child: nothing to let go of."""

    def save(self) -> None:
        """Nothing remains of a queue in memory."""

    def finish(self) -> None:
        """Nothing remains of a queue in memory."""


class SpillingQueue:
    """A queue in memory that goes on in spool files when it is full, and leaves there what is not sent in the end.

    Args:
        open_spool: makes the files, when they are needed; ``None`` when they cannot be made.
    """

    def __init__(
        self,
        memory: MemoryQueue,
        open_spool: Callable[[], Optional[Tuple[SpoolWriter, OwnSpool]]],
        encode: Encode,
    ) -> None:
        self.producer = memory.producer
        self.memory = memory
        self.writer: Optional[SpoolWriter] = None
        self._reader: Optional[OwnSpool] = None
        self._open_spool, self._encode = open_spool, encode
        self.offer_unlinked, self.link, self.link_slowly = memory.offer_unlinked, memory.link, memory.link_slowly
        self._lock = threading.RLock()

    @property
    def accepted(self) -> int:
        return self.memory.accepted + (self.writer.accepted if self.writer is not None else 0)

    def offer(self, *items: Item, reserve: bool = False) -> Optional[str]:
        """Queues records, or writes them to files; all or none. ``None``, or why not."""
        reason = self.memory.offer(*items)
        return reason if reason != FULL else self._spill(items, reserve)

    def _spill(self, items: Tuple[Item, ...], reserve: bool) -> Optional[str]:
        payloads = [item if type(item) is bytes else self._encode(*item) for item in items]
        whole = [payload for payload in payloads if payload is not None]
        if not whole:
            return None
        with self._lock:
            if self._reader is None:
                opened = self._open_spool()
                if opened is None:
                    return FULL
                self.writer, self._reader = opened
        return self.writer.offer(*whole, reserve=reserve) if self.writer is not None else FULL

    def ready(self) -> bool:
        return self.memory.ready() or (self._reader is not None and self._reader.ready())

    def waiting(self) -> int:
        return self.memory.waiting() + (self._reader.waiting() if self._reader is not None else 0)

    def hurry(self) -> None:
        self.memory.hurry()
        if self._reader is not None:
            self._reader.hurry()

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]:
        """Records from memory, and when there are none from the files."""
        batch = self.memory.take(max_records, max_bytes)
        return batch if batch is not None or self._reader is None else self._reader.take(max_records, max_bytes)

    def done(self, batch: Batch, refused: int = 0) -> None:
        if batch.position[0]:
            self._reader.done(batch, refused)  # type: ignore[union-attr]
        else:
            self.memory.done(batch)

    def refuse(self, refused: List[Dict[str, object]]) -> None:
        if self._reader is not None:
            self._reader.refuse(refused)

    def close(self, synced: bool = True) -> None:
        """Ends it: what is left in memory goes to the files."""
        self.memory.close()
        while True:
            batch = self.memory.take(1000, 1_000_000)
            if batch is None or self._spill(tuple(batch.payloads), False) is not None:
                break
            self.memory.done(batch)
            self.memory.accepted -= len(batch.payloads)
        if self.writer is not None:
            self.writer.close()

    def give_up(self) -> int:
        return self.memory.give_up()

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's files."""
        for each in (self.writer, self._reader):
            if each is not None:
                each.abandon()

    def save(self) -> None:
        if self._reader is not None:
            self._reader.save()

    def finish(self) -> None:
        if self._reader is not None:
            self._reader.finish()
