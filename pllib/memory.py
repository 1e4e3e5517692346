"""Queues in memory: the fastest capture, lost with the process; and one that goes on in files when it is full.

The same two sides as the spool's: ``offer`` for the script, ``take`` and ``done`` for the shipper.
"""

from __future__ import annotations

import sys
import threading
import time
from collections import deque
from typing import Any, Callable, Deque, Dict, List, Optional, Tuple, Union

from .encoding import weight
from .spool import CLOSED, FULL, Batch, SpoolWriter
from .spool_reader import OwnSpool, breathe, nothing
from .tally import BYTES, RECORD, tally

Parts = Tuple[str, Dict[str, Any]]
Item = Union[bytes, Parts]
"""A payload, packed or not, or what one can be made of (``encoding.payload``), which nobody changes any more."""

Encode = Callable[[str, Dict[str, Any]], Optional[bytes]]

Unlinked = Tuple[int, Callable[..., Item], Tuple[Any, ...]]
"""Bytes of memory, and what makes the record from what."""

ITEM_BYTES = 120
"""What the queue itself takes for an entry."""
STEP_RECORDS = 64
"""Records that are made or taken between two pauses."""
LINK_STEP = 16
"""Records that are linked while the script's thread may have to wait."""
ACCEPTED = RECORD << 48
ONE = ACCEPTED + RECORD
"""A record that is accepted and held, beside the bytes it takes."""
HELD = ACCEPTED - 1
PATIENCE = 0.05
"""Seconds that the end waits for calls that are in the middle of putting a record into the queue."""


