"""Prospective documents: what they become, and everything that is wrong with one."""

from __future__ import annotations

import json
import tracemalloc
from typing import Any

import pytest

from edge.errors import RequestError
from tracker.provlake.prospective import read
from tracker.specifications import compiled, stores

Json = Any

FIT = {
    "input_datasets": [
        {
            "attributes": [
                {"name": "lr", "dtype": "float", "semantics": "PARAMETER", "ml_semantics": "hyper_parameter", "description": "step"},
                {"name": "raw", "dtype": "string", "semantics": "FILE_REFERENCE", "storage_references": ["fs1"]},
            ]
        },
        {"attributes": [{"name": "layers", "dtype": "list", "elementdtype": "integer"}]},
    ],
    "output_datasets": [
        {
            "attributes": [
                {"name": "loss", "dtype": "float", "semantics": "OUTPUT_VALUE", "ml_semantics": "evaluation_measure"},
                {"name": "about", "dtype": "complex_attribute", "attributes": [{"name": "n", "dtype": "integer"}]},
            ]
        }
    ],
}  # fmt: skip
DOCUMENT: Json = {
    "context_name": "demo",
    "dataflow_name": "train_wf",
    "description": "trains",
    "storages": {"fs1": {"type": "FileSystem", "host_address": "node1"}, "pg": {"type": "PostgreSQL"}},
    "data_transformations": {"fit": {**FIT, "stage": "training"}, "judge": {"input_datasets": [{"attributes": [{"name": "loss"}]}]}},
    "align_terms": {"learning_rate": "lr"},
}  # fmt: skip


def attributes(*names: str) -> Json:
    return [{"attributes": [{"name": name} for name in names]}]


def findings(**change: Json) -> list[tuple[str, str]]:
    plan = read(json.dumps({**DOCUMENT, **change}).encode())
    assert plan.form is None
    for finding in plan.findings:
        assert "'" not in finding.explanation, "the client would break the text"
    return [(finding.number, finding.type) for finding in plan.findings]


def test_a_document_is_a_specification() -> None:
    plan = read(json.dumps(DOCUMENT).encode())
    assert not plan.findings
    assert plan.form is not None
    told = plan.form.model_dump(by_alias=True, exclude_defaults=True)
    assert told == {
        "workflow": "train_wf",
        "study": "demo",
        "description": "trains",
        "stores": {"fs1": {"type": "FILE_SYSTEM", "host": "node1"}, "pg": {"type": "RELATIONAL_DBMS"}},
        "transformations": {
            "fit": {
                "stage": "training",
                "inputs": {
                    "lr": {"as": "hyperparameter", "dtype": "float", "description": "step"},
                    "raw": {"dtype": "string", "reference": True, "stores": ["fs1"]},
                    "layers": {"dtype": "list", "elements": "integer"},
                },
                "outputs": {
                    "loss": {"as": "evaluation_measure", "dtype": "float"},
                    "about": {"dtype": "complex_attribute", "members": {"n": {"dtype": "integer"}}},
                },
            },
            "judge": {"inputs": {"loss": {}}},
        },
        "align": {"learning_rate": "lr"},
    }


def test_its_storages_are_data_stores_and_its_attributes_are_found_by_aligned_names() -> None:
    form = read(json.dumps(DOCUMENT).encode()).form
    assert form is not None
    assert stores(form)[0] == {
        "id": "store/fs1", "types": ["provlake:DataStoreInstance"], "label": "fs1", "plan": "store/fs1/plan",
        "kind": "FILE_SYSTEM", "host": "node1",
    }  # fmt: skip
    found = compiled(form).attribute("fit", "inputs", "learning_rate")
    assert found is not None
    assert found.meaning == "hyperparameter"


def test_a_value_may_go_in_and_out_of_transformations() -> None:
    change = {"input_datasets": attributes("table"), "output_datasets": attributes("table")}
    chain = {"load": {"output_datasets": attributes("table")}, "clean": change, "scale": change}
    assert read(json.dumps({**DOCUMENT, "data_transformations": chain}).encode()).form is not None


