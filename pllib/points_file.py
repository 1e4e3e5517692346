"""Points files: where points of series are until they are in records, so that nothing is lost with the process.

``{producer}.{number}.points`` lies beside the spool files of the same process. It holds lines, each after its CRC-32 as 8
hex digits, between empty ones::

    7a8f02c1 v 1                                     version of this form
    0b1c44d0 s 0 "kind":"task","wf":…,"series":…     series 0: the fields that all its records have
    91e0f2aa 0 41 410 1785000000000000 0.25          a point of series 0: index, step, time, value
    c05d1b7e = 0 0 42 17 1785000000100000 99812345   points 0 to 41 of series 0 go into record n=17, with these t and m
    2e6b90f4 . 17                                    record 17 was taken, or dropped and counted

A large file is followed by the next number, and removed when all its points are in records that were taken. What a dead process
left becomes records by ``points_recovery.py``.
"""

from __future__ import annotations

import errno
import os
from typing import List, NamedTuple, Optional, Set, Tuple
from zlib import crc32

from . import points
from .appending import AppendedFiles, Segment
from .holding import hold
from .spool import CLOSED, DISK, FULL, POINTS_SUFFIX, folder_of

VERSION = b"v 1"
MOVED, GONE = "moved", "gone"
"""Why a line was not taken: the file is another now, which knows no series; it was closed under us, or taken from its server."""
UNKNOWN = -1
"""Stands for records that are not known yet."""


def line(text: bytes) -> bytes:
    """A line of the file. It begins with a newline too, which ends what may lie before it."""
    return b"\n%08x %b\n" % (crc32(text), text)


class Sealed(NamedTuple):
    """A record of points before it is accepted: all that makes it what it is."""

    n: int
    t: int
    m: int
    series: int
    head: str
    points: List[points.Point]

    @property
    def text(self) -> str:
        """The record, but for its closing brace."""
        return f'{{"n":{self.n},"op":"points","t":{self.t},"m":{self.m},{self.head},{points.fields(self.points)}'

    @property
    def announcement(self) -> bytes:
        """The line that says which points it holds."""
        first, count = self.points[0][0], len(self.points)
        return line(b"= %d %d %d %d %d %d" % (self.series, first, count, self.n, self.t, self.m))


class Old(NamedTuple):
    """A file that is written no more. It stays, locked, until the records are taken that its points are in."""

    fd: int
    path: str
    awaited: Set[int]