class MemoryQueue:
    """A bounded queue of records. No thread that puts one in ever waits for another thread.

    Some of them are *unlinked*: still to be made, and with that linked to the values that records before them generated. They
    are the newest, and linked in the order in which they came: by the shipper's thread, or before a record that cannot wait.

    Args:
        max_records, max_bytes: the bounds; bytes of memory, by estimate of records that are not yet made or encoded.
        encode: makes payloads, on the shipper's thread; ``None``, and counted there, when it cannot.
    """

    def __init__(self, producer: str, max_records: int, max_bytes: int, encode: Encode) -> None:
        self.producer = producer
        self._max_held, self._max_bytes, self._encode = (max_records + 1) * RECORD - 1, max_bytes, encode
        self._half_held, self._half_bytes = max_records // 2 * RECORD + BYTES, max_bytes // 2
        self._queue: Deque[Tuple[int, Item]] = deque()
        self._unlinked: Deque[Unlinked] = deque()
        self._linking = threading.RLock()
        self._in_flight: List[bytes] = []
        self._flying = 0  # bytes of memory of those in flight
        self._closed = False
        self._pause = breathe
        self._taking = threading.RLock()  # of those who take records out; never on the way of those who put them in
        # Records that were accepted, those that are held, and the memory of these: counted before they are put in.
        self._tally = tally()
        self._add = self._tally.add

    @property
    def accepted(self) -> int:
        return self._tally.total() // ACCEPTED

    def waiting(self) -> int:
        """How many records there are to take."""
        return (self._tally.total() & HELD) // RECORD

    def bytes_held(self) -> int:
        """The memory that the records take."""
        return self._tally.total() & BYTES

    def offer(self, item: Item, *more: Item, reserve: bool = False) -> Optional[str]:
        """Queues records, all or none; ``reserve``: whatever the bounds say. ``None``, or why not."""
        if more or reserve:
            return self._offer_all((item, *more), reserve)
        size = ITEM_BYTES + (len(item) if type(item) is bytes else weight(*item))
        if not self._room(ONE + size):
            return CLOSED if self._closed else FULL
        self._queue.append((size, item))
        return None

    def _room(self, amount: int, reserve: bool = False) -> int:
        """Counts what is to be put in and says what is held then; 0: there is no room, and nothing was counted."""
        held = self._tally.add(amount) & HELD
        if self._closed or ((held > self._max_held or held & BYTES > self._max_bytes) and not reserve):
            self._tally.add(-amount)
            return 0
        return held

    def offer_unlinked(self, size: int, make: Callable[..., Item], given: Tuple[Any, ...]) -> bool:
        """Queues a record of about ``size`` bytes that ``make(*given)`` will make; ``False``: no room, make it and ask again."""
        held = self._add(ONE + size) & HELD
        if held > self._half_held or held & BYTES > self._half_bytes or self._closed:
            return self._offer_unlinked_to_many(size, make, given)
        self._unlinked.append((size, make, given))
        return True

    def _offer_unlinked_to_many(self, size: int, make: Callable[..., Item], given: Tuple[Any, ...]) -> bool:
        """The same where much waits already; the record is counted."""
        held = self._room(0)
        if not held:
            self._add(-(ONE + size))
            return False
        self._unlinked.append((size, make, given))
        self._link_two(held, size)
        return True

    def _link_two(self, held: int, size: int) -> None:
        """Nobody takes them, and what has to be linked at once would wait for all of them.

        Where another thread links, it goes on with that; but there are never more to be linked than still find room.
        """
        count = len(self._unlinked)
        some = count * RECORD <= self._max_held - held and count * size <= self._max_bytes - (held & BYTES)
        if self._linking.acquire(blocking=not some):
            try:
                self._link(2)
            finally:
                self._linking.release()

    def link(self, most: int = sys.maxsize) -> None:
        """Links unlinked records, the oldest first."""
        with self._linking:
            self._link(min(most, len(self._unlinked)))

    def _link(self, count: int) -> None:
        for _ in range(count):
            try:
                size, make, given = self._unlinked.popleft()
            except IndexError:
                return
            made = make(*given)
            # As text: objects in it would each be looked at by the interpreter's garbage collector, again and again.
            item = made if type(made) is bytes else self._encode(*made)
            if item is None:
                self._tally.add(-(ONE + size))
                continue
            taken = ITEM_BYTES + len(item)
            self._tally.add(taken - size)
            self._queue.append((taken, item))

    def link_slowly(self) -> None:
        """The same on a thread of its own, so that nobody has much to link at once."""
        while self._unlinked:
            for _ in range(STEP_RECORDS // LINK_STEP):
                self.link(LINK_STEP)
            self._pause()

    def _offer_all(self, items: Tuple[Item, ...], reserve: bool) -> Optional[str]:
        # Where there is no room for anything, as when drops are still to be told, nothing is weighed.
        if reserve or self._has_room(len(items)):
            sized = [(ITEM_BYTES + (len(item) if type(item) is bytes else weight(*item)), item) for item in items]
            if self._room(len(items) * ONE + sum([size for size, _ in sized]), reserve):
                self._queue.extend(sized)
                return None
        return CLOSED if self._closed else FULL

    def _has_room(self, records: int) -> bool:
        held = (self._tally.total() & HELD) + records * (RECORD + ITEM_BYTES)
        return held <= self._max_held and held & BYTES <= self._max_bytes

    def ready(self) -> bool:
        """Whether there is something to take."""
        return bool(self._queue or self._in_flight or self._unlinked)

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
        with self._taking:
            if payload is None:
                self._tally.add(-(ONE + size))
                return
            self._in_flight.append(payload)
            self._flying += ITEM_BYTES + len(payload)
            self._tally.add(ITEM_BYTES + len(payload) - size)

    def done(self, batch: Batch, refused: int = 0) -> None:
        self._leave(batch, RECORD)

    def hand_over(self, batch: Batch) -> None:
        """As ``done``, of records that somebody else has accepted now."""
        self._leave(batch, ONE)

    def _leave(self, batch: Batch, each: int) -> None:
        with self._taking:
            del self._in_flight[: len(batch.payloads)]
            size = sum([ITEM_BYTES + len(payload) for payload in batch.payloads])
            self._flying -= size
            self._tally.add(-(len(batch.payloads) * each + size))

    def refuse(self, refused: List[Dict[str, object]]) -> None:
        """Refused records end here: there is no disk to keep them on."""

    def close(self, synced: bool = True) -> None:
        """Ends it; what is offered after this is not taken."""
        self._closed = True
        until = time.monotonic() + PATIENCE
        while self.waiting() > len(self._queue) + len(self._unlinked) + len(self._in_flight):
            if time.monotonic() > until:
                break
            time.sleep(0.001)

    def give_up(self) -> int:
        """Takes back what is left, when nobody will take it any more; how many records."""
        with self._taking:
            held = self._tally.total() & HELD
            self._queue.clear()
            self._unlinked.clear()
            self._in_flight.clear()
            self._flying = 0
            self._tally.add(-(held + held // RECORD * ACCEPTED))
            return held // RECORD

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
            self.memory.hand_over(batch)
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