def test_a_dense_flow_costs_no_more_than_its_text() -> None:
    users = {f"u{n}": {"input_datasets": attributes("x")} for n in range(4000)}
    makers = {f"m{n}": {"output_datasets": attributes("x")} for n in range(4000)}
    document = json.dumps({**DOCUMENT, "data_transformations": {**users, **makers}}).encode()
    tracemalloc.start()
    try:
        assert read(document).form is not None
        assert tracemalloc.get_traced_memory()[1] < 200 * len(document)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"dataflow_name": None}, [("201", "malformed_document")]),
        ({"data_transformations": [1]}, [("201", "malformed_document")]),
        ({"data_transformations": {"a": {"input_datasets": {}}}}, [("201", "malformed_document")]),
        ({"data_transformations": {"a": {"input_datasets": [{"attributes": [{"name": ""}]}]}}}, [("201", "malformed_document")]),
        ({"dataflow_name": "x" * 400}, [("201", "malformed_document")]),
        ({"align_terms": {"a": "b", "b": "c"}}, [("201", "malformed_document")]),
        ({"data_transformations": {"a": {"input_datasets": attributes("x", "x")}}}, [("202", "duplicate_name")]),
        ({"data_transformations": {"a": {"input_datasets": attributes("x") * 2}}}, [("202", "duplicate_name")]),
        ({"data_transformations": {"a": {"stage": "cooking"}}}, [("206", "unknown_semantics")]),
        ({"data_transformations": {"a": {"part_of": "b"}, "b": {"part_of": "a"}}}, [("204", "cycle")]),
        ({"data_transformations": {"a": {"part_of": "a"}}}, [("204", "cycle")]),
        (
            {
                "data_transformations": {
                    "a": {"input_datasets": attributes("z"), "output_datasets": attributes("x")},
                    "b": {"input_datasets": attributes("x"), "output_datasets": attributes("y")},
                    "c": {"input_datasets": attributes("y"), "output_datasets": attributes("z")},
                }
            },
            [("204", "cycle")],
        ),
    ],
)  # fmt: skip
def test_refused(change: Json, found: list[tuple[str, str]]) -> None:
    assert findings(**change) == found


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"dtype": "flot"}, [("203", "unknown_dtype")]),
        ({"dtype": "list", "elementdtype": "flot"}, [("203", "unknown_dtype")]),
        ({"dtype": ["float"]}, [("203", "unknown_dtype")]),
        ({"semantics": "THING"}, [("206", "unknown_semantics")]),
        ({"ml_semantics": "magic"}, [("206", "unknown_semantics")]),
        ({"storage_references": ["nowhere"]}, [("205", "unknown_storage")]),
        ({"storage_references": [3]}, [("205", "unknown_storage")]),
        ({"dtype": "it's", "semantics": "it's"}, [("203", "unknown_dtype"), ("206", "unknown_semantics")]),
    ],
)
def test_refused_attributes(change: Json, found: list[tuple[str, str]]) -> None:
    document = {"a": {"input_datasets": [{"attributes": [{"name": "x", **change}]}]}}
    assert findings(data_transformations=document) == found


def test_a_name_that_is_twice_in_one_object() -> None:
    body = b'{"dataflow_name": "w", "data_transformations": {"fit": {}, "fit": {}}}'
    assert [finding.type for finding in read(body).findings] == ["duplicate_name"]


@pytest.mark.parametrize("large", ["[" * 900 + "]" * 900, "[" + "0," * 100_000 + "0]"])
def test_a_document_is_bounded(large: str) -> None:
    (finding,) = read(b'{"dataflow_name": ' + large.encode() + b"}").findings
    assert finding.number == "201"


def test_very_many_names_twice() -> None:
    body = json.dumps({str(n): 0 for n in range(50_000)})
    findings = read((body[:-1] + ", " + body[1:]).encode()).findings
    assert {finding.type for finding in findings} == {"duplicate_name", "malformed_document"} or len(findings) == 50


def test_storage_references_may_be_an_object() -> None:
    document = {
        "a": {"input_datasets": [{"attributes": [{"name": "x", "storage_references": {"fs1": {"path": "/"}}}]}]}
    }
    form = read(json.dumps({**DOCUMENT, "data_transformations": document}).encode()).form
    assert form is not None
    assert form.transformations["a"].inputs["x"].stores == ["fs1"]


@pytest.mark.parametrize("body", [b"", b"{", b'{"dataflow_name": "w"} x'])
def test_no_json(body: bytes) -> None:
    with pytest.raises(RequestError) as refusal:
        read(body)
    assert refusal.value.status == 400
