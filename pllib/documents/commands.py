"""``pllib prov export``: documents of what a spool folder holds, with no server.

Exit codes: 0 done; 1 the folder or the execution is not there; 2 the document cannot be written.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timezone
from typing import Any, List, Optional

from ..command_line import print_table
from ..errors import SpoolError
from ..prov import forms
from ..prov.errors import DocumentError
from ..settings import default_spool, load
from .outline import Execution
from .reading import Reading, UnknownExecution

_WRITTEN = [name for name, form in forms.FORMATS.items() if form.write is not None]


def add(commands: Any) -> argparse.ArgumentParser:
    """Adds ``export`` to the commands of ``pllib prov``; its parser, for what else may be exported."""
    text = "Writes what processes left in a spool folder as a document; no server is needed."
    parser: argparse.ArgumentParser = commands.add_parser(
        "export", help="write what a spool folder holds as a document", description=text
    )
    add_spool_options(parser, "without it all that there are")
    parser.add_argument("--list", action="store_true", help="list the executions that there are")
    parser.add_argument(
        "--format", metavar="FORMAT", help=f"where the name of FILE does not say it: {', '.join(_WRITTEN)}"
    )
    parser.add_argument(
        "-o", "--output", default="-", metavar="FILE", help="file to write; standard output without, as PROV-JSON"
    )
    parser.set_defaults(run=export)
    return parser


def add_spool_options(parser: argparse.ArgumentParser, without: str) -> None:
    """Adds what says which records are meant; ``without``: what is meant when no execution is named."""
    parser.add_argument("--spool", metavar="DIR", help="spool folder (PLLIB_SPOOL; default the user's state folder)")
    about = f"WORKFLOW/EXECUTION, or as much of its beginning as no other shares; {without}"
    parser.add_argument("--execution", metavar="NAME", help=about)


def reading(chosen: argparse.Namespace) -> Reading:
    """What the folder that is meant holds."""
    return Reading(chosen.spool or load({}).spool or default_spool())


def export(chosen: argparse.Namespace) -> int:
    found = reading(chosen)
    try:
        if chosen.list:
            _print(found.executions())
        else:
            _write(found, chosen.execution, chosen.output, chosen.format)
    except (SpoolError, UnknownExecution) as error:
        return told(error, 1)
    except (DocumentError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        return told(error, 2)
    tell_problems(found, "pllib prov export")
    return 0


def told(error: Exception, code: int) -> int:
    print(f"pllib prov export: {error}", file=sys.stderr)
    return code


def tell_problems(found: Reading, command: str) -> None:
    """Says on stderr what could not be read."""
    for problem in found.problems:
        print(f"{command}: {problem}", file=sys.stderr)


def _write(found: Reading, execution: Optional[str], path: str, format: Optional[str]) -> None:
    document = found.document(execution)
    if path == "-":
        forms.write(document, sys.stdout, format or "json")
    else:
        forms.write(document, path, format)


def _print(executions: List[Execution]) -> None:
    rows = [[each.id, each.status, _time(each.started), _time(each.ended), each.activities] for each in executions]
    print_table(["execution", "status", "started", "ended", "activities"], rows)


def _time(microseconds: Optional[int]) -> str:
    if microseconds is None:
        return ""
    return datetime.fromtimestamp(microseconds / 1_000_000, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
