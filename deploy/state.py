"""What a launcher leaves in its data folder, so that `status` and `down` find it.

DIR/launcher.lock   held while a launcher runs; let go by the system when it ends, however it ends
DIR/run.json        the launcher and its services (`Run`); a leftover of a killed launcher names dead processes
DIR/logs/           one file for each service
DIR/store/ tracker/ query/   the services' own data
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from deploy.errors import FolderInUse, FolderUnusable
from deploy.processes import Identity, wait_until
from edge.stores import DEFAULT_KIND

VERSION = 1


@dataclass(frozen=True, slots=True)
class ServiceState:
    """One running service: its process (None while it waits to be started again) and where it answers."""

    name: str
    process: Identity | None
    url: str
    health_url: str


@dataclass(frozen=True, slots=True)
class Run:
    """A launcher and its services. `stage` is starting, ready or stopping; `urls` are the addresses by service.

    `store_kind` says what kind of server is at `urls["store"]`, `token_file` where the token is that the tracker and the
    query engine want; empty when they want none.
    """

    host: str
    launcher: Identity
    stage: str
    urls: dict[str, str]
    services: tuple[ServiceState, ...]
    store_kind: str = DEFAULT_KIND
    token_file: str = ""


def write_run(folder: Path, run: Run) -> None:
    """Replaces the record whole, so that a reader never sees half of one."""
    write_whole(folder / "run.json", json.dumps({"version": VERSION, **asdict(run)}, indent=2) + "\n")


def read_run(folder: Path) -> Run | None:
    """The record in the folder; None when there is none that can be read."""
    try:
        told = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        if told["version"] != VERSION:
            return None
        services = tuple(
            ServiceState(one["name"], _identity(one["process"]), one["url"], one["health_url"])
            for one in told["services"]
        )
        launcher, kind = Identity(**told["launcher"]), str(told.get("store_kind", DEFAULT_KIND))
        token_file = str(told.get("token_file", ""))
        return Run(told["host"], launcher, told["stage"], dict(told["urls"]), services, kind, token_file)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _identity(told: dict[str, Any] | None) -> Identity | None:
    return None if told is None else Identity(**told)


def remove_run(folder: Path) -> None:
    """Takes the record away; nothing when there is none."""
    (folder / "run.json").unlink(missing_ok=True)


def write_whole(path: Path, text: str, mode: int = 0o666) -> None:
    """Writes a file so that it is either the old one or the new one at every moment.

    Args:
        mode: who may read and write it, as far as this process's mask lets them.
    """
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)


def host_name() -> str:
    """This machine's name, as far as it knows it."""
    return socket.gethostname()


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Holds the data folder for this process.

    Raises:
        FolderInUse: another launcher holds it.
        FolderUnusable: it cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "launcher.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise FolderUnusable(
            f"the data folder {folder} cannot be used ({error.strerror})", "give another one with --data DIR"
        ) from error
    try:
        # A short while: `held` of a status command takes the lock for an instant.
        if not wait_until(lambda: _try_lock(lock), 0.5):
            raise FolderInUse(
                f"another launcher is running on the data folder {folder}{_holder(folder)}",
                f"see it with `python -m deploy status --data {folder}`, stop it with `python -m deploy down --data "
                f"{folder}`, or give another folder with --data DIR",
            )
        yield
    finally:
        os.close(lock)


def held(folder: Path) -> bool:
    """Whether a launcher, of this machine or another that shares the folder, holds it now."""
    try:
        lock = os.open(folder / "launcher.lock", os.O_RDWR)
    except OSError:
        return False
    try:
        return not _try_lock(lock)
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(folder: Path) -> str:
    run = read_run(folder)
    return f" (process {run.launcher.pid} on {run.host})" if run else ""
