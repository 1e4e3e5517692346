"""Records against their specification, of our own format; ProvLake's are checked after their conversion."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracker.records import Begin, End, decode_record
from tracker.specifications import NONE, Specification, compiled, parse
from tracker.validation import Finding, check

Json = Any

FORM: Json = {
    "workflow": "train",
    "transformations": {
        "fit": {
            "inputs": {
                "lr": {"dtype": "float"}, "n": {"dtype": "integer"}, "on": {"dtype": "boolean"}, "name": {"dtype": "string"},
                "layers": {"dtype": "list", "elements": "integer"}, "x": {"dtype": "any"}, "y": {},
                "raw": {"dtype": "string", "reference": True, "stores": ["fs1"]},
                "about": {"dtype": "complex_attribute", "members": {"a": {"dtype": "integer"}}},
            },
            "outputs": {"loss": {"dtype": "float"}},
        }
    },
    "align": {"learning_rate": "lr"},
}  # fmt: skip
SPECIFICATION = compiled(parse(json.dumps(FORM).encode()))


def begin(used: Json, name: str = "fit/1", **more: Json) -> Begin:
    record = {"op": "begin", "n": 0, "t": 0, "m": 0, "kind": "task", "wf": "train/1", "id": name, "used": used, **more}
    found = decode_record(json.dumps(record).encode())
    assert isinstance(found, Begin)
    return found


def numbers(findings: list[Finding]) -> list[str]:
    return [finding.number for finding in findings]


DATA = {"$": "data", "store": "fs1", "key": "a"}


@pytest.mark.parametrize(
    "used",
    [
        {}, {"lr": 0.1}, {"lr": 1}, {"learning_rate": 0.1}, {"lr": {"$": "float", "v": "NaN"}}, {"n": {"$": "int", "v": "9" * 30}},
        {"lr": None}, {"n": None}, {"on": False}, {"name": "a"}, {"layers": [1, 2]}, {"layers": {"$": "json", "v": [1]}},
        {"layers": []}, {"layers": {"$": "summary", "v": {"type": "list"}}}, {"x": {"$": "json", "v": {}}}, {"y": "anything"},
        {"raw": DATA}, {"about": {"$": "json", "v": {"a": 1}}}, {"lr": {"$": "value", "v": 0.1, "as": "hyperparameter"}},
        {"lr": {"$": "ref", "id": "fit/0", "name": "lr"}}, {"n": {"$": "among", "v": 1, "of": [["a/1", "n"], ["a/2", "n"]]}},
    ],
)  # fmt: skip
def test_as_planned(used: Json) -> None:
    assert check(begin(used), SPECIFICATION) == []


@pytest.mark.parametrize(
    ("used", "number", "words"),
    [
        ({"lr": "fast"}, "104", "expected float"), ({"n": 1.5}, "104", "expected integer"), ({"n": True}, "104", "expected integer"),
        ({"on": 1}, "104", "expected boolean"), ({"name": 1}, "104", "expected string"), ({"layers": 3}, "104", "expected list"),
        ({"layers": [1, "a"]}, "104", "a list of integer"), ({"about": [1]}, "104", "expected complex_attribute"),
        ({"about": {"$": "json", "v": {"a": "x"}}}, "104", "integer as `a`"),
        ({"about": {"$": "json", "v": {"b": 1}}}, "104", "no member `b`"), ({"lr": DATA}, "104", "a data reference"),
        ({"speed": 1}, "103", "`speed` is no input of `fit`"), ({"loss": 1}, "103", "`loss` is no input"),
        ({"raw": {**DATA, "store": "fs2"}}, "106", "in the store `fs2`, expected `fs1`"), ({"it's": 1}, "103", "it’s"),
    ],
)  # fmt: skip
def test_not_as_planned(used: Json, number: str, words: str) -> None:
    (finding,) = check(begin(used), SPECIFICATION)
    assert finding.number == number
    assert words in finding.explanation
    assert finding.told("W") == {"code": "W" + number, "type": finding.type, "explanation": finding.explanation}
    assert finding.told("E")["code"] == "E" + number


def test_what_is_missing_is_told_only_of_a_complete_record() -> None:
    assert check(begin({"lr": 1}), SPECIFICATION) == []
    (finding,) = check(begin({"learning_rate": 1}, links={"a/1": ["n"]}), SPECIFICATION, complete=True)
    assert (finding.number, finding.type) == ("105", "missing_input")
    assert "`on`" in finding.explanation
    assert "`lr`" not in finding.explanation
    assert "`n`" not in finding.explanation


def test_outputs() -> None:
    record = {"op": "end", "n": 0, "t": 0, "m": 0, "kind": "task", "wf": "train/1", "id": "fit/1", "status": "finished"}

    def end(**more: Json) -> End:
        found = decode_record(json.dumps({**record, **more}).encode())
        assert isinstance(found, End)
        return found

    assert check(end(generated={"loss": 0.5}), SPECIFICATION, complete=True) == []
    assert numbers(check(end(generated={"loss": "x", "z": 1}), SPECIFICATION)) == ["104", "103"]
    assert numbers(check(end(used={"n": 0.5}), SPECIFICATION)) == ["104"]
    assert numbers(check(end(), SPECIFICATION, complete=True)) == ["105"]


def test_nothing_is_known() -> None:
    assert numbers(check(begin({"lr": 1}), NONE)) == ["101"]
    assert numbers(check(begin({"lr": 1}, "other/1"), SPECIFICATION)) == ["102"]
    assert numbers(check(begin({"lr": 1}), Specification(align={"a": "b"}))) == ["101"]


def test_a_workflow_is_not_checked_and_names_may_be_passed_over() -> None:
    assert check(begin({"z": 1}, kind="workflow"), SPECIFICATION) == []
    assert check(begin({"z": 1}), SPECIFICATION, skipped={"z"}) == []
