"""Moving everything from one store to another, whatever their kinds, with a proof that both hold the same.

FOLDER/store.nt.gz   the first store's default graph, as it gave it
FOLDER/move.json     where from and where to, count and checksum of the export, how much of it was sent

Each step leaves a record, so that the same command goes on after any end; triples sent twice are there once. Memory does not grow with
the graph: it streams by in both directions.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

from deploy import manifest
from deploy.backup import write_graph
from deploy.errors import BackupUnusable, FolderUnusable, ServiceRefused, UsageError
from deploy.graph_digest import GraphDigest, NoTriple
from deploy.http_calls import access_to, call, joined, pieces
from deploy.manifest import STORE
from deploy.progress import Progress
from deploy.restore import BODY_BYTES, lines_of, require_empty
from deploy.state import write_whole
from edge.stores import StoreAddress

RECORD = "move.json"
VERSION = 1
DIFFERENT = 1

Report = Callable[[str], None]


@dataclass(slots=True)
class Record:
    """How far a move is: `sent` lines of the export are in the second store."""

    source: str
    target: str
    sha256: str
    triples: int
    checksum: str
    sent: int = 0


def move(folder: Path, source: StoreAddress, target: StoreAddress, anyway: bool, report: Report) -> int:
    """Exports, imports and compares; 0 when both stores hold the same, 1 when they do not.

    Args:
        anyway: also into a store that holds something, which stays.

    Raises:
        TargetInUse: the second store holds something.
        UsageError: the folder belongs to another move, or both stores are one.
        BackupUnusable: the export is not what was written. FolderUnusable: the folder cannot be used.
        ServiceUnreachable, ServiceRefused: by a store; the same command goes on.
    """
    if source.graph_url == target.graph_url:
        raise UsageError("both stores are the same", "give two addresses, with --from and --to")
    with _using(folder):
        folder.mkdir(parents=True, exist_ok=True)
        record = _begun(folder, source, target)
        if record is None:
            if not anyway:
                require_empty(target)
            record = _export(folder, source, target, report)
        else:
            report(f"going on: {record.sent:,} of {record.triples:,} triples are sent already")
        _import(folder, record, target, report)
    return _compare(record, target, report)


@contextmanager
def _using(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FolderUnusable(
            f"the folder {error.filename or folder} cannot be used ({error.strerror})",
            "name another, with enough space",
        ) from error


def _begun(folder: Path, source: StoreAddress, target: StoreAddress) -> Record | None:
    path = folder / RECORD
    if not path.exists():
        others = [each.name for each in folder.iterdir() if each.name != STORE]
        if others:
            raise UsageError(f"the folder {folder} holds something else already: {others[0]}", "name a new folder")
        return None
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told.pop("version") != VERSION:
            raise UsageError(f"{path} is of another version", "name a new folder")
        record = Record(**told)
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{path} is damaged ({error})", "name a new folder") from error
    if (record.source, record.target) != (source.url, target.url):
        raise UsageError(f"{folder} belongs to a move from {record.source} to {record.target}", "name a new folder")
    return record


def _export(folder: Path, source: StoreAddress, target: StoreAddress, report: Report) -> Record:
    path = folder / STORE
    path.unlink(missing_ok=True)  # of a move that ended in the middle of its export
    write_graph(path, source, report)
    digest, progress = GraphDigest(), Progress("checksum", "triples", report)
    _add(digest, lines_of(path), progress, source)
    record = Record(source.url, target.url, manifest.digest(path), digest.triples, digest.checksum)
    _keep(folder, record)
    report(f"exported {record.triples:,} triples from {source.url}")
    return record


def _import(folder: Path, record: Record, target: StoreAddress, report: Report) -> None:
    path = folder / STORE
    if not path.exists() or manifest.digest(path) != record.sha256:
        raise BackupUnusable(f"{path} is not what was written: it was changed or damaged", "move with a new folder")
    progress, access = Progress("import", "triples", report), access_to(target)
    progress.count = record.sent
    for body in joined(islice(lines_of(path), record.sent, None), BODY_BYTES):
        call("POST", target.bulk_url, body, "application/n-triples", access=access)
        progress.add(body.count(b"\n"))
        record.sent = progress.count
        _keep(folder, record)


def _compare(record: Record, target: StoreAddress, report: Report) -> int:
    digest, progress = GraphDigest(), Progress("comparing", "triples", report)
    _add(digest, _streamed(target), progress, target)
    report(f"  {record.source}: {record.triples:,} triples, checksum {record.checksum}")
    report(f"  {target.url}: {digest.triples:,} triples, checksum {digest.checksum}")
    if (digest.triples, digest.checksum) == (record.triples, record.checksum):
        report("both hold the same")
        return 0
    report("all was sent, but they do not hold the same: the second store held something before, or changed since")
    return DIFFERENT


def _add(digest: GraphDigest, lines: Iterator[bytes], progress: Progress, store: StoreAddress) -> None:
    try:
        while some := list(islice(lines, 10_000)):
            digest.add(some)
            progress.add(len(some))
    except (NoTriple, UnicodeDecodeError) as error:
        raise ServiceRefused(
            f"{store.url} did not give N-Triples: {error}", "see the store's log, and try again"
        ) from error


def _streamed(store: StoreAddress) -> Iterator[bytes]:
    """The lines of a store's default graph."""
    rest = b""
    for piece in pieces(store.graph_url, "application/n-triples", access_to(store)):
        *lines, rest = (rest + piece).split(b"\n")
        yield from lines
    if rest:
        yield rest


def _keep(folder: Path, record: Record) -> None:
    write_whole(folder / RECORD, json.dumps({"version": VERSION, **asdict(record)}, indent=2) + "\n")
