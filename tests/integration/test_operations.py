"""The launcher's commands for a stack that runs: its queue, what was given up, draining, backup and restore."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.state import read_run
from tests.faults.proxy import Proxy, Reply, Request
from tests.integration.test_power_cut import graph, send, settle

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 120
Stack = Callable[..., AbstractContextManager[Any]]


def deploy(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy", *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=SECONDS, check=False)


@pytest.fixture(scope="module")
def running(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A stack for the tests of this module."""
    with stack(tmp_path_factory.mktemp("operations")) as services:
        yield services


def manager_pid(data: Path) -> int:
    run = read_run(data)
    assert run is not None
    return next(one.process.pid for one in run.services if one.name == "manager" and one.process)


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """A process that does not get on, while the body runs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def restore_lines(url: str, *lines: dict[str, Any]) -> None:
    body = "\n".join(map(json.dumps, lines))
    assert httpx.post(f"{url}/v1/restore", content=body, trust_env=False).is_success


LETTER = {
    "kind": "dead", "hash": 1, "accepted": 1e9, "deliveries": 5, "died": 1.5e9, "reason": "poison", "body": {"plans": []}
}  # fmt: skip


def test_the_queue_and_its_producers_are_shown(running: Any) -> None:
    accounting = {"accepted": 12, "delivered": 9, "waiting": 1, "dropped": {"full": 2}}
    batch = {"version": 1, "producer": "f" * 32, "records": ["no record"], "accounting": accounting}
    httpx.post(f"{running.tracker_url}/v1/captures", json=batch, trust_env=False)
    shown = deploy("queue", "--data", str(running.data))
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "waiting" in shown.stdout
    assert f"{'f' * 32}  received 1" in shown.stdout
    assert "accepted 12, delivered 9, waiting 1, dropped 2" in shown.stdout
    assert "they dropped: 2 (full)" in shown.stdout
    refused = deploy("quarantine", "--tracker-url", running.tracker_url)
    assert (refused.returncode, "no record" in refused.stdout, "1 refused records" in refused.stdout) == (0, True, True)


def test_dead_letters_are_listed_shown_exported_and_replayed(running: Any, tmp_path: Path) -> None:
    where = ("--data", str(running.data))
    restore_lines(running.tracker_url, LETTER, LETTER, LETTER)
    listed = deploy("dead-letters", *where)
    assert listed.stdout.count("5 deliveries  poison") == 3
    first, second, third = (line.split()[0] for line in listed.stdout.splitlines()[:3])
    assert json.loads(deploy("dead-letters", "show", first, *where).stdout) == {"plans": []}
    assert deploy("dead-letters", "export", str(tmp_path / "letters"), *where).returncode == 0
    written = [json.loads(line) for line in (tmp_path / "letters").read_text().splitlines()]
    assert [one["id"] for one in written] == [first, second, third]
    assert {json.dumps(one["document"]) for one in written} == {'{"plans": []}'}
    assert deploy("dead-letters", "export", str(tmp_path / "letters"), *where).returncode == 2
    replayed = deploy("dead-letters", "replay", first, "77777", *where)
    assert (replayed.returncode, replayed.stdout) == (1, "1 wait for delivery again; 1 are no dead letters\n")
    assert deploy("dead-letters", "replay", *where).stdout.startswith("2 wait")
    settle(running.tracker_url)
    assert deploy("dead-letters", *where).stdout == "no dead letters\n"
    unknown = deploy("dead-letters", "show", "77777", *where)
    assert (unknown.returncode, "no dead letter" in unknown.stderr) == (2, True)
    assert deploy("dead-letters", "show", *where).returncode == 2


def test_draining_waits_for_what_was_accepted_and_is_taken_back(running: Any) -> None:
    where = ("--data", str(running.data))
    with frozen(manager_pid(running.data)):
        send(running.tracker_url, "drained", range(5))
        late = deploy("drain", "--timeout", "1", *where)
        assert late.returncode == 1
        assert "still wait after 1 s" in late.stdout
    assert deploy("drain", *where).stdout.endswith("drained: nothing waits\n")
    answer = httpx.post(f"{running.tracker_url}/v1/captures", json={}, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
    assert "drain" in deploy("status", *where).stdout
    assert any("drained/" in line or "drained" in line for line in graph(running.store_url))
    assert deploy("drain", "--resume", *where).returncode == 0
    send(running.tracker_url, "after", range(1))


def test_commands_without_a_stack_say_so(tmp_path: Path) -> None:
    for words in (("queue",), ("dead-letters",), ("quarantine",), ("drain",), ("backup", str(tmp_path / "b"))):
        refused = deploy(*words, "--data", str(tmp_path))
        assert refused.returncode == 2
        assert refused.stderr.startswith("error: no stack that runs on")
    refused = deploy("queue", "--tracker-url", "http://127.0.0.1:9")
    assert (refused.returncode, "does not answer" in refused.stderr) == (2, True)


def test_down_drains_first_when_it_is_told_to(
    tmp_path: Path, free_port: Callable[[], int], require_server: Callable[[str], str]
) -> None:
    require_server("oxigraph")
    data = tmp_path / "data"
    ports = {name: free_port() for name in ("tracker", "manager", "query", "store")}
    options = [f"--{name}-port={port}" for name, port in ports.items()]
    assert deploy("up", "--detach", "--data", str(data), *options).returncode == 0
    try:
        with frozen(manager_pid(data)):
            send(f"http://127.0.0.1:{ports['tracker']}", "last", range(20))
            late = deploy("down", "--drain", "--timeout", "1", "--data", str(data))
            assert late.returncode == 1
            assert "nothing was stopped" in late.stdout
            assert read_run(data) is not None
        assert deploy("down", "--drain", "--data", str(data)).returncode == 0
        assert read_run(data) is None
    finally:
        deploy("down", "--data", str(data))
    oxigraph = require_server("oxigraph")
    query = 'ASK { ?t ?p ?o FILTER(CONTAINS(STR(?t), "/last/fit/19")) }'
    command = [oxigraph, "query", "--location", str(data / "store"), "--query", query, "--results-format", "json"]
    assert json.loads(subprocess.run(command, capture_output=True, check=True).stdout)["boolean"] is True


class Load(threading.Thread):
    """Sends task after task until it is stopped; `acknowledged` is the number of the next one."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url
        self._enough = threading.Event()
        self.acknowledged = 0

    def run(self) -> None:
        while not self._enough.is_set():
            send(self._url, "load", range(self.acknowledged, self.acknowledged + 3))
            self.acknowledged += 3

    def stop(self) -> None:
        self._enough.set()
        self.join()


