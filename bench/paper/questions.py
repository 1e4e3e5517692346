"""The papers' seven questions on their set, asked through REST, on Oxigraph and on Fuseki, beside the store's own time.

python -m bench.paper.questions [EPOCHS]      300 epochs: 10 million triples, and some ten minutes
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import urlencode

from bench.measures import Measure, measure, table
from bench.paper.records import EPOCHS, RANGES, STORE, model, training_set
from bench.paper.triples import write
from bench.pipeline import free_port
from bench.queries import Served, bare, engine, get, served
from bench.stores import running
from deploy import fuseki

ROUNDS = 5
_MODEL, _SET = {"model": model(0), "store": STORE}, {"dataset": training_set(0), "store": STORE}
_SLICES = {"attribute": "slices", "value": RANGES[0]}
QUESTIONS = {"q1": _MODEL, "q2": _MODEL, "q3": _SET, "q4": _SET, "q5": _SLICES, "q6": _SLICES, "q7": _SLICES}
AIMS = {"q1": 50, "q5": 1000, "q7": 1000}
# The papers' building blocks with the classes of PROV-ML, and with names in the plan in their place: minimum of the batch loss.
_TYPED = """SELECT ?t (MIN(?v) AS ?least) { ?t a provml:TrainingExecution ; prov:used ?set . ?set prov:value "%s" .
  ?e prov:wasInformedBy ?t . ?b prov:wasInformedBy ?e . ?x prov:wasGeneratedBy ?b ; a provml:ModelEvaluation ; prov:value ?v ;
  prov:wasDerivedFrom ?a . ?a rdfs:label "loss" } GROUP BY ?t"""
_PLAIN = """SELECT ?t (MIN(?v) AS ?least) { ?t prov:used ?set . ?set prov:value "%s" .
  ?e prov:wasInformedBy ?t . ?b prov:wasInformedBy ?e . ?x prov:wasGeneratedBy ?b ; prov:value ?v ;
  prov:wasDerivedFrom ?a . ?a rdfs:label "loss" } GROUP BY ?t"""


def ask(at: Served, what: str, rounds: int = ROUNDS) -> list[Measure]:
    """Milliseconds of each question; floor: what the engine says that the store took."""
    found = []
    for name, parameters in QUESTIONS.items():
        url = f"{at.query}/v1/analyses/{name}/run?{urlencode(parameters)}"
        samples, floors = [], []
        for turn in range(rounds + 1):
            began = time.perf_counter()
            answer = get(url)
            if turn:
                samples.append((time.perf_counter() - began) * 1000)
                floors.append(float(json.loads(answer)["elapsed_ms"]))
        bound = AIMS.get(name)
        aim = "–" if bound is None else f"≤ {bound:,} ms"
        made = measure(f"{name.upper()}, {what}", samples, "ms", aim, "in the store", floors)
        found.append(made if bound is None else made._replace(reach="papers", reached=made.value <= bound))
    return found


def classes(typed: Served, plain: Served, rounds: int = ROUNDS) -> Measure:
    """The least batch loss of each training on a set, by the papers' building blocks, with and without PROV-ML's classes."""
    samples, floors = [], []
    for turn in range(rounds + 1):
        began = time.perf_counter()
        bare(typed.store, _TYPED % training_set(0))
        between = time.perf_counter()
        bare(plain.store, _PLAIN % training_set(0))
        if turn:
            samples.append((between - began) * 1000)
            floors.append((time.perf_counter() - between) * 1000)
    return measure(
        "least batch loss in bare SPARQL, with PROV-ML's classes", samples, "ms", "–", "without them", floors
    )


@contextmanager
def on_fuseki(file: Path, folder: Path) -> Iterator[Served]:
    """Fuseki with what a file says, as the launcher runs it, and a query engine."""
    found = fuseki.find(lambda line: print(line, file=sys.stderr))
    found.prepare(folder)
    command = found.loading(file, found.database(folder))
    subprocess.run(command, check=True, timeout=3_600, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    service = found.service(folder, free_port())
    with (
        running([*service.command], service.url, service.health_path) as store,
        engine(store.url, "fuseki") as query,
    ):
        yield Served(store.url, query)


def measures(epochs: int = EPOCHS) -> list[Measure]:
    """All of them; one store at a time, but for the two that are compared."""
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as name:
        folder = Path(name)
        typed, plain = folder / "typed.nt", folder / "plain.nt"
        with typed.open("wb") as target:
            count = write(target, epochs)
        with plain.open("wb") as target:
            write(target, epochs, plain=True)
        found = []
        with ExitStack() as stack:
            (folder / "a").mkdir()
            (folder / "b").mkdir()
            one = stack.enter_context(served([typed], folder / "a"))
            found += ask(one, f"Oxigraph, {count:,} triples")
            two = stack.enter_context(served([plain], folder / "b"))
            found.append(classes(one, two))
        plain.unlink()
        with on_fuseki(typed, folder / "c") as three:
            found += ask(three, f"Fuseki, {count:,} triples")
        return found


if __name__ == "__main__":
    print(table(measures(int((sys.argv[1:] or [str(EPOCHS)])[0]))))
