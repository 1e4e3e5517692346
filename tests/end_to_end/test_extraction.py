"""Extraction from real MLflow, by each of its stores, and into a real store, where it joins what was captured live."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pllib import prov
from pllib.provml.iris import DEFAULT_BASE as BASE
from pllib.provml.vocabulary import PROVLAKE
from pllib.query import Client
from tests.integration.postgres import postgres
from tests.mlflow_environment import CHECKOUT, environment, one_store, tracking_server

SCRIPT = """
import json, sys
import mlflow, numpy as np
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

class Mean(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input: list[float]):
        return [0.5 for _ in model_input]

experiment = sys.argv[1]
mlflow.set_experiment(experiment)
with mlflow.start_run(run_name="outer", tags={"why": "to see"}) as run:
    mlflow.log_params({"lr": 0.1, "layers": 3, "name": "a b"})
    for step in range(3):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("odd", float("nan"), step=-1)
    mlflow.log_text("hello", "notes and more/x.txt")
    if hasattr(mlflow, "data"):
        mlflow.log_input(mlflow.data.from_numpy(np.arange(4.0), name="numbers"), context="training")
    model = mlflow.pyfunc.log_model(name="mean", python_model=Mean(), registered_model_name=f"{experiment} model",
        pip_requirements=["mlflow"], signature=ModelSignature(inputs=Schema([ColSpec("double", "x")])))
    mlflow.genai.register_prompt("greeting", template="Hello {{name}}")
    mlflow.genai.load_prompt("prompts:/greeting/1")
    with mlflow.start_run(nested=True, run_name="inner") as inner:
        mlflow.log_param("seed", 1)
client = mlflow.MlflowClient()
client.set_registered_model_alias(f"{experiment} model", "champion", 1)
client.set_model_version_tag(f"{experiment} model", 1, "stage", "best")
mlflow.delete_run(inner.info.run_id)
failed = mlflow.start_run(run_name="failed")
mlflow.end_run("FAILED")
gone = mlflow.create_experiment(f"{experiment} gone")
mlflow.delete_experiment(gone)
print(json.dumps({"run": run.info.run_id, "inner": inner.info.run_id, "failed": failed.info.run_id, "model": model.model_id}))
"""
Project = dict[str, Any]


def run_script(python: str, folder: Path, experiment: str, code: Path, **more: str) -> Project:
    """Runs the script in a repository; the ids of what it made."""
    done = subprocess.run(
        [python, str(code / "train.py"), experiment],
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=150,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    found: Project = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def code(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with the script, and a commit after it."""
    folder = tmp_path_factory.mktemp("project") / "code"
    folder.mkdir()
    (folder / "train.py").write_text(SCRIPT)
    for command in (
        ["init", "-q", "-b", "main"],
        ["add", "."],
        ["commit", "-qm", "first"],
        ["commit", "-qm", "second", "--allow-empty"],
    ):
        subprocess.run(
            ["git", "-c", "user.name=Ana", "-c", "user.email=ana@example.org", "-C", str(folder), *command],
            check=True,
            timeout=60,
        )
    return folder


