"""What is added to an open activity, points of series and sessions: what is refused, and what each says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracker.errors import RecordError
from tracker.names import Specifications
from tracker.records import Add, Begin, End, Points, decode_record
from tracker.specifications import compiled, parse
from tracker.validation import Earlier, check_native

Json = Any

PRODUCER = "0123456789abcdef" * 2
RUN, LOSS = "execution/train/9f-1", "execution/train/9f-1/training/0/loss"
BASE = {"n": 1, "t": 5, "m": 6, "kind": "task", "wf": "train/9f-1", "id": "training/0"}
POINTS = {
    **BASE,
    "op": "points",
    "series": "loss",
    "first": 0,
    "steps": [1, 1],
    "times": [1_700_000_000_000_000, 7],
    "values": [0.5, 1],
}
ADD = {**BASE, "op": "add"}
BEGIN = {**BASE, "op": "begin", "kind": "workflow", "id": None, "session": "a-0"}
END = {**BASE, "op": "end", "status": "finished"}


def refusal(record: Json) -> RecordError:
    with pytest.raises(RecordError) as caught:
        decode_record(json.dumps(record).encode())
    return caught.value


def test_good_records_of_each_kind() -> None:
    for record, kind in ((POINTS, Points), (ADD, Add), (BEGIN, Begin), ({**END, "session": "a-0"}, End)):
        assert type(decode_record(json.dumps(record).encode())) is kind


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"steps": [1]}, "$.values", "1 steps, 2 times and 2 values: give one of each for every point"),
        ({"steps": [0] * 1001, "times": [0] * 1001, "values": [0] * 1001}, "$.steps", "give 1 to 1,000"),
        ({"steps": [], "times": [], "values": []}, "$.steps", "give 1 to 1,000"),
        ({"steps": [0.5, 1]}, "$.steps[0]", "integers"),
        ({"steps": [2**52, 2**52]}, "$.steps", "beyond 2^53"),
        ({"steps": [-(2**53), 1]}, "$.steps", "beyond 2^53"),
        ({"steps": [0, 10**30]}, "$.steps", "beyond 2^53"),
        ({"times": [0, 2 * 10**18]}, "$.times", "the years 1 to 9999"),
        ({"times": [-(10**18), 0]}, "$.times", "the years 1 to 9999"),
        ({"times": ["now", 0]}, "$.times[0]", "microseconds"),
        ({"values": [1, None]}, "$.values[1]", '"NaN", "INF" or "-INF"'),
        ({"values": [1, "0.5"]}, "$.values[1]", '"NaN", "INF" or "-INF"'),
        ({"values": [True, 1]}, "$.values[0]", '"NaN", "INF" or "-INF"'),
        ({"values": [1, {"$": "float", "v": "NaN"}]}, "$.values[1]", '"NaN", "INF" or "-INF"'),
        ({"values": [1, 2**53 + 1]}, "$.values[1]", "integers beyond 2^53 as floats"),
        ({"values": 5}, "$.values", "give 1 to 1,000 numbers"),
        ({"first": -1}, "$.first", "how many points"),
        ({"first": 2**53}, "$.first", "how many points"),
        ({"first": None}, "$.first", "how many points"),
        ({"series": ""}, "$.series", "name of the series"),
        ({"series": "é" * 1000}, "$.series", "shorten it"),
        ({"unit": ""}, "$.unit", "such as s"),
        ({"unit": 5}, "$.unit", "such as s"),
        ({"rank": -1}, "$.rank", "from 0"),
        ({"as": "metric"}, "$.as", "evaluation_measure"),
        ({"telemetry": 1}, "$.telemetry", "bool"),
        ({"id": None}, "$.id", "a task needs `id`"),
        ({"wf": "train"}, "$.wf", "{workflow}/{execution}"),
    ],
)
def test_points_that_are_refused(change: Json, field: str, words: str) -> None:
    error = refusal({**POINTS, **change})
    assert error.field == field
    assert words in error.message


@pytest.mark.parametrize("name", ["series", "first", "steps", "times", "values"])
def test_a_missing_field_of_points_is_named(name: str) -> None:
    assert refusal({key: value for key, value in POINTS.items() if key != name}).field == f"$.{name}"


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"session": None, "resumes": True}, "$.session", "add a text of its own"),
        ({"session": ""}, "$.session", "{producer}-{n of the begin}"),
        ({"session": "x" * 201}, "$.session", "at most 200"),
        ({"resumes": "yes"}, "$.resumes", "bool"),
        ({"rank": "0"}, "$.rank", "from 0"),
        ({"within": "a/b"}, "$.within", '{"wf": '),
        ({"within": {"id": "a/b"}}, "$.within.wf", "{workflow}/{execution}"),
        ({"within": {"wf": "a/b", "id": "c"}}, "$.within.id", "{name}/{number}"),
        ({"within": {"wf": "train/9%66-1"}}, "$.within", "name an activity of another one"),
        ({"kind": "task", "id": "a/1", "within": {"wf": "a/b"}}, "$.within", "give `up` instead"),
        ({"stage": "training"}, "$.stage", "give `learning`"),
    ],
)
def test_begins_that_are_refused(change: Json, field: str, words: str) -> None:
    error = refusal({**BEGIN, **change})
    assert error.field == field
    assert words in error.message


def test_what_is_added_is_refused_as_in_begin_and_end() -> None:
    assert refusal({**ADD, "generated": {"a": {"$": "ref", "id": "b/1", "name": "a"}}}).field == "$.generated.a"
    assert refusal({**ADD, "used": {"a": {"$": "x"}}}).field == "$.used.a.$"
    assert refusal({**ADD, "meta": {"a": 2**70}}).field == "$.meta"
    assert refusal({**ADD, "links": {"x": ["a"]}}).field == "$.links"


def test_an_unknown_kind_of_record_names_all_there_are() -> None:
    assert "add, points" in refusal({**ADD, "op": "log"}).message


def test_points_become_a_series(say: Any) -> None:
    more = {**POINTS, "n": 2, "first": 2, "steps": [-3], "times": [9], "values": ["NaN"], "rank": 3}
    described = {"as": "evaluation_measure", "unit": "nats"}
    found = say.convert([{**POINTS, **described}, {**more, **described}])
    assert found["entities"] == [
        {
            "id": LOSS,
            "types": ["provlake:Series", "provml:ModelEvaluation"],
            "attributes": ["workflow/train/attribute/loss"],
            "unit": "nats",
            "points": [
                {"by": PRODUCER, "first": 0, "steps": [1, 1], "times": [1_700_000_000_000_000, 7], "values": [0.5, 1]},
                {"by": PRODUCER, "rank": 3, "first": 2, "steps": [-3], "times": [9], "values": ["NaN"]},
            ],
        }
    ]
    activity = say.only(found, "activities", RUN + "/training/0")
    assert (activity["generated"], activity["partOf"], activity["plan"]) == (
        [LOSS],
        RUN,
        "workflow/train/transformation/training",
    )
    assert "started" not in activity
    assert say.only(found, "plans", "workflow/train/transformation/training")["outputs"] == [
        "workflow/train/attribute/loss"
    ]
    assert say.only(found, "plans", "workflow/train/attribute/loss")["types"] == ["provml:EvaluationMeasure"]


def test_telemetry_of_a_workflow_and_what_the_specification_says(say: Any) -> None:
    form = {
        "workflow": "train",
        "transformations": {"training": {"outputs": {"loss": {"as": "evaluation_measure"}}}},
        "align": {"l": "loss"},
    }
    specifications = Specifications({"train": compiled(parse(json.dumps(form).encode()))})
    machine = {**POINTS, "kind": "workflow", "id": None, "series": "cpu.percent", "telemetry": True, "unit": "%"}
    found = say.convert([{**POINTS, "series": "l"}, machine], specifications)
    assert say.only(found, "entities", LOSS)["types"] == ["provlake:Series", "provml:ModelEvaluation"]
    assert say.only(found, "entities", RUN + "/cpu.percent")["types"] == ["provlake:Series", "provlake:Telemetry"]
    assert say.only(found, "activities", RUN)["types"] == ["provlake:WorkflowExecution"]


def test_what_is_added_has_no_time(say: Any) -> None:
    record = {**ADD, "used": {"lr": 0.1}, "generated": {"m": 1}, "meta": {"tag": "x"}, "links": {"a/1": ["d"]}}
    found = say.only(say.convert([record]), "activities", RUN + "/training/0")
    assert found["used"] == ["value/train/9f-1/lr/f-0.1", RUN + "/a/1/d"]
    assert (found["generated"], found["metadata"], found["informedBy"]) == (
        [RUN + "/training/0/m"],
        {"tag": "x"},
        [RUN + "/a/1"],
    )
    assert found["agents"] == ["agent/process/" + PRODUCER]
    assert not found.keys() & {"started", "ended", "status", "duration", "types"}


def test_a_session_has_the_times_and_the_execution_has_none(say: Any) -> None:
    begin = {
        **BEGIN,
        "rank": 2,
        "resumes": True,
        "stage": "learning",
        "study": "digits",
        "within": {"wf": "o/1", "id": "t/5"},
    }
    end = {
        **BEGIN,
        "op": "end",
        "t": 9,
        "elapsed": 4,
        "status": "failed",
        "error": {"type": "E", "message": "m"},
        "stdout": "out",
    }
    found = say.convert([begin, end])
    session = say.only(found, "activities", "session/train/9f-1/a-0")
    assert session == {
        "id": "session/train/9f-1/a-0", "types": ["provlake:Session"] * 2, "sessionOf": RUN, "rank": 2, "resumes": True,
        "started": 5, "ended": 9, "duration": 4e-6, "status": "failed", "error": {"type": "E", "message": "m"},
        "agents": ["agent/process/" + PRODUCER] * 2,
    }  # fmt: skip
    run = say.only(found, "activities", RUN)
    assert not run.keys() & {"started", "ended", "status", "duration", "error", "rank"}
    assert set(run["types"]) == {"provlake:WorkflowExecution", "provml:LearningProcessExecution"}
    assert (run["within"], run["informedBy"], run["stdout"]) == ("execution/o/1/t/5", ["execution/o/1/t/5"], "out")
    assert say.only(found, "plans", "workflow/train")["types"] == ["provlake:Workflow", "provml:LearningExperiment"]


def test_a_session_of_a_task_and_a_strange_name(say: Any) -> None:
    found = say.convert([{**BEGIN, "kind": "task", "id": "training/0", "session": "a b/ü"}])
    session = say.only(found, "activities", "session/train/9f-1/training/0/a%20b%2F%C3%BC")
    assert session["sessionOf"] == RUN + "/training/0"


def test_a_rank_without_a_session_is_the_activity_s(say: Any) -> None:
    assert say.only(say.convert([{**BEGIN, "session": None, "rank": 0}]), "activities", RUN)["rank"] == 0


FORM: Json = {
    "workflow": "train",
    "transformations": {
        "training": {
            "inputs": {"lr": {"dtype": "float"}},
            "outputs": {"loss": {"dtype": "float"}, "model": {"dtype": "string"}},
        }
    },
}
PLANNED = Specifications({"train": compiled(parse(json.dumps(FORM).encode()))})


def test_series_and_what_is_added_are_checked_by_the_specification() -> None:
    earlier = Earlier()

    def numbers(record: Json) -> list[str]:
        return [one.number for one in check_native(decode_record(json.dumps(record).encode()), PLANNED, earlier)]

    assert numbers(POINTS) == []
    assert numbers({**POINTS, "values": ["NaN", 1]}) == []
    assert numbers({**POINTS, "series": "acc"}) == ["103"]
    assert numbers({**POINTS, "series": "model"}) == ["104"]
    assert numbers({**ADD, "used": {"lr": "x", "z": 1}, "generated": {"model": 1}}) == ["104", "104", "103"]
    assert numbers({**POINTS, "id": "other/1"}) == ["102"]
    assert numbers({**POINTS, "kind": "workflow", "id": None}) == []
    assert numbers({**END, "id": "training/1"}) == ["105"]
    assert numbers({**END, "generated": {"model": "m"}}) == []  # the series and what was added came before
    assert numbers(END) == ["105"]  # it was forgotten with the end


def test_what_came_before_is_remembered_within_bounds() -> None:
    earlier = Earlier(limit=2)
    for number in range(3):
        record = decode_record(json.dumps({**POINTS, "id": f"training/{number}"}).encode())
        assert isinstance(record, Points)
        earlier.note(record)
    ends = [decode_record(json.dumps({**END, "id": f"training/{number}"}).encode()) for number in range(3)]
    assert [set(earlier.note(end)) for end in ends if isinstance(end, End)] == [set(), {"loss"}, {"loss"}]
