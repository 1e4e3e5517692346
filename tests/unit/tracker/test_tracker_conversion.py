"""What each record says in PROV-ML JSON, rule by rule (docs/reference/identity.md, rdf-model.md)."""

from __future__ import annotations

from typing import Any

import pytest

from tracker.names import Specifications
from tracker.plans import Known
from tracker.specifications import Specification

RUN = "execution/train/9f-1"
FIT = RUN + "/fit/1"
PROCESS = "agent/process/" + "0123456789abcdef" * 2


def test_begin_and_end_of_a_stage(say: Any) -> None:
    found = say.convert(
        [
            say.begin(stage="training", up="tune/4", person="ana", meta={"a": 1}),
            say.end(error={"type": "ValueError", "message": "no"}, status="failed", stdout="hi", clock=9),
        ]
    )
    assert say.only(found, "activities", FIT) == {
        "id": FIT,
        "types": ["provml:TrainingExecution"],
        "plan": "workflow/train/transformation/fit",
        "partOf": RUN,
        "started": say.T,
        "ended": say.T + 5,
        "status": "failed",
        "informedBy": [RUN + "/tune/4"],
        "agents": [PROCESS, "agent/person/ana"],
        "metadata": {"a": 1},
        "error": {"type": "ValueError", "message": "no"},
        "stdout": "hi",
    }
    assert say.only(found, "activities", RUN) == {"id": RUN, "types": ["provml:LearningProcessExecution"]}
    assert say.only(found, "plans", "workflow/train")["types"] == ["provml:LearningExperiment"]
    assert say.only(found, "plans", "workflow/train/transformation/fit")["types"] == ["provml:Training"]
    assert say.only(found, "plans", "workflow/train/transformation/tune")["parts"] == [
        "workflow/train/transformation/fit"
    ]
    assert say.only(found, "agents", "agent/person/ana")["types"] == ["prov:Person", "provml:Persona"]


@pytest.mark.parametrize(
    ("kind", "stage", "execution", "plan"),
    [
        ("task", None, "provlake:DataTransformationExecution", "provlake:DataTransformation"),
        ("task", "feature_extraction", "provml:FeatureExtractionExecution", "provml:FeatureExtraction"),
        ("section", "training", "provml:TrainingSectionExecution", "provml:LearningStageSection"),
        ("section", None, "provml:LearningStageSectionExecution", "provml:LearningStageSection"),
        ("cycle", None, "provlake:CycleExecution", "provlake:Cycle"),
        ("iteration", None, "provlake:CycleIteration", "provlake:Cycle"),
    ],
)
def test_classes_of_activities(say: Any, kind: str, stage: str | None, execution: str, plan: str) -> None:
    found = say.convert([say.begin(kind=kind, stage=stage)])
    assert say.only(found, "activities", FIT)["types"] == [execution]
    assert say.only(found, "plans", "workflow/train/transformation/fit")["types"] == [plan]
    assert all(one["id"] != RUN for one in found["activities"])


def test_a_stage_whose_parent_is_the_run_itself(say: Any) -> None:
    found = say.convert([say.begin(stage="training", up="")])
    assert say.only(found, "activities", FIT)["informedBy"] == [RUN]
    assert say.only(found, "plans", "workflow/train")["parts"] == ["workflow/train/transformation/fit"]


def test_a_workflow_and_its_study(say: Any) -> None:
    found = say.convert(
        [say.begin(None, kind="workflow", study="digits", used={"seed": 7}), say.end(None, kind="workflow")]
    )
    assert say.only(found, "activities", RUN)["plan"] == "workflow/train"
    assert say.only(found, "activities", RUN)["used"] == ["value/train/9f-1/seed/i-7"]
    assert say.only(found, "plans", "study/digits") == {
        "id": "study/digits", "types": ["provml:Study"], "label": "digits", "parts": ["workflow/train"],
    }  # fmt: skip
    assert say.only(found, "plans", "workflow/train")["inputs"] == ["workflow/train/attribute/seed"]


def test_an_end_alone_says_where_it_belongs(say: Any) -> None:
    found = say.only(say.convert([say.end()]), "activities", FIT)
    assert (found["plan"], found["partOf"], found["agents"]) == ("workflow/train/transformation/fit", RUN, [PROCESS])
    assert "types" not in found