class PointsFile(AppendedFiles):
    """The points file of this process, to be written to. Any thread may ``write``; whoever calls anything else holds a lock.

    Args:
        limit: bytes, but for what introduces series, after which the next file should be begun.
        most: bytes after which nothing is taken.
        ships: whether this process sends its records itself.

    Attributes:
        number: of the file; a new one knows no series yet.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, spool: str, producer: str, limit: int, most: int, ships: bool) -> None:
        super().__init__()
        self.old: List[Old] = []
        self._spool, self._producer, self._ships = spool, producer, ships
        self._limit, self._most = limit, most
        self._due = 0  # at so many bytes the next file should be begun
        self._is_due = self._closed = False
        self.path = ""
        self._open()

    def path_of(self, number: int) -> str:
        return path_of(self._spool, self._producer, number)

    def _open(self) -> None:
        """Makes the next file. It is locked before it has its name, so that nobody takes it for one that was left behind."""
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        path = self.path_of(self.number + 1)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(f"{path}.new", flags, 0o600)
        try:
            hold(fd, self._ships)
            os.rename(f"{path}.new", path)
        except OSError:
            os.close(fd)
            raise
        begun = self._tally.total()
        self.fd, self.path, self.number = fd, path, self.number + 1
        self._due, self._is_due = begun + self._limit, False
        self.segment = Segment(fd, begun + self._most, self.number)
        self.append(line(VERSION))

    @property
    def position(self) -> Tuple[int, int]:
        """Number of the file that is being written, and how long it is."""
        number = self.number
        try:
            return number, os.fstat(self.fd).st_size
        except OSError:
            return number, -1

    def write(self, segment: Segment, lines: bytes) -> Optional[str]:
        """Writes lines, all or none; ``None``, or why not.

        Args:
            segment: where; whoever calls has taken it from this object, and lets go of it when all that follows from the write is done.
        """
        size, done = len(lines), 0
        total = self._add(size)
        try:
            if total > segment.limit:
                return FULL
            if total > self._due:
                self._is_due = True
            done = os.write(segment.fd, lines)
        except OSError as error:
            return GONE if error.errno in (errno.EBADF, errno.ESTALE) else DISK
        finally:
            if done != size:
                self._add(done - size)
                if done:
                    self._parts.append(lines[:done])
        return None if done == size else DISK

    def append(self, lines: bytes, introduction: int = 0) -> Optional[str]:
        """Writes lines, all or none; ``None``, or why not.

        Args:
            introduction: how many of the bytes introduce series.
        """
        if self._closed:
            return CLOSED
        segment = self.segment
        if segment.fd < 0:  # a signal's handler came into the middle of a change of files
            segment = Segment(self.fd, self._tally.total() + len(lines), self.number)
        reason = self.write(segment, lines)
        del segment
        if reason is None:
            self._due += introduction
        return reason if reason is None else self.after(reason)

    def after(self, reason: str) -> str:
        """Sees to what follows when lines were not taken; why they were not."""
        if reason == GONE:
            try:
                os.fstat(self.fd)
            except OSError as error:
                return MOVED if self.renew(usable=error.errno == errno.ESTALE) else DISK
            return MOVED
        if self._parts:
            self._take_back()
        return reason

    def due(self) -> bool:
        """Whether the next file should be begun."""
        return self._is_due and not self.old

    def lost(self) -> bool:
        """Whether somebody has deleted the file."""
        return not os.path.exists(self.path)

    def renew(self, usable: bool = True) -> bool:
        """Goes on in the next file; whether one could be made. ``usable``: the one until now still is ours.

        All that follows from a write to the one until now is done then.
        """
        limit = self._quiet()
        if limit is None:
            return False
        before, path = self.fd, self.path
        try:
            self._open()
        except OSError:
            self.segment = Segment(self.fd, limit, self.number)
            return False
        if usable:
            self.old.append(Old(before, path, {UNKNOWN}))
        return True

    def release(self, awaited: Set[int]) -> None:
        """Says which records old files wait for, all of whose points are in some."""
        for old in self.old:
            if UNKNOWN in old.awaited:
                old.awaited.update(awaited)
        self.forget({UNKNOWN})

    def forget(self, taken: Set[int]) -> None:
        """Removes old files that wait for no record any more, now that these were taken."""
        for old in list(self.old):
            old.awaited.difference_update(taken)
            if not old.awaited:
                self.old.remove(old)
                _remove(old.path)
                os.close(old.fd)

    def fds(self) -> List[int]:
        """All files that are open."""
        return [old.fd for old in self.old] + [self.fd]

    def close(self, remove: bool) -> None:
        """Ends writing; ``remove``: nothing in the files is of use any more."""
        paths = [old.path for old in self.old] + [self.path]
        self._closed, quiet = True, self._quiet() is not None
        if quiet:
            self.abandon()
        for path in paths if remove else ():
            _remove(path)

    def abandon(self) -> None:
        """Lets go of the files, which stay as they are: in a forked child, to whom they do not belong."""
        fds, self.fd, self.old, self._closed, self.segment = self.fds(), -1, [], True, self._none
        for fd in fds:
            if fd >= 0:
                os.close(fd)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except OSError:
        return


def path_of(spool: str, producer: str, number: int) -> str:
    return os.path.join(folder_of(spool, producer), f"{producer}.{number:06d}{POINTS_SUFFIX}")
