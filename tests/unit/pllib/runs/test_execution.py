"""Runs: the records they make."""

from __future__ import annotations

import enum
import math
import os
from pathlib import Path

import pytest

import pllib
from pllib import _boundary
from pllib.errors import CaptureError
from pllib.runs import about

PLAIN = {"code": False, "environment": False}


def merged(records, part):
    found = {}
    for record in records:
        for name, value in record.get(part, {}).items():
            found.setdefault(name, []).append(value)
    return found


def points(records):
    """Series to their (steps, values), by context."""
    found = {}
    for record in records:
        if record["op"] != "points":
            continue
        steps, values = found.setdefault((record.get("id"), record["series"]), ([], []))
        step = 0
        for difference in record["steps"]:
            step += difference
            steps.append(step)
        values.extend(record["values"])
    return found


def test_a_run_is_an_execution_of_a_learning_workflow(said):
    with pllib.run("digits", study="s", name="first try", params={"lr": 0.1}, tags={"team": "x"}, **PLAIN) as run:
        pass
    begin, *_, end = said()
    assert begin["wf"] == end["wf"] == f"digits/{run.id}"
    assert (begin["op"], begin["kind"], begin["stage"], begin["study"]) == ("begin", "workflow", "learning", "s")
    assert begin["session"] == end["session"]
    assert "rank" not in begin
    assert "resumes" not in begin
    assert "within" not in begin
    assert end["status"] == "finished"
    (added,) = said("add", used={"lr": {"$": "value", "v": 0.1, "as": "hyperparameter"}})
    assert added["wf"] == begin["wf"]
    assert merged(said("add"), "meta") == {"name": ["first try"], "team": ["x"]}


def test_a_run_that_fails_says_why_and_lets_the_exception_go_on(said):
    with pytest.raises(ZeroDivisionError), pllib.run("digits", **PLAIN) as run:
        run.log_metric("loss", 1, context="training")
        _ = 1 / 0
    context, whole = said("end")
    assert (context["id"], context["status"]) == ("training/0", "failed")
    assert (whole["status"], whole["error"]["type"]) == ("failed", "ZeroDivisionError")


@pytest.mark.parametrize(("code", "status"), [(None, "finished"), (0, "finished"), (3, "failed"), ("text", "failed")])
def test_leaving_by_sys_exit_fails_if_its_code_says_so(said, code, status):
    with pytest.raises(SystemExit), pllib.run("digits", **PLAIN):
        raise SystemExit(code)
    assert said("end")[-1]["status"] == status


# -- metrics ------------------------------------------------------------------------------------------------------------

NAMES = ["loss", "train/loss", "a:b", "a b", "ü…é", "a.b.c", "%2F", "{x}", "'\"\\", "\n", "..", "x" * 400]


def test_metrics_of_any_name_come_back_as_they_were_logged(said):
    with pllib.run("digits", **PLAIN) as run:
        for name in NAMES:
            run.log_metric(name, 0.5, step=1)
    assert points(said()) == {(None, name): ([1], [0.5]) for name in NAMES}


def test_contexts_are_begun_once_with_the_first_thing_in_them_and_end_with_the_run(said):
    with pllib.run("digits", **PLAIN) as run:
        for step in range(3):
            for context in ("training", "validation", "testing", "evaluation", "my own/context", None):
                run.log_metric("loss", step, step=step, context=context)
        begun = [record for record in said("begin") if record["kind"] == "task"]
        assert not said("end")
    stages = {record["id"]: record.get("stage") for record in begun}
    assert stages == {
        "training/0": "training",
        "validation/0": "validation",
        "testing/0": "evaluation",
        "evaluation/0": "evaluation",
        "my%20own%2Fcontext/0": None,
    }
    assert len(begun) == 5
    assert {record.get("id") for record in said("end")} == {*stages, None}
    assert points(said())[("training/0", "loss")] == ([0, 1, 2], [0, 1, 2])
    assert points(said())[(None, "loss")] == ([0, 1, 2], [0, 1, 2])


class Context(enum.Enum):
    TRAINING = "training"


