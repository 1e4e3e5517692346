"""A plan and what runs have shown, compared."""

from __future__ import annotations

from typing import Any

import pytest

from pllib.plans import differences


def told(planned: dict[str, Any], seen: dict[str, Any], **more: Any) -> list[str]:
    plan = {"transformations": {"fit": {"inputs": planned}}, **more}
    return list(differences(plan, {"transformations": {"fit": {"inputs": seen}}}))


@pytest.mark.parametrize(
    ("planned", "seen"),
    [
        ({"dtype": "float"}, {"dtype": "integer"}), ({"dtype": "any"}, {"dtype": "list"}), ({}, {"dtype": "list"}),
        ({"dtype": "metres"}, {"dtype": "float"}), ({"dtype": "list", "reference": True}, {"dtype": "string"}),
    ],
)  # fmt: skip
def test_as_planned(planned: dict[str, Any], seen: dict[str, Any]) -> None:
    assert told({"x": planned}, {"x": seen}) == []


@pytest.mark.parametrize(
    ("planned", "seen", "words"),
    [
        ({"dtype": "integer"}, {"dtype": "float"}, "x is float, planned as integer"),
        ({"dtype": "float"}, {"dtype": "any"}, "x is any, planned as float"),
        ({"dtype": "float"}, {}, "x is planned, and no run had a value of it"),
    ],
)
def test_not_as_planned(planned: dict[str, Any], seen: dict[str, Any], words: str) -> None:
    assert told({"x": planned}, {"x": seen}) == [f"fit, inputs: {words}"]


def test_names_are_aligned_and_may_have_several_types() -> None:
    planned, seen = (
        {"lr": {"dtype": "float"}},
        {"rate": {"dtype": "float"}, "lr": {"dtype": "string"}, "z": {"dtype": "float"}},
    )
    assert told(planned, seen, align={"rate": "lr"}) == [
        "fit, inputs: lr is string, planned as float",
        "fit, inputs: z is there and not planned",
    ]


def test_transformations() -> None:
    found = differences({"transformations": {"a": {}}}, {"transformations": {"b": {}}})
    assert list(found) == ["a: is planned, and no run did it", "b: is done and not planned"]
