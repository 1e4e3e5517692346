"""The ``pllib`` command: ship and inspect spools, see the state of things, ask the query engine.

Exit codes: 0 done; 1 something was not sent, found or reachable; 2 the command line is wrong. Errors go to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Dict, Iterable, List, Optional, Sequence

from . import frames, spool
from ._version import __version__
from .errors import ConfigurationError, PllibError, SpoolError, TransportError
from .settings import Settings, default_spool, load
from .spool_reader import SpoolReader

QUERY_URL = "http://127.0.0.1:8472"


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs one command; the exit code."""
    parser = _parser()
    chosen = parser.parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except BrokenPipeError:
        return 0
    except (PllibError, OSError) as error:
        print(f"pllib {chosen.command}: {error}", file=sys.stderr)
        return 2 if isinstance(error, ConfigurationError) else 1
    except KeyboardInterrupt:
        return 130
    finally:
        _close_output()


def _close_output() -> None:
    """Ends quietly when whoever reads the output (``| head``) has gone."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="pllib", description="Provenance of Python scripts and learning workflows.")
    parser.add_argument("--version", action="version", version=f"pllib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_ship(commands)
    _add_inspect(commands)
    _add_status(commands)
    _add_query(commands)
    _add_lineage(commands)
    return parser


def _command(commands: Any, name: str, run: Any, text: str, example: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text.split(". ")[0].rstrip("."),
        description=text,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=run)
    return added


def _settings(chosen: argparse.Namespace) -> Settings:
    named = {name: getattr(chosen, name, None) for name in ("url", "token", "ca", "timeout")}
    return load({name: value for name, value in named.items() if value is not None})


def _add_tracker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="tracker (PLLIB_URL; default http://127.0.0.1:8470)")
    parser.add_argument("--ca", help="file of certificate authorities for https (PLLIB_CA)")
    parser.add_argument("--timeout", type=float, help="seconds to wait for an answer (PLLIB_TIMEOUT; default 10)")


# -- ship ---------------------------------------------------------------------------------------------------------


def _add_ship(commands: Any) -> None:
    text = (
        "Sends what processes left in a spool folder to the tracker. May be run any number of times, from any host,\n"
        "over files of dead and of living processes: records have identities, so nothing doubles."
    )
    parser = _command(commands, "ship", ship, text, "pllib ship ~/.local/state/pllib/spool --url http://node7:8470")
    parser.add_argument("folder", nargs="?", help="spool folder (PLLIB_SPOOL; default the user's state folder)")
    parser.add_argument("files", nargs="*", help="with --format provlake: log files of the ProvLake client")
    parser.add_argument("--format", choices=("spool", "provlake"), default="spool", help="what is sent (spool)")
    parser.add_argument("--retry", type=float, default=0.0, metavar="SECONDS", help="go on trying for so long")
    parser.add_argument("--keep", action="store_true", help="leave files in place that were sent")
    _add_tracker_options(parser)


def ship(chosen: argparse.Namespace) -> int:
    if chosen.format == "provlake":
        from .provlake_log import ship_files

        return ship_files([*filter(None, [chosen.folder]), *chosen.files], _settings(chosen), chosen.retry, _progress)
    from .shipper import Delivery, delay
    from .transport import HttpTransport

    settings = _settings(chosen)
    folder = chosen.folder or settings.spool or default_spool()
    transport = HttpTransport(settings.url, settings.timeout, settings.token, settings.ca)
    totals = {"delivered": 0, "refused": 0, "damaged": 0}
    deadline = time.monotonic() + chosen.retry
    known = spool.producers(folder)
    for position, producer in enumerate(known, 1):
        reader = SpoolReader(folder, producer)
        delivery = Delivery(reader, transport, settings.batch_records, settings.batch_bytes)
        failures = 0
        while True:
            try:
                if not delivery.step():
                    break
                failures = 0
                _progress(f"{position}/{len(known)} files, {totals['delivered'] + delivery.delivered} records")
            except TransportError as error:
                failures += 1
                if time.monotonic() >= deadline:
                    _count(totals, delivery)
                    _progress("")
                    print(_shipped(totals), file=sys.stderr)
                    raise TransportError(f"{error}; the rest stays in {folder}") from error
                time.sleep(delay(failures, error.retry_after))
        _count(totals, delivery)
        if not chosen.keep:
            reader.finish()
    _progress("")
    print(_shipped(totals))
    return 1 if totals["refused"] else 0


def _count(totals: Dict[str, int], delivery: Any) -> None:
    totals["delivered"] += delivery.delivered
    totals["refused"] += delivery.refused
    totals["damaged"] += delivery.damaged


def _shipped(totals: Dict[str, int]) -> str:
    line = f"{totals['delivered']} records sent"
    if totals["refused"]:
        line += f", {totals['refused']} refused (kept beside the spool file as .refused, with the reasons)"
    return line + (f", {totals['damaged']} damaged frames passed over" if totals["damaged"] else "")


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K{text}")
        sys.stderr.flush()


# -- inspect ------------------------------------------------------------------------------------------------------


def _add_inspect(commands: Any) -> None:
    text = "Shows what is in a spool folder: a line a producer, or with --records every record."
    parser = _command(commands, "inspect", inspect, text, "pllib inspect /scratch/ana/spool --records | less")
    parser.add_argument("folder", nargs="?", help="spool folder (PLLIB_SPOOL; default the user's state folder)")
    parser.add_argument("--records", action="store_true", help="print each record as a JSON line")
    parser.add_argument("--producer", help="only this producer (its first digits will do)")


def inspect(chosen: argparse.Namespace) -> int:
    folder = chosen.folder or _settings(chosen).spool or default_spool()
    found = [name for name in spool.producers(folder) if name.startswith(chosen.producer or "")]
    if not found:
        print(f"no records in {folder}" + (f" of {chosen.producer}" if chosen.producer else ""), file=sys.stderr)
        return 1
    rows = []
    for producer in found:
        facts = {"records": 0, "damaged": 0, "bytes": 0, "process": ""}
        for number in spool.segments(folder, producer):
            _inspect_segment(facts, spool.read_segment(folder, producer, number), chosen.records)
        waiting = SpoolReader(folder, producer).left()
        rows.append([producer, facts["process"], facts["records"], waiting, facts["damaged"], facts["bytes"]])
    if not chosen.records:
        _table(["producer", "process", "records", "not sent", "damaged", "bytes"], rows)
    return 0


def _inspect_segment(facts: Dict[str, Any], found: Iterable[frames.Frame], show: bool) -> None:
    for frame in found:
        facts["bytes"] += frame.end - frame.start
        if frame.payload is None:
            facts["damaged"] += 1
            continue
        facts["records"] += 1
        if show:
            print(frame.payload.decode("ascii", "replace"))
        if not facts["process"]:
            record = json.loads(frame.payload)
            if record.get("op") == "producer":
                script, _, rest = str(record.get("command", "")).partition(" ")
                command = f"{os.path.basename(script)} {rest}".strip()[:40]
                facts["process"] = f"{command} (pid {record.get('pid')}, {record.get('host')})"


# -- status -------------------------------------------------------------------------------------------------------


def _add_status(commands: Any) -> None:
    text = "Says whether the tracker is up, what it has accepted and delivered, and what waits in the spool here."
    parser = _command(commands, "status", status, text, "pllib status --url http://node7:8470")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--spool", help="spool folder to count")
    _add_tracker_options(parser)


def status(chosen: argparse.Namespace) -> int:
    from .query import get_json

    settings = _settings(chosen)
    folder = chosen.spool or settings.spool or default_spool()
    found: Dict[str, Any] = {"tracker": settings.url, "up": False, "spool": folder, "waiting": _waiting(folder)}
    try:
        found["stats"] = get_json(settings.url, "/v1/stats", timeout=settings.timeout, token=settings.token)
        found["up"] = True
    except PllibError as error:
        found["problem"] = str(error)
    if chosen.json:
        print(json.dumps(found, indent=2))
    else:
        print(f"tracker {settings.url}: {'up' if found['up'] else 'not reachable'}")
        for name, value in sorted(found.get("stats", {}).items()):
            print(f"  {name}: {json.dumps(value) if isinstance(value, (dict, list)) else value}")
        print(f"spool {folder}: {found['waiting']} records wait" + _hint(found))
    if not found["up"]:
        print(f"pllib status: {found['problem']}", file=sys.stderr)
    return 0 if found["up"] else 1


def _hint(found: Dict[str, Any]) -> str:
    return f"; send them with: pllib ship {found['spool']}" if found["waiting"] else ""


def _waiting(folder: str) -> int:
    try:
        return sum(SpoolReader(folder, producer).left() for producer in spool.producers(folder))
    except SpoolError:
        return 0


# -- query and lineage --------------------------------------------------------------------------------------------


def _add_query_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--query-url", help=f"query engine (PLLIB_QUERY_URL; default {QUERY_URL})")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the answer")


def _client(chosen: argparse.Namespace) -> Any:
    from .query import Client

    url = chosen.query_url or os.environ.get("PLLIB_QUERY_URL") or QUERY_URL
    return Client(url, timeout=chosen.timeout, token=os.environ.get("PLLIB_TOKEN"))


def _add_query(commands: Any) -> None:
    text = (
        "Runs a SPARQL query, or a named analysis with its parameters; without either, lists the analyses.\n"
        "A SPARQL query is given as text, as a file name after @, or as - for standard input."
    )
    parser = _command(commands, "query", query, text, "pllib query q3 dataset=/data/train.npz measure=loss")
    parser.add_argument("what", nargs="?", help="SPARQL text, @FILE, -, or the name of an analysis")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="parameters of the analysis")
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines")
    _add_query_options(parser)


def query(chosen: argparse.Namespace) -> int:
    client = _client(chosen)
    if chosen.what is None:
        rows: List[Dict[str, Any]] = [
            {"name": each["name"], "question": each["question"]} for each in client.analyses()
        ]
    elif " " in chosen.what or "{" in chosen.what or chosen.what[:1] in ("@", "-"):
        rows = client.sparql(_query_text(chosen.what))
    else:
        pairs = [pair.partition("=") for pair in chosen.parameters]
        wrong = [name for name, sign, _ in pairs if not sign]
        if wrong:
            raise ConfigurationError(f"parameters are given as NAME=VALUE; {wrong[0]!r} is not")
        rows = client.analysis(chosen.what, **{name: value for name, _, value in pairs})["rows"]
    if chosen.json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False, default=str))
    else:
        columns = list(dict.fromkeys(name for row in rows for name in row))
        _table(columns, [[row.get(name) for name in columns] for row in rows])
    return 0


def _query_text(what: str) -> str:
    if what == "-":
        return sys.stdin.read()
    if what.startswith("@"):
        with open(what[1:], encoding="utf-8") as file:
            return file.read()
    return what


def _add_lineage(commands: Any) -> None:
    text = "Shows what a file, value or execution came from, or with --forward what came of it."
    parser = _command(
        commands, "lineage", lineage, text, "pllib lineage models/best.pkl --store scratch --svg best.svg"
    )
    parser.add_argument("of", help="path of a file, or the IRI or id of a resource")
    parser.add_argument("--store", help="store that the path is in")
    parser.add_argument("--forward", action="store_true", help="what came of it, instead of what it came from")
    parser.add_argument("--depth", type=int, help="at most so many steps")
    parser.add_argument("--grain", choices=("value", "task"), default="task", help="with single values or without")
    for form in ("svg", "dot", "json"):
        parser.add_argument(f"--{form}", metavar="FILE", help=f"write the graph as {form.upper()}")
    _add_query_options(parser)


def lineage(chosen: argparse.Namespace) -> int:
    client = _client(chosen)
    options = {"store": chosen.store, "depth": chosen.depth, "grain": chosen.grain}
    options = {name: value for name, value in options.items() if value is not None}
    direction = "forward" if chosen.forward else "backward"
    written = False
    for form in ("svg", "dot", "json"):
        path = getattr(chosen, form)
        if path:
            found = client.lineage(chosen.of, direction=direction, format=form, **options)
            with open(path, "w", encoding="utf-8") as file:
                file.write(found if isinstance(found, str) else json.dumps(found, indent=2))
            written = True
    if not written:
        _print_lineage(client.lineage(chosen.of, direction=direction, **options))
    return 0


def _print_lineage(found: Dict[str, Any]) -> None:
    rows = [
        [node.get("depth"), node.get("kind"), node.get("label"), node.get("value"), node.get("id")]
        for node in sorted(found["nodes"], key=lambda node: node.get("depth") or 0)
    ]
    _table(["depth", "kind", "label", "value", "id"], rows)
    for entry in found.get("ambiguous", []):
        print(f"cannot be told apart: {json.dumps(entry, ensure_ascii=False)}", file=sys.stderr)
    if found.get("truncated"):
        print("pllib lineage: the answer was cut; narrow it with --depth or --grain task", file=sys.stderr)


def _table(columns: List[str], rows: List[List[Any]]) -> None:
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[index]) for row in shown)]) for index, name in enumerate(columns)]
    for line in [columns, ["-" * width for width in widths], *shown]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = text.replace("\n", " ")
    return text if len(text) <= 100 else text[:99] + "…"
