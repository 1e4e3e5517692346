"""Experiment runs on the whole stack: what a training script logs, and the graph that comes of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.end_to_end.conftest import Lab
from tests.integration.runs_bench import git

TRAIN = """
import pickle, sys
import numpy as np
from sklearn.linear_model import SGDClassifier
import pllib

np.savez("train-MARK.npz", x=np.arange(20.0).reshape(10, 2), y=np.arange(10) % 2)
with pllib.run("digits-MARK", name="first", study="runs-MARK", params={"alpha": 0.01, "epochs": 3}, tags={"team": "x"}) as run:
    run.log_dataset("train-MARK.npz", "train", characteristics={"rows": 10})
    with np.load("train-MARK.npz") as data:
        x, y = data["x"], data["y"]
    model = SGDClassifier(alpha=0.01, random_state=0)
    for epoch in range(3):
        model.partial_fit(x, y, classes=[0, 1])
        run.log_metric("loss", 0.5 / (epoch + 1), step=epoch, context="training")
        run.log_metric("train/loss: ü", float("nan"), step=epoch, context="validation")
    run.log_param("alpha", 0.02)
    with open("model-MARK.pkl", "wb") as file:
        pickle.dump(model, file)
    run.log_model(model, path="model-MARK.pkl")
    with run.task("export") as task:
        with open("small-MARK.pkl", "wb") as file:
            pickle.dump(model.coef_, file)
        run.log_model("small-MARK.pkl", "small", context="training")
        task.generated(exported=pllib.data("small-MARK.pkl.copy", version="1"))
    with pllib.run("inner-MARK", code=False, environment=False):
        pass
"""
GO_ON = """
import sys
import pllib
again = len(sys.argv) > 1
with pllib.run("going-on-MARK", resume=sys.argv[1] if again else None, code=False, environment=False) as run:
    run.log_metric("loss", 0.05 if again else 0.5, step=int(again), context="training")
    if not again:
        print(run.id, flush=True)
        raise ValueError("at first")
"""


@pytest.fixture(scope="module")
def lab(services: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Where a script in a repository has trained; its run is in the store."""
    found = Lab(services, tmp_path_factory.mktemp("runs"))
    script = found.folder / "code" / "src" / "train.py"
    script.parent.mkdir(parents=True)
    script.write_text(TRAIN.replace("MARK", found.mark))
    git(found.folder / "code", "init", "-q")
    git(found.folder / "code", "remote", "add", "origin", f"https://ana:pw@example.org/lab/code-{found.mark}.git")
    git(found.folder / "code", "add", ".")
    git(found.folder / "code", "commit", "-q", "-m", "first")
    found.run_file(script, PLLIB_STRICT="1")
    found.settle()
    yield found
    found.http.close()


@pytest.fixture(scope="module")
def run(lab: Lab) -> str:
    """IRI of the run."""
    return execution(lab, f"digits-{lab.mark}")


def execution(lab: Lab, experiment: str) -> str:
    (row,) = lab.select(f'SELECT ?e {{ ?e prov:wasInfluencedBy ?w . ?w rdfs:label "{experiment}" }}')
    return str(row["e"])


def values(lab: Any, run: str, *, patterns: str, names: str) -> list[tuple[str, ...]]:
    rows = lab.select(f"SELECT {names} {{ BIND(<{run}> AS ?run) {patterns} }}")
    return sorted(tuple(row[name] for name in names.replace("?", "").split()) for row in rows)


def test_the_graph_of_a_run(lab, run):
    def found(names: str, patterns: str) -> list[tuple[str, ...]]:
        return values(lab, run, names=names, patterns=patterns)

    kinds = {kind.rpartition("#")[2] for (kind,) in found("?kind", "?run a ?kind")}
    assert "LearningProcessExecution" in kinds
    assert found("?status", "?run provlake:status ?status") == [("finished",)]
    assert len(found("?t", "?run prov:startedAtTime ?t")) == len(found("?t", "?run prov:endedAtTime ?t")) == 1
    parameter = "?run prov:used ?u . ?u a provml:LearningHyperparameterValue ; prov:value ?v ; prov:wasDerivedFrom/rdfs:label ?name"
    assert [(name, float(value)) for name, value in found("?name ?v", parameter)] == [
        ("alpha", 0.01),
        ("alpha", 0.02),
        ("epochs", 3.0),
    ]
    said: dict[str, Any] = {}
    for (text,) in found("?m", "?run provlake:metadata ?m"):
        said.update(json.loads(text))
    assert said == {"name": "first", "team": "x", "changed_param.alpha": [0.01, 0.02]}
    assert found("?inner", f'?inner provlake:within ?run ; prov:wasInfluencedBy/rdfs:label "inner-{lab.mark}"')


