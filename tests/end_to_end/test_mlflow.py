"""An unmodified MLflow 3 script, recorded in its own process, in a tracking server, in both: what the graph then says of it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pllib import cli
from tests import mlflow_environment
from tests.mlflow_environment import one_store

pytestmark = pytest.mark.timeout(400)

EXAMPLES = Path(__file__).parents[2] / "examples" / "mlflow"
SCRIPT = Path(__file__).with_name("mlflow_script.py")
Run = Callable[..., subprocess.CompletedProcess[str]]


def run_script(python: str, folder: Path, script: Path = SCRIPT, **environ: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(parents=True, exist_ok=True)
    given = mlflow_environment.environment(**environ)
    return subprocess.run([python, script], env=given, cwd=folder, capture_output=True, text=True, timeout=120)


@pytest.fixture(scope="module")
def plain(mlflow_python: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str]:
    """Exit code and output of the script where there is no pllib."""
    done = run_script(mlflow_python, tmp_path_factory.mktemp("plain"), MARK="MARK")
    assert done.returncode == 0, done.stderr
    return done.returncode, told(done)


def told(done: subprocess.CompletedProcess[str], mark: str = "MARK") -> str:
    """What a script printed, but for the addresses of pages that MLflow prints where there is a server."""
    lines = done.stdout.replace(mark, "MARK").splitlines()
    return "\n".join(line for line in lines if " at: http://" not in line)


@pytest.fixture(scope="module")
def recording(store_kind: str, services_on: Any, installed_pllib: str) -> Callable[[Path], dict[str, str]]:
    """The environment of a process that has pllib and the one variable set."""

    def variables(folder: Path) -> dict[str, str]:
        return {
            "PYTHONPATH": installed_pllib,
            "PLLIB_MLFLOW": "1",
            "PLLIB_URL": services_on(store_kind).tracker_url,
            "PLLIB_SPOOL": str(folder / "spool"),
        }

    return variables


@pytest.fixture(scope="module")
def server(
    mlflow_python: str,
    recording: Callable[[Path], dict[str, str]],
    free_port: Callable[[], int],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The address of a tracking server that records."""
    folder = tmp_path_factory.mktemp("server")
    place = ("--artifacts-destination", str(folder / "artifacts"))
    store = f"sqlite:///{folder}/mlflow.db"
    with mlflow_environment.tracking_server(
        mlflow_python, folder, free_port(), store, *place, **recording(folder)
    ) as address:
        yield address


# -- what the graph says ----------------------------------------------------------------------------------------------


def said(lab: Any) -> dict[str, Any]:
    """The runs of this test's experiment, by their names in MLflow."""
    lab.settle()
    listed = lab.get("/v1/runs", experiment=f"flowers-{lab.mark}").json()["items"]
    names = {run["id"]: run["tags"]["name"] for run in listed}
    return {name: _run(lab, lab.get(f"/v1/runs/{of.removeprefix('execution/')}").json(), names) for of, name in names.items()}  # fmt: skip


