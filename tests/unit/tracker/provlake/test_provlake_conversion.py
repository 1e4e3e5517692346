"""What ProvLake messages become: activities, links, equal values, elements of structures, and what a specification adds."""

from __future__ import annotations

from typing import Any

import pytest

from tracker.names import Specifications
from tracker.provlake.conversion import producer_of

Json = Any

FIT = "execution/train/1.5/fit/7"


def all_of(documents: list[Json]) -> Json:
    """The documents as one."""
    found: Json = {}
    for document in documents:
        for section, items in document.items():
            found.setdefault(section, []).extend(items)
    return found


@pytest.fixture
def said(lake: Any, say: Any) -> Any:
    """What records say of one thing: ``said(records, section, id)``."""

    def find(records: list[Json], section: str, identifier: str, **form: Json) -> Json:
        specifications = Specifications({"train": lake.specification(**form)} if form else None)
        return say.only(all_of(lake.documents([records], specifications)), section, identifier)

    return find


def test_a_task_is_known_before_it_has_begun(lake: Any, said: Any) -> None:
    task = said([lake.record(values={"lr": 0.1}, person="ana")], "activities", FIT)
    assert task == {
        "id": FIT,
        "types": ["provlake:DataTransformationExecution"],
        "plan": "workflow/train/transformation/fit",
        "partOf": "execution/train/1.5",
        "agents": ["agent/process/" + producer_of("train/1.5"), "agent/person/ana"],
        "used": ["value/train/1.5/lr/f-0.1"],
    }


def test_the_end_alone_says_when_it_began(lake: Any, said: Any) -> None:
    end = lake.record(
        moment="Output", startTime=lake.T, endTime=lake.T + 2, values={"loss": 0.5}, stdout="o", stderr="e"
    )
    task = said([end], "activities", FIT)
    assert (task["started"], task["ended"], task["duration"]) == (lake.MICROS, lake.MICROS + 2_000_000, 2.0)
    assert (task["status"], task["stdout"], task["stderr"]) == ("finished", "o", "e")
    assert task["generated"] == [FIT + "/loss"]


def test_an_end_that_does_not_say_when(lake: Any, said: Any) -> None:
    task = said([lake.record(moment="Output", status="ERRORED")], "activities", FIT)
    assert task["status"] == "failed"
    assert not {"started", "ended", "duration"} & set(task)


def test_what_is_generated_may_be_meant_by_equal_values(lake: Any, said: Any) -> None:
    records = [lake.record(moment="Output", values={"loss": 0.5}), lake.record(dt="judge", values={"loss": 0.5})]
    made = said(records, "entities", FIT + "/loss")
    assert made["specializationOf"] == "value/train/1.5/loss/f-0.5"
    assert said(records, "activities", "execution/train/1.5/judge/7")["used"] == ["value/train/1.5/loss/f-0.5"]


def test_elements_are_values_of_the_attribute_of_the_list(lake: Any, said: Any) -> None:
    tiles = {"tiles": {"prov_attr_type": "list", "values": ["a", "b"]}}
    records = [lake.record(moment="Output", values=tiles), lake.record(dt="crop", values={"tiles": "b"})]
    assert said(records, "activities", FIT)["generated"] == [
        FIT + "/tiles",
        FIT + "/tiles%5B0%5D",
        FIT + "/tiles%5B1%5D",
    ]
    second = said(records, "entities", FIT + "/tiles%5B1%5D")
    assert second == {
        "id": FIT + "/tiles%5B1%5D",
        "value": "b",
        "attributes": ["workflow/train/attribute/tiles"],
        "specializationOf": "value/train/1.5/tiles/s-b",
    }
    assert said(records, "activities", "execution/train/1.5/crop/7")["used"] == ["value/train/1.5/tiles/s-b"]


def test_equal_values_without_a_workflow_mean_nothing(lake: Any, said: Any) -> None:
    records = [
        lake.record(moment=moment, dt=dt, values={"x": 1}, dataflow_name=None, wf_execution=None)
        for moment, dt in (("Output", "one"), ("Generate", "two"))
    ]
    made = said(records, "entities", "execution/global_workflow/global/one/7/x")
    assert "specializationOf" not in made
    whole = said(records, "activities", "execution/global_workflow/global")
    assert set(whole["types"]) == {"provlake:WorkflowExecution"}


