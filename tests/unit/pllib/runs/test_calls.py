"""Calls for scripts: which run they go to, and what happens with none."""

from __future__ import annotations

import threading

import pytest

import pllib
from pllib.errors import CaptureError
from pllib.runs import background, registry

PLAIN = {"code": False, "environment": False}


@pytest.fixture
def metrics(records):
    """Where each metric went: (experiment, context, name)."""

    def read():
        assert background.jobs.wait(30)
        pllib.flush()
        return {
            (record["wf"].partition("/")[0], record.get("id"), record["series"])
            for record in records()
            if record["op"] == "points"
        }

    return read


def test_a_script_needs_no_with(records, tmp_path):
    (tmp_path / "f").write_text("x")
    run = pllib.start_run("digits", **PLAIN)
    pllib.log_param("lr", 0.1)
    pllib.log_params({"epochs": 2})
    pllib.log_metric("loss", 0.5, step=1, context="training")
    pllib.log_metrics({"acc": 0.9}, step=1)
    pllib.log_tags({"team": "x"})
    pllib.log_text("report", "fine")
    pllib.log_artifact(tmp_path / "f")
    pllib.log_dataset([1, 2, 3], "numbers")
    pllib.log_model({"w": [1]}, "net")
    with pllib.timed("epoch"):
        pass
    with pllib.task("inside") as task:
        assert pllib.active_run() is run
        pllib.log_metric("in a task", 1)
    assert pllib.active_run() is run
    assert pllib.current() is run.workflow
    pllib.end_run()
    assert pllib.active_run() is None
    assert pllib.current() is None
    found = records()
    assert {record["wf"] for record in found} == {run.workflow.wf} == {task.wf}
    used = {name for record in found for name in record.get("used", {})}
    generated = {name for record in found for name in record.get("generated", {})}
    series = {record["series"] for record in found if record["op"] == "points"}
    assert used == {"lr", "epochs", "numbers"}
    assert generated == {"report", "f", "net"}
    assert series == {"loss", "acc", "time.epoch", "in a task"}
    assert found[-1]["status"] == "finished"


def test_calls_go_to_the_run_that_is_open_here(metrics):
    with pllib.run("outer", **PLAIN):
        with pllib.run("inner", **PLAIN), pllib.task("t"):
            pllib.log_metric("a", 1)
        pllib.log_metric("b", 1)
        with pllib.workflow("no run"):
            pllib.log_metric("c", 1)
    assert metrics() == {("inner", None, "a"), ("outer", None, "b"), ("outer", None, "c")}


def test_threads_log_in_the_run_that_was_opened_last_or_that_they_are_attached_to(metrics):
    first = pllib.start_run("first", **PLAIN)
    second = pllib.start_run("second", **PLAIN)

    def by_itself():
        pllib.log_metric("a", 1)

    def attached():
        with pllib.attach(first.workflow):
            pllib.log_metric("b", 1)

    for work in (by_itself, attached):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    pllib.end_run()
    assert pllib.active_run() is first
    pllib.end_run()
    assert second.id != first.id
    assert metrics() == {("second", None, "a"), ("first", None, "b")}


def test_a_run_may_fail_by_word(records):
    pllib.start_run("digits", **PLAIN)
    pllib.end_run(ValueError("it diverged"))
    assert records()[-1]["error"] == {"type": "ValueError", "message": "it diverged"}


CALLS = [
    lambda: pllib.log_param("lr", 1),
    lambda: pllib.log_metric("loss", 1),
    lambda: pllib.log_artifact("f"),
    lambda: pllib.log_model(1),
    lambda: pllib.end_run(),
]


@pytest.mark.parametrize("call", CALLS)
def test_with_no_run_a_call_says_what_to_do_and_is_counted(records, call):
    with pytest.raises(CaptureError, match=r"no run is open here: open one by `with pllib\.run"):
        call()
    pllib.configure(strict=False)
    assert call() is None
    assert sum(pllib.stats()["errors"].values()) == 1


def test_with_no_run_a_portion_is_run_all_the_same(records):
    pllib.configure(strict=False)
    done = []
    with pllib.timed("epoch"):
        done.append(1)
    with pytest.raises(KeyError), pllib.timed("epoch"):
        raise KeyError
    assert done == [1]


def test_a_run_that_is_left_open_ends_with_the_process(records):
    pllib.start_run("digits", **PLAIN)
    pllib.log_metric("loss", 1, context="training")
    pllib.shutdown()
    assert [record["status"] for record in records() if record["op"] == "end"] == ["finished", "finished"]
    assert registry.here() is None
    assert pllib.current() is None


def test_options_that_are_unknown_do_no_harm(records):
    pllib.configure(strict=False)
    run = pllib.start_run("digits", experimnt="x")
    pllib.log_metric("loss", 1)
    assert isinstance(run, pllib.Run)
    assert pllib.stats()["errors"] == {"start_run": 1, "log_metric": 1}
