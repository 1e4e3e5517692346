"""A backup of everything, taken while everything runs.

The queue comes first and the store after it: what was accepted before the beginning is then in one of the two, or in both,
which does no harm. Each is a snapshot of its own moment.
"""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from deploy import manifest
from deploy.errors import BackupUnusable
from deploy.http_calls import Access, Endpoint, access_to, pieces
from deploy.manifest import QUERY, QUEUE, STORE, Manifest, Part
from deploy.progress import Progress
from edge.stores import StoreAddress

GZIP_LEVEL = 1
"""The fastest: triples shrink to a tenth even so."""
TAIL_BYTES = 65_536

Report = Callable[[str], None]


def backup(folder: Path, tracker: Endpoint, store: StoreAddress, query: Path | None, report: Report) -> int:
    """Writes a whole backup to a folder that is not there yet, or empty; 0 then.

    Args:
        tracker: the tracker.
        store: the store's address.
        query: the query engine's data folder, where it is on this machine.

    Raises:
        BackupUnusable: the folder cannot be written, or holds something.
        ServiceUnreachable, ServiceRefused: by tracker or store; the folder then has no manifest.
    """
    with _writing(folder):
        _make(folder)
        began = _now()
        parts = [_queue(folder, tracker, report), _store(folder, store, report), *_query(folder, query)]
        manifest.write(folder, Manifest(began, _now(), _versions(), tuple(parts)))
    for part in parts[:2]:
        counts = ", ".join(f"{count:,} {kind}" for kind, count in part.counts.items()) or "nothing"
        report(f"  {part.file}: {counts}")
    report(f"the backup is in {folder}")
    return 0


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackupUnusable(
            f"the backup cannot be written: {error.filename or folder}: {error.strerror}",
            "name another folder, with enough space",
        ) from error


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    if any(folder.iterdir()):
        raise BackupUnusable(f"the folder {folder} holds something already", "name a new folder for each backup")
    folder.chmod(0o700)


def _queue(folder: Path, tracker: Endpoint, report: Report) -> Part:
    progress, url = Progress("queue", "lines", report), f"{tracker.url}/v1/backup"
    last = _write(folder / QUEUE, url, "application/x-ndjson", progress, tracker.access)
    try:
        end = json.loads(last)
        counts = dict(end.get("counts", {})) if end["kind"] == "end" else None  # none, of an empty queue
    except (ValueError, KeyError, TypeError, AttributeError):
        counts = None
    if counts is None:
        raise BackupUnusable(
            f"what {tracker.url} gave of its queue is not whole", "see the tracker's log, and try again"
        )
    return manifest.part_of(folder, QUEUE, counts)


def _store(folder: Path, store: StoreAddress, report: Report) -> Part:
    count = write_graph(folder / STORE, store, report)
    return manifest.part_of(folder, STORE, {"triples": count})


def write_graph(path: Path, store: StoreAddress, report: Report) -> int:
    """Writes a store's default graph to a new file, as compressed N-Triples; how many triples there are.

    Raises:
        BackupUnusable: what the store gave is not whole. OSError too, and as ``http_calls.call``.
    """
    progress = Progress("store", "triples", report)
    last = _write(path, store.graph_url, "application/n-triples", progress, access_to(store))
    if last and not last.endswith(b"."):
        raise BackupUnusable(f"what {store.url} gave of its graph is not whole", "see the store's log, and try again")
    return progress.count


def _write(path: Path, url: str, accept: str, progress: Progress, access: Access) -> bytes:
    """Writes an answer to a file, compressed; its last line. `progress` counts the lines."""
    tail = b""
    with gzip.open(path, "xb", compresslevel=GZIP_LEVEL) as out:
        for piece in pieces(url, accept, access):
            out.write(piece)
            tail = (tail + piece)[-TAIL_BYTES:]
            progress.add(piece.count(b"\n"))
    return tail.rstrip().rpartition(b"\n")[2]


def _query(folder: Path, query: Path | None) -> Iterator[Part]:
    """The query engine replaces its files whole, so that each can be copied at any moment."""
    if query is None:
        return
    for path in sorted(path for path in query.rglob("*") if path.is_file() and path.suffix != ".new"):
        file = f"{QUERY}/{path.relative_to(query)}"
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(path, folder / file)
        except FileNotFoundError:  # deleted meanwhile
            continue
        yield manifest.part_of(folder, file, {})


def _versions() -> Mapping[str, str]:
    try:
        own = importlib.metadata.version("pllib")
    except importlib.metadata.PackageNotFoundError:
        own = "unknown"
    return {"pllib": own, "python": platform.python_version()}


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="milliseconds")
