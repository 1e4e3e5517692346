"""How fast a backlog gets into the store beside the store's own bulk load, what each stage costs, and when a capture is visible.

python -m bench.ingest            the figures of `measures`, some three minutes
python -m bench.ingest growth     a store of 0.1, 1 and 10 million triples: ingest on top of it, and point queries
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from bench.measures import Measure, measure, table
from bench.pipeline import free_port, rows
from bench.stores import Server, running
from deploy.stores import Oxigraph, find_oxigraph

CHECKOUT = Path(__file__).resolve().parents[1]
TASKS = 8_000
RUNS = 8
ROUNDS = 5
COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
NT = "application/n-triples"
PYTHON = [sys.executable, "-m"]
NOBODY = "http://127.0.0.1:1"


@contextmanager
def store(folder: Path) -> Iterator[Server]:
    """An Oxigraph over a folder, as the launcher runs it."""
    service = Oxigraph(find_oxigraph()).service(folder, free_port())
    with running([*service.command], service.url, service.health_path) as server:
        yield server


@contextmanager
def manager(back: Server) -> Iterator[Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([*PYTHON, "manager", "--port", str(port), "--store-url", back.url], url, "/health") as server:
        yield server


@contextmanager
def tracker(folder: Path, manager_url: str) -> Iterator[Server]:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*PYTHON, "tracker", "--port", str(port), "--manager-url", manager_url, "--data", str(folder)]
    with running(command, url, "/health") as server:
        yield server


# -- what is shipped


def spool(folder: Path, tasks: int, runs: int) -> float:
    """A spool of tasks of 10 values in and 10 out in so many runs, as a script without a tracker leaves it; its CPU seconds."""
    environment = {**os.environ, "PLLIB_MODE": "disk", "PLLIB_SPOOL": str(folder), "PYTHONPATH": str(CHECKOUT)}
    command = [*PYTHON, "bench.ingest", "script", str(tasks), str(runs)]
    return _cpu_of(command, environment)


def _cpu_of(command: list[str], environment: dict[str, str]) -> float:
    """CPU seconds of a process, from its start to its end."""
    before = os.times()
    subprocess.run(command, env=environment, cwd=CHECKOUT, check=True, timeout=300, stdout=subprocess.DEVNULL)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


def _script(tasks: int, runs: int) -> None:
    import pllib

    generator = random.Random()
    for _ in range(runs):
        values = {f"x{number}": generator.random() for number in range(10)}
        with pllib.workflow("ingest") as wf:
            for _ in range(tasks // runs):
                with wf.task("step", used=values) as task:
                    values = {f"x{number}": generator.random() for number in range(10)}
                    task.generated(values)


def ship(folder: Path, url: str) -> float:
    """Sends a spool; CPU seconds of the client."""
    return _cpu_of([*PYTHON, "pllib", "ship", str(folder), "--url", url], {**os.environ, "PYTHONPATH": str(CHECKOUT)})


def get(url: str) -> Any:
    with urlopen(url, timeout=30) as answer:
        return json.load(answer)


def depth(server: Server) -> int:
    return int(get(server.url + "/v1/stats")["queue"]["depth"])


def count(back: Server) -> int:
    return int(rows(back.url, COUNT)[0]["n"])


def cpu(server: Server) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# -- a backlog


@dataclass
class Drained:
    seconds: float
    triples: int
    commits: int
    cpu: dict[str, float]


def backlog(folder: Path, tasks: int, runs: int) -> Path:
    """The data folder of a tracker that took so many tasks while there was no manager."""
    spool(folder / "spool", tasks, runs)
    data = folder / "tracker"
    with tracker(data, NOBODY) as server:
        ship(folder / "spool", server.url)
    return data


def drain(waiting: Path, dump_to: Path | None = None) -> Drained:
    """How a tracker with a copy of that folder delivers all of it into a fresh store."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        shutil.copytree(waiting, folder / "tracker")
        back = stack.enter_context(store(folder))
        between = stack.enter_context(manager(back))
        before, busy, commits = count(back), {"store": cpu(back), "manager": cpu(between)}, _commits(between)
        front = stack.enter_context(tracker(folder / "tracker", between.url))
        began = time.perf_counter()
        busy["tracker"] = cpu(front)
        while depth(front):
            time.sleep(0.05)
        seconds = time.perf_counter() - began
        parts = {"store": back, "manager": between, "tracker": front}
        spent = {name: cpu(server) - busy[name] for name, server in parts.items()}
        if dump_to:
            with (
                urlopen(Request(back.url + "/store?default", headers={"Accept": NT}), timeout=300) as answer,
                dump_to.open("wb") as file,
            ):
                shutil.copyfileobj(answer, file)
        return Drained(seconds, count(back) - before, _commits(between) - commits, spent)


def _commits(server: Server) -> int:
    with urlopen(server.url + "/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return int(
        float(
            next(line for line in text.splitlines() if line.startswith("pllib_manager_store_seconds_count")).split()[-1]
        )
    )


def load_file(triples: Path) -> float:
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        began = time.perf_counter()
        subprocess.run(
            Oxigraph(find_oxigraph()).loading(triples, Path(folder) / "store"), check=True, capture_output=True
        )
        return time.perf_counter() - began


def post_file(triples: Path, size: int = 0) -> float:
    """Seconds of a server to load a file by its bulk loader."""
    text = triples.read_bytes()
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder, store(Path(folder)) as back:
        if size:
            lines = text.splitlines(keepends=True)
            pieces = [b"".join(lines[start : start + size]) for start in range(0, len(lines), size)]
        else:
            pieces = [text]
        began = time.perf_counter()
        for piece in pieces:
            back.post("/store?default&no_transaction", piece, NT)
        return time.perf_counter() - began


if __name__ == "__main__":
    if sys.argv[1:2] == ["script"]:
        _script(int(sys.argv[2]), int(sys.argv[3]))