def test_a_cycle_is_an_iteration_and_tasks_belong_to_it(lake: Any, said: Any) -> None:
    records = [
        lake.record("cycle", "Input", startTime=lake.T, values={"lr": 0.1}),
        lake.record(parent_cycle_name="epoch", attribute_associations={"a": ["b"]}),
    ]
    assert said(records, "activities", "execution/train/1.5/epoch/0")["types"] == ["provlake:CycleIteration"]
    task = said(records, "activities", FIT)
    assert set(task["informedBy"]) == {"execution/train/1.5/epoch/0"}
    assert task["metadata"] == {"attribute_associations": {"a": ["b"]}}
    epoch = said(records, "plans", "workflow/train/transformation/epoch")
    assert set(epoch["parts"]) == {"workflow/train/transformation/fit"}
    assert "workflow/train/transformation/fit" not in said(records, "plans", "workflow/train")["parts"]


def test_an_iteration_that_is_planned_as_a_section_is_one(lake: Any, said: Any) -> None:
    form = {"transformations": {"epoch": {"stage": "training"}, "fit": {"stage": "training"}}}
    records = [lake.record("cycle", "Input", startTime=lake.T), lake.record(parent_cycle_name="epoch")]
    epoch = said(records, "activities", "execution/train/1.5/epoch/0", **form)
    assert epoch["types"] == ["provml:TrainingSectionExecution"]
    assert said(records, "activities", FIT, **form)["types"] == ["provml:TrainingExecution"]


def test_a_workflow_with_context_outputs_and_metadata(lake: Any, said: Any) -> None:
    records = [
        lake.record("workflow", startTime=lake.T, context="demo", custom_metadata={"a": 1}),
        lake.record("workflow", startTime=lake.T, endTime=lake.T, values={"best": 0.5}, status="FINISHED"),
    ]
    run = said(records, "activities", "execution/train/1.5")
    assert (run["metadata"], run["generated"]) == ({"a": 1}, ["execution/train/1.5/best"])
    assert said(records, "plans", "study/demo")["parts"] == ["workflow/train"]


def test_the_specification_gives_meaning_alignment_and_references(lake: Any, said: Any) -> None:
    form = {
        "transformations": {
            "fit": {
                "inputs": {"learning_rate": {"as": "hyperparameter"}, "file": {"reference": True, "stores": ["fs1"]}},
                "outputs": {"tiles": {"as": "feature_set"}},
            }
        },
        "align": {"learning_rate": "lr", "patches": "tiles"},
    }
    begin = lake.record(values={"learning_rate": 0.1, "file": "/a//b"})
    assert said([begin], "activities", FIT, **form)["used"] == ["value/train/1.5/lr/f-0.1", "data/fs1/%2Fa%2Fb"]
    lr = said([begin], "entities", "value/train/1.5/lr/f-0.1", **form)
    assert lr["types"] == ["provml:LearningHyperparameterValue"]
    end = lake.record(moment="Output", values={"patches": {"prov_attr_type": "list", "values": ["a"]}})
    element = said([end], "entities", FIT + "/patches%5B0%5D", **form)
    assert element["attributes"] == ["workflow/train/attribute/tiles"]
    assert element["specializationOf"] == "value/train/1.5/tiles/s-a"


def test_the_producer_depends_on_the_execution_alone(lake: Any) -> None:
    plain, marked = (lake.converted(lake.record(context=context)) for context in (None, "demo"))
    assert plain.producer == marked.producer
    assert len(plain.producer) == 32
    assert lake.converted(lake.record(wf_execution=2)).producer != plain.producer


def test_ids_of_colliding_tasks_differ_by_transformation_only(lake: Any) -> None:
    found = lake.documents([[lake.record(dt="a"), lake.record(dt="b"), lake.record(dt="a")]])
    ids = {one["id"] for one in all_of(found)["activities"]}
    assert ids == {"execution/train/1.5/a/7", "execution/train/1.5/b/7"}


def test_recorded_traffic_has_all_its_parts(lake: Any, say: Any) -> None:
    whole = all_of(lake.documents(lake.traffic()))
    ids = {one["id"] for one in whole["activities"]}
    run = "execution/train_wf/1700000001.5"
    assert {run, f"{run}/prepare/1700000002.0", f"{run}/epoch/0", f"{run}/epoch/1", f"{run}/batch/b0"} < ids
    assert "execution/global_workflow/global/alone/1700000000.25" in ids
    for turn in (0, 1):
        assert f"{run}/epoch/{turn}" in say.only(whole, "activities", f"{run}/batch/b{turn}")["informedBy"]
    failed = [one["id"] for one in whole["activities"] if one.get("status") == "failed"]
    assert len(failed) == 1
    assert "/check/" in failed[0]
    executions = ("train_wf/1700000001.5", "global_workflow/global")
    processes = [one["id"] for one in whole["agents"] if one.get("label") == "provlake"]
    assert sorted(processes) == sorted(f"agent/process/{producer_of(wf)}" for wf in executions)
