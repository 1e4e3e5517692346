"""Fuseki started by the launcher: killed and back with all, backed up and restored; a graph moved to it and back, proven."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pyoxigraph
import pytest

from deploy.state import read_run
from edge.stores import StoreAddress
from tests.faults.proxy import Proxy, Reply, Request, relay
from tests.integration.test_manager_process import Manager, wait_until
from tests.integration.test_operations import frozen, manager_pid
from tests.integration.test_power_cut import send, settle
from tests.provenance import tracked

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "bearer very-secret-word"
HEAVY = "SELECT (COUNT(*) AS ?n) { ?a ?b ?c . ?d ?e ?f . ?g ?h ?i FILTER(?a != ?d) }"


def deploy(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    environment = {name: text for name, text in os.environ.items() if not name.startswith("PLLIB_S")} | environ
    command = [sys.executable, "-m", "deploy", *words]
    return subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=170, check=False
    )


def lines_of(store: StoreAddress) -> set[str]:
    """All triples of a store, as one reader of values writes them."""
    answer = httpx.get(store.graph_url, headers={"Accept": "application/n-triples"}, trust_env=False, timeout=60)
    found = pyoxigraph.Store()
    found.load(answer.raise_for_status().content, pyoxigraph.RdfFormat.N_TRIPLES)
    return {str(quad.triple) for quad in found}


def capture(tracker: str, number: int) -> None:
    wf = f"digits/{number}"
    records = [
        *(tracked.begin(0, wf, None, "workflow"), tracked.begin(1, wf, "fit/0", used={"lr": 0.1})),
        *(tracked.end(2, wf, "fit/0", generated={"loss": 0.25}), tracked.end(3, wf, None, "workflow")),
    ]
    batch = {"version": 1, "producer": f"{number:032x}", "records": records}
    answer = httpx.post(f"{tracker}/v1/captures", json=batch, trust_env=False, timeout=60)
    assert answer.status_code == 200, answer.text
    waiting = f"{tracker}/v1/stats"
    wait_until(lambda: not httpx.get(waiting, trust_env=False, timeout=60).json()["queue"]["depth"], "all is delivered")


def test_a_killed_fuseki_comes_back_with_all_and_is_backed_up_and_restored(
    stack: Any, redis_server: Any, tmp_path: Path
) -> None:
    (tmp_path / "one").mkdir()
    with stack(tmp_path / "one", "--store=fuseki", "--queue", redis_server.url) as services:
        store = StoreAddress(services.store_url, "fuseki")
        capture(services.tracker_url, 1)
        before = lines_of(store)
        assert any("digits/1" in line for line in before)
        run = read_run(services.data)
        assert run is not None
        assert run.store_kind == "fuseki"
        process = next(one.process for one in run.services if one.name == "store")
        assert process is not None
        os.kill(process.pid, signal.SIGKILL)
        capture(services.tracker_url, 2)  # what could not be written was kept, and delivered again
        whole = lines_of(store)
        assert before < whole
        assert deploy("status", "--data", str(services.data)).returncode == 0
        with frozen(manager_pid(services.data)):
            send(services.tracker_url, "waits", range(3))  # the third part is in the queue's server alone
            done = deploy("backup", str(tmp_path / "backup"), "--data", str(services.data))
        assert done.returncode == 0, done.stderr
        settle(services.tracker_url)
        assert whole < lines_of(store)
        whole = lines_of(store)
        log = (services.data / "logs" / "store.log").read_text()
        assert "digits" not in log, "the log has no line a request"
    restored = deploy(
        "restore", str(tmp_path / "backup"), "--data", str(tmp_path / "two" / "data"), "--store", "fuseki"
    )
    assert restored.returncode == 0, restored.stderr
    other = deploy("up", "--data", str(tmp_path / "two" / "data"), "--store", "oxigraph")
    assert (other.returncode, "holds a store of the kind fuseki" in other.stderr) == (2, True)
    with stack(tmp_path / "two") as services:  # the kind is known by what the folder holds
        settle(services.tracker_url)
        assert lines_of(StoreAddress(services.store_url, "fuseki")) == whole


VALUES = [
    *('"0.25e0"', '"1e+300"', '"5e-324"', '"-0.0e0"', '"NaN"', '"-INF"', '"1.7976931348623157e308"'),
    *('"0.1e0"', '"2e-3"', '"123456789.12345679e0"', '"1e-7"', '"9007199254740993e0"'),
]
XSD = "http://www.w3.org/2001/XMLSchema#"
JSON = "^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON>"


def graph(name: str) -> list[str]:
    """All kinds of literals that the manager writes, and some more."""
    terms = [f"{value}^^<{XSD}double>" for value in VALUES]
    terms += [f'"{number}"^^<{XSD}integer>' for number in (0, -7, 2**53, 2**63, 2**200)]
    terms += [
        f'"2026-01-01T10:00:0{n}.{f}Z"^^<{XSD}dateTime>' for n, f in enumerate(("000000", "120000", "123456", "000090"))
    ]
    terms += [f'"0001-01-01T00:00:00.000000Z"^^<{XSD}dateTime>', f'"9999-12-31T23:59:59.999999Z"^^<{XSD}dateTime>']
    terms += [f'"true"^^<{XSD}boolean>', f'"aGk="^^<{XSD}base64Binary>', '"{\\"a\\":[1.0,2e5]}"' + JSON]
    terms += [
        '"\\u0000\\u0001\\t\\n\\r\\"\\\\\\u007F\\uFFFE \\u2028 é 😀"',
        '"chat"@fr',
        '"x"@en-GB',
        '""',
        "<urn:other>",
    ]
    terms += [f'"{number}"' for number in range(500)]
    return [f"<urn:{name}> <urn:p{number}> {term} ." for number, term in enumerate(terms)]


@pytest.fixture
def pair(
    make_store: Callable[[str, Path], Any], empty_store: Any, tmp_path: Path
) -> Iterator[tuple[Any, StoreAddress]]:
    """An Oxigraph with all kinds of triples, and an empty Fuseki."""
    oxigraph, fuseki = make_store("oxigraph", tmp_path / "oxigraph"), empty_store("fuseki")
    oxigraph.start()
    headers = {"Content-Type": "application/n-triples"}
    text = "\n".join(graph("all")).encode()
    httpx.post(oxigraph.store.graph_url, content=text, headers=headers, trust_env=False).raise_for_status()
    yield oxigraph, fuseki
    oxigraph.end()


def test_a_graph_moves_to_fuseki_and_back_and_both_are_proven_to_hold_the_same(
    pair: tuple[Any, StoreAddress], make_store: Callable[[str, Path], Any], tmp_path: Path
) -> None:
    oxigraph, fuseki = pair
    there = ("--from", oxigraph.url, "--to", fuseki.url, "--to-kind", "fuseki")
    moved = deploy("move-store", str(tmp_path / "move"), *there)
    assert moved.returncode == 0, moved.stdout + moved.stderr
    count = len(graph("all"))
    assert moved.stdout.count(f"{count:,} triples, checksum") == 2
    assert lines_of(fuseki) == lines_of(oxigraph.store)
    again = deploy("move-store", str(tmp_path / "move"), *there)
    assert (again.returncode, f"{count:,} of {count:,} triples are sent already" in again.stdout) == (0, True)
    other = deploy("move-store", str(tmp_path / "move"), "--from", oxigraph.url, "--to", "http://127.0.0.1:9/x")
    assert (other.returncode, "belongs to a move from" in other.stderr) == (2, True)
    full = deploy("move-store", str(tmp_path / "another"), *there)
    assert (full.returncode, "holds something already" in full.stderr) == (2, True)
    back = make_store("oxigraph", tmp_path / "back")
    back.start()
    try:
        words = ("--from", fuseki.url, "--from-kind", "fuseki", "--to", back.url)
        returned = deploy("move-store", str(tmp_path / "return"), *words)
        assert returned.returncode == 0, returned.stdout + returned.stderr
        assert lines_of(back.store) == lines_of(oxigraph.store)
        extra = [b"<urn:one> <urn:more> <urn:x> .", {"Content-Type": "application/n-triples"}]
        httpx.post(back.store.graph_url, content=extra[0], headers=extra[1], trust_env=False).raise_for_status()
        differs = deploy("move-store", str(tmp_path / "return"), *words)
        assert (differs.returncode, "do not hold the same" in differs.stdout) == (1, True)
    finally:
        back.end()


def test_a_move_that_was_cut_short_goes_on(pair: tuple[Any, StoreAddress], tmp_path: Path) -> None:
    oxigraph, fuseki = pair
    with Proxy(fuseki.url) as between:
        between.behave(
            lambda proxy, request: (
                Reply(503, {}, b"") if request.method == "POST" and "data" in request.path else relay(proxy, request)
            )
        )
        words = ("--from", oxigraph.url, "--to", between.url, "--to-kind", "fuseki")
        cut = deploy("move-store", str(tmp_path / "move"), *words)
        assert (cut.returncode, "503" in cut.stderr) == (2, True)
        assert json.loads((tmp_path / "move" / "move.json").read_text())["sent"] == 0
        between.behave(relay)
        done = deploy("move-store", str(tmp_path / "move"), *words)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "going on: 0 of" in done.stdout
    assert lines_of(fuseki) == lines_of(oxigraph.store)


def guarded(proxy: Proxy, request: Request) -> Reply:
    """A store that lets in who knows the word."""
    if request.headers.get("authorization") != "Bearer very-secret-word":
        return Reply(401, {}, b"who are you?")
    return relay(proxy, request)


def test_a_store_behind_credentials_is_served_and_they_are_told_to_nobody_else(
    empty_store: Any, free_port: Callable[[], int], tmp_path: Path, monkeypatch: Any
) -> None:
    fuseki = empty_store("fuseki")
    secret = tmp_path / "secret"
    secret.write_text(SECRET)
    with Proxy(fuseki.url) as guard:
        guard.behave(guarded)
        stranger = Manager(free_port(), guard.url, tmp_path / "stranger.log", "fuseki")
        stranger.start()
        health = stranger.client.get("/health")
        assert (health.status_code, "401" in health.json()["reason"]) == (503, True)
        stranger.end()
        monkeypatch.setenv("PLLIB_STORE_CREDENTIALS_FILE", str(secret))
        manager = Manager(free_port(), guard.url, tmp_path / "manager.log", "fuseki")
        manager.start()
        wait_until(manager.usable, "it is let in")
        assert (
            manager.client.post("/v1/prov-ml", content=tracked.body(tracked.document(tracked.run()))).status_code == 200
        )
        manager.end()
        port = free_port()
        command = [
            sys.executable,
            "-m",
            "query_engine",
            "--port",
            str(port),
            "--store-url",
            guard.url,
            "--store-kind",
            "fuseki",
        ]
        with (tmp_path / "engine.log").open("wb") as log:
            engine = subprocess.Popen(command, cwd=CHECKOUT, stderr=log)
        try:
            wait_until(lambda: answers(f"http://127.0.0.1:{port}/health"), "the query engine is let in")
            assert httpx.get(f"http://127.0.0.1:{port}/v1/workflows", trust_env=False).json()["items"]
        finally:
            engine.terminate()
            engine.wait(60)
    said = "".join((tmp_path / f"{name}.log").read_text() for name in ("stranger", "manager", "engine"))
    assert "very-secret" not in said


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_a_slow_query_ends_in_the_server(empty_store: Any, free_port: Callable[[], int]) -> None:
    fuseki = empty_store("fuseki")
    text = "".join(f"<urn:s{n}> <urn:p> <urn:o{n % 97}> .\n" for n in range(3000)).encode()
    headers = {"Content-Type": "application/n-triples"}
    httpx.post(fuseki.graph_url, content=text, headers=headers, trust_env=False, timeout=60).raise_for_status()
    answer = httpx.post(fuseki.query_url_within(1), data={"query": HEAVY}, trust_env=False, timeout=60)
    assert (answer.status_code, "timed out" in answer.text) == (503, True)
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "query_engine", "--port", url.rpartition(":")[2], "--timeout", "1"]
    command += ["--max-rows", "1000000000", "--store-url", fuseki.url, "--store-kind", "fuseki"]
    engine = subprocess.Popen(command, cwd=CHECKOUT)
    try:
        wait_until(lambda: answers(f"{url}/health"), "the query engine is there")
        at_once, by_and_by = HEAVY, HEAVY.replace("(COUNT(*) AS ?n)", "*")
        formats = ("application/json", "application/sparql-results+xml", "text/csv", "text/tab-separated-values")
        for query, accept in [(at_once, formats[0]), *((by_and_by, each) for each in formats)]:
            headers = {"Accept": accept}
            answer = httpx.get(f"{url}/sparql", params={"query": query}, headers=headers, trust_env=False, timeout=60)
            assert (answer.status_code, answer.json()["error"]["code"]) == (504, "query_timeout")
    finally:
        engine.terminate()
        engine.wait(60)