def test_generated_and_used_plain_values(say: Any) -> None:
    found = say.convert([say.begin(used={"lr": 0.1}), say.end(generated={"loss": 0.25})])
    activity = say.only(found, "activities", FIT)
    assert activity["used"] == ["value/train/9f-1/lr/f-0.1"]
    assert activity["generated"] == [FIT + "/loss"]
    assert say.only(found, "entities", FIT + "/loss") == {
        "id": FIT + "/loss", "value": 0.25, "attributes": ["workflow/train/attribute/loss"],
    }  # fmt: skip
    plan = say.only(found, "plans", "workflow/train/transformation/fit")
    assert (plan["inputs"], plan["outputs"]) == (["workflow/train/attribute/lr"], ["workflow/train/attribute/loss"])
    assert say.only(found, "plans", "workflow/train/attribute/lr")["types"] == ["provlake:Attribute"]


def test_four_ones_are_four_values(say: Any) -> None:
    records = [say.begin(f"fit/{index}", used={"x": value}) for index, value in enumerate((1, 1.0, "1", True))]
    ids = {one["used"][0] for one in say.convert(records)["activities"]}
    assert ids == {f"value/train/9f-1/x/{key}" for key in ("i-1", "f-1.0", "s-1", "b-true")}


def test_meanings_are_classes(say: Any) -> None:
    found = say.convert([say.begin(used={"lr": {"$": "value", "v": 0.1, "as": "hyperparameter"}})])
    assert say.only(found, "entities", "value/train/9f-1/lr/f-0.1")["types"] == ["provml:LearningHyperparameterValue"]
    assert say.only(found, "plans", "workflow/train/attribute/lr")["types"] == ["provml:LearningHyperparameter"]


def test_a_reference_is_the_generated_entity(say: Any) -> None:
    ref = {"$": "ref", "id": "crop/12", "name": "tile"}
    found = say.convert([say.begin(used={"tile": ref, "patch": ref})])
    activity = say.only(found, "activities", FIT)
    assert activity["used"] == [RUN + "/crop/12/tile"] * 2
    assert activity["informedBy"] == [RUN + "/crop/12"]
    assert say.only(found, "entities", RUN + "/crop/12/tile")["attributes"] == ["workflow/train/attribute/patch"]


def test_links_are_short_for_references(say: Any) -> None:
    short = say.convert([say.begin(used={"p": 1}, links={"crop/12": ["tile", "size"]})])
    long = say.convert(
        [say.begin(used={"p": 1, **{name: {"$": "ref", "id": "crop/12", "name": name} for name in ("tile", "size")}})]
    )
    assert say.statements([short]) == say.statements([long])


def test_a_reference_to_another_run(say: Any) -> None:
    found = say.convert([say.begin(used={"x": {"$": "ref", "id": "crop/1", "name": "tile", "wf": "prepare/7"}})])
    assert say.only(found, "activities", FIT)["informedBy"] == ["execution/prepare/7/crop/1"]
    about = say.only(found, "entities", "execution/prepare/7/crop/1/tile")
    assert about["attributes"] == ["workflow/train/attribute/x"]


def test_a_task_is_not_informed_by_itself(say: Any) -> None:
    found = say.convert([say.end(used={"x": {"$": "ref", "id": "fit/1", "name": "x"}})])
    assert "informedBy" not in say.only(found, "activities", FIT)


def test_among_says_no_more_than_that_they_are_equal(say: Any) -> None:
    among = {"$": "among", "v": 0.9, "of": [["crop/12", "acc"], ["crop/14", "acc"]]}
    found = say.convert([say.begin(used={"acc": among})])
    equal = "value/train/9f-1/acc/f-0.9"
    assert say.only(found, "activities", FIT)["used"] == [equal]
    assert "informedBy" not in say.only(found, "activities", FIT)
    for crop in ("12", "14"):
        about = say.only(found, "entities", f"{RUN}/crop/{crop}/acc")
        assert about == {"id": about["id"], "specializationOf": equal}


def test_match_relates_a_generated_value_to_its_equals(say: Any) -> None:
    found = say.convert(
        [say.end(match=True, generated={"acc": 0.9}), say.begin("use/1", match=True, used={"acc": 0.9})]
    )
    assert say.only(found, "entities", FIT + "/acc")["specializationOf"] == "value/train/9f-1/acc/f-0.9"
    assert say.only(found, "activities", RUN + "/use/1")["used"] == ["value/train/9f-1/acc/f-0.9"]


