"""The command line of a demonstration, and where it leads from there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from rich.console import Console

from examples.common.stack import default_data
from pllib import PllibError


def command(description: str, demo: Callable[[Console, Path, int], None], epochs: int) -> int:
    """Runs a demonstration as the command line says; the exit code.

    Args:
        demo: takes the console, the services' folder, and how many passes are made over each training set.
        epochs: so many passes, unless told otherwise.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=default_data(), help="the services' folder (default: PLLIB_DATA, else ./data)"
    )
    parser.add_argument("--epochs", type=int, default=epochs, help=f"passes over each training set (default {epochs})")
    chosen = parser.parse_args()
    console = Console(width=max(Console().width, 120), highlight=False)
    try:
        demo(console, chosen.data.expanduser().resolve(), chosen.epochs)
    except PllibError as error:
        print(
            f"error: {error}\nfix: see `python -m deploy status`, and the logs in {chosen.data}/logs", file=sys.stderr
        )
        return 1
    return 0


def look_further(console: Console, picture: Path, of: str, places: Mapping[str, str]) -> None:
    """Where to go from here: a drawn lineage, and addresses by name."""
    console.print(f"[bold]Lineage of {of}[/bold]: {picture}")
    console.print("[bold]Look further[/bold]")
    for name, address in places.items():
        console.print(f"  {name:<11} {address}")
    console.print("The services go on running; [bold]make down[/bold] stops them.")
