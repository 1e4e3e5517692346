"""Fuseki: which way of writing is the fastest, and what of it is left when captures come all the way through the services.

python -m bench.stores writes      100, 1,000 and 10,000 triples a request, by each way that a server has, in turn
python -m bench.stores ingest      `pllib ship` of many tasks until all is in the store, beside bare uploads of the same triples
python -m bench.stores managers    the same documents into one manager and into two, and who was busy meanwhile
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from bench.measures import Measure, measure, table
from bench.pipeline import free_port, rows
from deploy import fuseki

CHECKOUT = Path(__file__).resolve().parents[1]
SIZES = (100, 1_000, 10_000)
ROUNDS = 9
TASKS = 3_000
COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"
NT, NQ, UPDATE = "application/n-triples", "application/n-quads", "application/sparql-update"
BASE = "http://127.0.0.1:8472/id/"


@dataclass(frozen=True)
class Server:
    """A process that answers at an address."""

    url: str
    pid: int

    def post(self, path: str, body: bytes, content_type: str) -> None:
        """A request on a connection of its own thread, which stays open; once more where the server had closed it."""
        parts = urlsplit(self.url)
        at = (parts.netloc, threading.get_ident())
        for last in (False, True):
            connection = _connections.setdefault(at, HTTPConnection(parts.netloc, timeout=120))
            try:
                connection.request("POST", parts.path + path, body, {"Content-Type": content_type})
                answer = connection.getresponse()
                told = answer.read()
                break
            except ConnectionError:
                del _connections[at]
                if last:
                    raise
        if answer.status >= 300:
            raise SystemExit(f"{self.url}{path} answered {answer.status}: {told[:300]!r}")


_connections: dict[tuple[str, int], HTTPConnection] = {}


@contextmanager
def running(command: list[str], url: str, health: str) -> Iterator[Server]:
    """A server process, from when it answers until the end of the block."""
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while True:
            try:
                with urlopen(url + health, timeout=5):
                    break
            except OSError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SystemExit(f"{command[0]} did not start") from None
                time.sleep(0.1)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait(60)


@contextmanager
def store() -> Iterator[Server]:
    """An empty Fuseki, as the launcher runs it."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        found = fuseki.find(lambda line: print(line, file=sys.stderr))
        found.prepare(Path(folder))
        service = found.service(Path(folder), free_port())
        with running([*service.command], service.url, service.health_path) as server:
            yield server


# -- ways of writing


def lines(count: int, generator: random.Random) -> list[str]:
    """Triples as executions have them: a few each, of texts, numbers, times and links."""
    made: list[str] = []
    while len(made) < count:
        node = f"<{BASE}execution/w/{generator.getrandbits(48):x}"
        made += [
            f"{node}> <http://www.w3.org/1999/02/22-rdf-syntax-ns#type> <https://w3id.org/pllib/provlake#DataTransformationExecution> .",
            f"{node}> <http://www.w3.org/ns/prov#used> {node}/x> .",
            f'{node}/x> <http://www.w3.org/ns/prov#value> "{generator.random()}e0"^^<http://www.w3.org/2001/XMLSchema#double> .',
            f'{node}> <https://w3id.org/pllib/provlake#status> "finished" .',
        ]
    return made[:count]


def _as_lines(made: list[str]) -> bytes:
    return ("\n".join(made) + "\n").encode()


WAYS: dict[str, tuple[str, str, Callable[[list[str]], bytes]]] = {
    "graph store, N-Triples": ("/data?default", NT, _as_lines),
    "update, INSERT DATA": ("/update", UPDATE, lambda made: b"INSERT DATA {\n" + _as_lines(made) + b"}"),
    "quads endpoint, N-Quads": ("/data", NQ, _as_lines),
}


