"""How fast a backlog gets into the store beside the store's own bulk load, what each stage costs, and when a capture is visible.

python -m bench.ingest            the figures of `measures`, some three minutes
python -m bench.ingest growth     a store of 0.1, 1 and 10 million triples: ingest on top of it, and point queries
"""

from __future__ import annotations

import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote
from urllib.request import Request, urlopen

from bench.measures import Measure, measure, table
from bench.pipeline import free_port, rows, stack
from bench.stores import BASE, NT, Server, cpu_seconds, get, lines, running, triples_in
from deploy.stores import Oxigraph, find_oxigraph

CHECKOUT = Path(__file__).resolve().parents[1]
TASKS = 8_000
RUNS = {"one run": 1, "eight runs": 8}
ROUNDS = 5
SIZES = (100_000, 1_000_000, 10_000_000)
PYTHON = [sys.executable, "-m"]
NOBODY = "http://127.0.0.1:1"
VALUES = "10 + 10 values"


# -- services


@contextmanager
def store(folder: Path) -> Iterator[Server]:
    """An Oxigraph over a folder, as the launcher runs it."""
    service = Oxigraph(find_oxigraph()).service(folder, free_port())
    with running([*service.command], service.url, service.health_path) as server:
        yield server


@contextmanager
def manager(back: Server) -> Iterator[Server]:
    """A manager before a store that has the vocabulary by then."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with running([*PYTHON, "manager", "--port", str(port), "--store-url", back.url], url, "/health") as server:
        yield server


@contextmanager
def tracker(folder: Path, manager_url: str) -> Iterator[Server]:
    """A tracker on a folder."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [*PYTHON, "tracker", "--port", str(port), "--manager-url", manager_url, "--data", str(folder)]
    with running(command, url, "/health") as server:
        yield server


def _until_delivered(server: Server) -> None:
    """Returns when nothing waits in a tracker, which forgets an entry only when it is visible."""
    while get(server.url + "/v1/stats")["queue"]["depth"]:
        time.sleep(0.05)


class Spent:
    """CPU seconds that processes use from now on."""

    def __init__(self, **servers: Server) -> None:
        self._servers = servers
        self._before = {name: cpu_seconds(server.pid) for name, server in servers.items()}

    def by_process(self) -> dict[str, float]:
        return {name: cpu_seconds(server.pid) - self._before[name] for name, server in self._servers.items()}


# -- what is shipped


def spool(folder: Path, tasks: int, runs: int) -> float:
    """A spool of tasks in so many runs, as a script without a tracker leaves it; CPU seconds of the script."""
    more = {"PLLIB_MODE": "disk", "PLLIB_SPOOL": str(folder)}
    return _cpu_of([*PYTHON, "bench.ingest", "script", str(tasks), str(runs)], more)


def ship(folder: Path, url: str) -> float:
    """Sends a spool; CPU seconds of the client."""
    return _cpu_of([*PYTHON, "pllib", "ship", str(folder), "--url", url], {})


def _cpu_of(command: list[str], more: dict[str, str]) -> float:
    """CPU seconds of a process from its start to its end."""
    environment = {**os.environ, "PYTHONPATH": str(CHECKOUT), **more}
    before = os.times()
    subprocess.run(command, env=environment, cwd=CHECKOUT, check=True, timeout=300, capture_output=True)
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


# -- a backlog


class Drained(NamedTuple):
    """What a backlog of so many tasks cost; ``cpu`` in seconds by process."""

    tasks: int
    triples: int
    seconds: float
    cpu: dict[str, float]


def backlog(folder: Path, tasks: int, runs: int) -> Path:
    """The data folder of a tracker that took so many tasks while there was no manager."""
    spool(folder / "spool", tasks, runs)
    with tracker(folder / "tracker", NOBODY) as server:
        ship(folder / "spool", server.url)
    return folder / "tracker"


def drain(waiting: Path, tasks: int, dump: Path) -> Drained:
    """What it takes to deliver a copy of such a folder into a fresh store, whose triples are then dumped into a file."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name, ExitStack() as services:
        folder = Path(name)
        shutil.copytree(waiting, folder / "tracker")
        back = services.enter_context(store(folder))
        between = services.enter_context(manager(back))
        before, spent = triples_in(back), Spent(store=back, manager=between)
        front = services.enter_context(tracker(folder / "tracker", between.url))
        began, spent_by_tracker = time.perf_counter(), Spent(tracker=front)
        _until_delivered(front)
        seconds = time.perf_counter() - began
        cpu = spent.by_process() | spent_by_tracker.by_process()
        if not dump.exists():
            _dump(back, dump)
        return Drained(tasks, triples_in(back) - before, seconds, cpu)


def _dump(back: Server, file: Path) -> None:
    request = Request(back.url + "/store?default", headers={"Accept": NT})
    with urlopen(request, timeout=300) as answer, file.open("wb") as out:
        shutil.copyfileobj(answer, out)


def load(triples: Path) -> tuple[float, float]:
    """Seconds and CPU seconds of the store's own bulk load of a file into a fresh database."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        began = time.perf_counter()
        cpu = _cpu_of(Oxigraph(find_oxigraph()).loading(triples, Path(folder) / "store"), {})
        return time.perf_counter() - began, cpu


