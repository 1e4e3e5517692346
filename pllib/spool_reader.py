"""Reading spool files back: from where a tracker has taken them, of living and of dead processes."""

from __future__ import annotations

import json
import os
import time
from typing import Any, Callable, Dict, Iterable, List, NamedTuple, Optional, Sequence, Tuple
from zlib import crc32

from . import frames
from ._boundary import report
from .holding import DEAD, hold, holder
from .losses import Losses
from .spool import POINTS_SUFFIX, Batch, SpoolWriter, folder_of, read_segment, segment_path, segments

STEP_RECORDS = 256
"""Records that are read between two pauses: some 0.4 ms, in which the script's thread may have to wait."""
STEP_SECONDS = 0.002
"""Measured: with shorter pauses the script's thread and the shipper's hand the interpreter to and fro too often."""
ACK_SECONDS = 5.0
LONG_LINES = (frames.MAX_PAYLOAD, 3 * frames.MAX_PAYLOAD)
KEPT_SUFFIX = ".kept"
UNNAMED = ".new"
"""A file that is still being written, and then gets its name."""
GAP_MARK = b'"op":"gap"'


class Figures(NamedTuple):
    """What has become of a producer's records, as far as its files tell."""

    delivered: int
    refused: int
    dropped: Dict[str, int]

    def after(self, payloads: Iterable[bytes], taken: int, refused: int) -> Figures:
        """The figures once a tracker has taken and refused these."""
        return Figures(self.delivered + taken, self.refused + refused, with_gaps(self.dropped, payloads))


def with_gaps(dropped: Dict[str, int], payloads: Iterable[bytes]) -> Dict[str, int]:
    """Drops by reason, with those that gap records among the payloads tell."""
    found = dropped
    for payload in payloads:
        if payload.find(GAP_MARK, 0, 40) >= 0:
            gap = json.loads(payload)
            found = {**found, gap["reason"]: found.get(gap["reason"], 0) + gap["count"]}
    return found


def breathe() -> None:
    """Leaves the interpreter to the script's thread for a while; giving it up without a sleep does not do that."""
    time.sleep(STEP_SECONDS)


def nothing() -> None:
    """Where nobody waits for the interpreter."""


