"""The three scripts of the digits example as separate processes, and the exact answers to the seven questions."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from pllib.query import Client

ROOT = Path(__file__).parents[2]
EPOCHS = 3


@pytest.fixture(scope="module")
def digits(stack, store_kind, empty_store, tmp_path_factory) -> Any:
    """The scripts have run on a stack of their own: the lab, what plain Python says was learnt, and the client."""
    lab_class = _lab_class()
    with stack(tmp_path_factory.mktemp("digits"), store=empty_store(store_kind)) as services:
        lab = lab_class(services, tmp_path_factory.mktemp("digits-work"))
        for name, more in (("curate", []), ("prepare", []), ("train", ["--epochs", str(EPOCHS)])):
            lab.run_file(
                ROOT / "examples" / "digits" / f"{name}.py", "--work", str(lab.folder), *more, PLLIB_STRICT="1"
            )
        lab.settle()
        results = json.loads((lab.folder / "results.json").read_text())
        yield lab, results, Client(services.query_url)
        lab.http.close()


def _lab_class() -> Any:
    import sys

    return next(module for name, module in sys.modules.items() if name.endswith("end_to_end.conftest")).Lab


@pytest.fixture
def best(digits) -> dict[str, Any]:
    return max(digits[1], key=lambda result: result["validation"]["accuracy"])


def test_all_is_there(digits):
    lab, results, _ = digits
    assert len(results) == 6
    count = "SELECT (COUNT(DISTINCT ?x) AS ?n) { ?x a provml:%s }"
    assert int(lab.select(count % "TrainingExecution")[0]["n"]) == 6
    assert int(lab.select(count % "ValidationExecution")[0]["n"]) == 6
    assert int(lab.select(count % "EvaluationExecution")[0]["n"]) == 6
    batches = sum(EPOCHS * -(-size // result["batch_size"]) for result in results for size in [_train_size(result)])
    assert int(lab.select(count % "TrainingSectionExecution")[0]["n"]) == 6 * EPOCHS + batches


def _train_size(result: dict[str, Any]) -> int:
    total = {"0-899": 900, "0-1796": 1797}[result["image_range"]]
    return total - 2 * int(total * 0.2)


def test_the_papers_listing_runs_unchanged(digits):
    lab, results, _ = digits
    rows = lab.select("""
        SELECT ?epoch ?name ?v ?val {
          ?training a provml:TrainingExecution .
          ?epoch a provml:TrainingSectionExecution ; prov:wasInformedBy ?training .
          ?hp prov:wasGeneratedBy ?epoch ; a provml:ModelHyperparameterValue ; prov:value ?v ; prov:wasDerivedFrom ?att .
          ?att rdfs:label ?name .
          ?ev prov:wasGeneratedBy ?epoch ; a provml:ModelEvaluation ; prov:value ?val .
        }""")
    assert len(rows) == 6 * EPOCHS
    assert {row["name"] for row in rows} == {"samples_seen"}
    assert min(float(row["val"]) for row in rows) == min(result["least_loss"] for result in results)


def test_lineage_of_a_model_reaches_the_raw_file_and_nothing_else(digits, best):
    _, results, client = digits
    found = client.lineage(best["model"], store="digits", grain="task")
    labels = {node["label"] for node in found["nodes"] if node["kind"] == "activity"}
    assert {"fit", "split", "crop", "check", "read"} <= labels
    assert not labels & {"validation", "evaluation"}
    text = json.dumps(found)
    assert "digits.csv.gz" in text
    other = next(result for result in results if result["image_range"] != best["image_range"])
    assert f"{other['image_range']}%2Ftrain.npz" not in text
    assert all(result["model"].replace("/", "%2F") not in text for result in results if result is not best)
    assert client.lineage(best["model"], store="digits", grain="task", format="svg").lstrip().startswith("<")


def _pairs(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Attribute → value, whether the answer is one row an attribute or one column an attribute."""
    if rows and {"attribute", "value"} <= rows[0].keys():
        return {row["attribute"]: row["value"] for row in rows}
    return {name: value for row in rows for name, value in row.items()}


def test_q1_domain_facts(digits, best):
    rows = digits[2].analysis("q1", model=best["model"], store="digits")["rows"]
    found = _pairs(rows)
    assert found["number_of_images"] == 1797
    assert found["image_size"] == "8 x 8"
    assert found["subject"] == "handwritten digits 0-9"


def test_q2_preparation(digits, best):
    found = _pairs(digits[2].analysis("q2", model=best["model"], store="digits")["rows"])
    assert found["image_range"] == best["image_range"]
    assert (found["margin"], found["noise_threshold"], found["test_fraction"], found["seed"]) == (1, 1.0, 0.2, 7)


def test_q3_least_loss(digits, best):
    _, results, client = digits
    rows = client.analysis("q3", dataset=f"{best['image_range']}/train.npz", store="digits")["rows"]
    winner = min((r for r in results if r["image_range"] == best["image_range"]), key=lambda r: r["least_loss"])
    text = json.dumps(rows)
    assert winner["model"].replace("/", "%2F") in text or winner["model"] in text
    found = _pairs(rows)
    assert found["learning_rate"] == winner["learning_rate"]
    assert found["hidden_units"] == winner["hidden_units"]


def test_q4_batch_times(digits, best):
    rows = digits[2].analysis("q4", dataset=f"{best['image_range']}/train.npz", store="digits")["rows"]
    assert len(rows) == 3 * EPOCHS
    for row in rows:
        numbers = [value for value in row.values() if isinstance(value, float)]
        assert numbers
        assert min(numbers) >= 0


def test_q5_q6_q7_from_a_parameter(digits, best):
    _, results, client = digits
    given = {"attribute": "image_range", "value": best["image_range"]}
    mine = [result for result in results if result["image_range"] == best["image_range"]]
    q5 = client.analysis("q5", **given)["rows"]
    assert q5
    q6 = json.dumps(client.analysis("q6", **given)["rows"])
    assert "curated.npz" in q6 or "digits.csv.gz" in q6
    assert "1797" in q6
    q7 = client.analysis("q7", **given)["rows"]
    text = json.dumps(q7)
    for result in mine:
        assert result["model"].replace("/", "%2F") in text or result["model"] in text
        assert str(result["validation"]["accuracy"]) in text
    others = [result["model"] for result in results if result not in mine]
    assert not any(model.replace("/", "%2F") in text or model in text for model in others)


def test_the_graph_holds_to_prov_constraints_and_shapes(digits, constraint_violations):
    import pyshacl
    from rdflib import Graph

    lab = digits[0]
    lines = lab.triples()
    assert constraint_violations(lines) == []
    graph = Graph().parse(data="\n".join(line for line in lines), format="nt")
    shapes = lab.http.get(f"{lab.services.manager_url}/shapes", headers={"Accept": "text/turtle"}).text
    conforms, _, report = pyshacl.validate(graph, shacl_graph=Graph().parse(data=shapes, format="turtle"))
    assert conforms, report[:3000]


def test_times_make_sense(digits):
    rows = digits[0].select("SELECT ?b ?e { ?a prov:startedAtTime ?b ; prov:endedAtTime ?e }")
    assert len(rows) > 100
    assert all(row["b"] <= row["e"] for row in rows)
    assert statistics.median(row["b"] < row["e"] for row in rows)
