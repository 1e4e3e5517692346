"""Points files: where points of series are until they are in records, so that nothing is lost with the process.

``{producer}.{number}.points`` lies beside the spool files of the same process. It holds lines, each after its CRC-32 as 8 hex digits::

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
from typing import List, NamedTuple, Optional, Set
from zlib import crc32

from . import points
from .holding import hold
from .spool import CLOSED, DISK, FULL, POINTS_SUFFIX, folder_of

VERSION = b"v 1"
MOVED = "moved"
"""Why a line was not taken: the file is another now, which knows no series."""
UNKNOWN = -1
"""Stands for records that are not known yet."""


def line(text: bytes) -> bytes:
    """A line of the file."""
    return b"%08x %b\n" % (crc32(text), text)


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


class PointsFile:
    """The points file of this process, to be written to; whoever calls holds a lock.

    Args:
        limit: bytes, but for what introduces series, after which the next file should be begun.
        most: bytes after which nothing is taken.
        ships: whether this process sends its records itself.

    Attributes:
        number: of the file; a new one knows no series yet.
        written: counts writes, for whoever syncs them.

    Raises:
        OSError: the file cannot be made.
    """

    def __init__(self, spool: str, producer: str, limit: int, most: int, ships: bool) -> None:
        self.number = self.written = 0
        self.old: List[Old] = []
        self._spool, self._producer, self._ships = spool, producer, ships
        self._limit, self._most = limit, most
        self._size = self._due = 0
        self._torn = self._closed = False
        self.fd = -1
        self.path = ""
        self._open()

    def _open(self) -> None:
        """Makes the next file. It is locked before it has its name, so that nobody takes it for one that was left behind."""
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        path = path_of(self._spool, self._producer, self.number + 1)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        fd = os.open(f"{path}.new", flags, 0o600)
        try:
            hold(fd, self._ships)
            os.rename(f"{path}.new", path)
        except OSError:
            os.close(fd)
            raise
        self.fd, self.path, self.number = fd, path, self.number + 1
        self._size, self._due, self._torn = 0, self._limit, False
        self.append(line(VERSION))

    def append(self, lines: bytes, introduction: int = 0) -> Optional[str]:
        """Writes lines, all or none; ``None``, or why not.

        Args:
            introduction: how many of the bytes introduce series.
        """
        size = len(lines)
        if self._closed or self._size + size > self._most:
            return CLOSED if self._closed else FULL
        try:
            done = os.write(self.fd, b"\n" + lines if self._torn else lines)
        except OSError as error:
            gone = error.errno in (errno.EBADF, errno.ESTALE)  # closed under us, or taken from its server
            return MOVED if gone and self.renew(usable=error.errno == errno.ESTALE) else DISK
        self._size += done
        self.written += 1
        if done == size or (self._torn and done == size + 1):
            self._torn = self._torn and done == size
            self._due += introduction
            return None
        self._cut(done)
        return DISK

    def _cut(self, done: int) -> None:
        """Takes back part of a line."""
        try:
            os.ftruncate(self.fd, os.fstat(self.fd).st_size - done)
            self._size -= done
        except OSError:
            self._torn = True  # the newline before the next line will end it

    def due(self) -> bool:
        """Whether the next file should be begun."""
        return self._size >= self._due and not self.old

    def lost(self) -> bool:
        """Whether somebody has deleted the file."""
        return not os.path.exists(self.path)

    def renew(self, usable: bool = True) -> bool:
        """Goes on in the next file; whether one could be made. ``usable``: the one until now still is ours."""
        before, path = self.fd, self.path
        try:
            self._open()
        except OSError:
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
        self.abandon()
        for path in paths if remove else ():
            _remove(path)

    def abandon(self) -> None:
        """Lets go of the files, which stay as they are: in a forked child, to whom they do not belong."""
        fds, self.fd, self.old, self._closed = self.fds(), -1, [], True
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
