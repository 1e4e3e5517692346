"""Files of a run that are made of its records: the PROV document in several formats, the RO-Crate, metrics as CSV.

They are made anew from time to time while the run is open, by a thread and seldom enough that it costs little, and at its end.
"""

from __future__ import annotations

import json
import os
import threading
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple
from urllib.parse import unquote

from .. import this_process
from .._boundary import nothing, report, shielded
from ..errors import PllibError
from ..whole_file import whole_file
from .folders import Folder
from .names import file_name
from .said import once

LEAST_SECONDS = 5.0
"""Between two times that files are made while the run is open."""
SHARE = 20
"""So many times as long as making them took is waited until the next time, at least: it takes a twentieth of one CPU at most."""
STOP_SECONDS = 60.0
"""How long the end waits for files that are just being made."""
HEADER = ("epoch", "value", "timestep")

WANTED = ("dot", "svg", "zip", "card")
"""What is made beside the document when it is asked for: drawings, the RO-Crate, the card."""
Files = Dict[str, str]
"""What was made (``json``, or of ``WANTED``) to its path."""
Key = Tuple[str, str]
"""Activity in the execution (``training/0``; empty for the run) and name of a series."""


class Origin(NamedTuple):
    """Where the records of a run are, and what it is called there.

    Attributes:
        wf: ``{workflow}/{execution}`` as in its records.
        base: beginning of the IRIs in documents; ``None`` for the usual one.
    """

    spool: str
    wf: str
    base: Optional[str]


def write_files(folder: Folder, origin: Origin, wanted: Sequence[str] = ()) -> Files:
    """Writes the document as PROV-JSON, and what else is wanted; the paths of what could be written.

    Args:
        wanted: of ``WANTED``.

    Raises:
        PllibError: there are no records.
    """
    with this_process.importing():
        from ..documents.reading import Reading
        from ..prov import forms

    reading = Reading(origin.spool, origin.base)
    document = reading.document(origin.wf)
    made: Files = {}
    for what in ("json", *wanted):
        path = folder.path_of(what)
        try:
            if what == "zip":
                _write_crate(reading, origin.wf, path)
            elif what == "card":
                _write_card(folder.path_of("json"), path)
            else:
                forms.write(document, path)
        except (PllibError, OSError) as error:  # such as a drawing of too many things
            once(path, f"{path} was not written: {error}")
        else:
            made[what] = path
    return made


def _write_crate(reading: Any, execution: str, path: str) -> None:
    with this_process.importing():
        from ..documents.crate import write_crate

    with whole_file(path, ".part.zip") as part:
        write_crate(reading, execution, part)


def _write_card(document: str, path: str) -> None:
    with this_process.importing():
        from .card import write_card

    write_card(document, path)


def write_metrics(folder: Folder, origin: Origin, names: Dict[Key, str], separator: str) -> None:
    """Writes the points of this rank's series, a CSV file each.

    Args:
        names: what files are called that are not called ``{name}_{context}_None``.
    """
    for key, rows in _points(folder, origin).items():
        name = names.get(key) or default_name(folder, key)
        path = os.path.join(folder.metrics, f"{file_name(name)}_GR{folder.rank}.csv")
        with whole_file(path) as part, open(part, "w", encoding="utf-8", newline="\n") as file:
            file.write(separator.join(HEADER) + "\n")
            file.writelines(separator.join(row) + "\n" for row in rows)


def default_name(folder: Folder, key: Key) -> str:
    """The beginning of the name of a series' file."""
    context = unquote(key[0].partition("/")[0]) or folder.name
    return f"{key[1]}_{context}_None"


def _points(folder: Folder, origin: Origin) -> Dict[Key, List[Tuple[str, str, str]]]:
    """Step, value and time (milliseconds since 1970) of all points, as text."""
    with this_process.importing():
        from ..documents.reading import BROKEN
        from ..documents.records import raw_records

    found: Dict[Key, List[Tuple[str, str, str]]] = {}
    for raw in raw_records(origin.spool, nothing):
        if b'"op":"points"' not in raw.payload:
            continue
        try:
            record = json.loads(raw.payload)
            if record.get("op") == "points" and record["wf"] == origin.wf and record.get("rank", 0) == folder.rank:
                found.setdefault((record.get("id", ""), record["series"]), []).extend(_rows(record))
        except BROKEN as error:
            report("metrics", error)
    return found


def _rows(record: Dict[str, Any]) -> Iterator[Tuple[str, str, str]]:
    step = when = 0
    for by, later, value in zip(record["steps"], record["times"], record["values"]):
        step, when = step + by, when + later
        yield str(step), str(value), str(when // 1000)


class Saver:
    """Makes files in the background when that is due.

    Args:
        save: makes them.
    """

    def __init__(self, save: Callable[[], None]) -> None:
        self._save = shielded(nothing, always=True)(save)
        self._pid = os.getpid()
        self._due = threading.Event()
        self._stop = threading.Event()
        self._thread: Optional[threading.Thread] = None
        self._lock = threading.Lock()

    def due(self) -> None:
        """Says that there is something new; from any thread."""
        if self._due.is_set() or self._pid != os.getpid():  # a forked child leaves it to its parent
            return
        self._due.set()
        with self._lock:
            if self._thread is None and not self._stop.is_set():
                thread = threading.Thread(target=self._run, name="pllib-prov4ml", daemon=True)
                try:
                    thread.start()
                except RuntimeError as error:  # too many threads, or the interpreter ends
                    report("prov4ml", error)
                    return
                self._thread = thread

    def stop(self) -> None:
        """Ends; files that are just being made are waited for."""
        self._stop.set()
        self._due.set()
        with self._lock:
            thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            thread.join(STOP_SECONDS)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._due.wait()
            if self._stop.is_set():
                return
            self._due.clear()
            began = time.monotonic()
            self._save()
            self._stop.wait(max(LEAST_SECONDS, SHARE * (time.monotonic() - began)))
