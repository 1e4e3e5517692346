"""What dead processes left in points files, made into records.

The very records that were announced and not surely taken are made again, and further ones of points that were never announced. Their
``n`` follow from series and indexes alone, so doing it twice changes nothing. They go into an ordinary spool file of the same producer,
and the points files are removed; where nothing can be written they are for whoever asked.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Tuple
from zlib import crc32

from . import frames, points
from .holding import DEAD, holder, opened, take
from .points_file import VERSION, Sealed, path_of
from .spool import POINTS_SUFFIX, folder_of, read_segment, segment_path, segments
from .spool_reader import SpoolReader, private, write_whole

FURTHER = 2**40
"""From here on are the ``n`` of records that the dead process did not number itself."""
INDEXES = 2**32
"""So many of them for a series."""


class Left(NamedTuple):
    """What a points file holds that is in no record that was surely taken.

    Attributes:
        records: payloads, always the same ones for the same file.
        damaged: lines that are none, as they were found, and whole ones that are of no use without such a line.
    """

    records: List[bytes]
    damaged: List[bytes]


class UnknownVersion(ValueError):
    """The file has a form that this version of the library does not know."""


class _Series:
    """Points of one series by index, as far as they were read."""

    def __init__(self) -> None:
        self.head: Optional[str] = None
        self.points: Dict[int, points.Point] = {}
        self.lines: List[bytes] = []

    def take(self, first: int, count: int) -> List[points.Point]:
        found = (self.points.pop(index, None) for index in range(first, first + count))
        return [point for point in found if point is not None]


class _Reading:
    """One reading of a file."""

    def __init__(self) -> None:
        self.series: Dict[int, _Series] = {}
        self.sealed: Dict[int, Tuple[int, ...]] = {}  # n to series, first, count, t, m
        self.taken: List[int] = []
        self.damaged: List[bytes] = []

    def read(self, data: bytes) -> None:
        lines = data.split(b"\n")
        for text in lines[:-1]:
            if text and not self._is_taken(text):
                self.damaged.append(text + b"\n")
        self._is_taken(lines[-1])  # whole but for its newline, or torn: then its call never returned

    def _is_taken(self, text: bytes) -> bool:
        try:
            if text[8:9] != b" " or int(text[:8], 16) != crc32(text[9:]):
                return False
        except ValueError:
            return False
        if text.startswith(b"v ", 9):
            if text[9:] != VERSION:
                raise UnknownVersion(f"its form is {text[9:29]!r}; this version of pllib knows {VERSION!r}")
            return True
        try:
            self._take(text[9:].decode("ascii"), text)
        except (ValueError, IndexError):
            return False
        return True

    def _take(self, text: str, whole: bytes) -> None:
        kind, _, rest = text.partition(" ")
        if kind == "s":
            number, _, head = rest.partition(" ")
            self._series(int(number)).head = head
        elif kind == "=":
            series, first, count, n, t, m = map(int, rest.split(" "))
            self.sealed[n] = (series, first, count, t, m)
        elif kind == ".":
            self.taken.append(int(rest))
        else:
            index, step, at, value = rest.split(" ")
            series_of = self._series(int(kind))
            series_of.points[int(index)] = (int(index), int(step), int(at), value)
            if series_of.head is None:
                series_of.lines.append(whole + b"\n")

    def _series(self, number: int) -> _Series:
        return self.series.setdefault(number, _Series())

    def left(self) -> Iterator[Sealed]:
        """The records to be made, once more or for the first time."""
        for n in self.taken:
            if n in self.sealed:
                series, first, count, _, _ = self.sealed.pop(n)
                self._series(series).take(first, count)
        for n, (number, first, count, t, m) in self.sealed.items():
            found = self._series(number)
            # Of a range with a damaged line only the first part has the number that was meant for all.
            for part in points.runs(found.take(first, count)) if found.head else ():
                own = n if part[0][0] == first else _further(number, part)
                yield Sealed(own, t, m, number, found.head or "", part)
        for number, found in self.series.items():
            for part in points.runs(list(found.points.values())) if found.head else ():
                yield Sealed(_further(number, part), part[-1][2], 0, number, found.head or "", part)


def _further(series: int, part: List[points.Point]) -> int:
    """The number of a record that has none yet."""
    return FURTHER + series * INDEXES + part[0][0]


def records(files: Iterable[bytes]) -> Left:
    """What is left to do of a dead process's points files, in the order of their numbers.

    Raises:
        UnknownVersion: by another version of the library.
    """
    reading = _Reading()
    for data in files:
        reading.read(data)
    made = [(sealed.text + "}").encode("ascii") for sealed in reading.left()]
    orphans = [text for series in reading.series.values() if series.head is None for text in series.lines]
    return Left(made, reading.damaged + orphans)


def left(spool: str, producer: str) -> Left:
    """The records that a producer's points files would give now, were it dead, and that are in none of its spool files; changes nothing.

    Raises:
        OSError: a file cannot be read.
        UnknownVersion: by another version of the library.
    """
    found = records(_content(path_of(spool, producer, number)) for number in segments(spool, producer, POINTS_SUFFIX))
    return found._replace(records=_missing(spool, producer, found.records))


def _missing(spool: str, producer: str, payloads: List[bytes]) -> List[bytes]:
    """Those that no spool file holds. Others are there: its process was killed before it could say so, or who recovered it was."""
    wanted = dict.fromkeys(payloads)
    for number in reversed(segments(spool, producer)):
        if not wanted:
            break
        for frame in read_segment(spool, producer, number):
            wanted.pop(frame.payload or b"", None)
    return list(wanted)


def left_by_the_dead(spool: str, producer: str) -> Left:
    """The records that ``recover`` would make now; changes nothing. Raises as ``left`` does."""
    paths = [path_of(spool, producer, number) for number in segments(spool, producer, POINTS_SUFFIX)]
    return left(spool, producer) if all([holder(path) == DEAD for path in paths]) else Left([], [])


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except FileNotFoundError:
        return b""


class Recovered(NamedTuple):
    """What became of a dead process's points.

    Attributes:
        payloads: records that could not be written, to be sent as they are.
        problem: why not.
    """

    payloads: List[bytes]
    problem: Optional[OSError]


def recover(spool: str, producer: str) -> Recovered:
    """Makes the points that a dead process left into records in a spool file; of a process that lives nothing is touched.

    Raises:
        OSError: a file cannot be read.
        UnknownVersion: by another version of the library.
    """
    paths = [path_of(spool, producer, number) for number in segments(spool, producer, POINTS_SUFFIX)]
    held: List[int] = []
    try:
        for path in paths:
            held.append(opened(path))
            if not take(held[-1]):
                return Recovered([], None)
        return _recovered(spool, producer, paths, left(spool, producer)) if paths else Recovered([], None)
    except FileNotFoundError:  # somebody else has recovered them meanwhile
        return Recovered([], None)
    finally:
        for fd in held:
            os.close(fd)


def _recovered(spool: str, producer: str, paths: List[str], found: Left) -> Recovered:
    data = b"".join(map(frames.encode, found.records))
    beside = os.path.join(folder_of(spool, producer), producer)
    try:
        if data:
            write_whole(segment_path(spool, producer, _next(spool, producer)), data, synced=True)
        if found.damaged:
            with open(f"{beside}.damaged", "ab", opener=private) as file:
                file.writelines(found.damaged)
        for path in paths:  # the oldest first, since a later one tells which of its points are in records
            with suppress(FileNotFoundError):  # whoever delivered the records since then has tidied up
                os.unlink(path)
    except OSError as error:
        return Recovered(found.records, error)
    return Recovered([], None)


def _next(spool: str, producer: str) -> int:
    """A number for a spool file that comes after all that were ever read."""
    return max(SpoolReader(spool, producer).position[0], *segments(spool, producer), 0) + 1
