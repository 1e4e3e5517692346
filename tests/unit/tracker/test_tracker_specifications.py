"""Specifications: refused by field, compiled to lookups, told as plans."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edge.errors import RequestError
from tracker.specifications import compiled, parse, plans

FORM: dict[str, Any] = {
    "workflow": "train",
    "study": "digits",
    "description": "trains",
    "transformations": {
        "fit": {
            "stage": "training",
            "inputs": {"learning_rate": {"as": "hyperparameter", "dtype": "float", "description": "step"}},
            "outputs": {"loss": {"as": "evaluation_measure"}, "log": {}},
        },
        "epoch": {"kind": "section", "stage": "training", "part_of": "fit"},
    },
    "align": {"learning_rate": "lr"},
}


def form(**change: Any) -> bytes:
    return json.dumps({**FORM, **change}).encode()


def test_compiled() -> None:
    found = compiled(parse(form()))
    assert found.align == {"learning_rate": "lr"}
    assert found.stages == {"fit": "training", "epoch": "training"}
    assert found.inputs == {("fit", "lr"): "hyperparameter"}
    assert found.outputs == {("fit", "loss"): "evaluation_measure"}


def test_plans() -> None:
    fit = "workflow/train/transformation/fit"
    found = {plan["id"]: plan for plan in plans(parse(form()))}
    assert found["workflow/train"] == {
        "id": "workflow/train", "types": ["provml:LearningExperiment"], "label": "train", "description": "trains", "parts": [fit],
    }  # fmt: skip
    assert found["study/digits"]["parts"] == ["workflow/train"]
    assert found[fit] == {
        "id": fit,
        "types": ["provml:Training"],
        "label": "fit",
        "inputs": ["workflow/train/attribute/lr"],
        "outputs": ["workflow/train/attribute/loss", "workflow/train/attribute/log"],
        "parts": ["workflow/train/transformation/epoch"],
    }
    assert found["workflow/train/transformation/epoch"]["types"] == ["provml:LearningStageSection"]
    assert found["workflow/train/attribute/lr"] == {
        "id": "workflow/train/attribute/lr", "types": ["provml:LearningHyperparameter"], "label": "lr", "description": "step",
    }  # fmt: skip
    assert found["workflow/train/attribute/log"]["types"] == ["provlake:Attribute"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "$"),
        (b"{}", "$.workflow"),
        (form(workflow=""), "$.workflow"),
        (form(transformation={}), "$.transformation"),
        (form(transformations={"fit": {"stage": "train"}}), "$.transformations.fit.stage"),
        (form(transformations={"fit": {"inputs": {"a": {"as": "colour"}}}}), "$.transformations.fit.inputs.a.as"),
        (form(transformations={"fit": {"part_of": "all"}}), "$"),
        (form(align={"a": "b", "b": "c"}), "$"),
        (b'{"workflow": "\\ud800"}', "$"),
    ],
)
def test_a_bad_one_names_the_field(body: bytes, field: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(body)
    assert (caught.value.status, caught.value.field) == (422, field)
