"""Runs as a process knows them: looked up once, forgotten when there are too many, resumed, and what is then recorded."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pllib import this_process
from pllib.mlflow import runs, tracking


class Store:
    """A tracking store with one experiment, that counts what it is asked."""

    def __init__(self) -> None:
        self.runs: dict[str, SimpleNamespace] = {}
        self.asked: list[str] = []

    def get_experiment(self, identifier: str) -> SimpleNamespace:
        self.asked.append("experiment")
        return SimpleNamespace(name="flowers/and trees")

    def get_run(self, run_id: str) -> SimpleNamespace:
        self.asked.append(run_id)
        return self.runs[run_id]

    def create(self, run_id: str, **tags: str) -> SimpleNamespace:
        info = SimpleNamespace(
            run_id=run_id, experiment_id="7", start_time=1000, end_time=None, status="RUNNING", user_id="ana", run_name="n"
        )  # fmt: skip
        self.runs[run_id] = SimpleNamespace(info=info, data=SimpleNamespace(tags=tags))
        return self.runs[run_id]


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    this_process.configure({"mode": "disk", "spool": str(tmp_path)})
    runs._known.clear()
    yield tmp_path
    this_process.close()
    runs._known.clear()


def records(folder: Path, operation: str) -> list[dict[str, Any]]:
    this_process.close()
    lines = [line for file in folder.rglob("*.frames") for line in file.read_text().splitlines() if line.strip()]
    found = [json.loads(line.split(" ", 2)[2]) for line in lines]
    return [record for record in found if record["op"] == operation]


def metric(step: int, value: float = 1.0) -> SimpleNamespace:
    return SimpleNamespace(key="loss", value=value, step=step, timestamp=2000 + step)


def test_a_run_that_others_created_is_looked_up_once(folder: Path) -> None:
    store = Store()
    store.create("r1")
    for step in range(3):
        tracking.log_metric(store, None, "r1", metric(step))
    assert store.asked == ["r1", "experiment"]
    (points,) = records(folder, "points")
    assert points["wf"] == "flowers%2Fand%20trees/r1"
    assert points["times"] == [2_000_000, 1000, 1000]


def test_the_same_point_is_one(folder: Path) -> None:
    store = Store()
    store.create("r1")
    for each in (metric(0), metric(1), metric(0), metric(0, 2.0)):
        tracking.log_metric(store, None, "r1", each)
    assert [record["values"] for record in records(folder, "points")] == [[1.0, 1.0, 2.0]]


def test_points_of_a_run_that_was_forgotten_have_other_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "MOST_KNOWN", 2)
    store = Store()
    for run_id in ("r1", "r2", "r3", "r1"):
        store.create(run_id)
        for step in range(2):
            tracking.log_metric(store, None, run_id, metric(step))
    found = [record for record in records(folder, "points") if record["wf"].endswith("/r1")]
    numbers = [number for record in found for number in range(record["first"], record["first"] + len(record["values"]))]
    assert len(numbers) == len(set(numbers)) == 4


def test_each_attempt_is_a_session_that_all_processes_call_the_same(folder: Path) -> None:
    store = Store()
    run = store.create("r1")
    tracking.create_run(store, run)
    for end, status in ((5000, "FAILED"), (5000, "RUNNING"), (9000, "FINISHED")):
        run.info.end_time, run.info.status = end, status
        if status == "FINISHED":
            runs._known.clear()  # as another process, which saw the run while it was going on again
            run.info.end_time, run.info.status = 5000, "RUNNING"
            tracking.log_metric(store, None, "r1", metric(0))
            run.info.end_time, run.info.status = end, status
        tracking.update_run_info(store, run.info, "r1", status, end, None)
    begins, ends = records(folder, "begin"), records(folder, "end")
    assert [(one["session"], one.get("resumes", False)) for one in begins] == [("mlflow", False), ("mlflow-5000", True)]
    assert [(one["session"], one["status"], one["t"]) for one in ends] == [
        ("mlflow", "failed", 5_000_000), ("mlflow-5000", "finished", 9_000_000),
    ]  # fmt: skip
    assert begins[0]["t"] == 1_000_000
    assert begins[0]["person"] == "ana"


def test_a_run_that_another_process_began_is_ended_in_its_session(folder: Path) -> None:
    store = Store()
    run = store.create("r1")
    tracking.update_run_info(store, run.info, "r1", "RUNNING", None, None)  # `start_run(run_id=…)` of one that goes on
    run.info.end_time, run.info.status = 4000, "KILLED"
    tracking.update_run_info(store, run.info, "r1", "KILLED", 4000, None)
    assert records(folder, "begin") == []
    (end,) = records(folder, "end")
    assert (end["session"], end["status"], end["elapsed"]) == ("mlflow", "failed", 3_000_000)
    assert end["error"]["type"] == "mlflow.KILLED"


def test_a_nested_run_is_within_its_parent(folder: Path) -> None:
    store = Store()
    tracking.create_run(store, store.create("outer"))
    tracking.create_run(store, store.create("inner", **{"mlflow.parentRunId": "outer", "team": "blue"}))
    inner = records(folder, "begin")[1]
    assert inner["within"] == {"wf": "flowers%2Fand%20trees/outer"}
    assert inner["meta"] == {"team": "blue", "name": "n"}
