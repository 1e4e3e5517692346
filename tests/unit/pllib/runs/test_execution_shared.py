"""Runs that several processes, ranks or threads have a part in."""

from __future__ import annotations

import os
import threading

import pytest

import pllib
from pllib import _boundary
from pllib.errors import CaptureError
from pllib.runs import registry
from tests.unit.pllib.runs.test_execution import PLAIN, merged, points


def test_the_execution_of_a_job_is_shared_and_the_next_run_is_another(said, monkeypatch):
    pllib.configure(execution="job 7")
    ids = []
    for experiment in ("a", "b", "a", "a"):
        with pllib.run(experiment, **PLAIN) as run:
            ids.append(f"{experiment} {run.id}")
    assert len(set(ids)) == 4
    ordinals = registry._ordinals
    assert ids[0].endswith("job 7") == (ordinals["a"] == 3)
    assert ids[2].partition(".")[0].endswith("job 7")


def test_ranks_of_a_job(said, monkeypatch):
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "t"}.items():
        monkeypatch.setenv(name, value)
    with pllib.run("of a job") as run:
        run.log_metric("loss", 1)
    assert run.rank == 3
    assert run.id.startswith("job-")
    assert said("begin")[0]["rank"] == 3
    assert said("points")[0]["rank"] == 3
    assert not any("environment" in record.get("used", {}) for record in said("add"))  # one says it for all


def test_a_job_that_was_started_again_goes_on_with_its_run(said, monkeypatch):
    job = {"RANK": "0", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "t", "TORCHELASTIC_RESTART_COUNT": "1"}
    for name, value in job.items():
        monkeypatch.setenv(name, value)
    with pllib.run("started again", **PLAIN):
        pass
    assert said("begin")[0]["resumes"] is True


def everything(run, folder):
    """All that can be called on a run; what it returned."""
    (folder / "f").write_text("x")
    with run.timed("t"), run.count_flops("t"), run.task("a", used={"x": 1}) as task:
        task.used(y=1)
        handle = task.generated(z=1).z
        task.annotate(note="n")
        task.add(used={"x": 1}, generated={"q": 1})
        with pllib.task("b", used={"z": handle}), pllib.section("c"):
            pass
        for item in task.cycle("d", [1, 2]):
            assert item in (1, 2)
    for call in (
        lambda: run.log_param("lr", 0.1),
        lambda: run.log_params({"a": 1}),
        lambda: run.log_metric("loss", 1, 1, "training"),
        lambda: run.log_metrics({"loss": 1}),
        lambda: run.log_artifact(folder / "f"),
        lambda: run.log_dataset([1]),
        lambda: run.log_model(object()),
        lambda: run.log_text("a", "b"),
        lambda: run.log_tags({"a": 1}),
        lambda: run.log_flops("a", 1),
        lambda: run.series("s").log(1),
    ):
        assert call() is None
    with pllib.run("inside", **PLAIN) as inner, pllib.workflow("also inside"):
        inner.log_metric("loss", 1)
        assert pllib.active_run() is inner
    return run.id, run.token, run.context("training"), run.series("x"), run.section("s")


def test_ranks_that_do_not_collect_do_nothing_at_all(tmp_path, records, monkeypatch):
    monkeypatch.setattr(pllib.runs.about, "flop_counter", lambda: None)
    with pllib.run("digits", rank=1, collect_all_processes=False, **PLAIN) as silent:
        assert silent.silent
        quiet = everything(silent, tmp_path)
        silent.log_artifact("/no/such/file")  # of no rank but the collecting one
        pllib.log_metric("loss", "no number")
    pllib.shutdown()
    assert not (tmp_path / "spool").exists()  # not even a file
    assert not _boundary.swallowed
    with pllib.run("digits", rank=0, collect_all_processes=False, **PLAIN) as loud:
        said = everything(loud, tmp_path)
    assert [type(one).__mro__[-2] for one in quiet] == [type(one).__mro__[-2] for one in said]
    assert len(records()) > 10


def test_what_is_attached_to_a_silent_run_is_silent(tmp_path, records):
    with pllib.run("digits", rank=1, collect_all_processes=False) as run:
        token = run.token
    with pllib.attach(token), pllib.task("t"):
        pllib.log_metric("loss", 1)
    assert not (tmp_path / "spool").exists()


def test_with_capture_off_nothing_is_recorded(tmp_path, records, monkeypatch):
    monkeypatch.setattr(pllib.runs.about, "flop_counter", lambda: None)
    pllib.configure(enabled=False)
    try:
        with pllib.run("digits") as run:
            everything(run, tmp_path)
    finally:
        pllib.configure(enabled=True)
    assert records() == []


# -- threads and forks ------------------------------------------------------------------------------------------------


def test_many_threads_log_in_one_run(said):
    def work(number):
        for step in range(200):
            run.log_metric("shared", number, step=step, context="training")
            run.log_metric(f"own{number}", step, step=step, context=f"context{number % 2}")
            run.log_param("lr", 0.1)

    with pllib.run("digits", **PLAIN) as run:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    found = points(said())
    steps, values = found[("training/0", "shared")]
    assert sorted(zip(steps, values)) == sorted((step, number) for step in range(200) for number in range(8))
    for number in range(8):
        assert found[(f"context{number % 2}/0", f"own{number}")] == (list(range(200)), list(range(200)))
    assert sorted(record["id"] for record in said("begin") if "id" in record) == [
        "context0/0",
        "context1/0",
        "training/0",
    ]
    assert merged(said("add"), "used")["lr"] == [{"$": "value", "v": 0.1, "as": "hyperparameter"}]


def test_a_forked_child_logs_in_its_parents_run_and_does_not_end_it(said):
    with pllib.run("digits", **PLAIN) as run:
        run.log_metric("loss", 1, step=0, context="training")
        pid = os.fork()
        if not pid:
            pllib.log_metric("loss", 2, step=1, context="training")
            pllib.log_metric("loss", 3, step=2, context="new")
            run.end()
            pllib.shutdown()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        ended = said("end")
        assert [record.get("id") for record in ended] == ["new/0"]  # what the child began itself
    assert points(said())[("new/0", "loss")] == ([2], [3])
    chunks = [record for record in said("points") if record.get("id") == "training/0"]
    assert sorted(record["values"] for record in chunks) == [[1], [2]]
    assert [record["wf"] for record in said("end", kind="workflow")] == [run.workflow.wf]


# -- the call that does not fit ---------------------------------------------------------------------------------------


def test_calls_before_the_begin_and_after_the_end_are_errors(said):
    run = pllib.run("digits", **PLAIN)
    with pytest.raises(CaptureError, match="is not open"):
        run.log_param("lr", 1)
    with pytest.raises(CaptureError, match="is not open"):
        run.log_metric("loss", 1)
    with run:
        run.log_metric("loss", 1)
    for call in (
        lambda: run.log_metric("loss", 2),
        lambda: run.log_metric("other", 2, context="training"),
        lambda: run.log_param("lr", 1),
        lambda: run.log_text("t", "x"),
    ):
        with pytest.raises(CaptureError, match=r"ended|after the end"):
            call()
    run.end()
    assert len(said("end")) == 1
    assert points(said()) == {(None, "loss"): ([0], [1])}
