"""The spool: records of each process in append-only files, until a tracker has them.

::

    {spool}/
      3f/                                     first two digits of the producer id, so that no folder grows huge
        3fa9….000001.frames                   frames (see frames.py); a full file is followed by the next number
        3fa9….000002.frames
        3fa9….acked                           "{file number} {offset}": all before it was taken by a tracker
        3fa9….refused                         records that a tracker refused for good, one JSON line each with the reason

Every file belongs to one producer and is written by one process, so nothing is locked between processes or hosts. Whole files that
were taken are deleted; shipping the same file again is harmless, since records have identities.
"""

from __future__ import annotations

import json
import os
import threading
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from . import frames
from .errors import SpoolError

SUFFIX = ".frames"
READ_BYTES = 4_000_000


class Batch(NamedTuple):
    """Payloads of one producer, and the position (file number, offset) that is reached once they are taken."""

    producer: str
    payloads: List[bytes]
    position: Tuple[int, int]
    damaged: int


def _folder(spool: str, producer: str) -> str:
    return os.path.join(spool, producer[:2])


def segment_path(spool: str, producer: str, number: int) -> str:
    return os.path.join(_folder(spool, producer), f"{producer}.{number:06d}{SUFFIX}")


class SpoolWriter:
    """Appends records of this process; durable against the end of the process once ``accept`` returned.

    Args:
        spool: the folder; made if missing, readable by the user alone.
        segment_bytes: size at which the next file is begun.
        spool_bytes: most bytes kept on disk; beyond it records are dropped and counted.

    Raises:
        SpoolError: the folder or file cannot be made.
    """

    def __init__(self, spool: str, producer: str, segment_bytes: int, spool_bytes: int) -> None:
        self.spool, self.producer = spool, producer
        self.accepted = self.dropped = 0
        self.trimmed_bytes = 0
        self._segment_bytes, self._spool_bytes = segment_bytes, spool_bytes
        self._lock = threading.Lock()
        self._number = 0
        self._written = self._total = 0  # bytes in this file, and in the ones before it
        self._granted = self._room = 0  # bytes that may be written until the limits are looked at again
        self._torn = False
        self._fd = -1
        try:
            os.makedirs(_folder(spool, producer), mode=0o700, exist_ok=True)
            self._next_segment()
        except OSError as error:
            raise SpoolError(f"spool folder {spool} cannot be written: {error.strerror or error}") from error

    def accept(self, payload: bytes) -> bool:
        """Appends one record. ``False``, and counted, when there is no room."""
        frame = frames.encode(payload)
        size = len(frame)
        with self._lock:
            if size > self._room and not self._make_room(size):
                self.dropped += 1
                return False
            try:
                done = os.write(self._fd, b"\n" + frame if self._torn else frame)
            except OSError:
                self.dropped += 1
                return False
            self._room -= done
            if done != size:
                return self._short_write(done, size)
            self.accepted += 1
            return True

    def _make_room(self, size: int) -> bool:
        """Begins the next file when this one is full; whether the spool may grow by ``size``."""
        self._written += self._granted - self._room
        if self._written >= self._segment_bytes:
            self._total += self._written
            self._rotate()
        left = self._spool_bytes - (self._total + self._written - self.trimmed_bytes)
        self._granted = self._room = min(left, max(self._segment_bytes - self._written, size))
        return size <= self._room

    def _short_write(self, done: int, size: int) -> bool:
        """After a write of other than ``size`` bytes: with the newline before it the frame is whole, or the disk is full."""
        whole = self._torn and done == size + 1
        self._torn = not whole
        if whole:
            self.accepted += 1
        else:  # what did get there is cut off by the newline before the next frame
            self.dropped += 1
        return whole

    def sync(self) -> None:
        """Brings everything accepted to the disk itself."""
        fd = self._fd
        if fd >= 0:
            os.fsync(fd)

    def close(self) -> None:
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
                self._fd = -1

    def _next_segment(self) -> None:
        self._number += 1
        path = segment_path(self.spool, self.producer, self._number)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)
        self._fd = os.open(path, flags, 0o600)
        self._written = 0

    def _rotate(self) -> None:
        old = self._fd
        try:
            self._next_segment()
        except OSError:
            self._total -= self._written
            return  # no room for another file: go on in this one
        os.close(old)


