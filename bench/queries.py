"""Questions to the query engine as stores grow: lineage by depth and fan-in, lists, points; each beside bare SPARQL at the store.

Figures are milliseconds of REST with the whole answer read, unless they say otherwise. The set is a chain, a fan and many
executions, made by the tracker's and the manager's own code (bench/paper/triples.py), loaded into a store of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from bench.measures import Measure, measure, table
from bench.paper.records import START, Json, Sent
from bench.paper.triples import triples
from bench.pipeline import free_port
from bench.stores import running
from manager.terms import double_literal
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PROV, PROVLAKE, SPARQL_PREFIXES

CHECKOUT = Path(__file__).resolve().parents[1]
ROUNDS = 5
PRODUCER = "5" * 32
DEPTHS = {10: 10, 100: 10, 1_000: 10, 10_000: 1}
"""Length of a chain, and values that each of its tasks hands on."""
FAN = 10_000
EXECUTIONS = 100_000
_SETTLED = (f"{PROV}value", f"{PROVLAKE}minimum", f"{PROVLAKE}maximum")
_TABLE = "text/tab-separated-values"


class Served(NamedTuple):
    """A store and the query engine before it."""

    store: str
    query: str


# -- the set


def chain(length: int, values: int) -> Sent:
    """Tasks that each use what the one before generated."""
    wf, names, records = f"chain/{length}", [f"x{number}" for number in range(values)], _Records()
    records.begin("workflow", wf)
    for task in range(length):
        links: Json = {"links": {f"step/{task - 1}": names}} if task else {}
        records.begin("task", wf, f"step/{task}", **links)
        records.end("task", wf, f"step/{task}", generated={name: (task + 1) / 7 + at for at, name in enumerate(names)})
    return Sent(PRODUCER, records.all)


def fan(width: int) -> Sent:
    """One task that uses what many generated, a value each."""
    wf, records = f"fan/{width}", _Records()
    records.begin("workflow", wf)
    for task in range(width):
        records.begin("task", wf, f"make/{task}")
        records.end("task", wf, f"make/{task}", generated={"part": task / 7})
    records.begin("task", wf, "join/0", links={f"make/{task}": ["part"] for task in range(width)})
    records.end("task", wf, "join/0", generated={"whole": 1})
    return Sent(PRODUCER, records.all)


def executions(number: int) -> Iterator[Sent]:
    """Workflow executions, runs of an experiment that end with a score."""
    for first in range(0, number, 1_000):
        records = _Records(first * 1_000_000)
        for each in range(first, min(first + 1_000, number)):
            wf = f"many/{each:06d}"
            records.begin("workflow", wf, stage="learning", study="many")
            records.points(wf, "accuracy", score(each, number))
            records.end("workflow", wf)
        yield Sent(PRODUCER, records.all)


def score(each: int, number: int) -> float:
    """The only point of the metric of an execution."""
    return (each * 7919 % number) / number


def settled(number: int) -> bytes:
    """What the manager says of series once their points are in the store (manager/series.py)."""
    lines = []
    for each in range(number):
        literal = double_literal(score(each, number))
        series = f"<{DEFAULT_BASE}execution/many/{each:06d}/accuracy>"
        lines += [f"{series} <{property_}> {literal} .\n" for property_ in _SETTLED]
    return "".join(lines).encode()


class _Records:
    def __init__(self, at: int = 0) -> None:
        self.all: list[Json] = []
        self._numbers = count(at)

    def begin(self, kind: str, wf: str, name: str | None = None, **more: Any) -> None:
        self._add("begin", kind, wf, name, **more)

    def end(self, kind: str, wf: str, name: str | None = None, **more: Any) -> None:
        self._add("end", kind, wf, name, status="finished", elapsed=900, **more)

    def points(self, wf: str, series: str, value: float) -> None:
        """A series of one point."""
        lists: Json = {"first": 0, "steps": [0], "times": [START], "values": [value]}
        self._add("points", "workflow", wf, series=series, **lists | {"as": "evaluation_measure"})

    def _add(self, op: str, kind: str, wf: str, name: str | None = None, **more: Any) -> None:
        number = next(self._numbers)
        about = {"n": number, "op": op, "t": START + number * 1_000, "m": number, "kind": kind, "wf": wf}
        self.all.append({**about, **({"id": name} if name else {}), **more})


def whole_set(scale: float) -> Iterator[Sent]:
    """All of it; fewer executions with a smaller scale."""
    for length, values in DEPTHS.items():
        yield chain(length, values)
    yield fan(FAN)
    yield from executions(int(EXECUTIONS * scale))


# -- servers


@contextmanager
def served(files: list[Path], folder: Path) -> Iterator[Served]:
    """Oxigraph with what the files say, loaded in bulk and put in order, and a query engine."""
    oxigraph = str(Path(sys.executable).parent / "oxigraph")
    for file in files:
        _quietly([oxigraph, "load", "--location", str(folder / "db"), "--file", str(file)])
    _quietly([oxigraph, "optimize", "--location", str(folder / "db")])
    port = free_port()
    command = [oxigraph, "serve", "--location", str(folder / "db"), "--bind", f"127.0.0.1:{port}"]
    with running(command, f"http://127.0.0.1:{port}", "/query?query=ASK%7B%7D") as store, engine(store.url) as query:
        yield Served(store.url, query)


@contextmanager
def engine(store: str, kind: str = "oxigraph") -> Iterator[str]:
    """A query engine before a store; its address."""
    port = free_port()
    at_store = ["--store-url", store, "--store-kind", kind, "--timeout", "120"]
    command = [sys.executable, "-m", "query_engine", "--port", str(port), *at_store]
    with running(command, f"http://127.0.0.1:{port}", "/health") as server:
        yield server.url


def _quietly(command: list[str]) -> None:
    subprocess.run(command, check=True, timeout=1_800, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


# -- measures


def get(url: str) -> bytes:
    with urlopen(url, timeout=300) as answer:
        return bytes(answer.read())


def bare(store: str, query: str) -> bytes:
    """A query asked of the store itself."""
    headers = {"Accept": _TABLE, "Content-Type": "application/sparql-query"}
    with urlopen(Request(f"{store}/query", (SPARQL_PREFIXES + query).encode(), headers), timeout=300) as answer:
        return bytes(answer.read())


def beside(what: str, url: str, store: str, query: str, floor_is: str, aim: str, rounds: int = ROUNDS) -> Measure:
    """Milliseconds of a REST answer, in turn with a query at the store; one of each before, that is not counted."""
    samples, floors = [], []
    for turn in range(rounds + 1):
        began = time.perf_counter()
        get(url)
        between = time.perf_counter()
        bare(store, query)
        if turn:
            samples.append((between - began) * 1000)
            floors.append((time.perf_counter() - between) * 1000)
    return measure(what, samples, "ms", aim, floor_is, floors)


def lineage(at: Served) -> list[Measure]:
    """Lineage of chains and of a fan."""
    starts = {
        f"{depth:,} deep, {values} values a task": f"chain/{depth}/step/{depth - 1}" for depth, values in DEPTHS.items()
    }
    starts[f"fan-in {FAN:,}"] = f"fan/{FAN}/join/0"
    found = []
    for name, start in starts.items():
        iri = f"{DEFAULT_BASE}execution/{start}"
        path = f"SELECT DISTINCT ?e {{ <{iri}> prov:wasInformedBy*/prov:used ?e }}"
        aim = "≤ 200 ms at rest" if name.startswith("1,000") else "linear in the answer"
        url = f"{at.query}/v1/lineage?of={quote(iri, safe='')}"
        made = beside(f"lineage, {name}, REST", url, at.store, path, "path query for its values", aim)
        found.append(made._replace(reach="lineage", reached=made.value <= 200) if name.startswith("1,000") else made)
    return found


def lists(at: Served, number: int) -> list[Measure]:
    """A page of executions, the first and one in the middle; the best runs; one execution by its id."""
    newest = "SELECT ?x { ?x a provlake:WorkflowExecution ; prov:startedAtTime ?t } ORDER BY DESC(?t) LIMIT 51"
    point = f"SELECT * {{ <{DEFAULT_BASE}execution/many/000007> ?p ?o }}"
    best = urlencode({"metric": "accuracy", "order": "desc", "limit": "10"})
    pages = [
        (f"page of 50 of {number:,} executions", "/v1/executions?limit=50", newest, "the newest 51 alone"),
        (f"the best 10 of {number:,} runs by a metric", f"/v1/runs?{best}", newest, "the newest 51 alone"),
        (f"one of {number:,} executions", "/v1/executions/many/000007", point, "its statements"),
    ]
    return [beside(what, at.query + url, at.store, query, floor, "–") for what, url, query, floor in pages]


def measures(scale: float = 0.1) -> list[Measure]:
    """All measures; ``scale`` 1 is 100,000 executions."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name:
        folder = Path(name)
        file = folder / "set.nt"
        with file.open("wb") as target:
            for text, _ in triples(whole_set(scale)):
                target.write(text)
            target.write(settled(int(EXECUTIONS * scale)))
        with served([file], folder) as at:
            return [*lineage(at), *lists(at, int(EXECUTIONS * scale))]


if __name__ == "__main__":
    print(table(measures(float((sys.argv[1:] or ["0.1"])[0]))))