def test_without_match_equal_outputs_are_no_ancestors(say: Any) -> None:
    """Two siblings generate 0.9; what uses 0.9 with no known origin descends from neither."""
    found = say.convert(
        [say.end("a/1", generated={"acc": 0.9}), say.end("b/1", generated={"acc": 0.9}), say.begin(used={"acc": 0.9})]
    )
    generated = {identifier for one in found["activities"] for identifier in one.get("generated", [])}
    assert generated == {RUN + "/a/1/acc", RUN + "/b/1/acc"}
    assert generated.isdisjoint(say.only(found, "activities", FIT)["used"])
    assert not any("specializationOf" in one for one in found["entities"])


def test_equal_scalars_of_two_runs_share_no_entity(say: Any) -> None:
    first = say.convert([say.begin(used={"lr": 0.1}), say.end(generated={"loss": 0.5})])
    second = say.convert(
        [say.begin(wf="train/9f-2", used={"lr": 0.1}), say.end(wf="train/9f-2", generated={"loss": 0.5})]
    )
    assert {one["id"] for one in first["entities"]}.isdisjoint(one["id"] for one in second["entities"])


def test_data_references_and_their_states(say: Any) -> None:
    data = {"$": "data", "store": "scratch", "key": "a/b.npz", "version": "s1-2", "path": "/s/a/b.npz", "size": 3}
    facts = {"n": {"$": "value", "v": 5, "as": "dataset_characteristic"}}
    found = say.convert([say.end(generated={"train": {**data, "as": "dataset", "facts": facts}})])
    whole, state = "data/scratch/a%2Fb.npz", "data/scratch/a%2Fb.npz/s1-2"
    assert say.only(found, "activities", FIT)["generated"] == [state]
    assert say.only(found, "entities", whole) == {
        "id": whole, "types": ["provlake:DataReference"], "value": "a/b.npz", "key": "a/b.npz", "store": "store/scratch",
    }  # fmt: skip
    assert say.only(found, "entities", state) == {
        "id": state, "types": ["provlake:DataReference", "provml:LearningDataset"], "value": "a/b.npz",
        "specializationOf": whole, "version": "s1-2", "path": "/s/a/b.npz", "size": 3,
        "attributes": ["workflow/train/attribute/train"], "members": [state + "/n/i-5"],
    }  # fmt: skip
    fact = say.only(found, "entities", state + "/n/i-5")
    assert (fact["value"], fact["types"]) == (5, ["provml:DatasetCharacteristicValue"])
    assert found["stores"] == [{"id": "store/scratch", "types": ["provlake:DataStoreInstance"], "label": "scratch"}]


def test_data_that_was_written_unseen_is_a_state_of_its_writer(say: Any) -> None:
    model = {"$": "data", "store": "s", "key": "m", "as": "model", "facts": {"k": 3}}
    found = say.convert([say.end(generated={"model": model})])
    (written,) = say.only(found, "activities", FIT)["generated"]
    assert written.startswith("data/s/m/w-")
    about = say.only(found, "entities", written)
    assert about["specializationOf"] == "data/s/m"
    assert about["members"] == [written + "/k/i-3"]
    assert "version" not in about
    assert say.only(found, "stores", "store/s")["members"] == [written]
    other = say.convert([say.end(id="fit/2", generated={"model": model})])
    assert all(entity["id"] != written for entity in other["entities"])


def test_data_of_unknown_state_that_is_used_is_the_reference_itself(say: Any) -> None:
    found = say.convert([say.begin(used={"model": {"$": "data", "store": "s", "key": "m", "facts": {"k": 3}}})])
    assert say.only(found, "activities", FIT)["used"] == ["data/s/m"]
    about = say.only(found, "entities", "data/s/m")
    assert about["members"] == ["data/s/m/-/k/i-3"]
    assert "version" not in about


