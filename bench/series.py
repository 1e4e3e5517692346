"""A million points of ten series: through the services as chunks, and beside that an entity a point, in the same store.

python -m bench.series [POINTS]     records by hand through the real stack, then both forms by the store's bulk loader alone
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

from bench.measures import Measure, measure, table
from bench.pipeline import free_port, rows, stack_in

SERIES = 10
POINTS_A_RECORD = 1_000
RECORDS_A_POST = 10
"""About what a client sends at once, 250 KB."""
TRIPLES_A_LOAD = 40_000
PRODUCER = "0123456789abcdef" * 2
WF, CONTEXT = "bench/1", "training/0"
BASE = "http://127.0.0.1:8472/id/"
PROV, PROVLAKE, XSD = (
    "http://www.w3.org/ns/prov#",
    "https://w3id.org/pllib/provlake#",
    "http://www.w3.org/2001/XMLSchema#",
)
T = 1_700_000_000_000_000
_LAST_STEPS = f"SELECT (COUNT(?s) AS ?n) {{ ?s <{PROVLAKE}lastStep> %d }}"
_COUNT = "SELECT (COUNT(*) AS ?n) { ?s ?p ?o }"

Json = Any


def chunks(points: int) -> Iterator[Json]:
    """The fields of records that hold so many points, of all series in turn; values of 16 digits, a point a millisecond."""
    chance = random.Random(1)
    for first in range(0, points // SERIES, POINTS_A_RECORD):
        for number in range(SERIES):
            count = min(POINTS_A_RECORD, points // SERIES - first)
            yield {
                "series": f"metric{number}",
                "first": first,
                "steps": [first, *[1] * (count - 1)],
                "times": [T + 1000 * first, *[chance.randint(900, 1100) for _ in range(count - 1)]],
                "values": [chance.random() for _ in range(count)],
            }


def record(number: int, fields: Json) -> Json:
    head = {"n": number, "op": "points", "t": T, "m": 0, "kind": "task", "wf": WF, "id": CONTEXT}
    return {**head, "as": "evaluation_measure", **fields}


def post(url: str, records: list[Json]) -> None:
    body = json.dumps({"version": 1, "producer": PRODUCER, "records": records}, separators=(",", ":")).encode()
    with urlopen(Request(url + "/v1/captures", body, {"Content-Type": "application/json"}), timeout=60) as answer:
        if json.load(answer)["rejected"]:
            raise AssertionError("records were refused")


def _number(store: str, query: str) -> int:
    return int(rows(store, query)[0]["n"])


def _until_visible(store: str, step: int, series: int = SERIES) -> None:
    until = time.monotonic() + 120
    while _number(store, _LAST_STEPS % step) < series:
        if time.monotonic() > until:
            raise SystemExit("the points do not arrive")
        time.sleep(0.005)


def _bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _optimized(folder: Path) -> int:
    """Bytes of a store's folder after the store compacted it; nobody has it open."""
    subprocess.run([_oxigraph(), "optimize", "--location", str(folder)], check=True, capture_output=True, timeout=300)
    return _bytes(folder)


def _oxigraph() -> str:
    return str(Path(sys.executable).parent / "oxigraph")


def _metric(manager: str, name: str) -> float:
    with urlopen(f"{manager}/metrics", timeout=10) as answer:
        return float(
            next(line.split()[1] for line in answer.read().decode().splitlines() if line.startswith(name + " "))
        )


