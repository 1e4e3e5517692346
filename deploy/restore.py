"""Putting a backup back: into a data folder that nothing runs on, or into services that run.

In a data folder the queue's part waits in `DIR/restore/` and is taken in by the tracker at the next `up`: so it fits a queue
of any kind. Restoring starts nothing.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
import zlib
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

from deploy import manifest, state
from deploy.errors import BackupUnusable, DeployError, FolderUnusable, ServiceRefused, TargetInUse
from deploy.http_calls import Endpoint, access_to, call, call_json, joined
from deploy.manifest import QUERY, QUEUE, STORE
from deploy.plan import StoreProgram
from deploy.processes import wait_until
from deploy.progress import Progress
from edge.stores import StoreAddress

WAITING = Path("restore") / QUEUE
"""In a data folder: what the tracker takes in at the next `up`."""
REPLACED = ("store", "fuseki", "tracker", "query", "restore")
BODY_BYTES = 4_000_000
MAX_WORDS = 2000
FIRST_LINE = b'{"kind":"begin","version":1}\n'
ANYTHING = b"ASK { ?s ?p ?o }"
RESULTS = "application/sparql-results+json"

Report = Callable[[str], None]


def into_folder(folder: Path, data: Path, store: StoreProgram | None, anyway: bool, report: Report) -> int:
    """Makes a data folder from a backup; 0 then.

    Args:
        store: the store's server, which is not started; None leaves the store out.
        anyway: what the data folder holds is moved aside first, into `DIR/replaced-TIME`.

    Raises:
        BackupUnusable: the backup is not whole; nothing was changed.
        TargetInUse: the data folder holds something.
        FolderInUse: something runs on it.
    """
    told = _verified(folder, report)
    with state.folder_lock(data):
        held = [name for name in REPLACED if (data / name).is_dir() and any((data / name).iterdir())]
        if held and not anyway:
            raise TargetInUse(
                f"the data folder {data} holds something already: {', '.join(held)}",
                "give another with --data DIR, or add --anyway, which moves that aside first",
            )
        try:
            _move_aside(data, held, report)
            if store:
                _load(folder / STORE, data, store, report)
            if (folder / QUERY).is_dir():
                shutil.copytree(folder / QUERY, data / "query", dirs_exist_ok=True)
            if told.part(QUEUE):
                (data / WAITING).parent.mkdir(exist_ok=True)
                shutil.copyfile(folder / QUEUE, data / WAITING)
        except OSError as error:
            raise FolderUnusable(
                f"the data folder cannot be written: {error.filename or data}: {error.strerror}",
                "give another with --data DIR, with enough space",
            ) from error
    report(f"restored to {data}, as of {told.began}; `python -m deploy up --data {data}` starts it")
    return 0


def into_services(
    folder: Path, tracker: Endpoint | None, store: StoreAddress | None, anyway: bool, report: Report
) -> int:
    """Gives a backup to services that run; 0 then.

    Args:
        anyway: also to a store that holds something, which stays.

    Raises:
        TargetInUse: the store holds something. Else as ``into_folder``.
    """
    told = _verified(folder, report)
    if store:
        if not anyway:
            require_empty(store)
        _post_triples(folder / STORE, store, report)
    if tracker:
        _post_queue(folder / QUEUE, tracker, report)
    report(f"restored, as of {told.began}")
    return 0


def take_in_what_waits(data: Path, tracker: Endpoint, report: Report) -> None:
    """Gives the tracker the queue's part of a backup that was restored to the data folder, where there is one."""
    waiting = data / WAITING
    if not waiting.exists():
        return
    try:
        _post_queue(waiting, tracker, report)
    except DeployError as error:
        report(f"the queue of the backup was not taken in, the next `up` tries again: {error.message}")
        return
    waiting.unlink()
    waiting.parent.rmdir()


def _verified(folder: Path, report: Report) -> manifest.Manifest:
    told = manifest.read(folder)
    manifest.verify(folder, told, Progress("verifying", "bytes", report))
    return told


def _move_aside(data: Path, held: list[str], report: Report) -> None:
    if not held:
        return
    aside = data / f"replaced-{datetime.now().strftime('%Y%m%dT%H%M%S')}"
    aside.mkdir()
    for name in held:
        (data / name).rename(aside / name)
    report(f"what was there is in {aside}")


def _load(triples: Path, data: Path, store: StoreProgram, report: Report) -> None:
    """Builds the store's database; it appears whole or not at all."""
    location = store.database(data)
    draft = location.with_name(f"{location.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    location.parent.mkdir(exist_ok=True)
    progress = Progress("store", "", report)
    command = store.loading(triples, draft)
    with tempfile.TemporaryFile() as said:
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=said, stderr=said) as loading:  # noqa: S603
            try:
                while not wait_until(lambda: loading.poll() is not None, 1.0):
                    progress.tick("loading")
            finally:
                loading.kill()
        said.seek(0)
        words = said.read().decode(errors="replace").strip()[-MAX_WORDS:]
    if loading.returncode:
        raise BackupUnusable(f"the store does not take {triples}: {words}", "see that there is space for it")
    if location.exists():
        location.rmdir()
    draft.rename(location)


def require_empty(store: StoreAddress) -> None:
    """Nothing, when a store holds nothing. Raises TargetInUse else, and as ``http_calls.call``."""
    said = call("POST", store.query_url, ANYTHING, "application/sparql-query", access=access_to(store), accept=RESULTS)
    if b"true" in said:
        raise TargetInUse(
            f"the store at {store.url} holds something already (a manager puts its vocabulary there)",
            "give an empty one, or add --anyway, which adds to what is there",
        )


def _post_triples(triples: Path, store: StoreAddress, report: Report) -> None:
    progress, access = Progress("store", "triples", report), access_to(store)
    for body in joined(lines_of(triples), BODY_BYTES):
        call("POST", store.bulk_url, body, "application/n-triples", access=access)
        progress.add(body.count(b"\n"))


def _post_queue(queue: Path, tracker: Endpoint, report: Report) -> None:
    progress = Progress("queue", "lines", report)
    for body in joined(lines_of(queue), BODY_BYTES):
        taken = call(
            "POST", f"{tracker.url}/v1/restore", FIRST_LINE + body, "application/x-ndjson", access=tracker.access
        )
        progress.add(body.count(b"\n"))
        if b"taken" not in taken:
            raise ServiceRefused(f"{tracker.url} is no tracker", "give its address with --tracker-url")
    waiting = call_json("GET", tracker, "/v1/stats")["queue"]["depth"]
    report(f"the tracker took {progress.count:,} lines of the backup's queue; {waiting:,} documents wait for delivery")


def lines_of(path: Path) -> Iterator[bytes]:
    """The lines of a compressed file. Raises BackupUnusable."""
    try:
        with gzip.open(path, "rb") as file:
            yield from file
    except (OSError, EOFError, zlib.error) as error:
        raise BackupUnusable(f"{path} cannot be read ({error})", "take another backup") from error
