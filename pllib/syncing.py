"""Mode ``node``: what was written comes to the disk itself, soon and never on the script's thread."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Callable, Optional

from ._boundary import report, shielded
from .spool import SpoolWriter, folder_of

if TYPE_CHECKING:
    from .sealing import Points

PERIOD = 0.02
"""Seconds between two looks; with the sync itself a record is on the disk within 50 ms where a sync takes less than 15."""


class Syncer:
    """A thread that syncs the files of a writer, the finished ones too, and the folders they are in.

    Args:
        writer: made with ``keeps_finished``; only this thread closes its finished files.
        fsync: brings a file to the disk.

    Attributes:
        points: of series, synced after the records.
    """

    def __init__(
        self, writer: SpoolWriter, fsync: Callable[[int], None] = lambda fd: os.fsync(fd), period: float = PERIOD
    ) -> None:
        self._writer, self._fsync, self._period = writer, fsync, period
        self.points: Optional[Points] = None
        self._synced, self._folders_at = (0, 0), 0  # number of the file and its size
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="pllib-sync", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Syncs what is left, for at most ``timeout`` seconds; whether it is done."""
        self._stop.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        last = False
        while not last:
            last = self._stop.wait(self._period)
            self._step()

    @shielded(lambda self: None, always=True)
    def _step(self) -> None:
        try:
            if self.points is not None:
                self.points.sync(self._sync_records, self._fsync)
            else:
                self._sync_records()
        except OSError as error:
            report("sync", error)

    def _sync_records(self) -> None:
        writer = self._writer
        position = writer.position
        if position == self._synced:
            return
        while writer.finished:
            self._fsync(writer.finished[0])
            os.close(writer.finished.popleft())
        self._fsync(writer.fd)
        if position[0] != self._folders_at:
            self._sync_folders()
            self._folders_at = position[0]
        self._synced = position

    def _sync_folders(self) -> None:
        """The folders' entries of new files; ``fsync`` of a file alone does not keep its name."""
        shard = folder_of(self._writer.spool, self._writer.producer)
        for folder in (shard, self._writer.spool, os.path.dirname(self._writer.spool) or "."):
            sync_folder(folder, self._fsync)


def sync_folder(folder: str, fsync: Callable[[int], None]) -> None:
    """Brings a folder's entries to the disk."""
    fd = os.open(folder, os.O_RDONLY)
    try:
        fsync(fd)
    finally:
        os.close(fd)
