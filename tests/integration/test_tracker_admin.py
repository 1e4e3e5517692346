"""What a running tracker shows, drains, gives away and takes in."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.integration.test_tracker_process import (  # noqa: F401  (two of them are fixtures)
    OK,
    Receiver,
    Tracker,
    ended,
    made,
    receiver,
    tracker,
    wait_until,
)

Json = Any
SPECIFICATION = {"workflow": "train", "align": {"learning_rate": "lr"}}
PRODUCER = "a" * 32
STORES = "/provenance/api/data-stores"
STORE = {"name": "Lab disk", "type": "FileSystem", "data_store_id": "lab"}


def test_what_producers_say_is_shown(tracker: Tracker) -> None:  # noqa: F811
    batch = {"version": 1, "producer": PRODUCER, "records": [ended(7), ended(3)]}
    told = {"accepted": 9, "delivered": 2, "refused": 1, "waiting": 4, "dropped": {"full": 2}, "mode": "memory"}
    for accounting in (told, "nonsense"):
        assert tracker.client.post("/v1/captures", json={**batch, "accounting": accounting}).json()["accepted"] == 2
    (one,) = tracker.client.get("/v1/producers").json()["producers"]
    assert one["last_seen"] > 0
    assert {**one, "last_seen": 0} == {
        "id": PRODUCER, "received": 4, "highest_n": 7, "last_seen": 0, "accounting": told,
    }  # fmt: skip
    assert tracker.client.get(f"/v1/producers?after={PRODUCER}").json() == {"producers": [], "next": None}
    assert tracker.client.get("/v1/producers?limit=1").json()["next"] == PRODUCER
    assert tracker.stats()["producers"] == {"seen": 1, "waiting": 4, "dropped": {"full": 2}}
    metrics = tracker.client.get("/metrics").text
    assert 'pllib_tracker_producers_dropped{reason="full"} 2.0' in metrics
    assert "pllib_tracker_producers_waiting 4.0" in metrics


def test_a_draining_tracker_takes_nothing_and_delivers_what_it_has(
    tracker: Tracker,  # noqa: F811
    receiver: Receiver,  # noqa: F811
) -> None:
    let_go = threading.Event()

    def slow(documents: list[Json]) -> Any:
        let_go.wait(60)
        return OK

    receiver.answer = slow
    tracker.send(ended(1))
    state = tracker.client.post("/v1/drain").json()
    assert state == {"draining": True, "waiting": 1, "drained": False}
    batch = {"version": 1, "producer": PRODUCER, "records": [ended(2)]}
    for path, body in (("/v1/captures", batch), ("/v1/prospective", SPECIFICATION)):
        answer = tracker.client.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (503, "draining")
        assert int(answer.headers["retry-after"]) > 0
    health = tracker.client.get("/health")
    assert (health.status_code, health.json()["error"]["code"]) == (503, "draining")
    let_go.set()
    wait_until(lambda: tracker.client.get("/v1/drain").json()["drained"], "what was accepted is delivered")
    assert receiver.tasks() == {"fit/1"}
    assert tracker.client.delete("/v1/drain").json() == {"draining": False, "waiting": 0, "drained": False}
    assert tracker.client.get("/health").status_code == 200
    tracker.send(ended(2))
    wait_until(tracker.drained, "it delivers again")
    assert receiver.tasks() == {"fit/1", "fit/2"}


def test_a_backup_taken_in_by_another_tracker_delivers_the_same(
    made: Callable[..., Any],  # noqa: F811
    receiver: Receiver,  # noqa: F811
    tmp_path: Path,
    free_port: Callable[[], int],
) -> None:
    with made(receiver) as tracker:  # noqa: F811
        assert tracker.client.post("/v1/prospective", json=SPECIFICATION).status_code == 201
        assert tracker.client.post(STORES, json=STORE).status_code == 201
        for number in range(10):
            tracker.send(ended(number))
        wait_until(tracker.drained, "ten are delivered, and kept")
        receiver.stop()
        for number in range(10, 20):
            tracker.send(ended(number), "no record")
        copy = tracker.client.get("/v1/backup").content
        stats = tracker.stats()
    counts = json.loads(copy.splitlines()[-1])["counts"]
    entries = stats["queue"]["depth"] + stats["queue"]["kept"]
    assert counts == {"entry": entries, "refused": 1, "specification": 1, "data_store": 1}
    receiver.taken.clear()
    other = Receiver()
    other.start()
    second = Tracker(tmp_path / "second" / "tracker", free_port(), other.url)
    (tmp_path / "second").mkdir()
    second.start()
    try:
        inside = copy.index(b"\n", len(copy) // 2) - 1  # in the middle of a line, wherever lines end
        cut = second.client.post("/v1/restore", content=copy[:inside])
        assert (cut.status_code, cut.json()["error"]["code"]) == (422, "bad_line")
        answer = second.client.post("/v1/restore", content=copy)
        assert answer.json() == {"taken": counts}
        second.end(signal.SIGKILL)
        second.start()
        assert second.client.get("/v1/prospective/train").json()["specification"] == SPECIFICATION
        assert [one["name"] for one in second.client.get(STORES).json()] == ["Lab disk"]
        wait_until(second.drained, "all is delivered")
        assert second.stats()["quarantined"] == 1
        assert other.tasks() == {f"fit/{number}" for number in range(20)}
    finally:
        second.end(signal.SIGTERM)
        second.client.close()
        other.stop()


def test_what_is_no_backup_is_refused(tracker: Tracker) -> None:  # noqa: F811
    assert tracker.client.post("/v1/restore", content=b"").json() == {"taken": {}}
    answer = tracker.client.post("/v1/restore", content=b'{"kind":"specification","body":{"workflow":7}}')
    assert answer.status_code == 422
    headers = {"content-encoding": "gzip"}
    assert tracker.client.post("/v1/restore", content=b"x", headers=headers).status_code == 415
