"""What it takes to extract a project of 1,000 commits and 200 runs and save it as PROV-JSON: CPU time and memory, git's included.

Floor: ``git log`` with the same changes, and a plain read of the same tables; what nobody can be quicker than.
"""

from __future__ import annotations

import json
import os
import resource
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench.measures import Measure, measure, table
from bench.projects import repository, tracking_store

COMMITS, RUNS, ROUNDS = 1_000, 200, 3
CHECKOUT = str(Path(__file__).resolve().parents[1])


def project(folder: Path, commits: int = COMMITS, runs: int = RUNS) -> tuple[str, str]:
    """Makes the project; where its repository is, and its tracking store."""
    made = repository(folder / "code", commits)
    return str(folder / "code"), tracking_store(folder / "mlflow.db", folder / "artifacts", runs, made)


def extracted(code: str, store: str, output: str, ids: str) -> dict[str, float]:
    """CPU seconds and MB of a process that extracts and saves, with what it starts."""
    command = [sys.executable, "-m", "pllib", "extract", "--repository_path", code, "--mlflow_url", store, "--ids", ids]
    program = (
        "import json, resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], check=True)\n"
        "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
        'print(json.dumps({"seconds": used.ru_utime + used.ru_stime, "memory": used.ru_maxrss / 1024}))\n'
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *command, "save", "--output", output, "--format", "json"],
        check=True,
        capture_output=True,
        text=True,
        timeout=600,
        env={**os.environ, "PYTHONPATH": CHECKOUT},
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def floor(code: str, store: str) -> float:
    """CPU seconds of the bare reads."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
    log = ["git", "-C", code, "log", "--all", "--raw", "-M", "-C", "-z"]
    subprocess.run(log, check=True, capture_output=True, timeout=600)
    database = sqlite3.connect(store[len("sqlite:///") :])
    for name in ("runs", "params", "tags", "metrics"):
        database.execute(f"SELECT * FROM {name}").fetchall()  # noqa: S608 - our own names
    after = resource.getrusage(resource.RUSAGE_CHILDREN), resource.getrusage(resource.RUSAGE_SELF)
    return sum(
        end.ru_utime + end.ru_stime - begin.ru_utime - begin.ru_stime for begin, end in zip(before, after, strict=True)
    )


def extraction() -> list[Measure]:
    """Both schemes of identifiers."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        code, store = project(folder)
        for ids in ("pllib", "mlflow2prov"):
            pairs = [(extracted(code, store, str(folder / ids), ids), floor(code, store)) for _ in range(ROUNDS)]
            size = (folder / f"{ids}.json").stat().st_size / 1e6
            told = f"extract {COMMITS:,} commits and {RUNS} runs, ids of {ids}, {size:.0f} MB of PROV-JSON"
            memory = max(one["memory"] for one, _ in pairs)
            times = [one["seconds"] for one, _ in pairs]
            bare = "git log and reading the tables"
            found.append(
                measure(
                    f"{told}, {memory:.0f} MB in memory",
                    times,
                    "s CPU",
                    "< 10 s, < 300 MB",
                    bare,
                    [low for _, low in pairs],
                )
            )
    return found


if __name__ == "__main__":
    print(table(extraction()))
