"""The services that a demonstration runs on, and its scripts, one process each."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from deploy.state import read_run
from pllib.query import get_json

CHECKOUT = Path(__file__).resolve().parents[2]


def default_data() -> Path:
    """The services' folder, unless one is named: PLLIB_DATA, else ./data."""
    return Path(os.environ.get("PLLIB_DATA") or CHECKOUT / "data")


def services(console: Console, data: Path) -> dict[str, str]:
    """Addresses of running services by name; started when they do not run."""
    status = [sys.executable, "-m", "deploy", "status", "--data", str(data)]
    if subprocess.run(status, cwd=CHECKOUT, capture_output=True, check=False).returncode != 0:
        # What is left of a stack in which something does not work is stopped first; nothing happens where none runs.
        subprocess.run([*status[:3], "down", *status[4:]], cwd=CHECKOUT, capture_output=True, check=False)
        console.print("[bold]Starting the services[/bold]")
        started = subprocess.run(
            [sys.executable, "-m", "deploy", "up", "--detach", "--data", str(data)], cwd=CHECKOUT, check=False
        )
        if started.returncode != 0:
            raise SystemExit(started.returncode)
    run = read_run(data)
    if run is None:
        raise SystemExit(f"the services in {data} did not say where they are")
    return run.urls


class Scripts:
    """The scripts of one example, captured by the tracker of a stack.

    Args:
        folder: where the scripts lie.
        data: the services' folder; spool files go there, too.
        urls: addresses of the services.
    """

    def __init__(self, folder: Path, data: Path, urls: dict[str, str]) -> None:
        self._folder = folder
        self._environment = {
            **os.environ,
            "PLLIB_URL": urls["tracker"],
            "PLLIB_SPOOL": str(data / "spool"),
            "PYTHONPATH": str(CHECKOUT),
        }

    def start(self, name: str, *arguments: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, str(self._folder / f"{name}.py"), *arguments], env=self._environment)

    def run(self, name: str, *arguments: str) -> None:
        """Starts a script and waits for its end."""
        finished(self.start(name, *arguments), name)


def finished(process: subprocess.Popen[bytes], name: str) -> None:
    """Waits for the end of a script. Raises SystemExit where it failed."""
    if process.wait() != 0:
        raise SystemExit(f"{name}.py failed")


def settled(tracker: str, seconds: float = 30.0) -> None:
    """Waits until the graph holds all that scripts which have ended have told the tracker."""
    until(lambda: not get_json(tracker, "/v1/stats")["queue"]["depth"], "the provenance did not arrive", seconds)


def until(true: Callable[[], bool], told: str, seconds: float) -> None:
    """Waits for something that becomes true. Raises SystemExit with ``told`` where it does not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise SystemExit(told)
        time.sleep(0.1)
