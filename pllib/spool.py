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
from collections import deque
from typing import Callable, Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from . import frames
from .appending import AppendedFiles, Segment
from .errors import SpoolError
from .frames import encode
from .holding import hold
from .tally import BYTES, RECORD

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


class SpoolWriter(AppendedFiles):
    """Appends records of this process; durable against the end of the process once ``offer`` returned.

    Any thread writes for itself, and waits for another one only where a file is finished and the next begun: a write at the end of
    a file is one step for the system. Each begins with a newline, which ends what a write before it may have left there.

    Args:
        spool: the folder; made if missing, readable by the user alone.
        segment_bytes: size at which the next file is begun; at most an eighth of ``spool_bytes``, since room comes back by the file.
        spool_bytes: most bytes kept on disk.
        ships: whether this process also sends what it writes.
        keeps_finished: finished files stay open, in ``finished``, for whoever brings them to the disk itself.

    Attributes:
        fd, number: of the file that is being written.
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
        super().__init__()
        self.spool, self.producer = spool, producer
        self.counts: Dict[int, int] = {}
        self.finished: Optional[Deque[int]] = deque() if keeps_finished else None
        self._segment_bytes, self._spool_bytes = max(1, min(segment_bytes, spool_bytes // 8)), spool_bytes
        self._reserve = min(RESERVE_BYTES, spool_bytes // 16)
        self._ships = ships
        self._lost = 0
        self._begun = 0  # the sum when this file was begun
        self._earlier: Deque[Tuple[int, int]] = deque()  # number and size of files before this one
        self._freed = 0  # bytes of files that are deleted
        self._closed = False
        try:
            os.makedirs(folder_of(spool, producer), mode=0o700, exist_ok=True)
            self.fd, self.number = self._opened(1), 1
        except OSError as error:
            raise SpoolError(f"spool folder {spool} cannot be written: {error.strerror or error}") from error
        self.segment = Segment(self.fd, 0, self.number)

    @property
    def accepted(self) -> int:
        """Records in the files, of the client's own too."""
        return self._tally.total() // RECORD - self._lost

    @property
    def position(self) -> Tuple[int, int]:
        """Number of the file that is being written, and how long it is; -1 when it is not there any more."""
        number = self.number
        try:
            return number, os.stat(segment_path(self.spool, self.producer, number)).st_size
        except OSError:
            return number, -1

    def offer(self, payload: bytes, *more: bytes, reserve: bool = False) -> Optional[str]:
        """Appends records, all of them or none.

        Args:
            reserve: they may use what is kept free for gap records.

        Returns:
            ``None`` when they are in the file, else why not.
        """
        frame = encode(payload) if not more else b"".join(map(encode, (payload, *more)))
        size = len(frame)
        amount = RECORD * (1 + len(more)) + size
        counted = done = 0
        why: Optional[OSError] = None
        segment = self.segment
        try:
            if segment.fd >= 0 and not reserve:
                counted = amount
                if self._add(amount) & BYTES <= segment.limit:
                    done = os.write(segment.fd, frame)
                    if done == size:
                        return None
        except OSError as error:
            why = error
        finally:
            if done != size and counted:
                self._take_off(amount, frame[:done])
            del segment  # the traceback of an exception may keep what this call had
        if done or (why is not None and not self._moved(why)):
            return self._refused()
        return self._offer_in_turn(frame, amount, reserve)

    def _offer_in_turn(self, frame: bytes, amount: int, reserve: bool) -> Optional[str]:
        """The same where there may have to be another file first."""
        for _ in range(2):
            segment, done = self._with_room(amount, reserve), 0
            if segment is None:
                return CLOSED if self._closed else FULL
            try:
                done = os.write(segment.fd, frame)
                if done == len(frame):
                    return None
            except OSError as error:
                why = error
            else:
                break
            finally:
                if done != len(frame):
                    self._take_off(amount, frame[:done])
                del segment
            if not self._moved(why):
                break
        return self._refused()

    def _take_off(self, amount: int, part: bytes) -> None:
        """Counts of what was to be written only the part that came into the file."""
        self._add(len(part) - amount)
        if part:
            self._parts.append(part)

    def _refused(self) -> str:
        if self._parts:
            self._take_back()
        return DISK

    def _with_room(self, amount: int, reserve: bool) -> Optional[Segment]:
        """The file to write to, where so much is counted already: the next one when this one is full. ``None``: there is no room."""
        if self._closed:
            return None
        with self._lock:
            if self._closed:
                return None
            if self.segment is self._none:  # a signal's handler came into the middle of a change of files
                self._tally.add(amount)
                return Segment(self.fd, -1, self.number)
            size, total = amount & BYTES, self._tally.total() & BYTES
            if reserve or total + size > self.segment.limit:
                end = self._end(total)
                left = self._left(self._spool_bytes if reserve else self._spool_bytes - self._reserve, size)
                if left < size:
                    return None
                if not reserve:
                    self.segment.limit = total + min(left, max(end - total, size))
            self._tally.add(amount)
            return self.segment

    def _end(self, total: int) -> int:
        """The sum of bytes at which the next file is begun, which is done now when it is reached."""
        end = (self._begun & BYTES) + self._segment_bytes
        if total < end:
            return end
        return total + (self._segment_bytes if self._rotate() else self._segment_bytes // 8)

    def _left(self, quota: int, size: int) -> int:
        """Bytes of a quota that are left: files that were taken are deleted, by our own shipper or by ``pllib ship``."""
        used = self._tally.total() & BYTES
        if quota - used + self._freed < size:
            while self._earlier and not os.path.exists(segment_path(self.spool, self.producer, self._earlier[0][0])):
                self._freed += self._earlier.popleft()[1]
        return quota - used + self._freed

    def set_aside(self, size: int) -> None:
        """Leaves part of the quota to other files of this process."""
        with self._lock:
            self._spool_bytes -= size

    def _moved(self, error: OSError) -> bool:
        """Goes on in another file, when this one was closed under us (daemons close all they find) or is gone from its server."""
        if error.errno not in (errno.ESTALE, errno.EBADF):
            return False
        with self._lock:
            try:
                os.fstat(self.fd)
                return True  # another thread has seen to it
            except OSError:
                return not self._closed and self._renewed(usable=error.errno == errno.ESTALE)

    def renew(self) -> None:
        """Goes on in another file, since this one was taken away."""
        with self._lock:
            if not self._closed:
                self._renewed(usable=True)

    def _renewed(self, usable: bool) -> bool:
        try:
            os.makedirs(folder_of(self.spool, self.producer), mode=0o700, exist_ok=True)
        except OSError:
            return False
        return self._rotate(usable)

    def lose(self, count: int) -> None:
        """Takes back records that were accepted and that the disk has lost since."""
        self._lost += count

    def close(self, synced: bool = True) -> None:
        """Ends writing; what is offered after this is not taken. The file stays open where a write or a sync of it hangs."""
        with self._lock:
            if self._closed:
                return
            quiet = self._quiet() is not None
            self._closed, self.segment = True, self._none
            self.counts[self.number] = self._tally.total() // RECORD - self._begun // RECORD
            if self.fd >= 0 and synced and quiet:
                os.close(self.fd)
                self.fd = -1

    def abandon(self) -> None:
        """Lets go of the file in a forked child, to whom it does not belong. Takes no lock: its owner may be gone."""
        fds = [self.fd, *(self.finished or ())]
        self.fd, self.finished, self._closed, self.segment = -1, None, True, self._none
        for fd in fds:
            if fd >= 0:
                os.close(fd)

    def path_of(self, number: int) -> str:
        return segment_path(self.spool, self.producer, number)

    def _opened(self, number: int) -> int:
        path = self.path_of(number)
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(path, flags, 0o600)
        hold(fd, self._ships)
        return fd

    def _rotate(self, usable: bool = True) -> bool:
        """Goes on in the next file, once nobody writes to this one; ``False``: that takes long, or there is no room for another.

        Whoever finds the next file may take it that nothing more comes into this one.

        Args:
            usable: this one is to be closed; else it is no longer ours.
        """
        limit = self._quiet()
        if limit is None:
            return False
        try:
            fd = self._opened(self.number + 1)
        except OSError:
            self.segment = Segment(self.fd, limit, self.number)
            return False
        total, begun = self._tally.total(), self._begun
        old, self.fd = self.fd, fd
        self.number += 1
        self._begun = total
        self.counts[self.number - 1] = total // RECORD - begun // RECORD
        self._earlier.append((self.number - 1, (total & BYTES) - (begun & BYTES)))
        self.segment = Segment(fd, total & BYTES, self.number)
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