@pytest.fixture(scope="module")
def project(mlflow_python: str, code: Path, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What the script left in a store in SQLite."""
    folder = tmp_path_factory.mktemp("sqlite")
    url = f"sqlite:///{folder / 'mlflow.db'}"
    return {
        **run_script(mlflow_python, folder, "flowers", code, MLFLOW_TRACKING_URI=url),
        "url": url,
        "code": code,
        "folder": folder,
    }


def extracted(lab: Any, *arguments: str, **more: str) -> prov.Document:
    name = f"extracted-{time.monotonic_ns()}"
    done = lab.pllib("extract", *arguments, "save", "--output", name, **more)
    assert done.returncode == 0, done.stderr
    return prov.read(lab.folder / f"{name}.json")


def commits_of(code: Path) -> list[str]:
    told = subprocess.run(
        ["git", "-C", str(code), "rev-list", "--reverse", "HEAD"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return told.stdout.split()


def about(document: prov.Document, iri: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for each in document.statements:
        if each.id == iri:
            for name, value in each.attributes:
                text = value.text if isinstance(value, prov.Literal) else value.iri
                found.setdefault(name.replace("#", "/").rpartition("/")[2], set()).add(text)
    return found


def pairs(document: prov.Document, kind: str) -> set[tuple[str | None, ...]]:
    return {each.arguments[:2] for each in document.statements if each.kind == kind}


@one_store
def test_real_mlflow_with_its_code(lab: Any, project: Project) -> None:
    found = extracted(lab, "--repository_path", str(project["code"]), "--mlflow_url", project["url"])
    assert prov.validate(found) == []
    run = f"{BASE}execution/flowers/{project['run']}"
    said = about(found, run)
    assert said["status"] == {"finished"}
    assert json.loads(next(iter(said["metadata"])))["why"] == "to see"
    assert about(found, f"{BASE}execution/flowers/{project['failed']}")["status"] == {"failed"}
    assert f"{BASE}execution/flowers/{project['inner']}" in {
        pair[0] for pair in pairs(found, "wasInformedBy") if pair[1] == run
    }
    used = {pair[1] for pair in pairs(found, "used") if pair[0] == run}
    last, before = commits_of(project["code"])[::-1][:2]
    assert f"{BASE}data/git%3Acode/train.py/{last}" in used
    assert (f"{BASE}data/git%3Acode/train.py/{last}", f"{BASE}data/git%3Acode/train.py/{before}") in pairs(
        found, "wasDerivedFrom"
    )
    assert {each for each in used if each and "/value/" in each} == {
        f"{BASE}value/flowers/{project['run']}/{value}" for value in ("lr/f-0.1", "layers/i-3", "name/s-a%20b")
    }
    assert [each for each in used if each and "mlflow-datasets/numbers" in each]
    model = f"{BASE}data/mlflow-models/{project['model']}/{project['model']}"
    assert (model, run) in pairs(found, "wasGeneratedBy")
    members = {pair[1] for pair in pairs(found, "hadMember") if pair[0] == model}
    assert [each for each in members if each and "/signature/" in each]
    versions = [pair[0] for pair in pairs(found, "wasGeneratedBy") if pair[1] and pair[1].endswith("model/register/1")]
    assert len(versions) == 1
    assert [each for each in pairs(found, "used") if each[1] == model and each[0] and each[0].endswith("/register/1")]
    assert [each.id for each in found.statements if each.id and "%40champion/1-" in each.id]
    assert f"{BASE}deletion/execution/flowers/{project['inner']}" in {each.id for each in found.statements}
    assert f"{BASE}deletion/workflow/flowers%20gone" in {each.id for each in found.statements}
    series = about(found, f"{run}/loss")
    assert (series["lastStep"], series["minimum"], series["maximum"]) == ({"2"}, {repr(1 / 3)}, {"1.0"})
    assert about(found, f"{run}/odd")["value"] == {"NaN"}
    assert [each.id for each in found.statements if each.id and "notes%20and%20more%2Fx.txt/" in each.id]
    check_prompt(found, run)


@pytest.fixture
def server(mlflow_python: str, project: Project, free_port: Callable[[], int]) -> Iterator[str]:
    """An MLflow server over the same store."""
    with tracking_server(mlflow_python, project["folder"], free_port(), project["url"]) as address:
        yield address


@one_store
def test_a_server_says_the_same_as_its_database(lab: Any, project: Project, server: str) -> None:
    direct, asked = (extracted(lab, "--mlflow_url", url, "--ids", "mlflow2prov") for url in (project["url"], server))
    assert len(list(asked.statements)) > 100
    left = [each for each in prov.differences(direct, asked) if "Deletion" not in str(each.statement)]
    assert left == []  # of deletions, the server does not tell when


@one_store
def test_a_store_of_files(lab: Any, mlflow_python: str, code: Path, tmp_path: Path) -> None:
    folder = tmp_path / "mlruns"
    made = run_script(
        mlflow_python, tmp_path, "files", code, MLFLOW_TRACKING_URI=folder.as_uri(), MLFLOW_ALLOW_FILE_STORE="true"
    )
    moved = folder.rename(tmp_path / "moved")  # and its artifacts are found where they are now
    found = extracted(lab, "--mlflow_url", str(moved))
    run = f"{BASE}execution/files/{made['run']}"
    assert about(found, run)["status"] == {"finished"}
    assert about(found, f"{run}/loss")["lastStep"] == {"2"}
    assert [
        pair
        for pair in pairs(found, "wasGeneratedBy")
        if pair[1] == run and pair[0] and "notes%20and%20more" in pair[0]
    ]
    assert f"{BASE}deletion/workflow/files%20gone" in {each.id for each in found.statements}
    assert prov.validate(found) == []
    check_prompt(found, run)


def test_a_database_that_mlflow_reads(mlflow_python: str, code: Path, tmp_path: Path) -> None:
    """PostgreSQL, through the package and its client; with prompts, which it lists only when it is asked for them."""
    with postgres() as server:
        uri = f"postgresql+psycopg2://postgres@/postgres?host={server.socket}"
        made = run_script(mlflow_python, tmp_path, "flowers", code, MLFLOW_TRACKING_URI=uri)
        given = environment(PYTHONPATH=str(CHECKOUT))
        command = [mlflow_python, "-m", "pllib", "extract", "--mlflow_url", uri, "save", "--output", "o"]
        done = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stderr
    found = prov.read(tmp_path / "o.json")
    assert prov.validate(found) == []
    run = f"{BASE}execution/flowers/{made['run']}"
    assert about(found, run)["status"] == {"finished"}
    assert about(found, f"{run}/loss")["lastStep"] == {"2"}
    assert about(found, f"{run}/odd")["value"] == {"NaN"}
    generated = pairs(found, "wasGeneratedBy")
    assert [pair for pair in generated if pair[1] == run and pair[0] and "notes%20and%20more" in pair[0]]
    model = f"{BASE}data/mlflow-models/{made['model']}/{made['model']}"
    assert (model, run) in generated
    (task,) = {pair[0] for pair in pairs(found, "used") if pair[1] == model and pair[0] and "/register/1" in pair[0]}
    assert [pair for pair in generated if pair[1] == task]
    said = {each.id for each in found.statements}
    assert f"{BASE}deletion/execution/flowers/{made['inner']}" in said
    assert f"{BASE}deletion/workflow/flowers%20gone" in said
    check_prompt(found, run)


def check_prompt(found: prov.Document, run: str) -> None:
    """The prompt that a run loaded is data that it used, with its text, and no model."""
    (prompt,) = {pair[1] for pair in pairs(found, "used") if pair[0] == run and pair[1] and "/greeting/1" in pair[1]}
    members = {pair[1] for pair in pairs(found, "hadMember") if pair[0] == prompt}
    assert [each for each in members if each and "template" in each]
    assert not [each for each in about(found, prompt)["type"] if each.endswith("Model")]


def test_into_the_store_where_it_joins_what_was_captured_live(lab: Any, project: Project) -> None:
    """Twice the same, points of the live capture not twice; and from the model's version to the commit there is a way."""
    where = {"PLLIB_URL": lab.services.tracker_url, "PLLIB_QUERY_URL": lab.services.query_url}
    wf = f"flowers/{project['run']}"
    now = int(time.time() * 1_000_000)
    head = {"kind": "workflow", "wf": wf, "m": 0, "t": now}
    live = [
        {**head, "n": 0, "op": "begin", "stage": "learning"},
        {
            **head,
            "n": 1,
            "op": "points",
            "series": "loss",
            "first": 0,
            "steps": [0, 1, 1],
            "times": [now, 1, 1],
            "values": [1.0, 0.5, 0.25],
        },
    ]
    lab.post("5" * 32, live)
    lab.settle()
    chain = ("extract", "--repository_path", str(project["code"]), "--mlflow_url", project["url"], "save", "--to-store")
    for _ in range(2):
        done = lab.pllib(*chain, **where)
        assert done.returncode == 0, done.stderr
        lab.settle()
    query = f"SELECT ?s ?chunk WHERE {{ ?s <{PROVLAKE}points> ?chunk FILTER(CONTAINS(STR(?s), '{wf}/')) }}"
    client = Client(lab.services.query_url)
    chunks = client.sparql(query)
    assert sorted(row["s"].rpartition("/")[2] for row in chunks) == ["loss", "odd"]
    (told,) = (str(row["chunk"]) for row in chunks if row["s"].endswith("/loss"))
    assert "5" * 32 in told
    values = client.sparql(f"SELECT ?v WHERE {{ <{BASE}execution/{wf}/loss> prov:value ?v }}")
    assert [row["v"] for row in values] == [0.25]
    model = f"<{BASE}data/mlflow-models/{project['model']}/{project['model']}>"
    registered = f"?s prov:wasGeneratedBy ?r . ?r prov:used {model} FILTER(STRENDS(STR(?r), '/register/1'))"
    (version,) = {row["s"] for row in client.sparql(f"SELECT ?s WHERE {{ {registered} }}")}
    nodes = {node["id"] for node in lab.lineage(version)["nodes"]}
    assert f"execution/{wf}" in {each.removeprefix(BASE) for each in nodes}
    assert f"commit/code/{commits_of(project['code'])[-1]}" in {each.removeprefix(BASE) for each in nodes}