def _run(lab: Any, run: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    points = {one["name"]: _points(lab, one) for one in run["metrics"]}
    return {
        "status": run["status"],
        "error": (run["error"] or {}).get("message"),
        "sessions": run["sessions"],
        "params": run["parameters"],
        "tags": {name: text for name, text in run["tags"].items() if not name.startswith(("mlflow.", "estimator"))},
        "tags_of_mlflow": {name: text for name, text in run["tags"].items() if name.startswith("mlflow.")},
        "metrics": points,
        "data": {(one["role"], name) for one in run["datasets"] for name in one["names"]},
        "models": {(one["role"], _kind(one["data"]["store"])) for one in run["models"]},
        "artifacts": {(one["role"], name) for one in run["artifacts"] for name in one["names"]},
        "code": {name for one in run["code"] for name in one["names"]},
        "within": next((names[of] for of in run["within"]), None),
        "person": sorted(agent for agent in run["agents"] if agent.startswith("agent/person/")),
    }


def _kind(store: str) -> str:
    return store.split(":")[0]


def _points(lab: Any, metric: dict[str, Any]) -> list[tuple[int, Any]]:
    found = lab.get(metric["points"]).json()
    return sorted(zip(found["steps"], found["values"], strict=True), key=lambda point: point[0])


LOSS = [(step, 1.0 / (step + 1)) for step in range(5)]
TRAINED = {
    "status": "finished", "error": None, "sessions": 1, "tags": {"name": "parent", "team": "blue", "note": "by hand"},
    "params": {"C": 0.5, "solver": "lbfgs", "max_iter": 50, "warm_start": False},
    "metrics": {"loss": LOSS, "slow": [(step, float(step)) for step in range(5)], "accuracy": [(4, 0.75)], "f1": [(4, 0.5)]},
    "data": {("used", "train"), ("used", "train.source")}, "models": {("generated", "mlflow-models")},
    "artifacts": {("generated", "notes/hello.txt"), ("generated", "config.json")}, "code": {"code", "script"}, "within": None,
}  # fmt: skip
NOTHING: dict[str, Any] = {"params": {}, "metrics": {}, "data": set(), "models": set(), "artifacts": set()}
EXPECTED = {
    "parent": TRAINED,
    "child": {**TRAINED, **NOTHING, "tags": {"name": "child"}, "params": {"fold": 1}, "metrics": {"loss": [(0, 0.5)]}, "within": "parent"},
    "scoring": {
        **TRAINED, **NOTHING, "tags": {"name": "scoring"}, "artifacts": {("used", "notes/hello.txt")},
        "models": {("used", "mlflow-models"), ("used", "mlflow-registry")},
    },
    "broken": {
        **TRAINED, **NOTHING, "tags": {"name": "broken"}, "status": "failed", "error": "the data is empty",
        "metrics": {"loss": [(0, "NaN")]},
    },
}  # fmt: skip


def check(found: dict[str, Any], expected: dict[str, Any]) -> None:
    """The graph says just what is expected of the runs; of the one by ``autolog`` what is not of scikit-learn's version."""
    automatic = found.pop("automatic")
    assert set(found) == set(expected)
    for name, run in found.items():
        assert {key: (run[key], wanted) for key, wanted in expected[name].items() if run[key] != wanted} == {}, name
    assert all(len(run["person"]) == 1 for run in found.values())
    assert automatic["params"].items() >= {"max_iter": 20, "solver": "lbfgs"}.items()
    assert len(automatic["metrics"]["training_score"]) == 1
    assert ("used", "dataset") in automatic["data"]
    assert automatic["status"] == "finished"


def check_lineage(lab: Any, capsys: pytest.CaptureFixture[str], loaded: bool = True) -> None:
    """Back from a version to commit, data and parameters, and forth from data to versions and who loaded them: each by three ways."""
    version = check_by_command(lab, capsys, loaded)
    check_by_rest(lab, version, loaded)
    check_by_sparql(lab, version, loaded)


def check_by_command(lab: Any, capsys: pytest.CaptureFixture[str], loaded: bool) -> str:
    """The id of the version in production."""
    given = ["--query-url", lab.services.query_url]
    assert cli.main(["runs", "model", f"flower-{lab.mark}@production", "--json", *given]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["version"] == "1"
    assert len(answer["logged_models"]) == 1
    run = answer["run"]
    assert run["tags"]["name"] == "parent"
    assert run["parameters"]["C"] == 0.5
    assert {"train"} <= {name for one in run["datasets"] for name in one["names"]}
    assert any(re.fullmatch(r"[0-9a-f]{40}(\+\w+)?", one["data"]["version"]) for one in run["code"])
    assert {one["workflow"] for one in answer["used_by"]} == ({f"flowers-{lab.mark}"} if loaded else set())
    assert cli.main(["runs", "model", f"flower-{lab.mark}/1", *given]) == 0
    assert "train.csv" in capsys.readouterr().out
    assert cli.main(["runs", "model", f"flower-{lab.mark}/7", *given]) != 0
    assert "has no version 7; there are: 1" in capsys.readouterr().err
    (data,) = {one["id"] for one in run["datasets"] if "train" in one["names"]}
    assert cli.main(["lineage", data, "--forward", "--type", "Model", *given]) == 0
    assert f"flower-{lab.mark}@production" in capsys.readouterr().out
    return str(answer["id"])


def check_by_rest(lab: Any, version: str, loaded: bool) -> None:
    behind = lab.lineage(version)
    assert not behind["ambiguous"]
    assert all(edge["certain"] for edge in behind["edges"])
    kinds = [node["type"] for node in behind["nodes"]]
    assert {"provml:Implementation", "provml:LearningDataset", "provml:LearningHyperparameterValue"} <= set(kinds)
    data = [node for node in behind["nodes"] if node["type"] == "provml:LearningDataset" and node.get("version")]
    ahead = {node["id"] for node in lab.lineage(data[0]["id"], direction="forward")["nodes"]}
    assert version.rpartition("/id/")[2] in ahead
    users = lab.lineage(version, direction="forward", depth=1, grain="task")["nodes"]
    assert len([node for node in users if node["type"] == "provml:LearningProcessExecution"]) == int(loaded)


def check_by_sparql(lab: Any, version: str, loaded: bool) -> None:
    """As docs/how-to/coming-from-mlflow.md has it."""
    behind = lab.select(f"""SELECT ?run ?what ?of {{ <{version}> prov:wasGeneratedBy/prov:used/prov:wasGeneratedBy ?run .
        ?run prov:used ?used . ?used a ?what {{ ?used provlake:version ?of }} UNION
        {{ ?used prov:value ?of ; prov:wasDerivedFrom ?attribute }} }}""")
    assert len({row["run"] for row in behind}) == 1
    kinds = {row["what"].rpartition("#")[2] for row in behind}
    assert {"Implementation", "LearningDataset", "LearningHyperparameterValue"} <= kinds
    users = lab.select(f"""SELECT DISTINCT ?run {{ ?run prov:used ?state . ?run a provml:LearningProcessExecution .
        ?state provlake:version "1" ; prov:specializationOf/provlake:key "flower-{lab.mark}" }}""")
    assert len(users) == int(loaded)
    descends = lab.select(f"""SELECT DISTINCT ?version {{ ?data a provml:LearningDataset . ?run prov:used ?data .
        ?logged prov:wasGeneratedBy ?run . ?task prov:used ?logged . ?version prov:wasGeneratedBy ?task ; a provml:Model
        FILTER(?version = <{version}>) }}""")
    assert len(descends) == 1


@pytest.mark.parametrize("store", ["sqlite", "file"])
def test_a_script_with_stores_on_its_machine(
    lab: Any, mlflow_python: str, recording: Any, plain: Any, tmp_path: Path, store: str, capsys: Any
) -> None:
    where = (
        {}
        if store == "sqlite"
        else {"MLFLOW_TRACKING_URI": f"file:{tmp_path / 'files'}", "MLFLOW_ALLOW_FILE_STORE": "true"}
    )
    done = run_script(mlflow_python, tmp_path, MARK=lab.mark, EXIT="3", **recording(tmp_path), **where)
    assert done.returncode == 3, done.stderr
    assert told(done, lab.mark) == plain[1]
    assert "pllib" not in done.stderr
    check(said(lab), EXPECTED)
    check_lineage(lab, capsys)


@one_store
def test_a_script_and_the_server_it_talks_to_say_it_once(
    lab: Any, mlflow_python: str, recording: Any, plain: Any, server: str, tmp_path: Path, capsys: Any
) -> None:
    done = run_script(mlflow_python, tmp_path, MARK=lab.mark, MLFLOW_TRACKING_URI=server, **recording(tmp_path))
    assert done.returncode == 0, done.stderr
    assert told(done, lab.mark) == plain[1]
    check(said(lab), EXPECTED)
    check_lineage(lab, capsys)
    processes = lab.select(f"""SELECT DISTINCT ?p {{ ?r provlake:sessionOf ?x ; prov:wasAssociatedWith ?p . ?p a prov:SoftwareAgent
        FILTER(CONTAINS(STR(?x), "flowers-{lab.mark}")) }}""")
    assert len(processes) == 1, processes


@one_store
def test_a_server_says_it_of_scripts_that_know_nothing(
    lab: Any, mlflow_python: str, plain: Any, server: str, tmp_path: Path, capsys: Any
) -> None:
    done = run_script(mlflow_python, tmp_path, MARK=lab.mark, MLFLOW_TRACKING_URI=server)
    assert done.returncode == 0, done.stderr
    expected = {name: {**run, "code": {"code"}} for name, run in EXPECTED.items()}
    expected["parent"]["data"] = {("used", "train")}
    expected["scoring"].update(models=set(), artifacts=set())  # what a client reads it does not say to the server
    expected["broken"]["error"] = None
    check(eventually(lab), expected)
    check_lineage(lab, capsys, loaded=False)


def eventually(lab: Any) -> dict[str, Any]:
    """What is said once the server, which goes on, has sent all there is."""
    until = time.monotonic() + 20
    found = said(lab)
    while time.monotonic() < until:
        time.sleep(0.3)
        before, found = found, said(lab)
        if before == found and len(found) == 5 and all(run["status"] for run in found.values()):
            break
    return found


RESUMED = """
import os
import mlflow

mark = os.environ["MARK"]
mlflow.set_experiment(f"flowers-{mark}")
client = mlflow.MlflowClient()
try:
    with mlflow.start_run(run_name="first") as run:
        mlflow.log_metric("loss", 2.0, step=0)
        mlflow.log_text("weights", "model/weights.txt")
        raise KeyboardInterrupt
except KeyboardInterrupt:
    pass
with mlflow.start_run(run_id=run.info.run_id):
    mlflow.log_metric("loss", 1.0, step=1)
other = client.create_run(run.info.experiment_id, run_name="killed")
client.set_terminated(other.info.run_id, "KILLED")
name = f"flower-{mark}"
client.create_registered_model(name)
version = client.create_model_version(name, f"{run.info.artifact_uri}/model", run.info.run_id)
client.set_registered_model_alias(name, "live", 1)
client.delete_registered_model_alias(name, "live")
copied = client.copy_model_version(f"models:/{name}/1", f"{name}-copy")
print(mlflow.artifacts.load_text(f"runs:/{run.info.run_id}/model/weights.txt"))
print(client.get_run(run.info.run_id).data.tags["pllib.lineage"])
print(client.get_model_version(name, "1").tags["pllib.lineage"])
"""


@one_store
def test_resumed_runs_links_copies_and_scripts_that_only_read(
    lab: Any, mlflow_python: str, recording: Any, tmp_path: Path, capsys: Any
) -> None:
    script = tmp_path / f"reader-{lab.mark}.py"
    script.write_text(RESUMED)
    link = {"PLLIB_MLFLOW_LINK": lab.services.query_url}
    done = run_script(mlflow_python, tmp_path, script, MARK=lab.mark, **recording(tmp_path), **link)
    assert done.returncode == 0, done.stderr
    text, of_run, of_version = done.stdout.splitlines()
    assert text == "weights"
    found = said(lab)
    assert (found["first"]["status"], found["first"]["sessions"], found["first"]["error"]) == ("finished", 2, None)
    assert found["first"]["metrics"] == {"loss": [(0, 2.0), (1, 1.0)]}
    assert found["killed"]["status"] == "failed"
    for page in (of_run, of_version):
        assert "<svg" in lab.http.get(page).text
    # The script read the artifact outside of any run, so it is the script that used it.
    used = lab.select(f"""SELECT ?e ?d {{ ?e prov:used ?d . ?d prov:value ?v ; prov:wasGeneratedBy ?run
        FILTER(CONTAINS(STR(?e), "/reader-{lab.mark}/") && CONTAINS(?v, "weights.txt")) }}""")
    assert len(used) == 1
    given = ["--query-url", lab.services.query_url]
    assert cli.main(["runs", "model", f"flower-{lab.mark}@live", *given]) != 0
    assert "was deleted" in capsys.readouterr().err
    assert cli.main(["runs", "model", f"flower-{lab.mark}-copy", "--json", *given]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["run"]["tags"]["name"] == "first"


LIFECYCLE = """
import os
import mlflow

mark = os.environ["MARK"]
experiment = mlflow.set_experiment(f"flowers-{mark}").experiment_id
client, name = mlflow.MlflowClient(), f"flower-{mark}"
mlflow.genai.register_prompt(f"greeting-{mark}", template="Hello {{name}}", tags={"by": "ana"})

@mlflow.trace
def answer(question):
    return question.upper()

with mlflow.start_run(run_name="kept") as kept:
    print(mlflow.genai.load_prompt(f"prompts:/greeting-{mark}/1").format(name="you"), answer("a"))
    mlflow.log_text("weights", "model/weights.txt")
with mlflow.start_run(run_name="gone") as gone:
    pass
mlflow.flush_trace_async_logging()
client.create_registered_model(name)
for _ in range(2):
    client.create_model_version(name, f"{kept.info.artifact_uri}/model", kept.info.run_id)
client.set_registered_model_alias(name, "live", 2)
client.rename_registered_model(name, f"{name}-renamed")
client.delete_model_version(f"{name}-renamed", 1)
for run in (kept, gone):
    client.delete_run(run.info.run_id)
client.restore_run(kept.info.run_id)
client.rename_experiment(experiment, f"blossoms-{mark}")
with mlflow.start_run(run_name="later"):
    mlflow.log_metric("loss", 1.0)
client.delete_experiment(experiment)
client.restore_experiment(experiment)
print(sorted((run.info.run_name, run.info.status) for run in client.search_runs([experiment])))
"""


@one_store
def test_what_is_deleted_restored_and_renamed_and_prompts(
    lab: Any, mlflow_python: str, recording: Any, tmp_path: Path, capsys: Any
) -> None:
    script = tmp_path / "lifecycle.py"
    script.write_text(LIFECYCLE)
    done = run_script(mlflow_python, tmp_path, script, MARK=lab.mark, **recording(tmp_path))
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "Hello you A"
    found = said(lab)
    assert set(found) == {"kept", "gone"}
    remarks = {name: {key for key in run["tags_of_mlflow"]} for name, run in found.items()}
    assert remarks["kept"] >= {"mlflow.deleted", "mlflow.restored"}
    assert "mlflow.restored" not in remarks["gone"] >= {"mlflow.deleted"}
    # The prompt is data that the run used; it is no model, and of the trace nothing is said.
    assert found["kept"]["artifacts"] >= {("used", f"greeting-{lab.mark}"), ("generated", "model/weights.txt")}
    assert found["kept"]["models"] == set()
    (prompt,) = (
        lab.select(f"""SELECT ?text {{ ?state provlake:version "1" ; prov:specializationOf/provlake:key "greeting-{lab.mark}" ;
        prov:hadMember/prov:value ?text . FILTER NOT EXISTS {{ ?state a provml:Model }} }}""")
    )
    assert prompt["text"] == "Hello {{name}}"
    # Under its new name the model has the lineage that it had; so does its alias.
    given = ["--query-url", lab.services.query_url]
    assert cli.main(["runs", "model", f"flower-{lab.mark}-renamed@live", "--json", *given]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert (answer["version"], answer["run"]["tags"]["name"], answer["deleted"]) == ("2", "kept", None)
    assert cli.main(["runs", "model", f"flower-{lab.mark}-renamed/1", *given]) == 0
    assert re.search(r"^deleted +20\d\d-", capsys.readouterr().out, re.MULTILINE)
    events = lab.select(f"""SELECT ?task {{ ?task provlake:isPartOf ?of FILTER(CONTAINS(STR(?of), "mlflow-experiments")
        && CONTAINS(STR(?of), "-{lab.mark}")) }}""")
    assert sorted(row["task"].split("/")[-2] for row in events) == ["delete", "rename", "restore"]
    later = lab.get("/v1/runs", experiment=f"blossoms-{lab.mark}").json()["items"]
    assert [run["tags"]["name"] for run in later] == ["later"]


@one_store
def test_the_example_is_answered(lab: Any, mlflow_python: str, installed_pllib: str) -> None:
    """What commit, data and parameters the model in production came from, what came of the data, and who loaded it."""
    data = lab.services.data
    command = [sys.executable, str(EXAMPLES / "demo.py"), "--python", mlflow_python, "--data", str(data)]
    given = mlflow_environment.environment(PYTHONPATH=installed_pllib)
    done = subprocess.run(command, env=given, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    made, descends, loaded = re.split(r"\$ pllib ", done.stdout)[1:]
    rows = {line.split("  ")[0]: line for line in made.splitlines()}
    assert {"model", "logged model", "run", "code", "data set", "parameter", "metric", "loaded by"} <= rows.keys(), made
    assert "C=1.0" in rows["run"]
    assert re.search(r" [0-9a-f]{40}", rows["code"])
    assert str(data / "mlflow" / "digits.csv") in rows["data set"]
    assert "execution/score/" in rows["loaded by"]
    assert "digit-reader@production" in descends
    assert len(re.findall("^http", loaded, re.MULTILINE)) == 1
    assert "<svg" in (data / "mlflow" / "digit-reader.svg").read_text()