class SpoolReader:
    """Reads the files of one producer from where a tracker has taken them, and trims behind itself.

    Works on files that are being written and on those of dead processes.

    Args:
        newest: number of the newest file, when known; else the folder is listed.
        pause: called between two steps of reading.
        ack_seconds: how often the position is written down; should it be lost, records are sent again, which is harmless.
        keep: leave files in place that were taken; so is done too where their producer was told to keep them.
        notes: write down what was taken.
    """

    def __init__(
        self,
        spool: str,
        producer: str,
        *,
        newest: Optional[Callable[[], int]] = None,
        pause: Callable[[], None] = nothing,
        ack_seconds: float = 0.0,
        keep: bool = False,
        notes: bool = True,
    ) -> None:
        self.spool, self.producer = spool, producer
        self.unwritable: Optional[OSError] = None
        self._newest, self._pause = newest, pause
        self._keep, self._notes = keep or is_kept(spool, producer), notes
        self._number, self._offset, self.figures = self._read_acked()
        self._trimmed_to = 0  # no file before this number is left; 0: not looked yet
        self._ack_seconds, self._acked_at = ack_seconds, 0.0
        self._saved = True
        self._open = (0, -1)  # number and descriptor of the file that was read last

    @property
    def position(self) -> Tuple[int, int]:
        """Number of the file and offset in it up to which a tracker has taken everything."""
        return self._number, self._offset

    # -- taking -------------------------------------------------------------------------------------------------

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]:
        """The next whole records, or ``None`` when nothing whole is there.

        Args:
            max_bytes: bound of the payloads together, as they are in the file; a single larger one comes alone.

        Raises:
            OSError: a file cannot be read.
        """
        number: Optional[int] = self._number
        offset = self._offset
        while number is not None:
            batch = self._take_from(number, offset, max_records, max_bytes)
            following = self._following(number) if batch is None else None
            if following is not None:
                # More may have been written here before the next file was begun; now nothing more is.
                batch = self._take_from(number, offset, max_records, max_bytes, complete=True)
            if batch is not None:
                return batch
            number, offset = following, 0
        return None

    def _following(self, number: int) -> Optional[int]:
        """The next file after ``number`` that is there; one may have been lost."""
        if self._newest is None:
            return next((other for other in segments(self.spool, self.producer) if other > number), None)
        others = range(number + 1, self._newest() + 1)
        return next((other for other in others if os.path.exists(segment_path(self.spool, self.producer, other))), None)

    def _take_from(
        self, number: int, offset: int, max_records: int, max_bytes: int, complete: bool = False
    ) -> Optional[Batch]:
        """What a file holds; of one that is ``complete``, a last line without its end too."""
        data = self._read(number, offset, max_bytes)
        for size in LONG_LINES:
            if data and not _has_line(data):  # a record larger than a batch
                data, max_records = self._read(number, offset, size), 1
        if complete and data and not _has_line(data):
            data += b"\n"
        payloads: List[bytes] = []
        damaged: List[bytes] = []
        position = 0
        while True:
            left = min(STEP_RECORDS, max_records - len(payloads))
            found, position, bad = frames.gather(data, position, left, max_bytes)
            payloads += found
            damaged += bad
            max_bytes -= sum(map(len, found))
            if len(found) < STEP_RECORDS or len(payloads) >= max_records or max_bytes <= 0:
                break
            self._pause()
        if not payloads and not damaged:
            return None
        return Batch(self.producer, payloads, (number, offset + position), damaged)

    def _read(self, number: int, offset: int, size: int) -> bytes:
        """Part of a file, which stays open until another is read: each call to the system lets the script's thread wait."""
        if self._open[0] != number:
            self.close()
            try:
                fd = os.open(segment_path(self.spool, self.producer, number), os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
            except FileNotFoundError:
                return b""
            self._open = number, fd
        return os.pread(self._open[1], size, offset)

    def close(self) -> None:
        """Closes the file that was read last."""
        (_, fd), self._open = self._open, (0, -1)
        if fd >= 0:
            os.close(fd)

    def abandon(self) -> None:
        """In a forked child: lets go of the parent's file."""
        self.close()

    # -- what was taken -------------------------------------------------------------------------------------------

    def done(self, batch: Batch, refused: int = 0) -> None:
        """Notes that a tracker has taken the batch, but for ``refused``; deletes files that are wholly taken and no longer written."""
        taken = len(batch.payloads) - refused
        self.figures = self.figures.after(batch.payloads, taken, refused)
        if batch.damaged and not self._keep:
            self._keep_damaged(batch.damaged)
        further = batch.position[0] != self._number
        self._number, self._offset = batch.position
        self._saved = False
        if further or time.monotonic() - self._acked_at >= self._ack_seconds:
            self.save()
        if self._number != self._trimmed_to and not self._keep:
            for number in segments(self.spool, self.producer):
                if number < self._number:
                    _remove(segment_path(self.spool, self.producer, number))
            self._trimmed_to = self._number

    def save(self) -> None:
        """Writes the position down. Where that cannot be, as on a full disk, records are only sent again another time."""
        if self._saved or not self._notes:
            return
        self._acked_at = time.monotonic()
        told = json.dumps(self.figures._asdict(), separators=(",", ":"))
        try:
            write_whole(self._beside("acked"), _checked(f"{self._number} {self._offset} {told}").encode("ascii"))
            self._saved, self.unwritable = True, None
        except OSError as error:
            if self.unwritable is None:
                report("spool", error)
            self.unwritable = error

    def refuse(self, refused: List[Dict[str, object]]) -> None:
        """Keeps records that a tracker refused for good, with the reasons."""
        try:
            with open(self._beside("refused"), "a", encoding="utf-8", opener=private) as file:
                file.write("".join(json.dumps(entry) + "\n" for entry in refused))
        except OSError as error:  # the tracker keeps them too
            report("spool", error)

    def _keep_damaged(self, damaged: Sequence[bytes]) -> None:
        """Keeps what cannot be sent because it is no whole frame, since the file it is in will be deleted."""
        try:
            with open(self._beside("damaged"), "ab", opener=private) as file:
                file.writelines(damaged)
        except OSError as error:
            report("spool", error)

    def rest(self) -> Tuple[int, Figures]:
        """How many whole records are still to be taken, and the figures there will be; reads all that is left."""
        count, dropped = 0, self.figures.dropped
        for number in segments(self.spool, self.producer):
            if number < self._number:
                continue
            found = read_segment(self.spool, self.producer, number, self._offset if number == self._number else 0)
            payloads = [frame.payload for frame in found if frame.payload is not None]
            count += len(payloads)
            dropped = with_gaps(dropped, payloads)
        return count, self.figures._replace(dropped=dropped)

    def left(self) -> int:
        """How many whole records are still to be taken."""
        return self.rest()[0]

    def bytes_left(self) -> int:
        """Bytes still to be read."""
        numbers = [number for number in segments(self.spool, self.producer) if number >= self._number]
        return sum(self._size(number) - (self._offset if number == self._number else 0) for number in numbers)

    def finish(self) -> None:
        """Removes the files of a producer that has ended, when all of it was taken and nothing was refused."""
        self.save()
        self.close()
        numbers = segments(self.spool, self.producer)
        if numbers and not self._nothing_left(numbers):
            return
        try:
            names = os.listdir(folder_of(self.spool, self.producer))
        except FileNotFoundError:
            return
        for name in names:
            path = os.path.join(folder_of(self.spool, self.producer), name)
            stays = name.endswith((".refused", ".damaged", POINTS_SUFFIX)) or (name.endswith(UNNAMED) and _held(path))
            if name.startswith(self.producer) and not stays:
                _remove(path)

    def _nothing_left(self, numbers: List[int]) -> bool:
        """Whether these files can go: all was taken and nobody writes to them. A torn end is kept for whoever wants to look."""
        newest = numbers[-1]
        if self._keep or self.left() or newest > self._number:
            return False
        if self._size(newest) > (self._offset if newest == self._number else 0):
            return False
        return not self._written_to(newest)

    def _written_to(self, number: int) -> bool:
        """Whether some process may still write to a file."""
        return _held(segment_path(self.spool, self.producer, number))

    def _size(self, number: int) -> int:
        try:
            return os.path.getsize(segment_path(self.spool, self.producer, number))
        except OSError:
            return 0

    def _beside(self, kind: str) -> str:
        return os.path.join(folder_of(self.spool, self.producer), f"{self.producer}.{kind}")

    def _read_acked(self) -> Tuple[int, int, Figures]:
        try:
            with open(self._beside("acked"), encoding="utf-8") as file:
                text = file.read()
            said = text[9:-1]
            if text == _checked(said):
                number, offset, told = said.split(None, 2)
                return int(number), int(offset), _figures(told)
        except (OSError, ValueError):
            pass  # what was taken is sent again, which is harmless
        return 1, 0, Figures(0, 0, {})


def _has_line(data: bytes) -> bool:
    """Whether there is the end of a line that is not empty."""
    return b"\n" in data.lstrip(b"\n")


def is_kept(spool: str, producer: str) -> bool:
    """Whether a producer was told to keep its files, also when they were taken."""
    return os.path.exists(os.path.join(folder_of(spool, producer), producer + KEPT_SUFFIX))


def _checked(text: str) -> str:
    """A line with its CRC-32 before it."""
    return f"{crc32(text.encode('utf-8')):08x} {text}\n"


def _figures(told: str) -> Figures:
    found: Dict[str, Any] = json.loads(told)
    dropped = {str(reason): int(count) for reason, count in dict(found.get("dropped", {})).items()}
    return Figures(int(found.get("delivered", 0)), int(found.get("refused", 0)), dropped)


class OwnSpool(SpoolReader):
    """The spool of this process as a source: reads beside the writer, and finds out what the disk has lost between the two."""

    def __init__(self, writer: SpoolWriter, losses: Losses) -> None:
        super().__init__(
            writer.spool, writer.producer, newest=lambda: writer.number, pause=breathe, ack_seconds=ACK_SECONDS
        )
        self._writer, self._losses = writer, losses
        self._read_of: Dict[int, int] = {}  # records taken from each file

    def ready(self) -> bool:
        """Whether there is something to take. Sees to it that the file is there that is written to, also while no tracker is."""
        if self._writer.position[1] < 0:
            self._writer.renew()
        return self._unread()

    def _unread(self) -> bool:
        return self._writer.position != (self._number, self._offset)

    def waiting(self) -> int:
        """How many records there are to take."""
        return self._writer.accepted - self.figures.delivered - self.figures.refused

    def hurry(self) -> None:
        """Makes no more pauses, since the script has come to its end."""
        self._pause = nothing

    def link_slowly(self) -> None:
        """Nothing: what is in a file is linked."""

    def take(self, max_records: int, max_bytes: int) -> Optional[Batch]:
        return super().take(max_records, max_bytes) if self._unread() else None

    def done(self, batch: Batch, refused: int = 0) -> None:
        number = batch.position[0]
        self._read_of[number] = self._read_of.get(number, 0) + len(batch.payloads)
        super().done(batch, refused)
        self._count_lost(number)

    def finish(self) -> None:
        """As of any producer; the writer has been closed."""
        if not self.left():
            self._count_lost(self._writer.number + 1)
        super().finish()

    def _written_to(self, number: int) -> bool:
        return False  # the writer was ours, and has ended

    def _count_lost(self, before: int) -> None:
        """Records in earlier files that never could be read: damaged, cut or taken away."""
        counts = self._writer.counts
        for number in [number for number in list(counts) if number < before]:
            lost = counts.pop(number) - self._read_of.pop(number, 0)
            if lost > 0:
                self._writer.lose(lost)
                self._losses.drop("damaged", lost)


def write_whole(path: str, data: bytes, synced: bool = False) -> None:
    """Replaces a file so that a reader sees the old or the new one, whole; several may do it at once.

    Args:
        synced: it is on the disk itself before it has its name.

    Raises:
        OSError: that cannot be done.
    """
    temporary = f"{path}.{os.getpid()}.{time.monotonic_ns()}{UNNAMED}"
    try:
        with open(temporary, "wb", opener=private) as file:
            hold(file.fileno(), ships=True)  # whoever tidies up beside us leaves it alone
            file.write(data)
            if synced:
                file.flush()
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError:
        _remove(temporary)
        raise


def private(path: str, flags: int) -> int:
    """Opens a file, as ``open`` wants it, that the user alone may read."""
    return os.open(path, flags | getattr(os, "O_CLOEXEC", 0), 0o600)


def _held(path: str) -> bool:
    """Whether some process may still write to a file."""
    try:
        return holder(path) != DEAD
    except OSError:
        return True


def _remove(path: str) -> bool:
    try:
        os.unlink(path)
    except OSError:
        return False
    return True