def test_facts_about_a_value_in_memory(say: Any) -> None:
    model = {
        "$": "summary",
        "v": {"type": "Net"},
        "as": "model",
        "facts": {"k": {"$": "value", "v": 3, "as": "model_hyperparameter"}},
    }
    found = say.convert([say.end(generated={"net": model})])
    assert say.only(found, "entities", FIT + "/net")["members"] == [FIT + "/net/k/i-3"]
    assert say.only(found, "entities", FIT + "/net/k/i-3")["types"] == ["provml:ModelHyperparameterValue"]


def test_a_producer_and_its_gaps(say: Any) -> None:
    producer = {
        "n": 0, "op": "producer", "t": 1, "m": 1, "host": "node1", "pid": 12, "user": "ana", "command": "/w/train.py --lr 1",
        "python": "3.11.2", "software": {"numpy": "2.3"}, "env": {"SLURM_JOB_ID": "9"},
    }  # fmt: skip
    gap = {"n": 1, "op": "gap", "t": 1, "m": 1, "count": 4, "from": 1, "to": 9, "reason": "queue_full"}
    found = say.convert([producer, gap])
    assert say.only(found, "agents", PROCESS) == {
        "id": PROCESS, "types": ["prov:SoftwareAgent"], "label": "train.py (pid 12 on node1)", "host": "node1", "pid": 12,
        "command": "/w/train.py --lr 1", "environment": {"SLURM_JOB_ID": "9", "python": "3.11.2"},
        "actedFor": ["agent/person/ana"], "ran": ["agent/software/numpy/2.3"],
        "lost": {"count": 4, "from": 1, "to": 9, "reason": "queue_full"},
    }  # fmt: skip
    assert say.only(found, "agents", "agent/software/numpy/2.3")["version"] == "2.3"


def test_a_specification_aligns_names_and_gives_meanings(say: Any) -> None:
    planned = Specification(
        align={"learning_rate": "lr"},
        stages={"fit": "training"},
        inputs={("fit", "lr"): "hyperparameter"},
        outputs={("fit", "loss"): "evaluation_measure"},
    )
    in_force = Specifications({"train": planned})
    ref = {"$": "ref", "id": "ask/1", "name": "learning_rate"}
    found = say.convert(
        [
            say.begin(used={"learning_rate": 0.1}),
            say.end(generated={"loss": 0.5}),
            say.begin("fit/2", used={"lr": ref}),
        ],
        in_force,
    )
    assert say.only(found, "activities", FIT)["used"] == ["value/train/9f-1/lr/f-0.1"]
    assert say.only(found, "activities", FIT)["types"] == ["provml:TrainingExecution"]
    assert say.only(found, "entities", "value/train/9f-1/lr/f-0.1")["types"] == ["provml:LearningHyperparameterValue"]
    assert say.only(found, "entities", FIT + "/loss")["types"] == ["provml:ModelEvaluation"]
    assert say.only(found, "activities", RUN + "/fit/2")["used"] == [RUN + "/ask/1/lr"]
    assert "attributes" not in say.only(found, "entities", RUN + "/ask/1/lr")


def test_two_values_that_are_aligned_to_one_name_stay_two(say: Any) -> None:
    in_force = Specifications({"train": Specification(align={"learning_rate": "lr", "rate": "lr"})})
    found = say.convert([say.end(generated={"learning_rate": 1, "rate": 2, "lr": 3})], in_force)
    values = {one["id"].rpartition("/")[2]: one["value"] for one in found["entities"]}
    assert values == {"learning_rate": 1, "rate": 2, "lr": 3}


def test_plans_are_said_once(say: Any) -> None:
    known = Known()
    records = [say.begin(stage="training", person="ana", used={"lr": 1}), say.end(generated={"loss": 1})]
    assert say.convert(records, known=known)["plans"]
    again = say.convert(records, known=known)
    assert "plans" not in again
    assert "agents" not in again
    known.clear()
    assert say.convert(records, known=known)["plans"]


def test_the_memory_of_what_is_known_is_bounded() -> None:
    known = Known(limit=10)
    for number in range(100):
        known.add([number])
    assert 99 in known
    assert sum(number in known for number in range(100)) <= 22


def test_hostile_names_are_ids(say: Any) -> None:
    found = say.convert([say.end(generated={'a b/<>"{}|^`\\\n': 1, "..": 2}), say.begin(used={"é": "../\x00"})])
    for section in found.values():
        for one in section:
            assert " " not in one["id"]
            assert ".." not in one["id"].split("/")
