"""Starts scripts that use pllib.prov4ml as processes in a folder of their own, and reads what they left there."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from prov.model import ProvDocument

from pllib import prov
from tests.integration.runs_bench import LAUNCHED

ROOT = Path(__file__).parents[2]
HEAD = """
import os, sys, threading, time
import pllib.prov4ml as prov4ml
T = prov4ml.Context.TRAINING
def start(*args, **named):
    prov4ml.start_run("digits", "www.example.org", "prov", *args, disable_codecarbon=True, **named)
"""
Json = dict[str, Any]


def run_strictly(
    command: Sequence[str | Path], folder: Path, timeout: int = 120, **environ: str
) -> subprocess.CompletedProcess[str]:
    """Runs a command in a folder, strict and without the settings of whoever runs the tests; it must end well."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED)}
    told = subprocess.run(
        command,
        cwd=folder,
        env={**clean, "PYTHONPATH": str(ROOT), "PLLIB_STRICT": "yes", **environ},
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert told.returncode == 0, told.stderr
    return told


class Bench:
    """Starts scripts in a folder of their own, and reads what they left there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[subprocess.Popen[str]] = []

    def start(self, code: str, **environ: str) -> subprocess.Popen[str]:
        path = self.folder / f"script{len(self.started)}.py"
        path.write_text(HEAD + code)
        clean = {name: value for name, value in os.environ.items() if not name.startswith(LAUNCHED)}
        process = subprocess.Popen(
            [sys.executable, path],
            cwd=self.folder,
            env={**clean, "PYTHONPATH": str(ROOT), **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def run(self, code: str, exit_code: int = 0, **environ: str) -> tuple[str, str]:
        process = self.start(code, **environ)
        out, err = process.communicate(timeout=90)
        assert process.returncode == exit_code, err
        return out, err

    def kill_all(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate()

    def all_end(self) -> None:
        for process in self.started:
            _, err = process.communicate(timeout=90)
            assert process.returncode == 0, err

    def runs(self) -> list[Path]:
        return sorted(each for each in self.folder.glob("prov/*") if each.is_dir() and not each.name.startswith("."))

    def document(self, number: int = 0, rank: int = 0, name: str = "digits") -> Json:
        path = self.folder / "prov" / f"{name}_{number}" / f"prov_{name}_GR{rank}_{number}.json"
        assert list(prov.validate(prov.read(path))) == []
        ProvDocument.deserialize(str(path))
        return dict(json.loads(path.read_text()))


def executions(document: Json) -> dict[str, Json]:
    return {
        name: each
        for name, each in document["activity"].items()
        if "provml:LearningProcessExecution" in json.dumps(each.get("prov:type"))
    }


def the_run(document: Json) -> Json:
    (run,) = executions(document).values()
    return run


def points(path: Path) -> list[tuple[int, float]]:
    with path.open(newline="") as file:
        return [(int(step), float(value)) for step, value, _ in list(csv.reader(file))[1:]]


def count(document: Json, series: str) -> int:
    """The points of a series in the document."""
    entity = next(
        each for name, each in document["entity"].items() if name.endswith(f"/{series}") and "provlake:points" in each
    )
    chunks = entity["provlake:points"]
    return sum(len(json.loads(each["$"])["values"]) for each in (chunks if isinstance(chunks, list) else [chunks]))


def export(spool: Path) -> str:
    out = subprocess.run(
        [sys.executable, "-m", "pllib", "prov", "export", "--spool", spool], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True,
    )  # fmt: skip
    return out.stdout
