"""What is done to a store that runs: its database compacted, also when it is killed meanwhile; a move that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.state import read_run
from edge.stores import StoreAddress
from tests.faults.proxy import Proxy, Reply, slow, until
from tests.integration.test_fuseki_stack import CHECKOUT, deploy, lines_of
from tests.integration.test_power_cut import send, settle

COMMITS = 15
TRIPLES, LETTERS = 1_200, 10_000


class Load(threading.Thread):
    """Captures without a pause, each a request, until it is stopped; the exclusive `end` of their numbers."""

    def __init__(self, url: str, begin: int) -> None:
        super().__init__()
        self._url, self.end = url, begin
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.is_set():
            send(self._url, "load", range(self.end, self.end + 1))
            self.end += 1

    def stop(self) -> None:
        self._enough.set()
        self.join()


def store_pid(data: Path) -> int:
    run = read_run(data)
    assert run is not None
    return next(one.process.pid for one in run.services if one.name == "store" and one.process)


def test_a_store_is_compacted_while_it_is_used_and_a_kill_in_the_middle_costs_nothing(
    stack: Any, tmp_path: Path
) -> None:
    with stack(tmp_path, "--store=fuseki") as services:
        store = StoreAddress(services.store_url, "fuseki")
        database = services.data / "fuseki" / "tdb2"
        for number in range(COMMITS):
            send(services.tracker_url, "load", range(number, number + 1))
            settle(services.tracker_url)
        before = lines_of(store)
        server = services.store_url.rpartition("/")[0]
        httpx.post(f"{server}/$/compact/pllib?deleteOld=true", trust_env=False).raise_for_status()
        middle = until(lambda: any(path.name.endswith("-tmp") for path in database.iterdir()), 20, 0.001)
        os.kill(store_pid(services.data), signal.SIGKILL)
        assert middle, "it was in the middle"
        assert until(lambda: deploy("status", "--data", str(services.data)).returncode == 0, 90)
        assert lines_of(store) == before
        load = Load(services.tracker_url, COMMITS)
        load.start()
        try:
            assert until(lambda: load.end > COMMITS + 5, 60)
            done = deploy("compact", "--data", str(services.data))
        finally:
            load.stop()
        assert done.returncode == 0, done.stdout + done.stderr
        told = re.search("([0-9,]+) bytes on disk before, ([0-9,]+) now", done.stdout)
        assert told, done.stdout
        bytes_before, bytes_now = (int(number.replace(",", "")) for number in told.groups())
        assert bytes_now < bytes_before / 2
        settle(services.tracker_url)
        after = lines_of(store)
        assert before < after
        for number in (0, COMMITS - 1, load.end - 1):
            assert any(f"/load/fit/{number}>" in line for line in after)
        assert [path.name for path in database.iterdir() if path.name.endswith("-tmp")] == []
        asked = httpx.get(f"{services.query_url}/sparql", params={"query": "ASK { ?s ?p ?o }"}, trust_env=False)
        assert asked.json()["boolean"] is True


def test_what_cannot_be_compacted_is_told(make_store: Callable[[str, Path], Any], tmp_path: Path) -> None:
    oxigraph = make_store("oxigraph", tmp_path / "oxigraph")
    oxigraph.start()
    try:
        by_itself = deploy("compact", "--store-url", oxigraph.url)
        assert (by_itself.returncode, "by itself" in by_itself.stdout) == (0, True)
        unknown = deploy("compact", "--store-url", oxigraph.url, "--store-kind", "sparql")
        assert (unknown.returncode, "see its manual" in unknown.stderr) == (2, True)
        wrong = deploy("compact", "--store-url", f"{oxigraph.url}/pllib", "--store-kind", "fuseki")
        assert (wrong.returncode, "fix:" in wrong.stderr) == (2, True)
    finally:
        oxigraph.end()


def test_a_compaction_that_the_store_gives_up_is_told(empty_store: Any) -> None:
    failed = json.dumps({"taskId": "1", "finished": "2026-01-01T00:00:00Z", "success": False}).encode()
    with Proxy(empty_store("fuseki").url) as between:
        between.behave(
            lambda proxy, request: (
                Reply(200, {}, failed) if "tasks" in request.path else Reply(200, {}, b'{"taskId": "1"}')
            )
        )
        at = ("--store-url", f"{between.url}/pllib", "--store-kind", "fuseki")
        done = deploy("compact", *at)
        assert (done.returncode, "its log says why" in done.stdout) == (1, True)
        between.behave(lambda proxy, request: Reply(200, {}, b"<html/>"))
        nameless = deploy("compact", "--store-url", between.url, "--store-kind", "fuseki")
        assert (nameless.returncode, "names no dataset" in nameless.stderr) == (2, True)
        other = deploy("compact", *at)
        assert (other.returncode, "does not answer as Fuseki does" in other.stderr) == (2, True)


def test_a_move_that_is_killed_half_way_goes_on_where_it_was(
    make_store: Callable[[str, Path], Any], empty_store: Any, tmp_path: Path
) -> None:
    oxigraph, fuseki = make_store("oxigraph", tmp_path / "oxigraph"), empty_store("fuseki")
    oxigraph.start()
    folder = tmp_path / "move"
    try:
        text = "".join(f'<urn:subject:{n}> <urn:predicate> "{n} {"x" * LETTERS}" .\n' for n in range(TRIPLES))
        headers = {"Content-Type": "application/n-triples"}
        httpx.post(
            oxigraph.store.bulk_url, content=text.encode(), headers=headers, trust_env=False, timeout=60
        ).raise_for_status()
        with Proxy(fuseki.url) as between:
            between.behave(slow(1.0))
            words = ["move-store", str(folder), "--from", oxigraph.url, "--to", between.url, "--to-kind", "fuseki"]
            command = [sys.executable, "-m", "deploy", *words]
            move = subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.DEVNULL)
            assert until(lambda: sent(folder) > 0 or move.poll() is not None, 90)
            move.send_signal(signal.SIGKILL)
            move.wait()
            half = sent(folder)
            assert 0 < half < TRIPLES
            between.behave(slow(0))
            done = deploy(*words)
        assert done.returncode == 0, done.stdout + done.stderr
        assert f"going on: {half:,} of {TRIPLES:,} triples" in done.stdout
        assert done.stdout.count(f"{TRIPLES:,} triples, checksum") == 2
        assert lines_of(fuseki) == lines_of(oxigraph.store)
    finally:
        oxigraph.end()


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_move_whose_export_is_ended_begins_it_anew(
    make_store: Callable[[str, Path], Any], tmp_path: Path, end: int
) -> None:
    stores = [make_store("oxigraph", tmp_path / name) for name in ("one", "two")]
    for each in stores:
        each.start()
    folder = tmp_path / "move"
    try:
        text = "".join(f'<urn:subject:{n}> <urn:predicate> "{n}" .\n' for n in range(1000))
        headers = {"Content-Type": "application/n-triples"}
        httpx.post(stores[0].store.graph_url, content=text, headers=headers, trust_env=False).raise_for_status()
        with Proxy(stores[0].url) as between:
            between.behave(lambda proxy, request: proxy.forward(request)._replace(pause=0.001))
            words = ["move-store", str(folder), "--from", between.url, "--to", stores[1].url]
            move = subprocess.Popen([sys.executable, "-m", "deploy", *words], cwd=CHECKOUT)
            assert until(lambda: (folder / "store.nt.gz").exists(), 60)
            move.send_signal(end)
            move.wait()
            assert not (folder / "move.json").exists()
            between.behave(slow(0))
            assert deploy(*words).returncode == 0
        assert stores[0].lines() == stores[1].lines()
    finally:
        for each in stores:
            each.end()


def sent(folder: Path) -> int:
    """Triples that a move says are in the second store."""
    path = folder / "move.json"
    return int(json.loads(path.read_text())["sent"]) if path.exists() else 0
