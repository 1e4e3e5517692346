"""Identity, times and dialects of ProvLake records; what is refused, and where it says so."""

from __future__ import annotations

from typing import Any

import pytest

from tracker.errors import RecordError
from tracker.provlake.messages import MAX_OUTPUT, read

Json = Any


def test_a_task_in_its_three_messages(lake: Any) -> None:
    generated = read(lake.record(values={"lr": 0.1}, generatedTime=lake.T))
    begun = read(lake.record(moment="Input", startTime=lake.T + 1))
    ended = read(lake.record(moment="Output", startTime=lake.T + 1, endTime=lake.T + 3, status="FINISHED"))
    assert {(m.wf, m.id, m.transformation) for m in (generated, begun, ended)} == {("train/1.5", "fit/7", "fit")}
    assert (generated.moment, generated.started, generated.ended) == ("generate", None, None)
    assert (begun.moment, begun.started) == ("input", lake.MICROS + 1_000_000)
    assert (ended.moment, ended.ended, ended.failed) == ("output", lake.MICROS + 3_000_000, False)


def test_a_workflow_has_no_type_and_its_times_tell(lake: Any) -> None:
    assert read(lake.record("workflow", startTime=lake.T)).moment == "input"
    assert read(lake.record("workflow", startTime=lake.T, endTime=lake.T)).moment == "output"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (1795.3, "1795.3"), (3, "3"), ("3", "3"), ("a b", "a%20b"), (0, "0"), (0.0, "0.0"), (-0.0, "0.0"), (1e22, "1e%2B22"),
        ("é/..", "%C3%A9%2F.."), ("..", "%2E%2E"), (10**30, "1" + "0" * 30),
    ],
)  # fmt: skip
def test_ids_are_their_text(lake: Any, given: Json, text: str) -> None:
    assert read(lake.record(id=given)).id == f"fit/{text}"
    assert read(lake.record(wf_execution=given)).wf == f"train/{text}"


def test_counter_ids_and_the_older_place_of_the_execution(lake: Any) -> None:
    given = lake.record(id=0)
    given["prov_obj"]["wf_execution"] = given["prov_obj"]["task"].pop("wf_execution")
    assert (read(given).wf, read(given).id) == ("train/1.5", "fit/0")


def test_a_task_without_workflow_belongs_to_the_global_one(lake: Any) -> None:
    message = read(lake.record(dataflow_name=None, wf_execution=None))
    assert (message.wf, message.scoped) == ("global_workflow/global", False)
    assert read(lake.record(wf_execution=None)).wf == "train/global"


def test_the_iteration_zero_that_is_never_sent(lake: Any) -> None:
    assert read(lake.record(parent_cycle_name="epoch")).up == "epoch/0"
    assert read(lake.record(parent_cycle_name="epoch", parent_cycle_iteration=2)).up == "epoch/2"
    alone = read(lake.record(parent_cycle_iteration=2))
    assert (alone.up, alone.details) == (None, {"parent_cycle_iteration": 2})


@pytest.mark.parametrize("zero", [0, 0.0, -0.0, None])
def test_a_time_of_zero_is_none(lake: Any, zero: Json) -> None:
    assert read(lake.record(moment="Input", startTime=zero)).started is None


def test_a_clock_that_went_back_gives_no_negative_duration(lake: Any) -> None:
    message = read(lake.record(moment="Output", startTime=lake.T, endTime=lake.T - 86_400))
    assert (message.started, message.ended) == (lake.MICROS, lake.MICROS)


@pytest.mark.parametrize(
    ("status", "failed"),
    [("GENERATED", False), ("RUNNING", False), ("FINISHED", False), ("ERRORED", True), (None, False)],
)
def test_status_may_be_in_every_record(lake: Any, status: Json, failed: bool) -> None:
    assert read(lake.record(moment="Output", endTime=lake.T, status=status)).failed is failed