def upload(triples: Path) -> float:
    """Seconds of the same by one request to the bulk loader of a running server."""
    text = triples.read_bytes()
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder, store(Path(folder)) as back:
        began = time.perf_counter()
        back.post("/store?default&no_transaction", text, NT)
        return time.perf_counter() - began


def under_backlog(rounds: int = ROUNDS) -> list[Measure]:
    """Triples a second from a full queue until all is visible, beside the faster of the store's two ways to take a file; and
    CPU time a task of each process."""
    measures: list[Measure] = []
    cpu: dict[str, list[float]] = defaultdict(list)
    for what, runs in RUNS.items():
        rates, tasks_a_second, floors, shares = [], [], [], []
        with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name:
            folder = Path(name)
            waiting, dump = backlog(folder, TASKS, runs), folder / "all.nt"
            for _ in range(rounds):
                found = drain(waiting, TASKS, dump)
                with dump.open("rb") as file:
                    triples = sum(1 for _ in file)
                seconds, loading = load(dump)
                floors.append(triples / min(seconds, upload(dump)))
                rates.append(found.triples / found.seconds)
                tasks_a_second.append(found.tasks / found.seconds)
                shares.append(sum(found.cpu.values()) / loading)
                for process, used in found.cpu.items():
                    cpu[process].append(used / TASKS * 1e6)
        name = f"backlog of {TASKS:,} tasks of {VALUES}, {what}"
        ingest = measure(
            f"ingest, {name}", rates, "triples/s", "≥ 0.8 of the floor", "the store's own bulk load", floors
        )
        measures += [
            ingest._replace(reach="backlog", reached=(ingest.ratio or 0) >= 0.8),
            measure(f"ingest, {name}", tasks_a_second, "tasks/s", "–")._replace(reach="backlog-lmdb"),
            measure(f"CPU time of all processes, {name}", shares, "times that of the store's own load", "–"),
        ]
    return [*measures, *(measure(f"CPU, {name}, backlog", found, "µs a task", "–") for name, found in cpu.items())]


# -- the whole way


