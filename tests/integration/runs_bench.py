"""Starts scripts with runs as processes that capture to disk, and reads what they captured."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pllib import spool

ROOT = Path(__file__).parents[2]
HEAD = """
import multiprocessing, os, sys, threading, time
import pllib
QUIET = {"code": False, "environment": False}
"""
LAUNCHED = (
    "OMPI_", "PMI_", "PMIX_", "SLURM_", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "TORCHELASTIC", "MPI_", "PLLIB_",
)  # fmt: skip
Record = dict[str, Any]


class Bench:
    """Starts scripts that capture to disk, and reads what they captured."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spool = folder, folder / "spool"

    def script(self, code: str, path: Path | None = None) -> Path:
        path = path or self.folder / "script.py"
        path.write_text(HEAD + code)
        return path

    def start(self, *command: str | Path, **environ: str) -> subprocess.Popen[str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED)}
        environment = {
            **clean,
            "PYTHONPATH": str(ROOT),
            "PLLIB_MODE": "disk",
            "PLLIB_SPOOL": str(self.spool),
            "PLLIB_TEST_SESSION": os.environ.get("PLLIB_TEST_SESSION", ""),
            **environ,
        }
        return subprocess.Popen(
            [str(word) for word in command],
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def finish(self, started: Iterable[subprocess.Popen[str]], code: int | tuple[int, ...] = 0) -> list[str]:
        """What each printed, once they have ended."""
        told = []
        for process in started:
            try:
                out, err = process.communicate(timeout=90)
            finally:
                process.kill()
            assert process.returncode in (code if isinstance(code, tuple) else (code,)), err
            assert "pllib:" not in err, err
            told.append(out)
        return told

    def run(
        self,
        code: str,
        *before: str,
        exit_code: int | tuple[int, ...] = 0,
        arguments: Iterable[str] = (),
        **environ: str,
    ) -> str:
        command = [*before, sys.executable, self.script(code), *arguments]
        return self.finish([self.start(*command, **environ)], exit_code)[0]

    def records(self) -> list[Record]:
        folder = str(self.spool)
        found: list[Record] = []
        for producer in spool.producers(folder) if self.spool.is_dir() else ():
            for number in spool.segments(folder, producer):
                frames = spool.read_segment(folder, producer, number)
                found += [
                    {**json.loads(frame.payload), "by": producer} for frame in frames if frame.payload is not None
                ]
        return found

    def of(self, op: str, **fields: Any) -> list[Record]:
        return [r for r in self.records() if r["op"] == op and all(r.get(n) == v for n, v in fields.items())]


def points(records: Iterable[Record]) -> list[tuple[int, Any]]:
    found = []
    for record in records:
        step = 0
        for difference, value in zip(record["steps"], record["values"], strict=True):
            step += difference
            found.append((step, value))
    return sorted(found)


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=ana", "-c", "user.email=ana@example.org", "-c", "commit.gpgsign=false")
    command = ["git", *identity, "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=30).stdout.strip()
