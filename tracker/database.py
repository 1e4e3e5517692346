"""One SQLite file, worked on by one thread that commits many jobs at once."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar, cast

from .errors import QueueFull, QueueInUse, QueueUnavailable

Result = TypeVar("Result")
Job = Callable[[sqlite3.Connection], Result]

MAX_JOBS = 256
"""Jobs in one transaction at most."""
RESERVE_BYTES = 1_000_000
"""Disk space that what adds leaves to the log, and as much to the file, so that what takes away can still be written."""


class Database:
    """A file in WAL mode, synced at each commit, open in this process only.

    Args:
        path: the file; its folder must exist.
        schema: SQL statements, each of which may run again on a file that has them already.

    Raises:
        QueueInUse: another process has it open.
        QueueUnavailable: it cannot be opened.
    """

    def __init__(self, path: Path, schema: str) -> None:
        self._path = path
        self._connection = _open(path, schema)
        self._pending: deque[tuple[Job[Any], Future[Any]]] = deque()
        self._lock = Lock()
        self._closed = False
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="tracker-database")

    async def run(self, job: Job[Result]) -> Result:
        """The result of ``job``, which runs in a transaction that is durable when this returns.

        Jobs that wait at the same time share one transaction; when that fails, each gets one of its own. A job must
        change nothing but the database, since it may run twice.

        Raises:
            QueueUnavailable: the database did not take it; nothing was changed. ``QueueFull`` when it needs more space.
        """
        future: Future[Any] = Future()
        with self._lock:
            if self._closed:
                raise QueueUnavailable("the queue is closed")
            self._pending.append((job, future))
            self._thread.submit(self._drain)
        return cast(Result, await asyncio.wrap_future(future))

    def require_room(self, connection: sqlite3.Connection, size: int) -> None:
        """For jobs that add so many bytes: raises ``QueueFull`` when the disk would then have less than a reserve free.

        The bytes are written to the log first, and to the file when the log is worked off, which must then find room for
        all that is in the log already.
        """
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        (unused,) = connection.execute("PRAGMA freelist_count").fetchone()
        (page,) = connection.execute("PRAGMA page_size").fetchone()
        try:
            free = shutil.disk_usage(self._path.parent).free
            to_come = pages * page - self._path.stat().st_size
        except OSError as error:
            raise QueueUnavailable(f"{self._path}: {error.strerror}") from error
        log = size + RESERVE_BYTES
        needed = max(to_come, 0) + log + max(size + RESERVE_BYTES - unused * page, 0)
        if free < needed:
            raise QueueFull(f"{self._path}: the disk is full but for {free:,} bytes, {needed:,} are needed")

    async def work_off_log(self) -> None:
        """Moves what is in the log to the file, as far as there is room, and gives the log's space back."""
        with self._lock:
            if self._closed:
                return
            future = self._thread.submit(_work_off_log, self._connection)
        await asyncio.wrap_future(future)

    async def close(self) -> None:
        """Finishes the jobs that were given, then closes the file."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        await asyncio.wrap_future(self._thread.submit(self._connection.close))
        self._thread.shutdown()

    def _drain(self) -> None:
        jobs: list[tuple[Job[Any], Future[Any]]] = []
        while self._pending and len(jobs) < MAX_JOBS:
            job, future = self._pending.popleft()
            if future.set_running_or_notify_cancel():
                jobs.append((job, future))
        if not jobs:
            return
        try:
            self._commit(jobs)
        finally:
            for _, future in jobs:
                if not future.done():
                    failure = QueueUnavailable("the transaction did not end")
                    failure.__cause__ = sys.exception()
                    future.set_exception(failure)

    def _commit(self, jobs: list[tuple[Job[Any], Future[Any]]]) -> None:
        try:
            results = self._transaction([job for job, _ in jobs])
        except (sqlite3.Error, QueueUnavailable) as error:
            if len(jobs) > 1:  # one job in vain (a full disk) must not stop those that free space
                for job in jobs:
                    self._commit([job])
                return
            jobs[0][1].set_exception(_unavailable(self._path, error))
            return
        for (_, future), result in zip(jobs, results, strict=True):
            future.set_result(result)

    def _transaction(self, jobs: list[Job[Any]]) -> list[Any]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            results = [job(connection) for job in jobs]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return results


def _open(path: Path, schema: str) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=0.5)
        # Exclusive: one tracker a file, and no shared-memory file beside it.
        for pragma in (
            "locking_mode=EXCLUSIVE",
            "journal_mode=WAL",
            "synchronous=FULL",
            "journal_size_limit=67108864",
            "temp_store=MEMORY",
            "secure_delete=FAST",
        ):
            connection.execute("PRAGMA " + pragma)
        # Its cost is small beside that of a partition that stands still at a page that nobody can read.
        found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise QueueUnavailable(_damaged(path, " ".join(found.split())))
        connection.executescript("BEGIN IMMEDIATE;" + schema + "COMMIT;")
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise QueueInUse(f"{path} is open in another process: give each tracker a folder of its own") from error
        raise _unavailable(path, error) from error
    except sqlite3.Error as error:
        raise _unavailable(path, error) from error
    return connection


def _work_off_log(connection: sqlite3.Connection) -> None:
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _unavailable(path: Path, error: sqlite3.Error | QueueUnavailable) -> QueueUnavailable:
    if isinstance(error, QueueUnavailable):
        return error
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # without the details that extended codes add
    if code == sqlite3.SQLITE_FULL:
        return QueueFull(f"{path}: {error}")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return QueueUnavailable(_damaged(path, str(error)))
    if code in (sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return QueueUnavailable(
            f"{path} cannot be read or written ({error}): see that its folder is there and may be written by this user, "
            "and that its disk is not full or mounted read-only"
        )
    return QueueUnavailable(f"{path}: {error}")


def _damaged(path: Path, found: str) -> str:
    return (
        f"{path} is damaged ({found}): put a backup of the folder in its place, or move the file and {path.name}-wal "
        "away to begin with an empty queue"
    )
