"""The spool: records of each process in append-only files, until a tracker has them.

::

    {spool}/
      3f/                                     first two digits of the producer id, so that no folder grows huge
        3fa9….000001.frames                   frames (see frames.py); a full file is followed by the next number
        3fa9….000002.frames
        3fa9….acked                           "{CRC-32} {file number} {offset} {figures}": all before it was taken by a tracker
        3fa9….000001.points                   points of series that are in no record yet (see points_file.py)
        3fa9….refused                         records that a tracker refused for good, one JSON line each with the reason
        3fa9….damaged                         stretches that are no whole frames, as they were found

Every file belongs to one producer and is written by one process, so no process or host ever waits for another's lock. Whole files that
were taken are deleted; shipping the same file again is harmless, since records have identities.

This module holds where things lie, and the writer; ``spool_reader.py`` reads.
"""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import frames
from .errors import SpoolError
from .frames import encode
from .holding import hold

SUFFIX = ".frames"
POINTS_SUFFIX = ".points"
RESERVE_BYTES = 65_536
"""Kept free of the quota for gap records, which must find room when nothing else does."""

FULL, DISK, CLOSED = "full", "disk", "closed"
"""Why a record was not taken: the quota is used up; the disk would not; the process ends."""


class Batch(NamedTuple):
    """Payloads of one producer, JSON or packed, the position (file number, offset) that is reached once they are taken, and what
    lay damaged between."""

    producer: str
    payloads: List[bytes]
    position: Tuple[int, int]
    damaged: Sequence[bytes] = ()


def folder_of(spool: str, producer: str) -> str:
    return os.path.join(spool, producer[:2])


def segment_path(spool: str, producer: str, number: int) -> str:
    return os.path.join(folder_of(spool, producer), f"{producer}.{number:06d}{SUFFIX}")