def writes() -> list[Measure]:
    """Triples a second of each way beside the first one, which take turns."""
    measures = []
    with store() as server:
        generator = random.Random(1)
        for size in SIZES:
            rates: dict[str, list[float]] = {name: [] for name in WAYS}
            for turn in range(ROUNDS + 3):
                for name, (path, content_type, body) in WAYS.items():
                    requests = max(1, 2_000 // size)
                    bodies = [body(lines(size, generator)) for _ in range(requests)]
                    began = time.perf_counter()
                    for each in bodies:
                        server.post(path, each, content_type)
                    if turn > 2:
                        rates[name].append(size * requests / (time.perf_counter() - began))
            first = next(iter(WAYS))
            measures += [
                measure(f"{name}, {size:,} triples", found, "triples/s", "–", first, rates[first])
                for name, found in rates.items()
            ]
    return measures


# -- all the way


def spooled(folder: Path, tasks: int) -> None:
    """A spool of tasks of 10 values in and 10 out, as a script without a tracker leaves it."""
    environment = {**os.environ, "PLLIB_MODE": "disk", "PLLIB_SPOOL": str(folder), "PYTHONPATH": str(CHECKOUT)}
    command = [sys.executable, "-m", "bench.stores", "script", str(tasks)]
    subprocess.run(command, env=environment, cwd=CHECKOUT, check=True, timeout=300)


def _script(tasks: int) -> None:
    import pllib

    generator = random.Random()
    values = {f"x{number}": generator.random() for number in range(10)}
    with pllib.workflow("stores") as wf:
        for _ in range(tasks):
            with wf.task("step", used=values) as task:
                values = {f"x{number}": generator.random() for number in range(10)}
                task.generated(values)


def triples_in(server: Server) -> int:
    """How many triples a store holds."""
    return int(rows(server.url, COUNT)[0]["n"])


def ingest(rounds: int = 3) -> list[Measure]:
    """Triples a second from `pllib ship` to the store, beside uploads of the same triples in as large requests."""
    shares: list[float] = []
    floors: list[float] = []
    for _ in range(rounds):
        with _services(1) as (back, _, tracker), tempfile.TemporaryDirectory() as spool:
            _ship(back, tracker, Path(spool), TASKS // 4)  # warms all up
            before, commits = triples_in(back), _commits(tracker)
            seconds = _ship(back, tracker, Path(spool), TASKS)
            triples = triples_in(back) - before
            batch = triples // max(1, _commits(tracker) - commits)
            text = _dump(back)
            shares.append(triples / seconds)
        with store() as server:
            warm = len(text) - triples
            _upload(server, text[:warm], batch)
            began = time.perf_counter()
            _upload(server, text[warm:], batch)
            floors.append(triples / (time.perf_counter() - began))
        print(f"  {triples:,} triples, {batch:,} a commit", file=sys.stderr, flush=True)
    what = f"spool → tracker → manager → Fuseki, {TASKS:,} tasks of 10 + 10 values"
    return [measure(what, shares, "triples/s", "≥ 0.7", "bare graph store uploads, one after another", floors)]


def _ship(back: Server, tracker: Server, spool: Path, tasks: int) -> float:
    """Seconds from the start of the shipping until nothing waits."""
    folder = spool / f"spool-{tasks}"
    spooled(folder, tasks)
    began = time.perf_counter()
    command = [sys.executable, "-m", "pllib", "ship", str(folder), "--url", tracker.url]
    subprocess.run(command, cwd=CHECKOUT, check=True, timeout=300, stdout=subprocess.DEVNULL)
    while get(tracker.url + "/v1/stats")["queue"]["depth"]:
        time.sleep(0.02)
    return time.perf_counter() - began


def get(url: str) -> Any:
    with urlopen(url, timeout=30) as answer:
        return json.load(answer)


def _commits(tracker: Server) -> int:
    return int(_metric(_MANAGERS[tracker.url], "pllib_manager_store_seconds_count"))


def _metric(url: str, name: str) -> float:
    with urlopen(url + "/metrics", timeout=30) as answer:
        text = answer.read().decode()
    return float(next(line for line in text.splitlines() if line.startswith(name)).split()[-1])


_MANAGERS: dict[str, str] = {}


def _dump(server: Server) -> list[bytes]:
    with urlopen(Request(server.url + "/data?default", headers={"Accept": NT}), timeout=300) as answer:
        return list(answer)


def _upload(server: Server, text: list[bytes], batch: int) -> None:
    for start in range(0, len(text), batch):
        server.post("/data?default", b"".join(text[start : start + batch]), NT)


@contextmanager
def _services(managers: int) -> Iterator[tuple[Server, list[Server], Server]]:
    """Fuseki, so many managers, and a tracker before the first of them."""
    with store() as back, tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        at_store = ["--store-url", back.url, "--store-kind", "fuseki"]
        ports = [free_port() for _ in range(managers + 1)]
        urls = [f"http://127.0.0.1:{port}" for port in ports]
        python = [sys.executable, "-m"]
        with ExitStack() as stack:
            found = [
                stack.enter_context(running([*python, "manager", "--port", str(port), *at_store], url, "/health"))
                for port, url in zip(ports[1:], urls[1:])
            ]
            command = [*python, "tracker", "--port", str(ports[0]), "--manager-url", urls[1], "--data", folder]
            tracker = stack.enter_context(running(command, urls[0], "/health"))
            _MANAGERS[tracker.url] = urls[1]
            yield back, found, tracker


# -- two managers


def managers(groups: int = 120) -> list[Measure]:
    """Triples a second of so many groups of documents into one manager, and into two, four requests at a time."""
    rates: dict[int, list[float]] = {1: [], 2: []}
    busy: dict[int, list[str]] = {1: [], 2: []}
    with _services(2) as (back, found, _):
        for turn in range(5):
            for number in (1, 2):
                bodies = [_group() for _ in range(groups)]
                _connections.clear()  # those of the turn before were closed meanwhile
                before, began, used = triples_in(back), time.perf_counter(), _cpu([back, *found])
                with ThreadPoolExecutor(4) as pool:
                    posts = [(found[each % number], group) for each, group in enumerate(bodies)]
                    list(pool.map(lambda post: post[0].post("/v1/prov-ml", post[1], "application/json"), posts))
                seconds = time.perf_counter() - began
                if turn:
                    rates[number].append((triples_in(back) - before) / seconds)
                    busy[number].append(_busy(used, _cpu([back, *found]), seconds))
    for number, texts in busy.items():
        print(f"  {number} manager(s): {texts[-1]}", file=sys.stderr)
    return [measure("two managers into Fuseki", rates[2], "triples/s", "> 1", "one manager", rates[1])]


def _group() -> bytes:
    """PROV-ML of 20 tasks of 10 + 10 values."""
    generator = random.Random()
    mark = f"{generator.getrandbits(48):x}"
    activities, entities = [], []
    for task in range(20):
        names = [f"execution/w/{mark}/t/{task}/x{number}" for number in range(10)]
        entities += [
            {"id": name, "value": generator.random(), "attributes": ["workflow/w/attribute/x"]} for name in names
        ]
        before = [f"execution/w/{mark}/t/{task - 1}/x{number}" for number in range(10)] if task else []
        activities.append(
            {
                "id": f"execution/w/{mark}/t/{task}",
                "types": ["provlake:DataTransformationExecution"],
                "plan": "workflow/w/transformation/t",
                "started": 1_700_000_000_000_000 + task,
                "ended": 1_700_000_000_000_900 + task,
                "used": before,
                "generated": names,
            }
        )
    return json.dumps({"version": 1, "documents": [{"activities": activities, "entities": entities}]}).encode()


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has used until now."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu(servers: list[Server]) -> list[float]:
    return [cpu_seconds(server.pid) for server in servers]


def _busy(before: list[float], after: list[float], seconds: float) -> str:
    store_, *managers_ = ((b - a) / seconds for a, b in zip(before, after))
    return f"store {store_:.2f} cores, managers {', '.join(f'{each:.2f}' for each in managers_)}"


def measures() -> list[Measure]:
    """What of Fuseki's own rate is left all the way through the services, and what a second manager adds; some three minutes."""
    return [*ingest(), *managers(groups=40)]


if __name__ == "__main__":
    if sys.argv[1] == "script":
        _script(int(sys.argv[2]))
    else:
        print(table({"writes": writes, "ingest": ingest, "managers": managers}[sys.argv[1]]()))
