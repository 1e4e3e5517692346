"""Several tracker processes on one server: killed, started again, with the server killed under them."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_tracker_process import (  # noqa: F401  (one of them is a fixture)
    CHECKOUT,
    OK,
    PATIENCE,
    Receiver,
    Tracker,
    ended,
    receiver,
    wait_until,
)
from tests.redis_process import RedisProcess

Json = Any
Made = Callable[..., Tracker]

IMPATIENT = """
import dataclasses, logging, os, sys
from edge.listening import serve
from tracker.app import create_app
from tracker.settings import from_arguments
logging.basicConfig(level=logging.INFO)
settings = dataclasses.replace(from_arguments(sys.argv[1:], os.environ), post_timeout=1.5)
serve(create_app(settings), settings.host, settings.port)
"""
"""A tracker that waits 1.5 s for an answer of the manager, and so takes over the claims of a dead one after 3 s."""


class SharingTracker(Tracker):
    def __init__(self, data: Path, port: int, manager_url: str, *flags: str) -> None:
        super().__init__(data, port, manager_url, *flags)
        self._command[1:3] = ["-c", IMPATIENT]
        self.log = data.parent / f"{data.name}.log"


@pytest.fixture
def made(
    tmp_path: Path,
    free_port: Callable[[], int],
    redis_server: RedisProcess,
    receiver: Receiver,  # noqa: F811
) -> Iterator[Made]:
    """Starts trackers that share a server; they end after the test."""
    trackers: list[Tracker] = []

    def start(name: str, *flags: str, url: str = "") -> Tracker:
        trackers.append(
            SharingTracker(tmp_path / name, free_port(), receiver.url, "--queue", url or redis_server.url, *flags)
        )
        trackers[-1].start()
        return trackers[-1]

    yield start
    for tracker in trackers:
        tracker.end(signal.SIGKILL)
        tracker.client.close()


class Load:
    """Sends records, one a request, to some trackers in turn, again until they are taken."""

    def __init__(self, *trackers: Tracker) -> None:
        self._trackers = trackers
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send, args=(number,)) for number in range(4)]
        self.taken: set[str] = set()
        self.unavailable = 0
        self.without_advice = 0
        for thread in self._threads:
            thread.start()

    def _send(self, mine: int) -> None:
        number = mine
        while not self._stop.is_set():
            record = ended(number, f"train/{number % 7}")
            tracker = self._trackers[number // 4 % len(self._trackers)]
            try:
                answer = tracker.client.post(
                    "/v1/captures", json={"version": 1, "producer": f"{mine:032x}", "records": [record]}
                )
            except httpx.TransportError:
                number += 4  # the other one, if there is one; what became of this one is not known
                self._stop.wait(0.02)
                continue
            if answer.status_code == 200:
                self.taken.add(f"fit/{number}")
                number += 4
            else:
                self.unavailable += answer.status_code == 503
                self.without_advice += "retry-after" not in answer.headers
                self._stop.wait(0.02)

    def until(self, count: int) -> None:
        wait_until(lambda: len(self.taken) >= count, f"{count} records are taken")

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)


def test_two_trackers_deliver_together(made: Made, receiver: Receiver) -> None:  # noqa: F811
    one, two = made("one"), made("two")
    assert one.stats()["queue"]["depth"] == 0
    load = Load(one, two)
    load.until(200)
    load.stop()
    wait_until(one.drained, "the queue drains")
    assert receiver.tasks() == load.taken
    assert one.stats()["delivered"] + two.stats()["delivered"] == len(load.taken)
    assert (one.stats()["dead_letters"], two.stats()["queue"]["depth"]) == (0, 0)


def test_what_a_killed_tracker_had_claimed_is_delivered_by_the_other(
    made: Made,
    receiver: Receiver,  # noqa: F811
) -> None:
    one, two = made("one"), made("two")
    load = Load(one, two)
    load.until(50)
    receiver.answer = lambda documents: (503, {}, {})  # both hold claims
    load.until(150)
    one.end(signal.SIGKILL)
    load.until(250)
    load.stop()
    receiver.answer = lambda documents: OK
    wait_until(lambda: load.taken <= receiver.tasks(), "all of it arrives")
    wait_until(two.drained, "the queue drains")
    assert two.stats()["dead_letters"] == 0


def test_a_killed_tracker_goes_on_where_it_was(made: Made, receiver: Receiver) -> None:  # noqa: F811
    one = made("one", "--partitions", "2")
    load = Load(one)
    for turn in range(1, 4):
        load.until(60 * turn)
        one.end(signal.SIGKILL)
        one.start()
    load.stop()
    wait_until(lambda: load.taken <= receiver.tasks(), "all of it arrives")
    wait_until(one.drained, "the queue drains")
    assert one.stats()["dead_letters"] == 0


def test_the_server_may_be_killed_under_load(
    made: Made,
    own_redis: Callable[..., RedisProcess],
    receiver: Receiver,  # noqa: F811
) -> None:
    server = own_redis()
    one, two = made("one", url=server.url), made("two", url=server.url)
    load = Load(one, two)
    for turn in range(1, 4):
        load.until(80 * turn)
        server.kill()
        wait_until(lambda: one.client.get("/health").status_code == 503, "it is told")
        before = load.unavailable
        wait_until(lambda before=before: load.unavailable > before, "captures are refused")
        server.start()
    load.until(320)
    load.stop()
    assert load.without_advice == 0
    wait_until(lambda: load.taken <= receiver.tasks(), "all of it arrives")
    wait_until(one.drained, "the queue drains")
    assert one.stats()["dead_letters"] == 0


def test_specifications_hold_in_every_tracker(made: Made, receiver: Receiver) -> None:  # noqa: F811
    one, two = made("one"), made("two")
    form = {"workflow": "train", "align": {"error": "loss"}}
    assert one.client.post("/v1/prospective", json=form).status_code == 201
    assert two.client.post("/v1/prospective", json=form).status_code == 200
    sent = iter(range(1000))

    def aligned() -> bool:
        number = next(sent)
        two.send(ended(number, f"train/{number}", generated={"error": 0.5}))
        ids = {one["id"] for document in receiver.taken for one in document.get("entities", [])}
        return any(name.endswith("/loss") for name in ids)

    wait_until(aligned, "the other tracker uses it")

    def put(number: int) -> int:
        tracker = (one, two)[number % 2]
        answer = tracker.client.post("/v1/prospective", json={**form, "description": str(number)})
        assert answer.status_code == 201, answer.text
        return int(answer.json()["version"])

    with ThreadPoolExecutor(8) as pool:
        versions = list(pool.map(put, range(16)))
    assert sorted(versions) == list(range(2, 18))
    for number, version in enumerate(versions):
        kept = one.client.get(f"/v1/prospective/train?version={version}").json()
        assert kept["specification"]["description"] == str(number)
    one.end(signal.SIGKILL)
    one.start()
    assert one.client.get("/v1/prospective/train").json() == two.client.get("/v1/prospective/train").json()


def test_the_number_of_partitions_is_agreed_on_and_may_change(made: Made, receiver: Receiver) -> None:  # noqa: F811
    receiver.answer = lambda documents: (503, {}, {})
    one = made("one", "--partitions", "3")
    one.send(*(ended(number, f"train/{number}") for number in range(40)))
    refused = SharingTracker(one.log.parent / "two", 1, receiver.url, "--queue", one._command[-3], "--partitions", "5")
    told = subprocess.run(refused._command, cwd=CHECKOUT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    refused.client.close()
    assert told.returncode == 3
    assert "start with --partitions 3" in told.stderr
    one.end(signal.SIGKILL)
    one._command[-1] = "5"
    one.start()
    assert sum(one.stats()["queue"]["depths"]) == 40
    assert len(one.stats()["queue"]["depths"]) == 5
    receiver.answer = lambda documents: OK
    wait_until(one.drained, "the queue drains")
    assert receiver.tasks() == {f"fit/{number}" for number in range(40)}


def test_a_server_that_would_lose_records_is_refused_with_what_to_set(
    own_redis: Callable[..., RedisProcess], tmp_path: Path, free_port: Callable[[], int]
) -> None:
    server = own_redis({"appendonly": "no", "save": ""})
    server.client.config_set("requirepass", "hunter2")
    command = [sys.executable, "-m", "tracker", "--data", str(tmp_path / "tracker"), "--port", str(free_port())]
    environment = {"PATH": "/usr/bin", "PYTHONPATH": str(CHECKOUT)}
    environment["PLLIB_TRACKER_QUEUE"] = server.url.replace("//", "//:hunter2@")
    refused = subprocess.run(
        command, cwd=CHECKOUT, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False
    )
    assert refused.returncode == 3
    assert "CONFIG SET appendonly yes" in refused.stderr
    assert "hunter2" not in refused.stderr + refused.stdout


def test_what_was_kept_in_a_file_moves_to_the_server(made: Made, receiver: Receiver) -> None:  # noqa: F811
    receiver.answer = lambda documents: (503, {}, {})
    one = made("one")
    folder = one.log.parent / "one"
    one.end(signal.SIGTERM)
    with_server, one._command = one._command, [word for word in one._command if "redis://" not in word]
    one._command.remove("--queue")
    one.start()
    one.send(*(ended(number, f"train/{number}") for number in range(20)), ended(99, status="done"))
    form = {"workflow": "train", "align": {"error": "loss"}}
    assert one.client.post("/v1/prospective", json=form).status_code == 201
    described = {"name": "tiles", "type": "POSTGRESQL", "id": "pg"}
    assert one.client.post("/provenance/api/data-stores", json=described).status_code == 201
    one.end(signal.SIGTERM)
    one._command = with_server
    one.start()
    assert sum(one.stats()["queue"]["depths"]) == 22
    assert one.stats()["quarantined"] == 1
    assert one.client.get("/v1/prospective/train").json()["version"] == 1
    two = made("two")
    kept = two.client.get("/provenance/api/data-stores").json()
    assert [store["name"] for store in kept] == ["tiles"]
    assert two.client.get("/provenance/api/data-stores/pg").json() == kept[0]
    assert sorted(file.name for file in folder.glob("tracker*")) == ["tracker-before-server.sqlite"]
    receiver.answer = lambda documents: OK
    wait_until(one.drained, "the queue drains")
    assert receiver.tasks() == {f"fit/{number}" for number in range(20)}


def test_the_name_is_kept_in_the_folder(made: Made, redis_server: RedisProcess) -> None:
    one, two = made("one"), made("two", "--name", "chosen")
    name = (one.log.parent / "one" / "name").read_text().strip()
    assert set(redis_server.client.hkeys("pllib:trackers")) == {name.encode(), b"chosen"}
    one.end(signal.SIGTERM)
    assert redis_server.client.hkeys("pllib:trackers") == [b"chosen"]
    one.start()
    assert set(redis_server.client.hkeys("pllib:trackers")) == {name.encode(), b"chosen"}
    two.end(signal.SIGTERM)
