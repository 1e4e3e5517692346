"""Giving back the disk space that a store's database does not need any more, while everything runs.

Of the kinds that are known only Fuseki's TDB2 needs it: each commit leaves blocks behind, which nothing but a compaction frees.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from deploy.errors import ServiceRefused, UsageError
from deploy.http_calls import Access, access_to, call
from deploy.progress import Progress
from edge.stores import StoreAddress

POLL_SECONDS = 0.2
FAILED = 1

Report = Callable[[str], None]


def compact(store: StoreAddress, database: Path | None, report: Report) -> int:
    """Has the store compact its database, and waits: 0 once it is done, 1 when the store gave up.

    Args:
        database: the folder of its data, where that is on this machine.

    Raises:
        UsageError: it is not known how a store of this kind is told to.
        ServiceUnreachable, ServiceRefused: by the store, which goes on with what it had.
    """
    if store.kind == "oxigraph":
        report("nothing is to be done: Oxigraph compacts its files by itself")
        return 0
    if store.kind != "fuseki":
        raise UsageError(
            f"it is not known how a store of the kind {store.kind} is compacted",
            "see its manual; if it is Fuseki, say so with --store-kind fuseki",
        )
    server, _, name = store.url.rpartition("/")
    if server.endswith("/"):  # of http://
        raise UsageError(f"{store.url} names no dataset", "give its address as --store-url http://HOST:PORT/DATASET")
    access, before, began = access_to(store), _size(database), time.monotonic()
    task = _told(call("POST", f"{server}/$/compact/{name}?deleteOld=true", b"", access=access), store)["taskId"]
    ended = _wait(f"{server}/$/tasks/{task}", store, access, database, report)
    if ended.get("success") is False:
        report("the store gave up; its log says why, and it goes on with the database that it had")
        return FAILED
    sizes = f": {before:,} bytes on disk before, {_size(database):,} now" if database else ""
    report(f"compacted in {time.monotonic() - began:.1f} s{sizes}")
    return 0


def _wait(task: str, store: StoreAddress, access: Access, database: Path | None, report: Report) -> Mapping[str, Any]:
    """What the server says of a task that has ended."""
    progress = Progress("compacting", "", report)
    while True:
        told = _told(call("GET", task, access=access), store)
        if "finished" in told:
            return told
        progress.tick(f"{_size(database):,} bytes on disk, old and new together" if database else "it goes on")
        time.sleep(POLL_SECONDS)


def _told(answer: bytes, store: StoreAddress) -> Mapping[str, Any]:
    try:
        found = json.loads(answer)
    except ValueError:
        found = None
    if not isinstance(found, dict) or "taskId" not in found:
        raise ServiceRefused(
            f"{store.url} does not answer as Fuseki does", "give the address of a dataset of Fuseki with --store-url"
        )
    return found


def _size(folder: Path | None) -> int:
    """Bytes that a folder takes on disk: TDB2's files have holes."""
    total = 0
    for path in folder.rglob("*") if folder else ():
        try:
            total += path.stat().st_blocks * 512
        except FileNotFoundError:  # it was compacted away
            continue
    return total