def test_a_context_may_be_a_member_of_an_enumeration(said):
    with pllib.run("digits", **PLAIN) as run:
        run.log_metric("loss", 1.0, context=Context.TRAINING)
        run.log_metric("loss", 2.0, context="training")
        assert run.context("training") is run.context(Context.TRAINING)
    assert points(said()) == {("training/0", "loss"): ([0, 1], [1.0, 2.0])}


def test_values_and_steps_of_any_kind(said):
    steps = [5, -3, 5, 0, 2**52, -(2**52)]
    values = [math.nan, math.inf, -math.inf, 1, True, 1e-300]
    with pllib.run("digits", **PLAIN) as run:
        for step, value in zip(steps, values):
            run.log_metric("loss", value, step=step)
        with pytest.raises(CaptureError):
            run.log_metric("loss", "a lot")
        with pytest.raises(CaptureError):
            run.log_metric("loss", 1.0, step="first")
    found_steps, found_values = points(said())[(None, "loss")]
    assert found_steps == steps
    assert found_values[:3] == ["NaN", "INF", "-INF"]
    assert [float(value) for value in found_values[3:]] == [1, 1, 1e-300]


def test_several_metrics_units_and_times(said):
    with pllib.run("digits", **PLAIN) as run:
        run.log_metrics({"a": 1, "b": 2}, step=3, context="testing")
        run.log_metric("length", 2.5, unit="m", t=1_000_000)
        run.series("c").log(4, step=7)
    found = points(said())
    assert found[("testing/0", "a")] == ([3], [1])
    assert found[(None, "c")] == ([7], [4])
    (record,) = said("points", series="length")
    assert (record["unit"], record["times"], record["as"]) == ("m", [1_000_000], "evaluation_measure")


def test_a_labelled_portion_is_timed_also_when_it_fails(said):
    with pllib.run("digits", **PLAIN) as run:
        with run.timed("epoch", context="training", step=2):
            pass
        with pytest.raises(KeyError), run.timed("epoch", context="training", step=3):
            raise KeyError
    (record,) = said("points")
    assert (record["series"], record["unit"], record["steps"]) == ("time.epoch", "s", [2, 1])
    assert "as" not in record
    assert all(value >= 0 for value in record["values"])


def test_operations_are_given_where_nothing_counts_them(said):
    with pllib.run("digits", **PLAIN) as run:
        run.log_flops("epoch", 10**12, step=1)
        done = []
        with pytest.raises(CaptureError, match="PyTorch"), run.count_flops("epoch"):
            done.append(1)  # pragma: no cover - strict
        _boundary.strict = False
        with run.count_flops("epoch"):
            done.append(2)
    assert done == [2]
    (record,) = said("points")
    assert (record["series"], record["unit"], record["values"]) == ("flops.epoch", "FLOP", [10**12])


def test_telemetry_is_started_and_stopped_with_the_run(said):
    with pllib.run("digits", telemetry=0.1, **PLAIN) as run:
        run.log_telemetry()
    names = {record["series"] for record in said("points")}
    assert "process.rss" in names
    assert all(record["telemetry"] for record in said("points"))


# -- parameters, tags, texts ------------------------------------------------------------------------------------------


class Unspeakable:
    def __repr__(self):
        raise RuntimeError("no text")


PARAMS = {
    "lr": 0.1,
    "none": None,
    "nan": math.nan,
    "nested": {"a": [1, {"b": None}], 3: (1, 2)},
    "path": Path("/data/x"),
    "function": len,
    "big": 2**100,
    "unspeakable": Unspeakable(),
    "text": "a\ud800b",
    "": 1,
    "name/with:everything ü": "x",
}


def test_parameters_of_any_value(said):
    with pllib.run("digits", params=PARAMS, **PLAIN) as run:
        run.log_params({7: "a number for a name"})
    used = merged(said("add"), "used")
    assert used.keys() == {*PARAMS.keys() - {""}, "_", "7"}
    assert all(value["as"] == "hyperparameter" for values in used.values() for value in values)
    assert used["path"] == [{"$": "value", "v": "/data/x", "as": "hyperparameter"}]  # a value, and no reference to data
    assert not merged(said("add"), "meta")


