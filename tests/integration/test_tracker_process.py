"""A real tracker process: what it takes is on disk, and it reaches the manager whatever the manager or the process goes through.

The receiver here stands where the manager would, for answers that a healthy manager does not give.
"""

from __future__ import annotations

import gzip
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

from pllib.transport import HttpTransport

CHECKOUT = Path(__file__).resolve().parents[2]
PATIENCE = 60.0

Json = Any
Answer = tuple[int, Json, dict[str, str]]
OK: Answer = (200, {}, {})


class Receiver:
    """An HTTP server that takes documents and answers as it is told."""

    def __init__(self) -> None:
        self.answer: Callable[[list[Json]], Answer] = lambda documents: OK
        self.taken: list[Json] = []
        self.posts: list[int] = []
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._server: ThreadingHTTPServer | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                assert (self.path, body["version"]) == ("/v1/prov-ml", 1)
                status, answer, headers = receiver.answer(body["documents"])
                receiver.posts.append(status)
                if status == 200:
                    receiver.taken.extend(body["documents"])
                content = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *arguments: Any) -> None:
                """Says nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def tasks(self) -> set[str]:
        """Tasks that it took the end of, ``name/number``."""
        ended = [one["id"] for document in self.taken for one in document.get("activities", []) if "ended" in one]
        return {"/".join(identifier.split("/")[3:]) for identifier in ended}


class Tracker:
    """A tracker process on a folder; it can be killed and started again."""

    def __init__(self, data: Path, port: int, manager_url: str, *flags: str) -> None:
        self._command = [sys.executable, "-m", "tracker", "--data", str(data), "--port", str(port)]
        self._command += ["--manager-url", manager_url, *flags]
        self.log = data.parent / "tracker.log"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PLLIB_TRACKER")}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=CHECKOUT, env=environment, stdout=log, stderr=log)
        wait_until(self._healthy, "the tracker starts")

    def _healthy(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log.read_text()
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def end(self, how: int) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def send(self, *records: Json, producer: str = "0" * 32) -> Json:
        answer = self.client.post("/v1/captures", json={"version": 1, "producer": producer, "records": records})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stats(self) -> Json:
        return self.client.get("/v1/stats").json()

    def drained(self) -> bool:
        return self.stats()["queue"]["depth"] == 0


def wait_until(condition: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until, f"in vain: {what}"
        time.sleep(0.02)


def ended(number: int, wf: str = "train/9f-1", **more: Json) -> Json:
    return {
        "n": number, "op": "end", "t": 1_700_000_000_000_000, "m": 1, "kind": "task", "wf": wf, "id": f"fit/{number}",
        "status": "finished", **more,
    }  # fmt: skip


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    found.start()
    yield found
    found.stop()


@pytest.fixture
def made(tmp_path: Path, free_port: Callable[[], int]) -> Callable[..., Any]:
    """Starts a tracker, and ends it after the test."""

    @contextmanager
    def start(receiver: Receiver, *flags: str) -> Iterator[Tracker]:
        tracker = Tracker(tmp_path / "tracker", free_port(), receiver.url, *flags)
        tracker.start()
        try:
            yield tracker
        finally:
            tracker.end(signal.SIGTERM)
            tracker.client.close()

    return start


@pytest.fixture
def tracker(made: Callable[..., Any], receiver: Receiver) -> Iterator[Tracker]:
    with made(receiver) as found:
        yield found


def test_captures_reach_the_manager(tracker: Tracker, receiver: Receiver) -> None:
    assert tracker.send(ended(1), ended(2, "train/9f-2")) == {"accepted": 2, "rejected": 0, "results": []}
    packed = gzip.compress(json.dumps({"version": 1, "producer": "0" * 32, "records": [ended(3)]}).encode())
    assert tracker.client.post("/v1/captures", content=packed, headers={"content-encoding": "gzip"}).status_code == 200
    wait_until(tracker.drained, "the queue drains")
    assert receiver.tasks() == {"fit/1", "fit/2", "fit/3"}
    stats = tracker.stats()
    assert (stats["accepted"], stats["delivered"], stats["appended"]) == (3, 3, 3)
    metrics = tracker.client.get("/metrics").text
    assert "pllib_tracker_accepted_total 3.0" in metrics
    assert 'pllib_tracker_queue_depth{partition="0"} 0.0' in metrics


def test_a_bad_record_is_refused_alone_and_kept(tracker: Tracker, receiver: Receiver) -> None:
    answer = tracker.send(ended(1), ended(2, status="done"), 7, ended(3))
    assert (answer["accepted"], answer["rejected"]) == (2, 2)
    assert [(one["index"], one["status"], one["field"]) for one in answer["results"]] == [
        (1, 422, "$.status"),
        (2, 422, "$"),
    ]
    wait_until(tracker.drained, "the queue drains")
    assert receiver.tasks() == {"fit/1", "fit/3"}
    kept = tracker.client.get("/v1/quarantine").json()["quarantined"]
    assert [one["field"] for one in kept] == ["$.status", "$"]
    assert json.loads(kept[0]["body"])["status"] == "done"


def test_lines_are_taken_as_the_same_records_are_as_json(tracker: Tracker, receiver: Receiver) -> None:
    transport = HttpTransport(f"http://127.0.0.1:{tracker.client.base_url.port}", 30)
    taken = []
    for producer in ("0" * 32, "1" * 32):  # the first time as JSON
        payloads = [json.dumps(ended(number, f"{producer}/9f-1")).encode() for number in (1, 2)]
        first = payloads[0][:-1] + b',"generated":{"x":\t,"y":\t}}\tmpmZmZmZuT8AAAAAAADw/w=='
        bad = payloads[1].replace(b"finished", b"done")
        answer = transport.post(producer, [first, bad, payloads[1]], {"accepted": 3})
        assert (answer["accepted"], [one["index"] for one in answer["results"]]) == (2, [1])
        wait_until(tracker.drained, "the queue drains")
        taken.append(json.dumps(receiver.taken).replace(producer, "P"))
        receiver.taken.clear()
    transport.close()
    assert transport._takes_lines
    assert taken[0] == taken[1]
    assert len(tracker.client.get("/v1/quarantine").json()["quarantined"]) == 2


def test_bodies_that_are_refused_as_a_whole(tracker: Tracker) -> None:
    post = tracker.client.post
    batch = {"producer": "0" * 32, "records": []}
    answers = {
        400: post("/v1/captures", content=b"{"),
        409: post("/v1/captures", json={"version": 2, **batch}),
        413: post("/v1/captures", content=b" " * 8_000_001),
        415: post("/v1/captures", content=b"", headers={"content-encoding": "br"}),
        404: tracker.client.get("/v1/nothing"),
        405: tracker.client.get("/v1/captures"),
    }
    assert {expected: answer.status_code for expected, answer in answers.items()} == {
        status: status for status in answers
    }
    for answer in answers.values():
        assert set(answer.json()["error"]) == {"code", "message", "field", "fix"}
    bomb = gzip.compress(b" " * 33_000_000)
    assert post("/v1/captures", content=bomb, headers={"content-encoding": "gzip"}).status_code == 413
    assert post("/v1/captures", content=iter([b" " * 5_000_000] * 2)).status_code == 413
    assert tracker.client.get("/health", headers={"host": "evil.example"}).status_code == 400
    assert tracker.client.get("/health").status_code == 200


def test_a_manager_that_is_not_there_yet(made: Callable[..., Any]) -> None:
    receiver = Receiver()
    with made(receiver) as tracker:
        tracker.send(*(ended(number) for number in range(5)))
        wait_until(lambda: tracker.stats()["failed_posts"] >= 2, "posts fail")
        assert tracker.stats()["queue"]["depth"] == 1
        receiver.start()
        wait_until(tracker.drained, "the queue drains")
        assert receiver.tasks() == {f"fit/{number}" for number in range(5)}
        assert tracker.stats()["dead_letters"] == 0
        receiver.stop()


def test_a_manager_that_is_busy_is_given_time(tracker: Tracker, receiver: Receiver) -> None:
    statuses = [503, 429, 502, 404]
    receiver.answer = lambda documents: (statuses.pop(), {}, {"Retry-After": "0"}) if statuses else OK
    tracker.send(ended(1))
    wait_until(tracker.drained, "the queue drains")
    assert receiver.posts == [404, 502, 429, 503, 200]
    assert tracker.stats()["dead_letters"] == 0


def test_documents_that_the_manager_names_are_dead_letters_and_can_be_replayed(
    tracker: Tracker, receiver: Receiver
) -> None:
    receiver.answer = lambda documents: (503, {}, {})
    for number in range(6):
        tracker.send(ended(number, stdout="poison" if number in (1, 4) else None))

    def refuse(documents: list[Json]) -> Answer:
        bad = [index for index, document in enumerate(documents) if "poison" in json.dumps(document)]
        return (422, {"errors": [{"index": index, "message": "poison"} for index in bad]}, {}) if bad else OK

    receiver.answer = refuse
    wait_until(tracker.drained, "the queue drains")
    assert receiver.tasks() == {"fit/0", "fit/2", "fit/3", "fit/5"}
    dead = tracker.client.get("/v1/dead-letters").json()["dead_letters"]
    assert [letter["reason"] for letter in dead] == ["HTTP 422: poison"] * 2
    assert "poison" in tracker.client.get(f"/v1/dead-letters/{dead[0]['id']}").text

    receiver.answer = lambda documents: OK
    assert tracker.client.post("/v1/dead-letters/replay", json={"ids": [dead[0]["id"]]}).json() == {"replayed": 1}
    assert tracker.client.post("/v1/dead-letters/replay").json() == {"replayed": 1}
    wait_until(tracker.drained, "the queue drains")
    assert len(receiver.tasks()) == 6


@pytest.mark.parametrize("status", [400, 500])
def test_a_poisonous_document_is_isolated(tracker: Tracker, receiver: Receiver, status: int) -> None:
    receiver.answer = lambda documents: (503, {}, {})
    for number in range(9):
        tracker.send(ended(number, stdout="poison" if number == 4 else None))
    receiver.answer = lambda documents: (status, {}, {}) if "poison" in json.dumps(documents) else OK
    wait_until(tracker.drained, "the queue drains")
    assert receiver.tasks() == {f"fit/{number}" for number in range(9) if number != 4}
    (dead,) = tracker.client.get("/v1/dead-letters").json()["dead_letters"]
    assert dead["deliveries"] == 4
    assert dead["reason"].startswith(f"5 deliveries failed; the last: HTTP {status}")


def test_a_manager_that_fails_at_everything_gives_nothing_up(tracker: Tracker, receiver: Receiver) -> None:
    receiver.answer = lambda documents: (500, {}, {})
    tracker.send(ended(1))
    wait_until(lambda: len(receiver.posts) >= 8, "posts fail")
    receiver.answer = lambda documents: OK
    wait_until(tracker.drained, "the queue drains")
    assert receiver.tasks() == {"fit/1"}
    assert tracker.stats()["dead_letters"] == 0


def test_nothing_acknowledged_is_lost_by_kill_9(made: Callable[..., Any]) -> None:
    receiver = Receiver()
    with made(receiver) as tracker:
        acknowledged: list[int] = []
        stop = threading.Event()

        def send(worker: int) -> None:
            number = worker * 1_000_000
            while not stop.is_set():
                number += 1
                try:
                    tracker.send(ended(number, f"train/{worker}"), producer=f"{worker:032x}")
                except httpx.TransportError:
                    time.sleep(0.01)
                    continue
                acknowledged.append(number)

        workers = [threading.Thread(target=send, args=(worker,)) for worker in range(4)]
        for worker in workers:
            worker.start()
        for target in (100, 200, 300):
            wait_until(lambda target=target: len(acknowledged) >= target, "captures are taken")
            if target == 200:
                receiver.start()
            tracker.end(signal.SIGKILL)
            tracker.start()
        stop.set()
        for worker in workers:
            worker.join(PATIENCE)
        wait_until(tracker.drained, "the queue drains")
        assert {f"fit/{number}" for number in acknowledged} <= receiver.tasks()
        receiver.stop()


def test_a_stop_keeps_what_was_not_delivered(made: Callable[..., Any], receiver: Receiver) -> None:
    receiver.answer = lambda documents: (503, {}, {"Retry-After": "300"})
    with made(receiver) as tracker:
        tracker.send(ended(1))
        wait_until(lambda: bool(receiver.posts), "a post fails")
        tracker.end(signal.SIGTERM)  # in spite of the wait that was asked for
        receiver.answer = lambda documents: OK
        tracker.start()
        wait_until(tracker.drained, "the queue drains")
        assert receiver.tasks() == {"fit/1"}


def test_a_full_backlog_pushes_back(made: Callable[..., Any]) -> None:
    receiver = Receiver()
    with made(receiver, "--max-backlog", "3") as tracker:
        for number in range(3):
            tracker.send(ended(number))
        answer = tracker.client.post("/v1/captures", json={"version": 1, "producer": "0" * 32, "records": [ended(9)]})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        receiver.start()
        wait_until(tracker.drained, "the queue drains")
        tracker.send(ended(9))
        wait_until(tracker.drained, "the queue drains")
        assert receiver.tasks() == {"fit/0", "fit/1", "fit/2", "fit/9"}
        receiver.stop()


def test_specifications_are_versioned_used_and_kept(tracker: Tracker, receiver: Receiver) -> None:
    form = {
        "workflow": "a/b",
        "transformations": {"fit": {"stage": "training", "outputs": {"loss": {"as": "evaluation_measure"}}}},
    }
    put = tracker.client.post("/v1/prospective", json=form)
    assert (put.status_code, put.json()["version"]) == (201, 1)
    assert tracker.client.post("/v1/prospective", json=form).status_code == 200
    newer = {**form, "align": {"error": "loss"}}
    assert tracker.client.post("/v1/prospective", json=newer).json()["version"] == 2
    refused = tracker.client.post("/v1/prospective", json={**form, "align": 7})
    assert (refused.status_code, refused.json()["error"]["field"]) == (422, "$.align")

    tracker.end(signal.SIGKILL)
    tracker.start()
    assert [one["version"] for one in tracker.client.get("/v1/prospective").json()["specifications"]] == [2]
    assert tracker.client.get("/v1/prospective/a%2Fb").json()["specification"] == newer
    assert tracker.client.get("/v1/prospective/a%2Fb?version=1").json()["specification"] == form
    assert tracker.client.get("/v1/prospective/a%2Fb?version=3").status_code == 404
    assert tracker.client.get("/v1/prospective/c").status_code == 404

    tracker.send(ended(1, "a%2Fb/1", generated={"error": 0.5}))
    wait_until(tracker.drained, "the queue drains")
    entities = [one for document in receiver.taken for one in document.get("entities", [])]
    assert entities == [
        {
            "id": "execution/a%2Fb/1/fit/1/loss", "value": 0.5, "attributes": ["workflow/a%2Fb/attribute/loss"],
            "types": ["provml:ModelEvaluation"],
        }
    ]  # fmt: skip
    plans = {one["id"] for document in receiver.taken for one in document.get("plans", [])}
    assert "workflow/a%2Fb/transformation/fit" in plans


def test_two_trackers_do_not_share_a_folder(tracker: Tracker, tmp_path: Path, free_port: Callable[[], int]) -> None:
    command = [sys.executable, "-m", "tracker", "--data", str(tmp_path / "tracker"), "--port", str(free_port())]
    second = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert second.returncode != 0
    assert "another process" in second.stderr
    assert tracker.client.get("/health").status_code == 200


def test_it_does_not_listen_beyond_loopback_unasked(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tracker", "--data", str(tmp_path), "--host", "0.0.0.0"]  # noqa: S104
    refused = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert refused.returncode == 2
    assert "--insecure" in refused.stderr
