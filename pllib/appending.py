"""Files that several threads append to, each for itself: how they are changed, and how what a full disk cut short is taken back.

A write at the end of a file is one step for the system, so no thread has to wait for another one's. Only whoever goes on in another
file, or changes what is in this one, waits until nobody writes to it.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from abc import ABC, abstractmethod
from collections import deque
from typing import Deque, Optional

from .tally import tally

PATIENCE = 0.1
"""Seconds to wait until nobody writes to a file any more."""


class Segment:
    """A file that is being written. Each call that writes holds a reference: when there is none left, nobody writes to it any more.

    Attributes:
        limit: it may be written to until so many bytes are counted.
        number: of the file.
    """

    __slots__ = ("__weakref__", "fd", "limit", "number")

    def __init__(self, fd: int, limit: int, number: int) -> None:
        self.fd, self.limit, self.number = fd, limit, number


class AppendedFiles(ABC):
    """Files of which one after the other is written. What is written begins with a newline, which ends what may lie there.

    Attributes:
        segment: the file to write to; one without a descriptor while nobody may write.
        fd, number: of the file that is being written.
    """

    def __init__(self) -> None:
        # Reentrant: a signal's handler or a finaliser may capture while this thread is inside.
        self._lock = threading.RLock()
        self._tally = tally()  # what is written, counted before
        self._add = self._tally.add
        self._parts: Deque[bytes] = deque()  # of what did not find room on the disk, still in the file
        self._none = Segment(-1, -1, -1)
        self.segment = self._none
        self.fd, self.number = -1, 0

    @abstractmethod
    def path_of(self, number: int) -> str:
        """Path of a file."""

    def _quiet(self) -> Optional[int]:
        """Lets nobody begin to write and waits for those who do; the limit that this file had, for when writing goes on.

        ``None``, and all go on as before, where somebody still writes after a while: on a disk that hangs, or in this very thread, where
        a signal's handler came into the middle of a call.
        """
        if self.segment is self._none:
            return None
        watched, limit = weakref.ref(self.segment), self.segment.limit
        self.segment = self._none
        until = time.monotonic() + PATIENCE
        while watched() is not None and time.monotonic() < until:
            time.sleep(0.0005)
        still = watched()
        if still is not None:
            self.segment = still
            return None
        while self._parts:
            self._remove(self._parts.popleft())
        return limit

    def _take_back(self) -> None:
        """Removes parts of frames from the file."""
        with self._lock:
            limit = self._quiet()
            if limit is not None:
                self.segment = Segment(self.fd, limit, self.number)

    def _remove(self, part: bytes) -> None:
        """Cuts off what came of frames into the file, while nobody writes; where others wrote behind it, puts newlines in its place."""
        try:
            data = os.pread(self.fd, os.fstat(self.fd).st_size, 0)
            # No whole frame ends where this does, so nothing else is taken for it.
            place = (data + b"\n").rfind(part + b"\n") if len(part) > 1 else -1
            if place >= 0 and data.endswith(part):
                os.ftruncate(self.fd, place)
                self._tally.add(-len(part))
            elif place >= 0:
                self._overwrite(place, b"\n" * len(part))
        except OSError:
            return  # the newline before the next frame ends it, and it is passed over as damaged

    def _overwrite(self, place: int, data: bytes) -> None:
        # Another descriptor, since one that was opened to append does so wherever it is told to write.
        fd = os.open(self.path_of(self.number), os.O_WRONLY | getattr(os, "O_CLOEXEC", 0))
        try:
            os.pwrite(fd, data, place)
        finally:
            os.close(fd)