class SpoolWriter:
    """Appends records of this process; durable against the end of the process once ``offer`` returned.

    Args:
        spool: the folder; made if missing, readable by the user alone.
        segment_bytes: size at which the next file is begun; at most an eighth of ``spool_bytes``, since room comes back by the file.
        spool_bytes: most bytes kept on disk.
        ships: whether this process also sends what it writes.
        keeps_finished: finished files stay open, in ``finished``, for whoever brings them to the disk itself.

    Attributes:
        accepted: records in the files, of the client's own too.
        number: of the file that is being written.
        counts: records in each file, for whoever reads them.

    Raises:
        SpoolError: the folder or file cannot be made.
    """

    def __init__(
        self,
        spool: str,
        producer: str,
        segment_bytes: int,
        spool_bytes: int,
        *,
        ships: bool = True,
        keeps_finished: bool = False,
    ) -> None:
        self.spool, self.producer = spool, producer
        self.accepted = self.number = 0
        self.counts: Dict[int, int] = {}
        self.finished: Optional[Deque[int]] = deque() if keeps_finished else None
        self._segment_bytes, self._spool_bytes = max(1, min(segment_bytes, spool_bytes // 8)), spool_bytes
        self._reserve = min(RESERVE_BYTES, spool_bytes // 16)
        self._ships = ships
        # Reentrant: a signal's handler or a finaliser may capture while this thread is inside.
        self._lock = threading.RLock()
        self._earlier: Deque[Tuple[int, int]] = deque()  # number and size of files before this one
        self._kept = self._written = 0  # bytes in those, and in this file
        self._granted = self._room = 0  # bytes that may be written until the limits are looked at again
        self._before = 0  # accepted when this file was begun
        self._torn = self._closed = False
        self.fd = -1
        try:
            os.makedirs(folder_of(spool, producer), mode=0o700, exist_ok=True)
            self._next_segment()
        except OSError as error:
            raise SpoolError(f"spool folder {spool} cannot be written: {error.strerror or error}") from error

    def offer(self, payload: bytes, *more: bytes, reserve: bool = False) -> Optional[str]:
        """Appends records, all of them or none.

        Args:
            reserve: they may use what is kept free for gap records.

        Returns:
            ``None`` when they are in the file, else why not.
        """
        frame = encode(payload) if not more else b"".join(map(encode, (payload, *more)))
        size = len(frame)
        with self._lock:
            if size > self._room and not self._make_room(size, reserve):
                return CLOSED if self._closed else FULL
            try:
                done = os.write(self.fd, b"\n" + frame if self._torn else frame)
            except OSError as error:
                done = self._written_elsewhere(error, frame)
            self._room -= done
            if done != size and not self._whole(done, size):
                return DISK
            self.accepted += 1 + len(more)
            return None

    def catch_up(self) -> None:
        """Returns when all that can be read by now is counted as accepted: a record is written first."""
        with self._lock:
            return

    def set_aside(self, size: int) -> None:
        """Leaves part of the quota to other files of this process."""
        with self._lock:
            self._spool_bytes -= size

    def _make_room(self, size: int, reserve: bool) -> bool:
        """Begins the next file when this one is full; whether the spool may grow by ``size``."""
        if self._closed:
            return False
        self._written += self._granted - self._room
        self._granted = self._room = 0
        if self._written >= self._segment_bytes:
            self._rotate()
        quota = self._spool_bytes if reserve else self._spool_bytes - self._reserve
        if quota - self._kept - self._written < size:
            self._forget_deleted()
        left = quota - self._kept - self._written
        if left < size:
            return False
        self._granted = self._room = size if reserve else min(left, max(self._segment_bytes - self._written, size))
        return True

    def _forget_deleted(self) -> None:
        """Files that were taken are deleted, by our own shipper or by ``pllib ship``: their room is free again."""
        while self._earlier and not os.path.exists(segment_path(self.spool, self.producer, self._earlier[0][0])):
            self._kept -= self._earlier.popleft()[1]

    def _whole(self, done: int, size: int) -> bool:
        """After a write of other than ``size`` bytes: with the newline before it the frame is whole, else it is cut off."""
        if self._torn and done == size + 1:
            self._torn = False
            return True
        try:
            end = os.fstat(self.fd).st_size
            os.ftruncate(self.fd, end - done)
            self._room += done
        except OSError:
            self._torn = True  # the newline before the next frame will end it
        return False

    def _written_elsewhere(self, error: OSError, frame: bytes) -> int:
        """Bytes written to another file, when this one was closed under us (daemons close all they find) or is gone from its server."""
        stale = error.errno == errno.ESTALE
        if not stale and error.errno != errno.EBADF:
            return 0
        try:
            return os.write(self.fd, frame) if self._renewed(usable=stale) else 0
        except OSError:
            return 0

    def renew(self) -> None:
        """Goes on in another file, since this one was taken away."""
        with self._lock:
            if not self._closed:
                self._renewed(usable=True)

    def _renewed(self, usable: bool) -> bool:
        self._written += self._granted - self._room
        self._granted = self._room = 0
        try:
            os.makedirs(folder_of(self.spool, self.producer), mode=0o700, exist_ok=True)
        except OSError:
            return False
        return self._rotate(usable)

    @property
    def position(self) -> Tuple[int, int]:
        """Number of the file that is being written, and how far it is."""
        return self.number, self._written + self._granted - self._room

    def lose(self, count: int) -> None:
        """Takes back records that were accepted and that the disk has lost since."""
        with self._lock:
            self.accepted -= count
            self._before -= count

    def close(self, synced: bool = True) -> None:
        """Ends writing; what is offered after this is not taken. The file stays open where a sync of it hangs."""
        with self._lock:
            self._closed = True
            self._written += self._granted - self._room
            self._granted = self._room = 0
            self.counts[self.number] = self.accepted - self._before
            if self.fd >= 0 and synced:
                os.close(self.fd)
                self.fd = -1

    def abandon(self) -> None:
        """Lets go of the file in a forked child, to whom it does not belong. Takes no lock: its owner may be gone."""
        fds = [self.fd, *(self.finished or ())]
        self.fd, self.finished, self._closed = -1, None, True
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def _next_segment(self) -> None:
        path = segment_path(self.spool, self.producer, self.number + 1)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self.fd = os.open(path, flags, 0o600)
        self.number += 1
        hold(self.fd, self._ships)

    def _rotate(self, usable: bool = True) -> bool:
        """Goes on in the next file; ``False`` when there is no room for another: then in this one."""
        old, size = self.fd, self._written
        try:
            self._next_segment()
        except OSError:
            return False
        self.counts[self.number - 1] = self.accepted - self._before
        self._earlier.append((self.number - 1, size))
        self._kept += size
        self._written, self._before, self._torn = 0, self.accepted, False
        if self.finished is not None and usable:
            self.finished.append(old)
        elif usable:
            os.close(old)
        return True


def segments(spool: str, producer: str, suffix: str = SUFFIX) -> List[int]:
    """Numbers of a producer's files, ascending."""
    try:
        names = os.listdir(folder_of(spool, producer))
    except FileNotFoundError:
        return []
    found = [name[33 : -len(suffix)] for name in names if name.startswith(producer + ".") and name.endswith(suffix)]
    return sorted(int(number) for number in found if number.isdigit())


def read_segment(spool: str, producer: str, number: int, offset: int = 0) -> Iterator[frames.Frame]:
    """All whole frames and damaged stretches of one file from ``offset`` on."""
    try:
        with open(segment_path(spool, producer, number), "rb") as file:
            file.seek(offset)
            data = file.read()
    except FileNotFoundError:
        return
    yield from frames.decode(data, offset)


def producers(spool: str, unreadable: Optional[Callable[[OSError], None]] = None) -> List[str]:
    """Ids of all producers that have files in a spool folder.

    Args:
        unreadable: told of folders in it that may not be read; else that is raised.

    Raises:
        SpoolError: there is no such folder.
    """
    if not os.path.isdir(spool):
        raise SpoolError(f"there is no folder {spool}")
    found: Set[str] = set()
    for shard in sorted(os.listdir(spool)):
        folder = os.path.join(spool, shard)
        if len(shard) == 2 and os.path.isdir(folder):
            try:
                found.update(
                    name.split(".", 1)[0] for name in os.listdir(folder) if name.endswith((SUFFIX, POINTS_SUFFIX))
                )
            except OSError as error:
                if unreadable is None:
                    raise
                unreadable(error)
    return sorted(name for name in found if len(name) == 32)