SPECIFICATION = {"workflow": "train", "align": {"learning_rate": "lr"}}
ANALYSIS = {
    "name": "mine",
    "title": "Mine",
    "question": "Which tasks are there?",
    "taxonomy": {"data": "execution", "execution_timing": "online", "direction": "forward"},
    "columns": {"task": "the task"},
    "query": {"text": "SELECT ?task { ?task prov:endedAtTime ?at }"},
}


def tasks_in(lines: set[str]) -> set[int]:
    """Numbers of the tasks of the load that a graph holds."""
    found = (line.partition("/load/fit/")[2] for line in lines)
    return {int(rest.partition(">")[0].partition("/")[0]) for rest in found if rest[:1].isdigit()}


def test_a_backup_under_load_brings_back_all_that_was_accepted_before(stack: Stack, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    folder, target = tmp_path / "backup", tmp_path / "two" / "data"
    with stack(tmp_path / "one") as services:
        assert httpx.post(f"{services.query_url}/v1/analyses", json=ANALYSIS, trust_env=False).status_code == 201
        assert httpx.post(f"{services.tracker_url}/v1/prospective", json=SPECIFICATION, trust_env=False).is_success
        load = Load(services.tracker_url)
        load.start()
        try:
            time.sleep(1.0)
            with frozen(manager_pid(services.data)):  # so that some of it waits in the queue
                time.sleep(0.5)
                before = load.acknowledged
                made = deploy("backup", str(folder), "--data", str(services.data))
        finally:
            load.stop()
        assert made.returncode == 0, made.stderr
        settle(services.tracker_url)
        whole = graph(services.store_url)
        again = deploy("backup", str(folder), "--data", str(services.data))
        assert (again.returncode, "holds something already" in again.stderr) == (2, True)
    manifest = json.loads((folder / "manifest.json").read_text())
    counts = {part["file"]: part["counts"] for part in manifest["parts"]}
    assert counts["queue.ndjson.gz"]["entry"] > 0
    damaged_backups_are_refused(folder, target)
    restored = deploy("restore", str(folder), "--data", str(target))
    assert restored.returncode == 0, restored.stderr
    with stack(tmp_path / "two") as services:
        assert not (target / "restore").exists()
        settle(services.tracker_url)
        found = graph(services.store_url)
        assert found <= whole
        assert tasks_in(found) >= set(range(before))
        assert counts["store.nt.gz"]["triples"] < len(found)  # the queue's part was needed
        assert httpx.get(f"{services.query_url}/v1/analyses/mine", trust_env=False).json()["title"] == "Mine"
        specification = httpx.get(f"{services.tracker_url}/v1/prospective/train", trust_env=False).json()[
            "specification"
        ]
        assert specification == SPECIFICATION
        send(services.tracker_url, "load", range(load.acknowledged))
        settle(services.tracker_url)
        assert graph(services.store_url) == whole
    refused = deploy("restore", str(folder), "--data", str(target))
    assert (refused.returncode, "holds something already: store, tracker" in refused.stderr) == (2, True)
    assert deploy("restore", str(folder), "--data", str(target), "--anyway").returncode == 0
    assert len(list(target.glob("replaced-*/store"))) == 1


def damaged_backups_are_refused(folder: Path, target: Path) -> None:
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    for part in json.loads((folder / "manifest.json").read_text())["parts"]:
        content = (copy / part["file"]).read_bytes()
        (copy / part["file"]).write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        refused = deploy("restore", str(copy), "--data", str(target))
        assert (refused.returncode, "is not what was written" in refused.stderr) == (2, True)
        (copy / part["file"]).write_bytes(content)
    (copy / "manifest.json").unlink()
    refused = deploy("restore", str(copy), "--data", str(target))
    assert (refused.returncode, "no whole backup" in refused.stderr) == (2, True)
    assert not target.exists() or not any(target.glob("store"))


@pytest.mark.parametrize("service", ["tracker", "store"])
def test_an_answer_that_is_cut_short_makes_no_backup(running: Any, tmp_path: Path, service: str) -> None:
    send(running.tracker_url, "cut", range(5))
    settle(running.tracker_url)
    urls = {"tracker": running.tracker_url, "store": running.store_url}

    def cut(proxy: Proxy, request: Request) -> Reply:
        reply = proxy.forward(request)
        return reply._replace(body=reply.body.rstrip()[:-2])

    (tmp_path / "query").mkdir()
    (tmp_path / "query" / "stored.json").write_text("{}")
    with Proxy(urls[service]) as proxy:
        urls[service] = proxy.url
        options = ("--tracker-url", urls["tracker"], "--store-url", urls["store"])
        own = ("--query-data", str(tmp_path / "query"))
        assert deploy("backup", str(tmp_path / "whole"), *options, *own).returncode == 0
        assert (tmp_path / "whole" / "query" / "stored.json").read_text() == "{}"
        proxy.behave(cut)
        refused = deploy("backup", str(tmp_path / "cut"), *options)
    assert (refused.returncode, "is not whole" in refused.stderr) == (2, True)
    assert not (tmp_path / "cut" / "manifest.json").exists()


def test_a_backup_goes_to_services_that_run(running: Any, stack: Stack, tmp_path: Path) -> None:
    send(running.tracker_url, "moved", range(30))
    settle(running.tracker_url)
    assert deploy("backup", str(tmp_path / "b"), "--data", str(running.data)).returncode == 0
    with stack(tmp_path) as other:
        urls = ("--tracker-url", other.tracker_url, "--store-url", other.store_url)
        refused = deploy("restore", str(tmp_path / "b"), *urls)
        assert (refused.returncode, "holds something already" in refused.stderr) == (2, True)
        done = deploy("restore", str(tmp_path / "b"), *urls, "--anyway")
        assert done.returncode == 0, done.stderr
        settle(other.tracker_url)
        assert graph(other.store_url) == graph(running.store_url)


def test_all_of_it_works_over_a_queue_on_a_server_too(stack: Stack, tmp_path: Path, redis_server: Any) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    with stack(tmp_path / "one", "--queue", redis_server.url) as services:
        where = ("--data", str(services.data))
        send(services.tracker_url, "server", range(10))
        settle(services.tracker_url)
        restore_lines(services.tracker_url, LETTER)
        assert deploy("dead-letters", *where).stdout.count("poison") == 1
        assert deploy("dead-letters", "replay", *where).returncode == 0
        with frozen(manager_pid(services.data)):
            send(services.tracker_url, "server", range(10, 20))
            assert deploy("drain", "--timeout", "1", *where).returncode == 1
            made = deploy("backup", str(tmp_path / "backup"), *where)
            assert made.returncode == 0, made.stderr
            assert "waiting" in deploy("queue", *where).stdout
        assert deploy("drain", *where).returncode == 0
        whole = graph(services.store_url)
    data = str(tmp_path / "two" / "data")
    assert deploy("restore", str(tmp_path / "backup"), "--data", data).returncode == 0
    with stack(tmp_path / "two") as services:
        settle(services.tracker_url)
        assert graph(services.store_url) == whole
