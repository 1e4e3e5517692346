"""What the subcommands of ``pllib`` have in common."""

from __future__ import annotations

import argparse
from typing import Any, List

from .settings import Settings, load


def add_command(commands: Any, name: str, run: Any, text: str, example: str) -> argparse.ArgumentParser:
    """A subcommand that calls ``run``."""
    added: argparse.ArgumentParser = commands.add_parser(
        name,
        help=text.split(". ")[0].rstrip("."),
        description=text,
        epilog=f"example:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=run)
    return added


def add_tracker_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--url", help="tracker (PLLIB_URL; default http://127.0.0.1:8470)")
    parser.add_argument("--ca", help="file of certificate authorities for https (PLLIB_CA)")
    parser.add_argument("--timeout", type=float, help="seconds to wait for an answer (PLLIB_TIMEOUT; default 10)")


def settings_of(chosen: argparse.Namespace) -> Settings:
    """The settings with what the command line says."""
    named = {name: getattr(chosen, name, None) for name in ("url", "token", "ca", "timeout")}
    return load({name: value for name, value in named.items() if value is not None})


def print_table(columns: List[str], rows: List[List[Any]]) -> None:
    shown = [[_cell(value) for value in row] for row in rows]
    widths = [max([len(name), *(len(row[index]) for row in shown)]) for index, name in enumerate(columns)]
    for line in [columns, ["-" * width for width in widths], *shown]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
    text = text.replace("\n", " ")
    return text if len(text) <= 100 else text[:99] + "…"
