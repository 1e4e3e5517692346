"""Scripts of Prov4ML's three generations, run as they are, and the documents that come of them."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from prov.model import ProvDocument

from pllib import prov
from tests.integration.prov4ml_bench import ROOT, run_strictly

SCRIPTS = Path(__file__).with_name("prov4ml_scripts")
RUN = "provml:LearningProcessExecution"
Json = dict[str, Any]


def ran(script: str, folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    """A script that knows nothing of pllib, run with its modules in the place of Prov4ML."""
    (folder / "notes.txt").write_text("how it went")
    (folder / "requirements.txt").write_text("mine==1\n")
    told = run_strictly([sys.executable, "-m", "pllib.prov4ml", SCRIPTS / script], folder, **environ)
    assert (folder / "requirements.txt").read_text() == "mine==1\n"
    assert not [each for each in folder.rglob("*.part*")]
    return told


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


class Told:
    """A PROV-JSON document: valid by the standard's constraints, read by the `prov` package, the same when it comes back from RDF."""

    def __init__(self, path: Path) -> None:
        self.path, self.json = path, json.loads(path.read_text())
        assert list(prov.validate(prov.read(path))) == []
        ProvDocument.deserialize(str(path))
        document, turtle = prov.read(path), path.with_suffix(".ttl")
        prov.write(document, turtle)
        assert list(prov.differences(document, prov.read(turtle))) == []

    def ids(self, kind: str, of_type: str) -> list[str]:
        return [
            name
            for name, each in self.json[kind].items()
            if {"$": of_type, "type": "prov:QUALIFIED_NAME"} in as_list(each.get("prov:type"))
        ]

    @property
    def run(self) -> Json:
        (name,) = self.ids("activity", RUN)
        return dict(self.json["activity"][name])

    def value(self, name: str, context: str = "") -> Any:
        """The value under a name: typed as in the document."""
        ends = f"/{context}/0/{name}" if context else f"/{name}"
        found = {each["prov:value"]["$"] if isinstance(each["prov:value"], dict) else each["prov:value"]
                 for at, each in self.json["entity"].items()
                 if "prov:value" in each and (at.endswith(ends) or f"/{name}/" in at.rpartition("/")[0] + "/")}  # fmt: skip
        assert len(found) == 1, (name, found)
        return found.pop()

    def reaches_from_models(self) -> dict[str, set[str]]:
        """Each model to the data sets that the activity which made it used."""
        data = set(self.ids("entity", "provml:LearningDataset"))
        used = [(each["prov:activity"], each["prov:entity"]) for each in self.json["used"].values()]
        made = {each["prov:entity"]: each["prov:activity"] for each in self.json["wasGeneratedBy"].values()}
        return {
            model: {entity for activity, entity in used if activity == made[model] and entity in data}
            for model in self.ids("entity", "provml:Model")
            if model in made
        }


def rows(path: Path) -> list[list[str]]:
    with path.open(newline="") as file:
        return list(csv.reader(file))


def test_the_first_generation(tmp_path: Path) -> None:
    told = ran("over_mlflow.py", tmp_path, PLLIB_CARBON_INTENSITY="380")
    assert "FLOPs of train_flops are not counted: that takes PyTorch" in told.stderr
    folder = tmp_path / "prov" / "experiment_name_0"
    document = Told(folder / "prov_experiment_name_GR0_0.json")
    assert document.run["provlake:status"] == "finished"
    assert document.run["prov:startTime"] < document.run["prov:endTime"]
    assert document.json["prefix"]["id"] == "http://www.example.org/"
    assert document.value("lr") == "0.1"
    assert set(document.json["activity"]) >= {
        f"{document.ids('activity', RUN)[0]}/{each}/0" for each in ("training", "evaluation")
    }
    assert [row[0] for row in rows(folder / "metrics_GR0" / "MSE_train_2_training_None_GR0.csv")] == ["epoch", "0", "1"]
    assert sorted(each.name for each in (folder / "artifacts_GR0").rglob("*.pkl")) == [
        "model_version_0_0.pkl",
        "model_version_1_0.pkl",
        "model_version_final.pkl",
    ]
    assert (folder / "metrics_GR0" / "time.train_epoch_time_training_std.time_GR0.csv").exists()
    assert (folder / "metrics_GR0" / "memory.percent_training_system_GR0.csv").exists()
    energy = [json.loads(each["$"]) for each in as_list(document.run["provlake:metadata"]) if "energy" in each["$"]]
    known = {each.rpartition("energy.")[2] for each in document.json["entity"] if "/training/0/energy." in each}
    unknown = set(energy[0]["energy"]["v"]["unavailable"])
    assert known | unknown == {
        "emissions", "emissions_rate", "cpu_power", "gpu_power", "ram_power", "cpu_energy", "gpu_energy", "ram_energy", "energy_consumed",
    }  # fmt: skip