def test_a_parameter_logged_again_is_kept_and_said_if_it_has_another_value(said):
    with pllib.run("digits", **PLAIN) as run:
        for value in (0.1, 0.1, 0.2, 0.1, math.nan, math.nan):
            run.log_param("lr", value)
    added = said("add")
    assert [value.get("v") for value in merged(added, "used")["lr"]] == [0.1, 0.2, "NaN"]
    first, second = merged(added, "meta")["changed_param.lr"]
    assert first == [0.1, 0.2]
    assert second["v"] == [0.1, 0.2, {"$": "float", "v": "NaN"}]


def test_params_that_are_none_are_an_error_and_the_run_goes_on(records):
    pllib.configure(strict=False)
    with pllib.run("digits", params=["lr"], tags=3, rank="first", **PLAIN) as run:
        run.log_metric("loss", 1)
    assert run.id
    assert sum(pllib.stats()["errors"].values()) == 3
    assert [record["status"] for record in records() if record["op"] == "end"] == ["finished"]


def test_tags_and_texts(said):
    with pllib.run("digits", **PLAIN) as run:
        run.log_tags({"team": "x", "approved": True})
        run.log_text("report", "fine")
        run.log_text("report", "finer", context="training")
        run.log_text("report", "finest")
    assert merged(said("add"), "meta") == {"team": ["x"], "approved": [True]}
    assert [(record.get("id"), record["generated"]) for record in said("add") if "generated" in record] == [
        (None, {"report": "fine"}),
        ("training/0", {"report": "finer"}),
        (None, {"report.2": "finest"}),  # one activity generates one value a name
    ]


# -- which run --------------------------------------------------------------------------------------------------------


def test_the_second_run_of_a_process_has_nothing_of_the_first(said):
    with pllib.run("digits", params={"lr": 0.1}, tags={"n": 1}, **PLAIN) as first:
        first.log_metric("loss", 1, context="training")
        first.log_text("report", "x")
    before = len(said())
    with pllib.run("digits", params={"lr": 0.1}, **PLAIN) as second:
        second.log_metric("loss", 2, context="training")
        second.log_text("report", "y")
    after = said()[before:]
    assert {record["wf"] for record in after} == {f"digits/{second.id}"}
    assert first.id != second.id
    assert points(after) == {("training/0", "loss"): ([0], [2])}
    assert merged(after, "generated") == {"report": ["y"]}
    assert merged(after, "used").keys() == {"lr"}
    (chunk,) = [record for record in after if record["op"] == "points"]
    assert chunk["first"] == 0


def test_runs_nest_in_runs_workflows_and_tasks(said):
    with pllib.run("outer", **PLAIN) as outer:
        with pllib.run("inner", **PLAIN):
            pass
        with outer.task("part") as part, pllib.run("inner", **PLAIN):
            pass
    with pllib.workflow("w") as wf, pllib.run("inner", **PLAIN):
        pass
    begun = [record for record in said("begin") if record["wf"].startswith("inner/")]
    assert [record["within"] for record in begun] == [
        {"wf": outer.workflow.wf},
        {"wf": outer.workflow.wf, "id": part.id},
        {"wf": wf.wf},
    ]


def test_a_run_is_gone_on_with(said):
    with pllib.run("digits", **PLAIN) as first:
        pass
    with pllib.run("digits", resume=first.id, **PLAIN) as second:
        second.log_metric("loss", 1, context="training")
    with pllib.run("digits", resume=f"digits/{first.id}", **PLAIN) as third:
        pass
    assert first.id == second.id == third.id
    assert [record.get("resumes") for record in said("begin", kind="workflow")] == [None, True, True]
    assert [record.get("resumes") for record in said("begin", kind="task")] == [True]
    assert len({record["session"] for record in said("begin")}) == 4


