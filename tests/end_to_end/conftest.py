"""Scripts as processes against the whole stack, and the graph that comes of them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from pllib import spool
from tests.integration.test_tracker_process import Receiver, Tracker
from tests.provenance.literals import as_oxigraph, lines_as_oxigraph

ROOT = Path(__file__).parents[2]
PREFIXES = """
PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX provlake: <https://w3id.org/pllib/provlake#>
PREFIX provml: <https://w3id.org/pllib/prov-ml#>
PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#>
PREFIX xsd: <http://www.w3.org/2001/XMLSchema#>
"""


class Lab:
    """Runs scripts, posts records, asks the store and the query engine of one stack."""

    def __init__(self, services: Any, folder: Path) -> None:
        self.services, self.folder = services, folder
        self.http = httpx.Client(timeout=60)
        self.mark = uuid.uuid4().hex[:8]

    def run(
        self, code: str, *, mode: str = "process", check: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Runs a script; ``MARK`` in its text becomes a word of this test's own, for workflow names."""
        path = self.folder / f"script_{uuid.uuid4().hex[:6]}.py"
        path.write_text(textwrap.dedent(code).replace("MARK", self.mark))
        return self.run_file(path, mode=mode, check=check, **environ)

    def run_file(self, path: Path, *arguments: str, mode: str = "process", check: bool = True, **environ: str) -> Any:
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PLLIB_URL": self.services.tracker_url,
            "PLLIB_SPOOL": str(self.folder / "spool"),
            "PLLIB_MODE": mode,
            **environ,
        }
        done = subprocess.run(
            [sys.executable, str(path), *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
        )
        assert not check or done.returncode == 0, done.stderr
        return done

    def pllib(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Runs the ``pllib`` command."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environ}
        return subprocess.run(
            [sys.executable, "-m", "pllib", *arguments],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.folder,
        )

    def spooled(self) -> dict[str, list[dict[str, Any]]]:
        """Records on disk by producer."""
        folder = str(self.folder / "spool")
        found: dict[str, list[dict[str, Any]]] = {}
        for producer in spool.producers(folder):
            for number in spool.segments(folder, producer):
                frames = spool.read_segment(folder, producer, number)
                found.setdefault(producer, []).extend(json.loads(f.payload) for f in frames if f.payload is not None)
        return found

    def post(self, producer: str, records: Iterable[dict[str, Any]], **more: Any) -> httpx.Response:
        batch = {"version": 1, "producer": producer, "records": list(records), **more}
        return self.http.post(f"{self.services.tracker_url}/v1/captures", json=batch)

    def settle(self, seconds: float = 30.0) -> None:
        """Waits until the tracker's queue is empty."""
        deadline = time.monotonic() + seconds
        while True:
            stats = self.http.get(f"{self.services.tracker_url}/v1/stats").json()
            depth = (
                sum(stats["queue"]["depth"].values())
                if isinstance(stats["queue"]["depth"], dict)
                else stats["queue"]["depth"]
            )
            if not depth:
                return
            assert time.monotonic() < deadline, stats
            time.sleep(0.05)

    def select(self, query: str) -> list[dict[str, Any]]:
        """Rows as the store itself gives them: plain texts by name."""
        answer = self.http.post(
            self.services.store.query_url,
            data={"query": PREFIXES + query},
            headers={"Accept": "application/sparql-results+json"},
        )
        assert answer.status_code == 200, answer.text
        rows = answer.json()["results"]["bindings"]
        return [{name: as_oxigraph(term["value"], term.get("datatype")) for name, term in row.items()} for row in rows]

    def triples(self) -> set[str]:
        """Everything in the store, as N-Triples lines (there are no blank nodes, so sets can be compared)."""
        answer = self.http.get(self.services.store.graph_url, headers={"Accept": "application/n-triples"})
        return lines_as_oxigraph(answer.text)

    def get(self, path: str, /, **parameters: Any) -> httpx.Response:
        return self.http.get(f"{self.services.query_url}{path}", params=parameters)

    def lineage(self, of: str, **parameters: Any) -> dict[str, Any]:
        answer = self.get("/v1/lineage", of=of, **parameters)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def execution_of(self, task: str) -> str:
        """IRI of the one execution of a transformation of this test's workflows."""
        rows = self.select(
            f'SELECT ?t {{ ?t prov:wasInfluencedBy ?p . ?p rdfs:label "{task}" . FILTER(CONTAINS(STR(?p), "{self.mark}")) }}'
        )
        assert len(rows) == 1, rows
        return str(rows[0]["t"])


@pytest.fixture
def lab(store_kind: str, services_on: Any, tmp_path: Path) -> Iterable[Lab]:
    found = Lab(services_on(store_kind), tmp_path)
    yield found
    found.http.close()


@pytest.fixture
def ancestors(lab: Lab) -> Callable[..., set[str]]:
    """Names of the transformations behind (or ahead of) a resource."""

    def ask(of: str, **parameters: Any) -> set[str]:
        found = lab.lineage(of, **parameters)
        return {node["label"] for node in found["nodes"] if node["kind"] == "activity" and node["depth"] > 0}

    return ask


@pytest.fixture
def other_lab(store_kind: str, empty_store: Any, stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterable[Lab]:
    """A lab on a stack of its own, empty at first."""
    with stack(tmp_path_factory.mktemp("other"), store=empty_store(store_kind)) as services:
        found = Lab(services, tmp_path_factory.mktemp("other-lab"))
        yield found
        found.http.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """What stands in the manager's place; it is started by the test."""
    made = Receiver()
    yield made
    made.stop()


@pytest.fixture
def tracker(tmp_path: Path, free_port: Callable[[], int], receiver: Receiver) -> Iterator[Tracker]:
    """A tracker of the test's own, to be killed and started again."""
    made = Tracker(tmp_path / "data", free_port(), receiver.url)
    made.start()
    yield made
    made.end(signal.SIGKILL)
    made.client.close()
