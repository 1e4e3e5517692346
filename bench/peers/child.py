"""One job of the workload, in a process of a system's own environment, with the server that its setting sends to."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, NamedTuple

from bench.peers.servers import GateProcess, backend, gate
from bench.peers.settings import Setting

CHECKOUT = Path(__file__).resolve().parents[2]
WORKLOAD = CHECKOUT / "bench" / "peers" / "workload.py"
OURS = ("PYTHON", "PLLIB_", "MLFLOW_", "FLOWCEPT_", "OTEL_", "OPENLINEAGE_")
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "OTEL_SDK_DISABLED": "false", "NO_COLOR": "1"}


class JobFailed(Exception):
    """A job did not come to its end; the message is the last thing its process said."""


class Place(NamedTuple):
    """Where a setting's client and server keep what they keep, and how the server is reached."""

    folder: Path
    kept: Path
    """Where to look for what was captured; for a server that many jobs share, its folder."""
    server: str
    gate: GateProcess | None


class Places:
    """Gives each job a place of its own. MLflow's server and its database, which take long to make, are one for all."""

    def __init__(self, pythons: dict[str, str]) -> None:
        self.pythons = pythons
        self._stack = ExitStack()
        self._shared: dict[str, tuple[Path, int | None]] = {}

    def __enter__(self) -> Places:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def place(self, setting: Setting, gated: bool = False) -> Iterator[Place]:
        """An empty folder with the setting's server, in front of it a gate if asked for."""
        with TemporaryDirectory(prefix="pllib-bench-", ignore_cleanup_errors=True) as name, ExitStack() as stack:
            folder = kept = Path(name)
            if setting.shared:
                kept, port = self._once(setting.server)
            else:
                port = stack.enter_context(backend(setting.server, folder))
            front = stack.enter_context(gate(port)) if gated and port else None
            yield Place(folder, kept, _address(setting.server, kept, front.port if front else port), front)

    def _once(self, kind: str) -> tuple[Path, int | None]:
        if kind not in self._shared:
            kept = TemporaryDirectory(prefix="pllib-bench-", ignore_cleanup_errors=True)
            folder = Path(self._stack.enter_context(kept))
            self._shared[kind] = folder, self._stack.enter_context(backend(kind, folder, self.pythons["mlflow"]))
        return self._shared[kind]


def _address(kind: str, folder: Path, port: int | None) -> str:
    if kind == "sqlite":
        return f"sqlite:///{folder}/server.db"
    return f"{'redis' if kind == 'redis' else 'http'}://127.0.0.1:{port}" if port else ""


class Child:
    """A process that does a job and prints a line of JSON for each step."""

    def __init__(self, python: str, setting: Setting, job: str, place: Place, **given: Any) -> None:
        folder = given.pop("folder", place.folder)
        told = json.dumps({"folder": str(folder), "server": place.server, **given})
        environment = {name: text for name, text in os.environ.items() if not name.startswith(OURS)} | QUIET
        if setting.peer == "pllib":
            environment["PYTHONPATH"] = str(CHECKOUT)
        self._errors = TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(
            [python, str(WORKLOAD), setting.peer, setting.option, job, told],
            cwd=place.folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self._lines: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self._lines.put(line)
        self._lines.put("")

    def __enter__(self) -> Child:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._errors.close()

    def kill(self) -> None:
        """Ends it with no warning."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        with self._process:
            pass  # closes the pipes

    def go(self) -> None:
        """Lets it go on where it waits to be told."""
        if self._process.stdin is not None:
            self._process.stdin.write("\n")
            self._process.stdin.flush()

    def line(self, seconds: float) -> dict[str, Any] | None:
        """The next thing it says; None when it says nothing for so long.

        Raises:
            JobFailed: it ended.
        """
        try:
            line = self._lines.get(timeout=seconds)
        except queue.Empty:
            return None
        if not line:
            raise JobFailed(self._last_words())
        found: dict[str, Any] = json.loads(line)
        return found

    def _last_words(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return (lines or ["it ended and said nothing"])[-1].strip()[:200]


def run(python: str, setting: Setting, job: str, place: Place, limit: float, **given: Any) -> dict[str, Any]:
    """What a job of one step found.

    Raises:
        JobFailed: it ended early, or was not done in ``limit`` seconds.
    """
    with Child(python, setting, job, place, **given) as child:
        until = time.monotonic() + limit
        found = child.line(limit)
        if found is None or child.line(max(0.1, until - time.monotonic())) is None:
            if found is None:
                raise JobFailed(f"not done within {limit:.0f} s")
            return {**found, "unended": True}
        return found


def kept(python: str, setting: Setting, place: Place) -> int:
    """How many marked tasks are in what was left."""
    with Child(python, setting, "kept", place, folder=place.kept) as child:
        found = child.line(60)
    if found is None:
        raise JobFailed("what was left could not be read within 60 s")
    return int(found["kept"])


def size(folder: Path) -> int:
    """Bytes on disk of what a system keeps in a folder; not the sink's copy of what it was sent, nor the floor."""
    files = (path for path in folder.rglob("*") if path.is_file())
    counted = (path for path in files if path.name not in ("floor", "server.log") and "sink" not in path.parts)
    return sum(path.stat().st_size for path in counted)