def test_the_second_generation(tmp_path: Path) -> None:
    ran("one.py", tmp_path)
    folder = tmp_path / "prov" / "experiment_name_0"
    document = Told(folder / "prov_experiment_name_GR0_0.json")
    assert "digraph" in (folder / "prov_experiment_name_GR0_0.dot").read_text()
    assert "<svg" in (folder / "prov_experiment_name_GR0_0.svg").read_text()
    train = [float(row[1]) for row in rows(folder / "metrics_GR0" / "MSE_train_training_None_GR0.csv")[1:]]
    assert len(train) == 12
    assert float(document.value("final.MSE_train")) == min(train)
    assert document.value("final.steps") == "12"
    assert "StandardScaler()" in document.value("dataset%20transformation")
    models = document.reaches_from_models()
    assert len(models) == 3
    assert all(len(data) == 2 for data in models.values()), models
    assert any("notes.txt" in each for each in document.json["entity"])
    assert any("requirements.txt" in each["prov:entity"] for each in document.json["used"].values())


def test_the_third_generation(tmp_path: Path) -> None:
    told = ran("three.py", tmp_path)
    assert "no energy is measured, since disable_codecarbon=True" in told.stderr
    folder = tmp_path / "prov" / "example_0"
    name = folder / "prov_example_GR0_0"
    expected = [str(name.with_suffix(f".{each}").relative_to(tmp_path)) for each in ("json", "dot", "svg")]
    assert told.stdout.strip() == str((*expected, "prov/example_0.zip"))
    document = Told(name.with_suffix(".json"))
    assert document.value("batch") == "50"
    assert document.value("execution_command") == "python three.py"
    assert len(rows(folder / "metrics_GR0" / "loss_fn_Training_loss_fn_GR0.csv")) == 3
    assert rows(folder / "metrics_GR0" / "MSE_Training_numpy_GR0.csv")[0] == ["epoch", "value", "timestep"]
    assert "TrainingButDifferent" in " ".join(document.json["activity"])
    versions = sorted(each.name for each in (folder / "artifacts_GR0" / "mnist_model_version").iterdir())
    assert versions == ["mnist_model_version_0.pkl", "mnist_model_version_1.pkl"]
    assert (folder / "artifacts_GR0" / "train.npy").read_bytes() == (tmp_path / "train.npy").read_bytes()
    assert all(data for data in document.reaches_from_models().values())
    assert "| batch | 50 |" in (folder / "card_example_0.md").read_text()
    with zipfile.ZipFile(tmp_path / "prov" / "example_0.zip") as crate:
        metadata = json.loads(crate.read("ro-crate-metadata.json"))
        assert any(each.endswith("mnist_model_final.pkl") for each in crate.namelist())
    profiles = next(each for each in metadata["@graph"] if each["@id"] == "./")["conformsTo"]
    assert {"@id": "https://w3id.org/ro/wfrun/process/0.5"} in profiles


