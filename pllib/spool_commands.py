"""``pllib ship``, ``inspect`` and ``status``: what is in a spool folder, and sending it."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from typing import Any, Dict, Iterator, List, NamedTuple, Optional

from . import frames, spool
from .addresses import tracker_of
from .command_line import add_command, add_tracker_options, print_table, settings_of
from .errors import PllibError, SpoolError, TransportError
from .points_recovery import UnknownVersion, left_by_the_dead
from .progress import Progress
from .settings import default_spool
from .spool_reader import SpoolReader, is_kept, with_gaps

FOLDER = "spool folder (PLLIB_SPOOL; default the user's state folder)"


def add_commands(commands: Any) -> None:
    _add_ship(commands)
    _add_inspect(commands)
    _add_status(commands)


def _folder(chosen: argparse.Namespace) -> str:
    return chosen.folder or settings_of(chosen).spool or default_spool()


# -- ship ---------------------------------------------------------------------------------------------------------


def _add_ship(commands: Any) -> None:
    text = (
        "Sends what processes left in a spool folder to the tracker. May be run any number of times, from any host,\n"
        "over files of dead and of living processes: records have identities, so nothing doubles."
    )
    parser = add_command(commands, "ship", ship, text, "pllib ship ~/.local/state/pllib/spool --url http://node7:8470")
    parser.add_argument("folder", nargs="?", help=FOLDER)
    parser.add_argument("files", nargs="*", help="with --format provlake: log files of the ProvLake client")
    parser.add_argument("--format", choices=("spool", "provlake"), default="spool", help="what is sent (spool)")
    parser.add_argument("--retry", type=float, default=0.0, metavar="SECONDS", help="go on trying for so long")
    parser.add_argument("--keep", action="store_true", help="leave files in place that were sent")
    add_tracker_options(parser)


def ship(chosen: argparse.Namespace) -> int:
    if chosen.format == "provlake":
        from .provlake_log import ship_files

        paths = [*filter(None, [chosen.folder]), *chosen.files]
        return ship_files(paths, settings_of(chosen), chosen.retry, _show)
    from .ship import Shipment, Totals
    from .transport import HttpTransport

    settings = settings_of(chosen)
    progress: Optional[Progress] = None

    def watch(records: int, size: int) -> None:
        if progress is not None:
            progress.update(records, size)

    transport = HttpTransport(settings.url, settings.timeout, settings.token, settings.ca, settings.token_file)
    shipment = Shipment(_folder(chosen), transport, settings, chosen.keep, chosen.retry, watch)
    progress = Progress("pllib ship", shipment.bytes_left(), sys.stderr)
    failed: Optional[TransportError] = None
    try:
        shipment.run()
    except TransportError as error:
        failed = error
    finally:
        progress.end()
        transport.close()
    totals: Totals = shipment.totals
    for line in [*totals.notes, *totals.problems]:
        print(f"pllib ship: {line}", file=sys.stderr)
    print(_shipped(totals), file=sys.stderr if failed else sys.stdout)
    if failed is not None:
        raise failed
    return 1 if totals.refused or totals.problems else 0


def _show(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


def _shipped(totals: Any) -> str:
    line = f"{totals.delivered} records sent"
    if totals.refused:
        line += f", {totals.refused} refused (kept beside the spool file as .refused, with the reasons)"
    if totals.problems:
        line += f", {len(totals.problems)} files or folders could not be read"
    return line + (f", {totals.damaged} damaged stretches passed over (kept as .damaged)" if totals.damaged else "")


# -- what is in a folder ------------------------------------------------------------------------------------------


class Contents:
    """What the files of one producer hold; each is read once."""

    def __init__(self, folder: str, producer: str, problems: List[str]) -> None:
        self.producer = producer
        self.process = ""
        self.records = self.waiting = self.damaged = self.bytes = 0
        reader = SpoolReader(folder, producer)
        self.figures = reader.figures
        self._folder, self._problems, self._taken = folder, problems, reader.position

    @property
    def accounting(self) -> Dict[str, Any]:
        figures = self.figures
        accepted = figures.delivered + figures.refused + self.waiting
        counts = {"accepted": accepted, "delivered": figures.delivered, "refused": figures.refused}
        return {**counts, "waiting": self.waiting, "dropped": figures.dropped}

    def read(self) -> Iterator[bytes]:
        """Yields every record; the counts are right when all were."""
        for number in self._tried(spool.segments, self._folder, self.producer) or ():
            for frame in self._tried(_frames, self._folder, self.producer, number) or ():
                payload = self._count(number, frame)
                if payload is not None:
                    yield payload
        points = self._tried(left_by_the_dead, self._folder, self.producer)
        if points is not None:
            self.damaged += len(points.damaged)
            self.records += len(points.records)
            self.waiting += len(points.records)
            yield from points.records

    def _tried(self, read: Any, *arguments: Any) -> Any:
        try:
            return read(*arguments)
        except OSError as error:
            self._problems.append(f"{error.filename}: {error.strerror}")
        except UnknownVersion as error:
            self._problems.append(f"{self.producer}: its points cannot be read: {error}")
        return None

    def _count(self, number: int, frame: frames.Frame) -> Optional[bytes]:
        self.bytes += frame.end - frame.start
        if frame.payload is None:
            self.damaged += 1
            return None
        self.records += 1
        if (number, frame.start) >= self._taken:
            self.waiting += 1
            self.figures = self.figures._replace(dropped=with_gaps(self.figures.dropped, (frame.payload,)))
        if not self.process:
            self._introduce(json.loads(frame.payload))
        return frame.payload

    def _introduce(self, record: Dict[str, Any]) -> None:
        if record.get("op") == "producer":
            script, _, rest = str(record.get("command", "")).partition(" ")
            command = f"{os.path.basename(script)} {rest}".strip()[:40]
            self.process = f"{command} (pid {record.get('pid')}, {record.get('host')})"


def _frames(folder: str, producer: str, number: int) -> List[frames.Frame]:
    return list(spool.read_segment(folder, producer, number))


class Sum(NamedTuple):
    """The accounting of a folder."""

    accounting: Dict[str, Any]
    problems: List[str]


def _added(total: Dict[str, Any], more: Dict[str, Any]) -> Dict[str, Any]:
    reasons = {**total["dropped"]}
    for reason, count in more["dropped"].items():
        reasons[reason] = reasons.get(reason, 0) + count
    return {**{name: total[name] + more[name] for name in total if name != "dropped"}, "dropped": reasons}


_NONE: Dict[str, Any] = {"accepted": 0, "delivered": 0, "refused": 0, "waiting": 0, "dropped": {}}


def _summed(folder: str) -> Sum:
    total, problems = _NONE, []
    try:
        found = spool.producers(folder, lambda error: problems.append(f"{error.filename}: {error.strerror}"))
    except SpoolError:
        found = []
    for producer in found:
        contents = Contents(folder, producer, problems)
        for _ in contents.read():
            pass
        total = _added(total, contents.accounting)
    return Sum(total, problems)


def _equation(accounting: Dict[str, Any]) -> str:
    parts = " + ".join(f"{name} {accounting[name]}" for name in ("delivered", "refused", "waiting"))
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(accounting["dropped"].items()))
    dropped = f"{sum(accounting['dropped'].values())}" + (f" ({reasons})" if reasons else "")
    return f"accepted {accounting['accepted']} = {parts}; dropped {dropped}"


# -- inspect ------------------------------------------------------------------------------------------------------


def _add_inspect(commands: Any) -> None:
    text = "Shows what is in a spool folder: a line a producer, or with --records every record."
    parser = add_command(commands, "inspect", inspect, text, "pllib inspect /scratch/ana/spool --records | less")
    parser.add_argument("folder", nargs="?", help=FOLDER)
    parser.add_argument("--records", action="store_true", help="print each record as a JSON line")
    parser.add_argument("--producer", help="only this producer (its first digits will do)")


def inspect(chosen: argparse.Namespace) -> int:
    folder, problems = _folder(chosen), []
    known = spool.producers(folder, lambda error: problems.append(f"{error.filename}: {error.strerror}"))
    found = [name for name in known if name.startswith(chosen.producer or "")]
    if not found and not problems:
        print(f"no records in {folder}" + (f" of {chosen.producer}" if chosen.producer else ""), file=sys.stderr)
        return 1
    rows, total = [], _NONE
    for producer in found:
        contents = Contents(folder, producer, problems)
        for payload in contents.read():
            if chosen.records:
                print(payload.decode("ascii", "replace"))
        figures = contents.accounting
        total = _added(total, figures)
        counts = [figures[name] for name in ("delivered", "refused", "waiting")]
        dropped = sum(figures["dropped"].values())
        rows.append([producer, contents.process, contents.records, *counts, dropped, contents.damaged, contents.bytes])
    if not chosen.records:
        columns = ["producer", "process", "records", "sent", "refused", "not sent", "dropped", "damaged", "bytes"]
        print_table(columns, rows)
        print(_equation(total))
        kept = sum(is_kept(folder, producer) for producer in found)
        if kept:
            print(f"{kept} of these producers keep their files when they are sent (keep): nothing removes them but you")
    for line in problems:
        print(f"pllib inspect: {line}", file=sys.stderr)
    return 1 if problems else 0


# -- status -------------------------------------------------------------------------------------------------------


def _add_status(commands: Any) -> None:
    text = "Says whether the tracker is up, what it has accepted and delivered, and what waits in the spool here."
    parser = add_command(commands, "status", status, text, "pllib status --url http://node7:8470")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--spool", help="spool folder to count")
    add_tracker_options(parser)


def status(chosen: argparse.Namespace) -> int:
    from .query import get_json

    settings = settings_of(chosen)
    folder = chosen.spool or settings.spool or default_spool()
    summed = _summed(folder)
    found: Dict[str, Any] = {
        "tracker": settings.url,
        "up": False,
        "spool": folder,
        "waiting": summed.accounting["waiting"],
        "accounting": summed.accounting,
    }
    try:
        address = tracker_of(settings)
        found["tracker"] = address.url
        found["stats"] = get_json(address.url, "/v1/stats", timeout=settings.timeout, token=address.token)
        found["up"] = True
    except PllibError as error:
        found["problem"] = str(error)
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"tracker {found['tracker']}: {'up' if found['up'] else 'not reachable'}")
        for name, value in sorted(found.get("stats", {}).items()):
            print(f"  {name}: {json.dumps(value) if isinstance(value, (dict, list)) else value}")
        print(f"spool {folder}: {_equation(summed.accounting)}{_hint(found)}")
    if not found["up"]:
        summed.problems.append(found["problem"])
    for line in summed.problems:
        print(f"pllib status: {line}", file=sys.stderr)
    return 0 if found["up"] and not summed.problems else 1


def _hint(found: Dict[str, Any]) -> str:
    return f"\nsend what waits with: pllib ship {shlex.quote(found['spool'])}" if found["waiting"] else ""