class SpoolReader:
    """Reads the files of one producer from where a tracker has taken them, and trims behind itself.

    Works on files that are being written and on those of dead processes.
    """

    def __init__(self, spool: str, producer: str) -> None:
        self.spool, self.producer = spool, producer
        self.damaged = 0
        self._number, self._offset = self._read_acked()
        self._trimmed_to = 0  # no file before this number is left; 0: not looked yet

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]:
        """The next whole records, or ``None`` when nothing whole is there.

        Args:
            max_bytes: bound of the payloads together; a single larger record comes alone.
        """
        number, offset = self._number, self._offset
        while True:
            batch = self._take_from(number, offset, max_records, max_bytes)
            if batch is not None:
                return batch
            following = [other for other in segments(self.spool, self.producer) if other > number]
            if not following:
                return None
            number, offset = following[0], 0

    def _take_from(self, number: int, offset: int, max_records: int, max_bytes: int) -> Optional[Batch]:
        data = self._read(number, offset, READ_BYTES)
        if data and b"\n" not in data:  # one record larger than a read
            data = self._read(number, offset, 3 * frames.MAX_PAYLOAD)
        payloads: List[bytes] = []
        size = damaged = 0
        end = offset
        for frame in frames.decode(data, offset):
            if frame.payload is None:
                damaged += 1
            else:
                size += len(frame.payload)
                if payloads and (size > max_bytes or len(payloads) >= max_records):
                    break
                payloads.append(frame.payload)
            end = frame.end
        if not payloads and not damaged:
            return None
        return Batch(self.producer, payloads, (number, end), damaged)

    def _read(self, number: int, offset: int, size: int) -> bytes:
        try:
            with open(segment_path(self.spool, self.producer, number), "rb") as file:
                file.seek(offset)
                return file.read(size)
        except FileNotFoundError:
            return b""

    def done(self, batch: Batch) -> int:
        """Notes that a tracker has taken the batch; deletes files that are wholly taken and no longer written.

        Returns:
            bytes freed on disk.
        """
        self.damaged += batch.damaged
        self._number, self._offset = batch.position
        _write_small(self._acked_path(), f"{self._number} {self._offset}\n")
        if self._number == self._trimmed_to:
            return 0
        freed = 0
        for number in segments(self.spool, self.producer):
            if number < self._number:
                freed += self._delete(number)
        self._trimmed_to = self._number
        return freed

    def refuse(self, refused: List[Dict[str, object]]) -> None:
        """Keeps records that a tracker refused for good, with the reasons."""
        path = os.path.join(_folder(self.spool, self.producer), f"{self.producer}.refused")
        with open(path, "a", encoding="utf-8") as file:
            for entry in refused:
                file.write(json.dumps(entry) + "\n")

    def left(self) -> int:
        """How many whole records are still to be taken."""
        count = 0
        number, offset = self._number, self._offset
        for other in segments(self.spool, self.producer):
            if other < number:
                continue
            for frame in read_segment(self.spool, self.producer, other, offset if other == number else 0):
                count += frame.payload is not None
        return count

    def finish(self) -> None:
        """Removes the files of a producer that has ended, when all of it was taken and nothing was refused."""
        numbers = segments(self.spool, self.producer)
        if self.left() or any(number > self._number for number in numbers):
            return
        for number in numbers:
            if self._size(number) > (self._offset if number == self._number else 0):
                return  # a torn end is kept for whoever wants to look
        for number in numbers:
            self._delete(number)
        _remove(self._acked_path())

    def _size(self, number: int) -> int:
        try:
            return os.path.getsize(segment_path(self.spool, self.producer, number))
        except OSError:
            return 0

    def _delete(self, number: int) -> int:
        size = self._size(number)
        return size if _remove(segment_path(self.spool, self.producer, number)) else 0

    def _acked_path(self) -> str:
        return os.path.join(_folder(self.spool, self.producer), f"{self.producer}.acked")

    def _read_acked(self) -> Tuple[int, int]:
        try:
            with open(self._acked_path(), encoding="ascii") as file:
                number, offset = file.read().split()
                return int(number), int(offset)
        except (OSError, ValueError):
            return 1, 0


def _write_small(path: str, text: str) -> None:
    """Replaces a small file so that a reader sees the old or the new text, whole."""
    temporary = path + ".new"
    with open(temporary, "w", encoding="ascii") as file:
        file.write(text)
    os.replace(temporary, path)


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def segments(spool: str, producer: str) -> List[int]:
    """Numbers of a producer's files, ascending."""
    try:
        names = os.listdir(_folder(spool, producer))
    except OSError:
        return []
    found = [name[33 : -len(SUFFIX)] for name in names if name.startswith(producer + ".") and name.endswith(SUFFIX)]
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


def producers(spool: str) -> List[str]:
    """Ids of all producers that have files in a spool folder.

    Raises:
        SpoolError: there is no such folder.
    """
    if not os.path.isdir(spool):
        raise SpoolError(f"there is no folder {spool}")
    found: Set[str] = set()
    for shard in sorted(os.listdir(spool)):
        folder = os.path.join(spool, shard)
        if len(shard) == 2 and os.path.isdir(folder):
            found.update(name.split(".", 1)[0] for name in os.listdir(folder) if name.endswith(SUFFIX))
    return sorted(name for name in found if len(name) == 32)