CALLS = """
import numpy as np
import pllib.prov4ml as prov4ml
class Net:
    def __init__(self): self.w = np.ones(3)
    def state_dict(self): return {"w": self.w}
mnist_model, train_loader, epoch, loss = Net(), [1, 2], 0, np.float32(0.25)
"""
DOCUMENTED = (
    # as the documentation of one version or another writes them
    'prov4ml.start_run(prov_user_namespace="www.example.org", experiment_name="experiment_name", provenance_save_dir="prov")',
    'prov4ml.start_run("www.example.org", "experiment_name", "prov", "test_runs")',
    'prov4ml.start_run("experiment_name", "www.example.org", "prov", False, 100, None, True, "csv", ",", None)',
    'prov4ml.start_run("experiment_name", "www.example.org", "prov", False, 100, None, "csv", ",", None, 3)',
    'prov4ml.log_execution_command("python3 examples/reproducibility_example.py")',
    "prov4ml.log_source_code()",
    "prov4ml.log_source_code(use_git=True)",
    'prov4ml.log_param("optimizer", "Adam")',
    'prov4ml.log_param("dataset transformation", mnist_model)',
    'prov4ml.log_metric("MSE_train", loss, context=prov4ml.Context.TRAINING, step=epoch)',
    'prov4ml.log_metric("MSE_test", loss, prov4ml.Context.EVALUATION, epoch)',
    'prov4ml.log_metric("MSE_test", loss, prov4ml.Context.EVALUATION, epoch, True, 1700000000000)',
    'prov4ml.log_metric("MSE", 0.5, "Training", 0, "std.time", timestamp=1700000000000)',
    'prov4ml.log_metric("MSE", 0.5)',
    "prov4ml.log_system_metrics(prov4ml.Context.TRAINING, step=epoch)",
    "prov4ml.log_system_metrics(context=prov4ml.Context.TRAINING, step=epoch, synchronous=True, timestamp=None)",
    "prov4ml.log_carbon_metrics(prov4ml.Context.TRAINING, step=epoch)",
    'prov4ml.log_current_execution_time("train_epoch_time", prov4ml.Context.TRAINING, epoch)',
    "prov4ml.log_execution_start_time()",
    "prov4ml.log_execution_end_time()",
    'prov4ml.log_model(mnist_model, "mnist_model_final")',
    'prov4ml.log_model(mnist_model, "mnist_model_final", log_model_info=True, log_as_artifact=True)',
    'prov4ml.log_model("mnist_model_final", mnist_model, log_model_layers=True, is_input=False)',
    'prov4ml.log_model("mnist_model", mnist_model, context=prov4ml.Context.TRAINING)',
    'prov4ml.save_model_version(mnist_model, f"mnist_model_version_{epoch}", prov4ml.Context.TRAINING, epoch)',
    'prov4ml.save_model_version(f"mnist_model_version", mnist_model, prov4ml.Context.TRAINING, epoch)',
    'prov4ml.save_model_version(model_name="v", model=mnist_model, context="Training", step=epoch, incremental=False)',
    'prov4ml.log_dataset(train_loader, "train_dataset")',
    'prov4ml.log_dataset("train_dataset", train_loader)',
    'prov4ml.log_dataset("train_dataset", train_loader, context=prov4ml.Context.DATASETS)',
    "prov4ml.log_artifact('notes.txt', prov4ml.Context.TRAINING)",
    "prov4ml.log_artifact('notes', 'notes.txt', context='Training', step=0, log_copy_in_prov_directory=True, is_model=False)",
    'prov4ml.log_flops_per_batch("test", mnist_model, (1, 2), prov4ml.Context.TRAINING, step=epoch)',
    'prov4ml.log_flops_per_epoch("test", mnist_model, train_loader, prov4ml.Context.TRAINING, step=epoch)',
    'prov4ml.register_final_metric("my_metric", 0, lambda x, y: x // y)',
    'prov4ml.register_final_metric("MSE_train", 10, prov4ml.FoldOperation.MIN)',
    'prov4ml.log_context("TrainingButDifferent", "Training")',
    'prov4ml.create_context("NEW", is_subcontext_of=prov4ml.Context.TRAINING)',
    "prov4ml.log_input(1)",
    "prov4ml.log_output(4)",
    "prov4ml.get_artifacts_dir(), prov4ml.get_run_dir(), prov4ml.get_run_id()",
    "prov4ml.log_provenance_documents(create_graph=True, create_svg=True)",
    "prov4ml.end_run(True, True)",
    'with prov4ml.start_run_ctx("www.example.org", "experiment_name", "prov", False, 100, None, True, True): prov4ml.log_param("a", 1)',
    "prov4ml.start_run('experiment_name', provenance_save_dir='prov', disable_codecarbon=True)",
    "prov4ml.end_run(create_graph=True, create_svg=True, create_provenance_collection=True)",
    "logger = prov4ml.ProvMLItwinAILogger(prov_user_namespace='www.example.org', experiment_name='itwin', provenance_save_dir='prov')",
    "logger.create_logger_context(rank=0)",
    'logger.save_hyperparameters({"lr": 0.1})',
    'logger.log(item=loss.item(), identifier="MSE_train", kind="metric", context=prov4ml.Context.TRAINING, step=epoch)',
    'logger.log(item=epoch, identifier="epoch", kind="system", context=prov4ml.Context.TRAINING, step=epoch)',
    'logger.log(item=mnist_model, identifier=f"v_{epoch}", kind="model", context=prov4ml.Context.TRAINING, step=epoch)',
    'logger.log(item=mnist_model, identifier="best", kind="best_model")',
    'logger.log(item=0.1, identifier="eps", kind="torch")',
    "logger.destroy_logger_context()",
)


def test_calls_as_the_documentation_of_all_versions_writes_them(tmp_path: Path) -> None:
    """Each is made with `strict`, where an argument that is not understood is an exception."""
    (tmp_path / "notes.txt").write_text("x")
    script = tmp_path / "script.py"
    script.write_text(CALLS + "\n".join(DOCUMENTED))
    told = run_strictly([sys.executable, script], tmp_path)
    assert "order of these arguments" not in told.stderr
    documents = sorted(path.name for path in tmp_path.glob("prov/*/prov_*.json"))
    assert documents == [
        *(f"prov_experiment_name_GR0_{number}.json" for number in (0, 1, 2, 3, 4, 5)),
        "prov_itwin_GR0_0.json",
    ]
    itwin = Told(tmp_path / "prov" / "itwin_0" / "prov_itwin_GR0_0.json")
    assert itwin.value("lr") == "0.1"
    assert len(itwin.ids("entity", "provml:Model")) >= 2


@pytest.mark.parametrize("arguments", [[], ["--help"], ["absent.py"]])
def test_the_runner_says_how_it_is_used(arguments: list[str], tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "pllib.prov4ml", *arguments], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert told.returncode == 2
    assert "usage: python -m pllib.prov4ml script.py" in told.stderr
    missing = [each for each in arguments if not each.startswith("-")]
    assert ("there is no file " in told.stderr) == bool(missing)
