"""A real manager process on a real store: what it says yes to is in the store, whatever either goes through."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pyoxigraph
import pytest
from rdflib import Graph

from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import SPARQL_PREFIXES
from tests.provenance import tracked
from tests.provenance.oxigraph import PATIENCE, Oxigraph

CHECKOUT = Path(__file__).resolve().parents[2]
Json = Any


class Manager:
    """A manager process; ``client`` calls it."""

    def __init__(self, port: int, store_url: str, log: Path, kind: str = "oxigraph") -> None:
        self.log = log
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=PATIENCE, trust_env=False)
        at_store = ["--store-url", store_url, "--store-kind", kind]
        self._command = [sys.executable, "-m", "manager", "--port", str(port), *at_store]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLLIB_MANAGER")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
        wait_until(self._answers, "the manager starts")

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text(errors="replace")
        try:
            return self.client.get("/health").status_code in (200, 503)
        except httpx.TransportError:
            return False

    def end(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        status = self._process.wait(PATIENCE)
        self.client.close()
        return status

    def post(self, *documents: Json, **options: Any) -> httpx.Response:
        return self.client.post("/v1/prov-ml", json={"version": 1, "documents": documents}, **options)

    def usable(self) -> bool:
        """Whether the store answers and has the vocabulary."""
        return self.client.get("/health").status_code == 200


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"in vain: {what}"
        time.sleep(0.05)


@contextmanager
def running(folder: Path, program: str, free_port: Callable[[], int]) -> Iterator[tuple[Manager, Oxigraph]]:
    """A store, and a manager that has loaded the ontology into it."""
    store = Oxigraph(program, folder / "store", free_port())
    store.start()
    try:
        manager = Manager(free_port(), store.url, folder / "manager.log")
        manager.start()
        try:
            wait_until(manager.usable, "the ontology is in the store")
            yield manager, store
        finally:
            status = manager.end()
        assert status == 0
    finally:
        store.end()


@pytest.fixture
def both(
    require_server: Callable[[str], str], free_port: Callable[[], int], tmp_path: Path
) -> Iterator[tuple[Manager, Oxigraph]]:
    with running(tmp_path, require_server("oxigraph"), free_port) as found:
        yield found


@pytest.fixture
def manager(both: tuple[Manager, Oxigraph]) -> Manager:
    """One of its own for each test."""
    return both[0]


@pytest.fixture
def store(both: tuple[Manager, Oxigraph]) -> Oxigraph:
    """The store of ``manager``."""
    return both[1]


@pytest.fixture(scope="module")
def steady(
    require_server: Callable[[str], str], free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Manager]:
    """One for all tests that change nothing."""
    with running(tmp_path_factory.mktemp("steady"), require_server("oxigraph"), free_port) as (found, _):
        yield found


def value(name: str) -> Json:
    return {"entities": [{"id": f"value/{name}", "value": name}]}


def normal(lines: Iterable[str]) -> set[str]:
    """Triples with their literals as the store writes them: 0.25e0 is 0.25, and times have no zeros at their end."""
    found = pyoxigraph.Store()
    found.load("\n".join(lines).encode(), pyoxigraph.RdfFormat.N_TRIPLES)
    return {str(quad.triple) for quad in found}


def holds(store: Oxigraph, name: str) -> bool:
    return store.ask(f'{SPARQL_PREFIXES} ASK {{ <{DEFAULT_BASE}value/{name}> prov:value "{name}" }}')


def test_what_was_posted_can_be_queried(manager: Manager, store: Oxigraph) -> None:
    document = tracked.document(tracked.run())
    answer = manager.client.post("/v1/prov-ml", content=tracked.body(document))
    expected = set(tracked.lines(document))
    assert (answer.status_code, answer.json()) == (200, {"documents": 1, "triples": len(expected)})
    assert normal(expected) <= normal(store.lines())
    # Classes are leaves in the data; the tree above them is in the store as well.
    assert store.ask(
        f"""{SPARQL_PREFIXES} ASK {{
            ?model a provml:Model ; prov:wasGeneratedBy ?epoch . ?epoch prov:wasInformedBy ?training .
            ?training a/rdfs:subClassOf* provml:BaseLearningExecution ; prov:used ?hp .
            ?hp a provml:LearningHyperparameterValue ; prov:value ?v ; prov:wasDerivedFrom/rdfs:label "lr" . FILTER(?v = 0.1) }}"""
    )


def test_the_same_again_in_any_order_is_the_same_graph(manager: Manager, store: Oxigraph) -> None:
    documents = [json.loads(tracked.document([record])) for record in (*tracked.run(), *tracked.chain(5))]
    assert manager.post(*documents).status_code == 200
    once = store.lines()
    for seed in range(3):
        shuffled = random.Random(seed).sample(documents, len(documents))
        for part in (shuffled[:7], shuffled, shuffled[20:]):
            assert manager.post(*part).status_code == 200
    assert store.lines() == once


def test_a_bad_document_is_named_and_nothing_is_committed(manager: Manager, store: Oxigraph) -> None:
    bad_id, bad_class = {"entities": [{"id": "a b"}]}, {"plans": [{"id": "a", "types": ["provml:No"]}]}
    answer = manager.post(value("good1"), bad_id, value("good2"), bad_class, {"activities": 1})
    assert answer.status_code == 422
    errors = answer.json()["errors"]
    found = [(error["index"], error["field"]) for error in errors]
    assert found == [(1, "entities[0].id"), (3, "plans[0].types"), (4, "activities")]
    assert all(error["message"] and error["fix"] for error in errors)
    assert not holds(store, "good1")
    assert not holds(store, "good2")
    assert manager.post(value("good1")).status_code == 200
    assert holds(store, "good1")


@pytest.mark.parametrize(
    ("content", "headers", "status", "code"),
    [
        (b"{", {}, 400, "no_prov_ml"),
        (b'{"version": 2, "documents": []}', {}, 409, "unknown_version"),
        (b" " * 32_000_001, {}, 413, "too_large"),
        (gzip.compress(b" " * 40_000_000, 1), {"content-encoding": "gzip"}, 413, "too_large"),
        (b"no gzip", {"content-encoding": "gzip"}, 400, "no_gzip"),
        (gzip.compress(b'{"version": 1, "documents": []}')[:-9], {"content-encoding": "gzip"}, 400, "no_gzip"),
        (b"{}", {"content-encoding": "br"}, 415, "unknown_encoding"),
    ],
    ids=["no JSON", "version", "large", "bomb", "no gzip", "cut", "encoding"],
)
def test_requests_that_are_refused(
    steady: Manager, content: bytes, headers: dict[str, str], status: int, code: str
) -> None:
    answer = steady.client.post("/v1/prov-ml", content=content, headers=headers)
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (status, code)
    assert error.keys() == {"code", "message", "field", "fix"}
    assert error["fix"]


def test_gzip_and_an_empty_group(manager: Manager, store: Oxigraph) -> None:
    content = gzip.compress(json.dumps({"version": 1, "documents": [value("packed")]}).encode())
    assert manager.client.post("/v1/prov-ml", content=content, headers={"content-encoding": "gzip"}).status_code == 200
    assert holds(store, "packed")
    assert manager.post().json() == {"documents": 0, "triples": 0}


def test_a_store_that_is_away_and_comes_back(manager: Manager, store: Oxigraph) -> None:
    assert manager.post(value("before")).status_code == 200
    store.end(signal.SIGKILL)
    answer = manager.post(value("during"))
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")
    assert int(answer.headers["retry-after"]) > 0
    health = manager.client.get("/health")
    assert (health.status_code, health.json()["status"]) == (503, "unavailable")
    assert health.json()["reason"]
    store.start()
    assert holds(store, "before"), "what was answered with 200 is there after kill -9"
    assert not holds(store, "during")
    assert manager.post(value("during")).status_code == 200
    assert holds(store, "during")
    wait_until(manager.usable, "the manager is usable again")


def test_another_store_in_its_place_gets_the_vocabulary(manager: Manager, store: Oxigraph, tmp_path: Path) -> None:
    store.end()
    assert manager.post(value("during")).status_code == 503
    assert manager.post().status_code == 503, "an empty group tells whether others would be taken"
    (tmp_path / "store").rename(tmp_path / "former")
    store.start()
    wait_until(manager.usable, "the manager is usable again")
    assert store.ask(f"{SPARQL_PREFIXES} ASK {{ provml:Training rdfs:subClassOf+ prov:Plan }}")


def test_nothing_acknowledged_is_lost_when_the_store_is_killed_under_load(manager: Manager, store: Oxigraph) -> None:
    acknowledged = []
    for round_ in range(3):
        for number in range(30):
            bulk = {"entities": [{"id": f"value/{round_}-{number}-{index}", "value": index} for index in range(2_100)]}
            documents = [value(f"{round_}-{number}"), *([bulk] if number % 10 == 0 else [])]
            if manager.post(*documents).status_code == 200:
                acknowledged.append(f"{round_}-{number}")
        store.end(signal.SIGKILL)
        store.start()
    assert len(acknowledged) == 90
    lines = store.lines()
    assert all(any(line.startswith(f"<{DEFAULT_BASE}value/{name}> ") for line in lines) for name in acknowledged)


def test_a_manager_that_starts_before_its_store(
    require_server: Callable[[str], str], free_port: Callable[[], int], tmp_path: Path
) -> None:
    store = Oxigraph(require_server("oxigraph"), tmp_path / "store", free_port())
    manager = Manager(free_port(), store.url, tmp_path / "manager.log")
    manager.start()
    try:
        assert manager.client.get("/health").status_code == 503
        assert manager.client.get("/ontology").status_code == 200
        store.start()
        wait_until(manager.usable, "the ontology is in the store")
        assert store.ask(f"{SPARQL_PREFIXES} ASK {{ provml:Training rdfs:subClassOf+ prov:Plan }}")
    finally:
        manager.end()
        store.end()


FORMS = {
    "text/turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
}


@pytest.mark.filterwarnings(
    "ignore:ConjunctiveGraph is deprecated:DeprecationWarning"
)  # rdflib's own reader of JSON-LD
def test_the_vocabulary_in_every_form(steady: Manager) -> None:
    for path in ("/ontology", "/ontology/provlake", "/ontology/prov-ml", "/shapes"):
        sizes = set()
        for media_type, form in FORMS.items():
            answer = steady.client.get(path, headers={"accept": media_type})
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith(media_type)
            sizes.add(len(Graph().parse(data=answer.content, format=form)))
        assert len(sizes) == 1, path
        assert sizes.pop() > 30
    assert steady.client.get("/ontology").headers["content-type"].startswith("text/turtle")
    assert steady.client.get("/ontology", headers={"accept": "image/png"}).json()["error"]["code"] == "not_acceptable"
    assert steady.client.get("/ontology/other").status_code == 404
    assert steady.client.get("/schema/prov-ml-v1.json").json()["title"].startswith("PROV-ML JSON")


def test_metrics_count(manager: Manager) -> None:
    manager.post(value("a"), value("b"))
    manager.post({"entities": [{"id": ""}]})
    lines = manager.client.get("/metrics").text.splitlines()
    assert "pllib_manager_documents_total 2.0" in lines
    assert "pllib_manager_triples_total 2.0" in lines
    assert "pllib_manager_refused_total 1.0" in lines


def test_a_foreign_host_is_refused(steady: Manager) -> None:
    for path in ("/health", "/ontology", "/metrics", "/docs"):
        assert steady.client.get(path, headers={"host": "evil.example"}).status_code == 400
    assert steady.post(value("x"), headers={"host": "evil.example:8471"}).status_code == 400
    answer = steady.client.get("/ontology", headers={"origin": "http://evil.example"})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--host", "0.0.0.0"], "--insecure"),  # noqa: S104 - it is refused
        (["--host", "::"], "--insecure"),
        (["--store-url", "ftp://x"], "--store-url"),
        (["--store-kind", "jena"], "oxigraph"),
        (["--base", "nowhere"], "--base"),
        (["--base", "http://x/<y>/"], "--base"),
    ],
)
def test_settings_that_make_no_sense(flags: list[str], told: str) -> None:
    command = [sys.executable, "-m", "manager", "--port", "1", *flags]
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PLLIB_INSECURE")}
    ended = subprocess.run(command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 2
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_help_teaches() -> None:
    command = [sys.executable, "-m", "manager", "--help"]
    ended = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=PATIENCE)
    assert ended.returncode == 0
    assert "--store-url" in ended.stdout
    assert "PLLIB_STORE_URL" in ended.stdout
