"""From a script's capture to an answer, through real services: triples, time until visible, lineage of a long chain."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import Request, urlopen

from bench.measures import Measure, measure

CHECKOUT = Path(__file__).resolve().parents[1]


@contextlib.contextmanager
def stack() -> Iterator[dict[str, str]]:
    """Addresses of a stack of services of its own, on free ports, in a folder that goes away."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder, stack_in(Path(folder)) as urls:
        yield urls


@contextlib.contextmanager
def stack_in(folder: Path, *options: str) -> Iterator[dict[str, str]]:
    """The same in a folder that stays, with further options of ``up``; its data are in ``data`` there."""
    ready = folder / "ready.json"
    ports = [word for name in ("tracker", "manager", "query", "store") for word in (f"--{name}-port", str(free_port()))]
    at = ["--data", str(folder / "data"), "--ready-file", str(ready)]
    command = [sys.executable, "-m", "deploy", "up", *at, *ports, *options]
    process = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 90
        while not ready.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the services did not start")
            time.sleep(0.1)
        from deploy.state import read_run

        run = read_run(folder / "data")
        if run is None:
            raise SystemExit("the services did not say where they are")
        yield run.urls
    finally:
        process.terminate()
        process.wait(60)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows(store: str, query: str) -> list[dict[str, str]]:
    """A query asked of the store itself, past everything of ours."""
    request = Request(f"{store}/query?query={quote(query)}", headers={"Accept": "application/sparql-results+json"})
    with urlopen(request, timeout=60) as answer:
        found = json.load(answer)["results"]["bindings"]
    return [{name: term["value"] for name, term in row.items()} for row in found]


def chain(urls: dict[str, str], tasks: int) -> Measure:
    """Triples for each further task of a chain, each of 10 values in and 10 out; leaves the chain in the store."""
    counts = []
    for length in (100, tasks):
        before = int(rows(urls["store"], "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }")[0]["n"])
        _script(urls, "chain", length)
        after = int(rows(urls["store"], "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }")[0]["n"])
        counts.append(after - before)
    return measure(
        "triples for a chained task of 10 + 10 values", [(counts[1] - counts[0]) / (tasks - 100)], "triples", "≤ 50"
    )


def lineage(urls: dict[str, str], repetitions: int = 7) -> Measure:
    """Lineage of the last value of the chain with all values, through REST; floor: the path query alone, at the store."""
    newest = rows(
        urls["store"],
        "PREFIX prov: <http://www.w3.org/ns/prov#> SELECT ?v ?t { ?v prov:wasGeneratedBy ?t . ?t prov:startedAtTime ?at } "
        "ORDER BY DESC(?at) LIMIT 1",
    )[0]
    path = (
        "PREFIX prov: <http://www.w3.org/ns/prov#> SELECT DISTINCT ?e "
        f"{{ <{newest['v']}> prov:wasGeneratedBy/prov:wasInformedBy*/prov:used ?e }}"
    )
    address = f"{urls['query_engine']}/v1/lineage?of={quote(newest['v'], safe='')}&grain=value"
    samples, floors = [], []
    for _ in range(repetitions):
        start = time.perf_counter()
        with urlopen(address, timeout=60) as answer:
            found = json.load(answer)
        samples.append((time.perf_counter() - start) * 1000)
        start = time.perf_counter()
        rows(urls["store"], path)
        floors.append((time.perf_counter() - start) * 1000)
    nodes = len(found["nodes"])
    return measure(
        f"lineage of a 1,000-task chain, {nodes} nodes, REST",
        samples,
        "ms",
        "< 1,000 ms",
        "bare path query at the store",
        floors,
    )


def visible(urls: dict[str, str], repetitions: int = 15) -> Measure:
    """From the end of a task in a script until a SPARQL query at the store returns it, at low load."""
    os.environ["PLLIB_URL"] = urls["tracker"]
    import pllib

    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        pllib.configure(url=urls["tracker"], spool=folder, mode="process")
        samples = []
        with pllib.workflow("visible") as wf:
            for number in range(repetitions):
                mark = f"m{number}-{random.random()}"
                with wf.task("step") as task:
                    task.generated(mark=mark)
                start = time.perf_counter()
                query = f'ASK {{ ?v <http://www.w3.org/ns/prov#value> "{mark}" }}'
                while not _ask(urls["store"], query):
                    time.sleep(0.005)
                samples.append((time.perf_counter() - start) * 1000)
                time.sleep(0.1 * random.random())
        pllib.shutdown()
    return measure("event → visible in SPARQL, low load", samples, "ms", "< 1,000 ms")


def _ask(store: str, query: str) -> bool:
    request = Request(f"{store}/query?query={quote(query)}", headers={"Accept": "application/sparql-results+json"})
    with urlopen(request, timeout=60) as answer:
        return bool(json.load(answer)["boolean"])


def _script(urls: dict[str, str], what: str, tasks: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        environment = {**os.environ, "PLLIB_URL": urls["tracker"], "PLLIB_SPOOL": folder, "PYTHONPATH": str(CHECKOUT)}
        command = [sys.executable, "-m", "bench.pipeline", what, str(tasks)]
        subprocess.run(command, env=environment, cwd=CHECKOUT, check=True, timeout=300)
    with urlopen(f"{urls['tracker']}/health", timeout=10):
        pass
    _settle(urls["store"])


def _settle(store: str) -> None:
    """Waits until the store's number of triples stands still."""
    last, since = -1, time.monotonic()
    while time.monotonic() - since < 1.0:
        count = int(rows(store, "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }")[0]["n"])
        if count != last:
            last, since = count, time.monotonic()
        time.sleep(0.1)


def _chain(tasks: int) -> None:
    import pllib

    generator = random.Random(tasks)
    values = {f"x{number}": generator.random() for number in range(10)}
    with pllib.workflow("chain") as wf:
        for _ in range(tasks):
            with wf.task("step", used=values) as task:
                values = {f"x{number}": generator.random() for number in range(10)}
                task.generated(values)
    if not pllib.flush(120):
        raise SystemExit("the tracker did not take the records")


if __name__ == "__main__":
    _chain(int(sys.argv[2]))