def test_parts_of_one_run_do_not_generate_the_same_value_twice(said, monkeypatch):
    with pllib.run("digits", **PLAIN) as first:
        first.log_text("report", "a")
        pid = os.fork()
        if not pid:
            first.log_text("report", "b")
            pllib.shutdown()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with pllib.run("digits", resume=first.id, **PLAIN) as again:
        again.log_text("report", "c")
    assert len({record["wf"] for record in said("add")}) == 1
    names = merged(said("add"), "generated")
    assert names.pop("report") == ["a"]
    assert sorted(names.values()) == [["b"], ["c"]]
    for name, value in {"RANK": "3", "WORLD_SIZE": "4", "TORCHELASTIC_RUN_ID": "t"}.items():
        monkeypatch.setenv(name, value)
    with pllib.run("of ranks", **PLAIN) as rank:
        rank.log_text("report", "d")
        rank.log_text("report", "e")
    names = merged([record for record in said("add") if record["wf"] == rank.workflow.wf], "generated")
    assert names == {"report.rank3": ["d"], "report.rank3.2": ["e"]}


def test_tasks_inside_belong_to_the_run(said):
    with pllib.run("digits", **PLAIN) as run:
        with pllib.task("load", used={"x": 1}) as load:
            load.generated(y=2)
        with run.task("fit", stage="training") as fit, fit.section("epoch"):
            pass
        with run.section("epoch"):
            pass
    tasks = [record for record in said("begin") if record["kind"] != "workflow"]
    assert {record["wf"] for record in tasks} == {run.workflow.wf}
    assert [record.get("stage") for record in tasks] == [None, "training", "training", "learning"]
    assert [record.get("up") for record in tasks] == ["", "", fit.id, ""]  # what the run used is behind what they make
    with pllib.workflow("no run") as wf, wf.task("alone"):
        pass
    assert "up" not in said("begin")[-1]


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda run: run.log_metrics("loss"), r"metrics is a str; it takes names and values"),
        (lambda run: run.log_params(3), r"params is a int; it takes names and values"),
        (lambda run: run.log_tags(["a"]), r"tags is a list; it takes names and values"),
        (lambda run: run.log_dataset([1], characteristics=5), r"characteristics is a int; it takes"),
        (lambda run: run.log_artifact("a\0b"), r"no path has a NUL character; this one is 'a\\x00b'"),
        (lambda run: run.log_metric("loss", 1, t="now"), r"a point's time is a number, not 'now'"),
        (lambda run: run.log_metric("loss", 1, step="one"), r"a point's step is a number, not 'one'"),
    ],
)
def test_what_fits_no_call_is_named_and_the_run_goes_on(said, call, says):
    with pllib.run("digits", **PLAIN) as run:
        with pytest.raises(CaptureError, match=says):
            call(run)
        pllib.configure(strict=False)
        assert call(run) is None
        run.log_metric("loss", 1)
    assert sum(pllib.stats()["errors"].values()) == 1
    assert said("end")[-1]["status"] == "finished"


class Unprintable:
    def __repr__(self):
        raise ValueError("no text")


def test_names_and_ids_that_have_no_text_are_no_error(said):
    pllib.configure(strict=False)
    with pllib.run("digits", resume=Unprintable(), **PLAIN) as run, run.timed(Unprintable()):
        run.log_flops(Unprintable(), 3)
    assert said("end")[-1]["status"] == "finished"
    assert len(said("points")) == 2


def test_a_run_whose_id_has_a_slash_is_gone_on_with_by_its_id_or_as_the_query_engine_writes_it(said):
    with pllib.run("a b", execution="x/y ü", **PLAIN) as first:
        pass
    for resume in (first.id, "a%20b/x%2Fy%20%C3%BC", "execution/a%20b/x%2Fy%20%C3%BC"):
        with pllib.run("a b", resume=resume, **PLAIN) as again:
            assert again.id == first.id == "x/y ü"
    assert {record["wf"] for record in said("begin")} == {"a%20b/x%2Fy%20%C3%BC"}


@pytest.mark.parametrize(("telemetry", "seconds"), [(True, 5.0), (False, None), (2.0, 2.0)])
def test_telemetry_is_yes_no_or_seconds(said, telemetry, seconds):
    with pllib.run("digits", telemetry=telemetry, **PLAIN):
        pass
    assert about.interval(telemetry) == seconds
    assert bool(said("points")) == (seconds is not None)