def through_the_services(points: int, folder: Path) -> list[Measure]:
    """Throughput, size, what settling costs beside the commit, and the delay of one point at low load."""
    bodies: list[list[Json]] = [[]]
    for number, fields in enumerate(chunks(points)):
        if len(bodies[-1]) == RECORDS_A_POST:
            bodies.append([])
        bodies[-1].append(record(number, fields))
    with stack_in(folder) as urls:
        before = _number(urls["store"], _COUNT)
        start = time.perf_counter()
        for records in bodies:
            post(urls["tracker"], records)
        accepted = time.perf_counter() - start
        _until_visible(urls["store"], points // SERIES - 1)
        visible = time.perf_counter() - start
        triples = _number(urls["store"], _COUNT) - before
        names = ("store_seconds_sum", "settling_seconds_sum", "settling_seconds_count")
        commits, settling, groups = (_metric(urls["manager"], f"pllib_manager_{name}") for name in names)
        delays = list(_delays(urls, points))
    size = _optimized(folder / "data" / "store")
    return [
        measure("points accepted by the tracker", [points / accepted / 1000], "thousand/s", ""),
        measure("points from accepted to visible in SPARQL", [points / visible / 1000], "thousand/s", ""),
        measure("triples a point", [triples / points], "triples", "≤ 0.01"),
        measure("bytes a point in the store", [size / points], "B", ""),
        measure(f"settling {groups:.0f} groups", [settling], "s", "", "the commits of the same groups", [commits]),
        measure("a point posted → the latest value visible", delays, "ms", "< 1,000 ms"),
    ]


def _delays(urls: dict[str, str], points: int, repetitions: int = 20) -> Iterator[float]:
    chance = random.Random(2)
    for number in range(repetitions):
        step = points + number
        fields = {
            "series": "metric0",
            "first": step,
            "steps": [step],
            "times": [T + step * 1000],
            "values": [chance.random()],
        }
        start = time.perf_counter()
        post(urls["tracker"], [record(points + number, fields)])
        _until_visible(urls["store"], step, 1)
        yield (time.perf_counter() - start) * 1000
        time.sleep(0.1 * chance.random())


@contextmanager
def _store(folder: Path) -> Iterator[str]:
    port = free_port()
    command = [_oxigraph(), "serve", "--location", str(folder), "--bind", f"127.0.0.1:{port}"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 60
        while True:
            try:
                rows(f"http://127.0.0.1:{port}", "SELECT * { ?s ?p ?o } LIMIT 1")
                break
            except URLError:
                if time.monotonic() > until:
                    raise SystemExit("the store did not start") from None
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(60)


def as_chunks(fields: Json) -> list[str]:
    """One triple for all points of a record, as the manager writes it."""
    told = {"by": PRODUCER, **{key: fields[key] for key in ("first", "steps", "times", "values")}}
    text = json.dumps(told, separators=(",", ":")).replace('"', '\\"')
    series = f"<{BASE}execution/{WF}/{CONTEXT}/{fields['series']}>"
    return [f'{series} <{PROVLAKE}points> "{text}"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON> .']


def as_entities(fields: Json) -> list[str]:
    """An entity for each point: its value, step, time, and the series it belongs to."""
    series = f"{BASE}execution/{WF}/{CONTEXT}/{fields['series']}"
    lines, step, moment = [], 0, 0
    for number, value in enumerate(fields["values"]):
        step += fields["steps"][number]
        moment += fields["times"][number]
        point = f"<{series}/{fields['first'] + number}>"
        second, rest = divmod(moment, 1_000_000)
        when = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(second))}.{rest:06d}Z"
        lines += [
            f'{point} <{PROV}value> "{value!r}e0"^^<{XSD}double> .',
            f'{point} <{PROVLAKE}lastStep> "{step}"^^<{XSD}integer> .',
            f'{point} <{PROVLAKE}lastTime> "{when}"^^<{XSD}dateTime> .',
            f"<{series}> <{PROV}hadMember> {point} .",
        ]
    return lines


def alone(points: int, form: Any, folder: Path) -> tuple[float, float, float]:
    """Points a second by the store's bulk loader, bytes a point, and triples a point of one form."""
    loads: list[list[str]] = [[]]
    for fields in chunks(points):
        lines = form(fields)
        if len(loads[-1]) + len(lines) > TRIPLES_A_LOAD or (len(loads[-1]) == RECORDS_A_POST and form is as_chunks):
            loads.append([])
        loads[-1].extend(lines)
    texts = ["\n".join(lines).encode() for lines in loads]
    with _store(folder) as url:
        start = time.perf_counter()
        for text in texts:
            address = f"{url}/store?default&no_transaction"
            urlopen(Request(address, text, {"Content-Type": "application/n-triples"}), timeout=120).close()
        taken = time.perf_counter() - start
        triples = _number(url, _COUNT)
    return points / taken, _optimized(folder) / points, triples / points


def compared(points: int, folder: Path) -> list[Measure]:
    """Chunks beside entities, in stores of their own."""
    names = ("points/s into the bare store", "bytes a point, bare store", "triples a point, bare store")
    found = {form: alone(points, form, folder / form.__name__) for form in (as_chunks, as_entities)}
    pairs = zip(names, ("points/s", "B", "triples"), *found.values(), strict=True)
    return [measure(name, [mine], unit, "", "an entity a point", [other]) for name, unit, mine, other in pairs]


def main(points: int) -> None:
    folder = Path(tempfile.mkdtemp(prefix="pllib-bench-"))
    try:
        print(table([*through_the_services(points, folder), *compared(points, folder)]))
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
