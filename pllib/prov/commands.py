"""``pllib prov``: documents converted, validated, compared and drawn, with no server.

Exit codes: 0 done, or valid, or the same; 1 violations or differences, which are printed; 2 a document that cannot be
read or written.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, Callable, Iterable, List

from .compare import differences
from .errors import DocumentError
from .forms import FORMATS, WRITTEN, by_ending, read, write
from .model import Document
from .names import all_names
from .provn import expression
from .validation import validate

_MOST = 200
"""Violations or differences that are printed."""
Run = Callable[[argparse.Namespace], int]


def add(commands: Any) -> Any:
    """Adds ``prov`` with its own commands to a parser's commands; the own commands, for more of them."""
    text = "Converts, validates, compares and draws PROV documents; no server is needed."
    parser = commands.add_parser("prov", help="convert, validate, compare and draw PROV documents", description=text)
    own = parser.add_subparsers(dest="prov_command", required=True, metavar="COMMAND")
    convert_parser = _command(own, "convert", convert, "Converts a document; the endings of the names say the formats.")
    convert_parser.add_argument("input", metavar="IN", help="file to read, or - for standard input")
    convert_parser.add_argument("output", metavar="OUT", help="file to write, or - for standard output")
    _add_format(convert_parser, "--from", "from_", "format of IN, where its name and content do not say it", "read")
    _add_format(convert_parser, "--to", "to", "format of OUT, where its name does not say it", "write")
    validate_parser = _command(own, "validate", run_validate, "Checks documents by the W3C's PROV-CONSTRAINTS.")
    validate_parser.add_argument("files", nargs="+", metavar="FILE", help="documents, or - for standard input")
    _add_format(validate_parser, "--from", "from_", "format of the files", "read")
    diff_parser = _command(own, "diff", diff, "Tells whether two documents, in any formats, say the same.")
    diff_parser.add_argument("left", metavar="A", help="a document")
    diff_parser.add_argument("right", metavar="B", help="another")
    draw_parser = _command(own, "draw", draw, "Draws a document, as SVG, or as DOT for Graphviz.")
    draw_parser.add_argument("input", metavar="FILE", help="a document, or - for standard input")
    about = "file to write: .svg or .dot; DOT on standard output without"
    draw_parser.add_argument("-o", "--output", default="-", metavar="FILE", help=about)
    _add_format(draw_parser, "--from", "from_", "format of FILE", "read")
    return own


def _command(commands: Any, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=text.rstrip("."), description=text)
    added.set_defaults(run=_told(run))
    return added


def _add_format(parser: argparse.ArgumentParser, option: str, target: str, text: str, way: str) -> None:
    able = [name for name, form in FORMATS.items() if getattr(form, way) is not None]
    parser.add_argument(option, dest=target, metavar="FORMAT", help=f"{text}: {', '.join(able)}")


def _told(run: Run) -> Run:
    """A command that says what is wrong with a document, and ends with 2."""

    def told(chosen: argparse.Namespace) -> int:
        try:
            return run(chosen)
        except (DocumentError, OSError) as error:
            if isinstance(error, BrokenPipeError):
                raise
            print(f"pllib prov {chosen.prov_command}: {error}", file=sys.stderr)
            return 2

    return told


def convert(chosen: argparse.Namespace) -> int:
    document = _read(chosen.input, chosen.from_)
    _write(document, chosen.output, chosen.to)
    return 0


def draw(chosen: argparse.Namespace) -> int:
    form = FORMATS["dot"] if chosen.output == "-" else by_ending(chosen.output)
    if form is None or form.name not in ("dot", "svg"):
        raise DocumentError(f"-o is {chosen.output}; a drawing is a .svg, or a .dot for Graphviz")
    _write(_read(chosen.input, chosen.from_), chosen.output, form.name)
    return 0


def run_validate(chosen: argparse.Namespace) -> int:
    worst = 0
    for path in chosen.files:
        try:
            worst = max(worst, _validate(path, chosen.from_))
        except DocumentError as error:
            print(f"pllib prov validate: {error}", file=sys.stderr)
            worst = 2
    return worst


def _validate(path: str, format: Any) -> int:
    if print_violations(path, _read(path, format)):
        return 1
    print(f"{path}: valid")
    return 0


def print_violations(path: str, document: Document) -> bool:
    """Prints what in a document is against PROV-CONSTRAINTS; whether there was anything."""
    found = validate(document)
    names = all_names(document)
    lines: List[str] = []
    for each in found:
        inside = f" in bundle {each.bundle}" if each.bundle else ""
        lines.append(f"{path}: constraint {each.constraint} ({each.name}){inside}: {each.message}")
        lines += [f"    {expression(one, names)}" for one in each.statements]
    _print(lines)
    return bool(found)


def diff(chosen: argparse.Namespace) -> int:
    left, right = _read(chosen.left, None), _read(chosen.right, None)
    found = differences(left, right)
    names = all_names(left)
    _print(
        [
            f"{each.side} {f'{each.bundle}: ' if each.bundle else ''}{expression(each.statement, names)}"
            for each in found
        ]
    )
    return 1 if found else 0


def _print(lines: Iterable[str]) -> None:
    lines = list(lines)
    for line in lines[:_MOST]:
        print(line)
    if len(lines) > _MOST:
        print(f"… and {len(lines) - _MOST} lines more")


def _read(path: str, format: Any) -> Document:
    if path == "-":
        return read(sys.stdin.buffer.read(), format)
    return read(Path(path), format)


def _write(document: Document, path: str, format: Any) -> None:
    if path != "-":
        write(document, path, format)
        return
    if format is None:
        raise DocumentError(f"say the format with --to: one of {', '.join(WRITTEN)}")
    write(document, sys.stdout, format)
