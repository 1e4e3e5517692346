"""What is said of an activity while it is open, executions that several processes share, and runs inside runs."""

from __future__ import annotations

import os

import pytest

import pllib
from pllib.activities import Task, Workflow
from pllib.errors import CaptureError
from tests.unit.pllib.test_activities import by, check_schema


def test_what_is_added_is_recorded_at_once(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        task.add(used={"x": 1}, generated={"y": 0.5}, meta={"note": "n"})
        found = records()
        assert [record["op"] for record in found] == ["begin", "begin", "add"]
        added = found[-1]
        check_schema(found)
    assert added["id"] == task.id
    assert added["wf"] == wf.wf
    assert (added["used"], added["generated"], added["meta"]) == ({"x": 1}, {"y": 0.5}, {"note": "n"})
    assert added["kind"] == "task"
    assert not {"generated", "used", "meta"} & records()[3].keys()  # the end does not say it again


def test_later_tasks_find_what_was_added(records):
    with pllib.workflow("w") as wf, wf.task("a") as first:
        handle = first.add(generated={"loss": 0.25, "acc": 0.9}).acc
        with wf.task("b", used={"loss": 0.25, "measure": handle}):
            pass
    begin = by(records(), "begin", "b")
    assert begin["links"] == {first.id: ["loss"]}
    assert begin["used"] == {"measure": {"$": "ref", "id": first.id, "name": "acc"}}


def test_adding_to_the_workflow_itself_and_finding_what_was_generated(records):
    with pllib.workflow("w") as wf:
        with wf.task("a") as first:
            first.generated(x=0.125)
        wf.add(used={"x": 0.125})
    found = records()
    check_schema(found)
    (added,) = [record for record in found if record["op"] == "add"]
    assert "id" not in added
    assert added["kind"] == "workflow"
    assert added["links"] == {first.id: ["x"]}


def test_nothing_can_be_added_after_the_end(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        pass
    with pytest.raises(CaptureError, match=r"t: add\(\) after the end"):
        task.add(meta={"x": 1})


def test_a_value_that_was_added_stays_and_others_are_kept_as_replaced(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        task.add(generated={"y": 1, "z": 1})
        task.add(generated={"y": 2})
        task.generated(y=3, other=4)
    found = records()
    check_schema(found)
    assert [record["generated"] for record in found if record["op"] == "add"] == [{"y": 1, "z": 1}]
    end = by(found, "end", "t")
    assert end["generated"] == {"other": 4}
    assert end["meta"] == {"replaced": {"$": "json", "v": {"y": [2, 3]}}}


@pytest.mark.parametrize("kind", ["workflow", "task", "section", "cycle"])
def test_things_can_be_added_to_an_activity_that_was_opened_elsewhere(records, kind):
    with pllib.workflow("w") as wf:
        opened = wf if kind == "workflow" else wf.cycle("c", []) if kind == "cycle" else getattr(wf, kind)("c")
        opened.begin()
        with pllib.attach(opened.token) as remote:
            remote.add(generated={"y": 1})
            with pytest.raises(CaptureError, match="opened elsewhere; take add"):
                remote.generated(y=2)
        opened.end()
    found = records()
    check_schema(found)
    (added,) = [record for record in found if record["op"] == "add"]
    assert (added["kind"], added["wf"], added.get("id", "")) == (kind, wf.wf, opened.id)


def test_a_shared_execution_has_a_session_with_begin_and_end(records):
    with pllib.workflow("w", execution="e") as wf, wf.task("t"):
        pass
    found = records()
    check_schema(found)
    begin, end = found[0], found[-1]
    producer, _, number = begin["session"].partition("-")
    assert (len(producer), int(number)) == (32, begin["n"])
    assert end["session"] == begin["session"]
    assert not any("session" in record for record in found[1:-1])


def test_an_execution_of_one_process_has_no_session(records):
    with pllib.workflow("w"):
        pass
    assert not any("session" in record for record in records())


def test_rank_resumption_and_nesting_are_said_in_the_begin(records):
    with pllib.workflow("outer") as outer, outer.task("t") as task:
        for within in (outer, task, task.token):
            with Workflow("inner", execution="e", resumes=True, rank=3, within=within, stage="learning"):
                pass
    found = records()
    check_schema(found)
    begins = [record for record in found if record["op"] == "begin" and record["wf"] == "inner/e"]
    assert [record["within"] for record in begins] == [{"wf": outer.wf}, *[{"wf": outer.wf, "id": task.id}] * 2]
    assert {(record["resumes"], record["rank"], record["stage"]) for record in begins} == {(True, 3, "learning")}
    assert len({record["session"] for record in begins}) == 3


def test_a_workflow_inside_another_is_nested_only_when_that_is_said(records):
    with pllib.workflow("outer"), pllib.workflow("inner"):
        pass
    assert not any("within" in record for record in records())


@pytest.mark.parametrize("options", [{"rank": -1}, {"rank": "x"}, {"within": 7}, {"within": "no token"}])
def test_what_cannot_be_meant_is_said_clearly(records, options):
    with pytest.raises(CaptureError, match=next(iter(options))):
        Workflow("w", **options)
    pllib.configure(strict=False)
    with Workflow("w", **options) as wf:
        assert wf.wf
    check_schema(records())
    assert pllib.stats()["errors"]


def test_resumes_needs_an_execution(records):
    with pytest.raises(CaptureError, match="resumes needs the execution"):
        Workflow("w", resumes=True).begin()


def test_an_activity_with_a_given_number_is_the_same_for_all_and_a_session_for_each(records):
    with pllib.workflow("run", execution="e") as wf:
        for _ in range(2):
            with Task("training", parent=wf, stage="training", number="0") as context, context.task("t"):
                pass
        with wf.task("a/b", number="0") as other:
            assert other.id == "a%2Fb/0"
    found = records()
    check_schema(found)
    begins = [record for record in found if record["op"] == "begin" and record.get("id") == "training/0"]
    ends = [record for record in found if record["op"] == "end" and record.get("id") == "training/0"]
    assert len({record["session"] for record in begins}) == 2
    assert [record["session"] for record in ends] == [record["session"] for record in begins]
    assert all(
        record["up"] == "training/0"
        for record in found
        if record["op"] == "begin" and record.get("id", "")[0:2] == "t/"
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
def test_a_forked_child_adds_to_its_parents_activity(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        task.add(generated={"x": 0.5})
        pid = os.fork()
        if not pid:
            task.add(used={"x": 0.5})
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
    added = [record for record in records() if record["op"] == "add"]
    assert len(added) == 2
    assert {record["id"] for record in added} == {task.id}
    assert [record["links"] for record in added if "used" in record or "links" in record] == [{task.id: ["x"]}]
