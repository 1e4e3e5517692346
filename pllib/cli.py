"""The ``pllib`` command: ship and inspect spools, see the state of things, ask the query engine.

Exit codes: 0 done; 1 something was not sent, found or reachable; 2 the command line is wrong. Errors go to stderr.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from typing import Any, Dict, List, Optional, Sequence

from . import (
    extraction_commands,
    openlineage_commands,
    prospective_commands,
    runs_commands,
    spool_commands,
    store_commands,
)
from ._version import __version__
from .command_line import add_command, print_table
from .errors import ConfigurationError, PllibError
from .query_options import add_query_options, query_client


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs one command; the exit code."""
    given = extraction_commands.as_command(sys.argv[1:] if arguments is None else arguments)
    chosen = _parser("".join(given[:1])).parse_args(given)
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


def _parser(what: str) -> argparse.ArgumentParser:
    """The parser; with the commands for documents only if they are ``what`` is meant, since they take a while to load."""
    parser = argparse.ArgumentParser(prog="pllib", description="Provenance of Python scripts and learning workflows.")
    parser.add_argument("--version", action="version", version=f"pllib {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    spool_commands.add_commands(commands)
    _add_query(commands)
    _add_lineage(commands)
    runs_commands.add_commands(commands)
    prospective_commands.add_commands(commands)
    store_commands.add_commands(commands)
    openlineage_commands.add_commands(commands)
    extraction_commands.add_commands(commands)
    if what == "crate":
        from .documents.crate_commands import add as add_crate

        add_crate(commands)
    else:
        commands.add_parser("crate", help="make an RO-Crate of an execution in a spool folder")
    if what == "prov":
        from . import prov_transfer
        from .documents.commands import add as add_export
        from .prov.commands import add

        own = add(commands)
        prov_transfer.add_import(own)
        prov_transfer.add_export_options(add_export(own))
    else:
        commands.add_parser("prov", help="export, import, convert, validate, compare and draw PROV documents")
    return parser


# -- query and lineage --------------------------------------------------------------------------------------------


def _add_query(commands: Any) -> None:
    text = (
        "Runs a SPARQL query, or a named analysis with its parameters; without either, lists the analyses.\n"
        "A SPARQL query is given as text, as a file name after @, or as - for standard input."
    )
    parser = add_command(commands, "query", query, text, "pllib query q3 dataset=/data/train.npz measure=loss")
    parser.add_argument("what", nargs="?", help="SPARQL text, @FILE, -, or the name of an analysis")
    parser.add_argument("parameters", nargs="*", metavar="NAME=VALUE", help="parameters of the analysis")
    parser.add_argument("--json", action="store_true", help="print rows as JSON lines")
    add_query_options(parser)


def query(chosen: argparse.Namespace) -> int:
    client = query_client(chosen)
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
        print_table(columns, [[row.get(name) for name in columns] for row in rows])
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
    parser = add_command(
        commands, "lineage", lineage, text, "pllib lineage models/best.pkl --store scratch --svg best.svg"
    )
    parser.add_argument("of", help="path of a file, or the IRI or id of a resource")
    parser.add_argument("--store", help="store that the path is in")
    parser.add_argument("--forward", action="store_true", help="what came of it, instead of what it came from")
    parser.add_argument("--depth", type=int, help="at most so many steps")
    parser.add_argument("--grain", choices=("value", "task"), default="task", help="with single values or without")
    parser.add_argument("--type", help="only what is of this class, such as Model or LearningDataset")
    for form in ("svg", "dot", "json"):
        parser.add_argument(f"--{form}", metavar="FILE", help=f"write the graph as {form.upper()}")
    add_query_options(parser)


def lineage(chosen: argparse.Namespace) -> int:
    client = query_client(chosen)
    options = {"store": chosen.store, "depth": chosen.depth, "grain": chosen.grain, "type": chosen.type}
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
    print_table(["depth", "kind", "label", "value", "id"], rows)
    for entry in found.get("ambiguous", []):
        print(f"cannot be told apart: {json.dumps(entry, ensure_ascii=False)}", file=sys.stderr)
    if found.get("truncated"):
        print("pllib lineage: the answer was cut; narrow it with --depth or --grain task", file=sys.stderr)