def test_what_the_user_adds(lake: Any) -> None:
    message = read(
        lake.record(person="ana", context="demo", custom_metadata={"a": 1}, attribute_associations={"y": ["x"]})
    )
    assert (message.person, message.study, message.metadata) == ("ana", "demo", {"a": 1})
    assert message.details == {"attribute_associations": {"y": ["x"]}}
    assert read(lake.record(custom_metadata=["a"])).metadata == {"custom_metadata": ["a"]}


def test_the_time_a_task_was_handed_in_is_told_where_the_id_does_not(lake: Any) -> None:
    assert read(lake.record(id=lake.T, generatedTime=lake.T)).details == {}
    assert read(lake.record(id="a", generatedTime=lake.T)).details == {"generatedTime": lake.T}


def test_long_output_keeps_its_end(lake: Any) -> None:
    text = read(lake.record(moment="Output", stdout="a" * MAX_OUTPUT + "end")).stdout
    assert text is not None
    assert text.startswith("…aa")
    assert text.endswith("aend")
    assert len(text) == MAX_OUTPUT + 1


def test_names_that_are_no_utf_8_show_their_bytes(lake: Any) -> None:
    message = read(lake.record(dt="a\udcff", person="b\udc80"))
    assert (message.transformation, message.person) == ("a\\udcff", "b\\udc80")


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": None}, "$.prov_obj.task.id"), ({"id": ""}, "$.prov_obj.task.id"), ({"id": NAN}, "$.prov_obj.task.id"),
        ({"id": [1]}, "$.prov_obj.task.id"), ({"id": True}, "$.prov_obj.task.id"), ({"id": "x" * 5000}, "$.prov_obj.task"),
        ({"dt": ""}, "$.prov_obj.dt"), ({"dt": None}, "$.prov_obj.dt"), ({"dt": 5}, "$.prov_obj.dt"),
        ({"dataflow_name": ""}, "$.dataflow_name"), ({"dataflow_name": ["a"]}, "$.dataflow_name"),
        ({"wf_execution": INF}, "$.prov_obj.task.wf_execution"), ({"wf_execution": {}}, "$.prov_obj.task.wf_execution"),
        ({"startTime": "yesterday"}, "$.prov_obj.task.startTime"), ({"startTime": NAN}, "$.prov_obj.task.startTime"),
        ({"startTime": 1e300}, "$.prov_obj.task.startTime"), ({"startTime": -1e11}, "$.prov_obj.task.startTime"),
        ({"startTime": 10**400}, "$.prov_obj.task.startTime"), ({"startTime": True}, "$.prov_obj.task.startTime"),
        ({"status": "DONE"}, "$.prov_obj.task.status"), ({"status": 1}, "$.prov_obj.task.status"),
        ({"values": [1]}, "$.prov_obj.values"), ({"person": 3}, "$.prov_obj.person"), ({"context": {}}, "$.context"),
        ({"parent_cycle_name": "e", "parent_cycle_iteration": [1]}, "$.prov_obj.task.parent_cycle_iteration"),
    ],
)  # fmt: skip
def test_refused_with_the_field(lake: Any, change: Json, field: str) -> None:
    with pytest.raises(RecordError) as refusal:
        read(lake.record(**change))
    assert refusal.value.field == field
    assert refusal.value.message


@pytest.mark.parametrize(
    ("given", "field"),
    [
        (5, "$"), ([], "$"), ({}, "$.act_type"), ({"act_type": "dance"}, "$.act_type"), ({"act_type": ["task"]}, "$.act_type"),
        ({"act_type": "task"}, "$.prov_obj"), ({"act_type": "task", "prov_obj": {"task": 1}}, "$.prov_obj.task"),
        ({"act_type": "cycle", "prov_obj": {"task": {}}}, "$.prov_obj.cycle"),
    ],
)  # fmt: skip
def test_what_is_no_record(given: Json, field: str) -> None:
    with pytest.raises(RecordError) as refusal:
        read(given)
    assert refusal.value.field == field


def test_an_unknown_type_is_refused(lake: Any) -> None:
    with pytest.raises(RecordError, match="use Generate, Input or Output"):
        read(lake.record(moment="Begin"))