def whole_way(rounds: int = ROUNDS) -> list[Measure]:
    """From a spool to the store with all services up: tasks a second, how fast the tracker accepts, and CPU time a task."""
    rates, accepted = [], []
    cpu: dict[str, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name, ExitStack() as services:
        folder = Path(name)
        back = services.enter_context(store(folder))
        between = services.enter_context(manager(back))
        front = services.enter_context(tracker(folder / "tracker", between.url))
        for turn in range(rounds + 1):  # the first warms all up
            captured = spool(folder / f"{turn}", TASKS, 8)
            spent, began = Spent(tracker=front, manager=between, store=back), time.perf_counter()
            shipped = ship(folder / f"{turn}", front.url)
            taken = time.perf_counter() - began
            _until_delivered(front)
            if turn:
                rates.append(TASKS / (time.perf_counter() - began))
                accepted.append(TASKS / taken)
                used = {"client, capture": captured, "client, ship": shipped} | spent.by_process()
                for process, seconds in used.items():
                    cpu[process].append(seconds / TASKS * 1e6)
    what = f"`pllib ship` of {TASKS:,} tasks of {VALUES}, eight runs"
    return [
        measure(f"spool → visible, {what}", rates, "tasks/s", "–"),
        measure(f"spool → accepted by the tracker, {what}", accepted, "tasks/s", "–"),
        *(measure(f"CPU, {name}, whole way", found, "µs a task", "–") for name, found in cpu.items()),
    ]


# -- time until visible


def visible(at_rest: int = 40, bursts: int = 8, size: int = 500) -> list[Measure]:
    """Milliseconds from the end of a task until the store answers with what it generated: alone, and as the last of a burst."""
    os.environ["PLLIB_MODE"] = "process"
    import pllib

    alone: list[float] = []
    last: list[float] = []
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder, stack() as urls:
        pllib.configure(url=urls["tracker"], spool=folder, mode="process")
        with pllib.workflow("visible") as wf:
            for found, count, burst in ((alone, at_rest, 1), (last, bursts, size)):
                for number in range(count + 1):  # the first warms all up
                    for place in range(burst):
                        with wf.task("step", used={f"x{each}": random.random() for each in range(10)}) as task:
                            mark = random.random()
                            task.generated(
                                {f"x{each}": mark + each for each in range(9)} | {"mark": f"m{mark}-{place}"}
                            )
                    ended = time.perf_counter()
                    _until_asked(urls["store"], f'ASK {{ ?v <http://www.w3.org/ns/prov#value> "m{mark}-{place}" }}')
                    if number:
                        found.append((time.perf_counter() - ended) * 1000)
                    time.sleep(0.1 + 0.3 * random.random())
        pllib.shutdown()
    return [
        *(
            one._replace(reach="visible", reached=one.value <= bound)
            for one, bound in zip(
                _percentiles("task → visible, at rest", alone, {50: "≤ 500 ms", 99: "≤ 1,000 ms"}),
                (500, 1000),
                strict=True,
            )
        ),
        *_percentiles(f"last of a burst of {size} tasks of {VALUES} → visible", last, {50: "–", 99: "–"}),
    ]


def _percentiles(what: str, samples: list[float], aims: dict[int, str]) -> list[Measure]:
    ordered = sorted(samples)
    return [
        measure(f"{what}, p{part}", [ordered[min(len(ordered) * part // 100, len(ordered) - 1)]], "ms", aim)
        for part, aim in aims.items()
    ]


def _until_asked(url: str, query: str) -> None:
    address = Request(f"{url}/query?query={quote(query)}", headers={"Accept": "application/sparql-results+json"})
    while True:
        with urlopen(address, timeout=60) as answer:
            if json.load(answer)["boolean"]:
                return
        time.sleep(0.005)


def measures() -> list[Measure]:
    """All but `growth`, in some three minutes on a machine at rest."""
    return [*under_backlog(), *whole_way(), *visible()]


# -- growth


def growth(rounds: int = ROUNDS) -> list[Measure]:
    """Ingest of a backlog, and point queries, with so many triples of other runs in the store; the floor is the smallest store."""
    rates: dict[int, list[float]] = defaultdict(list)
    answers: dict[int, list[float]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name, ExitStack() as services:
        folder = Path(name)
        ways = {}
        for size in SIZES:
            back = services.enter_context(_with_triples(folder / f"{size}", size))
            between = services.enter_context(manager(back))
            ways[size] = back, services.enter_context(tracker(folder / f"{size}" / "tracker", between.url))
        for turn in range(rounds + 1):  # the first warms all up
            for size, (back, front) in ways.items():
                spool(folder / "spool", TASKS // 4, 8)
                began = time.perf_counter()
                ship(folder / "spool", front.url)
                _until_delivered(front)
                seconds = time.perf_counter() - began
                if turn:
                    rates[size].append(TASKS / 4 / seconds)
                    answers[size].append(_point_query(back))
    smallest, *greater = SIZES
    floor = f"{smallest:,} triples"
    what = "growth: spool → visible on top of {:,} triples"
    asked = "growth: all of one task, in {:,} triples"
    ingested = (
        measure(what.format(n), rates[n], "tasks/s", "≥ 0.7 of the floor", floor, rates[smallest]) for n in greater
    )
    return [
        *(one._replace(reach="growth", reached=(one.ratio or 0) >= 0.7) for one in ingested),
        *(measure(asked.format(n), answers[n], "ms", "flat", floor, answers[smallest]) for n in greater),
    ]


@contextmanager
def _with_triples(folder: Path, size: int) -> Iterator[Server]:
    """A store of so many triples of other runs."""
    folder.mkdir()
    generator = random.Random(size)
    triples = folder / "triples.nt"
    with triples.open("w") as file:
        for _ in range(0, size, 100_000):
            file.writelines(line + "\n" for line in lines(min(size, 100_000), generator))
    load_into = Oxigraph(find_oxigraph())
    _cpu_of(load_into.loading(triples, load_into.database(folder)), {})
    triples.unlink()
    with store(folder) as server:
        yield server


def _point_query(back: Server) -> float:
    """Milliseconds to ask for all that is said of a task, by its IRI."""
    influenced = f"<http://www.w3.org/ns/prov#wasInfluencedBy> <{BASE}workflow/ingest/transformation/step>"
    found = rows(back.url, f"SELECT ?t {{ ?t {influenced} }} LIMIT 50")
    taken = []
    for row in found:
        began = time.perf_counter()
        rows(back.url, f"SELECT ?p ?o {{ <{row['t']}> ?p ?o }}")
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken)


if __name__ == "__main__":
    if sys.argv[1:2] == ["script"]:
        _script(int(sys.argv[2]), int(sys.argv[3]))
    else:
        print(table(growth() if sys.argv[1:] == ["growth"] else measures()))