def test_metrics_are_series_with_their_latest_value(lab, run):
    patterns = (
        "?context provlake:isPartOf ?run . ?s prov:wasGeneratedBy ?context ; a provml:ModelEvaluation ; "
        "provlake:points ?points ; prov:value ?value ; prov:wasDerivedFrom/rdfs:label ?name"
    )
    rows = {row[0]: row[1:] for row in values(lab, run, names="?name ?context ?points ?value", patterns=patterns)}
    assert rows.keys() == {"loss", "train/loss: ü"}
    context, points, value = rows["loss"]
    assert context == f"{run}/training/0"
    assert json.loads(points)["values"] == [0.5, 0.25, 0.5 / 3]
    assert float(value) == 0.5 / 3
    assert rows["train/loss: ü"][2] == "NaN"
    assert values(lab, f"{run}/training/0", names="?kind", patterns="?run a ?kind")[0][0].endswith("TrainingExecution")


def test_the_model_comes_from_the_run_and_that_from_data_and_code(lab, run):
    (row,) = lab.select(
        f'SELECT ?m {{ ?m a provml:Model ; prov:wasGeneratedBy <{run}> ; prov:wasDerivedFrom/rdfs:label "model" }}'
    )
    rows = lab.select(
        f"SELECT ?name ?v {{ <{row['m']}> prov:hadMember ?f . ?f prov:value ?v ; prov:wasDerivedFrom/rdfs:label ?name }}"
    )
    facts = {fact["name"]: fact["v"] for fact in rows}
    assert facts["sha256"] == hashlib.sha256((lab.folder / f"model-{lab.mark}.pkl").read_bytes()).hexdigest()
    assert (facts["framework"], facts["parameters"]) == ("sklearn", "3")
    behind = lab.lineage(row["m"])["nodes"]
    labels = {node["label"] for node in behind}
    assert f"digits-{lab.mark}" in labels
    keys = {
        row["k"]
        for node in behind
        for row in lab.select(f"SELECT ?k {{ <{node['iri']}> provlake:version ?v ; prov:value ?k }}")
    }
    assert {str(lab.folder / f"train-{lab.mark}.npz"), ".", "src/train.py"} <= keys
    code = "?c a provml:Implementation ; provlake:version ?v ; prov:specializationOf ?r . "
    code += '?r provlake:key "." ; provlake:store ?s . ?s rdfs:label ?n'
    (told,) = lab.select(f"SELECT ?v ?n {{ <{run}> prov:used ?c . {code} }}")
    assert told["n"] == f"git:example.org/lab/code-{lab.mark}"
    assert told["v"] == git(lab.folder / "code", "rev-parse", "HEAD")


def test_a_run_that_failed_and_is_gone_on_with_has_one_status(lab):
    script = lab.folder / "going_on.py"
    script.write_text(GO_ON.replace("MARK", lab.mark))
    first = lab.run_file(script, check=False)
    assert first.returncode == 1
    lab.settle()
    run = execution(lab, f"going-on-{lab.mark}")
    assert run.endswith(first.stdout.strip())
    status = f"SELECT ?v {{ <{run}> provlake:status ?v }}"
    assert [row["v"] for row in lab.select(status)] == ["failed"]
    lab.run_file(script, first.stdout.strip(), PLLIB_STRICT="1")
    lab.settle()
    assert [row["v"] for row in lab.select(status)] == ["finished"]
    context = f"SELECT ?v {{ <{run}/training/0> provlake:status ?v }}"
    assert [row["v"] for row in lab.select(context)] == ["finished"]
    latest = f"SELECT ?v {{ ?s prov:wasGeneratedBy <{run}/training/0> ; prov:value ?v ; provlake:lastStep 1 }}"
    assert [float(row["v"]) for row in lab.select(latest)] == [0.05]
    sessions = lab.select(f"SELECT ?v {{ ?s provlake:sessionOf <{run}> ; provlake:status ?v }}")
    assert sorted(row["v"] for row in sessions) == ["failed", "finished"]
    assert len(lab.select(f"SELECT ?t {{ <{run}> prov:endedAtTime ?t }}")) == 1


@pytest.mark.parametrize("file", ["small-{}.pkl", "small-{}.pkl.copy"])
def test_what_the_run_used_is_behind_what_its_contexts_and_tasks_made(lab, run, file):
    (row,) = lab.select(
        f'SELECT ?m {{ ?m prov:wasGeneratedBy ?by ; prov:value ?key . FILTER(STRENDS(?key, "/{file.format(lab.mark)}")) }}'
    )
    behind = lab.lineage(row["m"])["nodes"]
    assert any(node["iri"] == run for node in behind)
    assert any(node["label"].endswith(f"train-{lab.mark}.npz") for node in behind)
