"""The seismic example as a user runs it: the exact answers to the papers' questions, and their listings word for word.

What the answers must be is worked out from the example's own files, with nothing of the product: the surveys' files,
documents and triples, and what the training and evaluation scripts wrote down.
"""

from __future__ import annotations

import json
import os
import sqlite3
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import pytest
import rdflib
from SPARQLWrapper import JSON, SPARQLWrapper

from examples.seismic import segy
from examples.seismic.prepare import SETS, SPLIT
from examples.seismic.questions import listings
from pllib.query import Client

ROOT = Path(__file__).parents[2]
EPOCHS = 3
RANGES = sorted({how["slice_range"] for how in SETS.values()})
TRAININGS = "?training a provml:TrainingExecution ."
EPOCHS_OF = "?epoch a provml:TrainingSectionExecution ; prov:wasInformedBy ?training ."
HYPERPARAMETERS = (
    "?hp prov:wasGeneratedBy ?epoch ; a provml:ModelHyperparameterValue ; prov:value ?v ; prov:wasDerivedFrom ?att ."
)
NAMES = "?att rdfs:label ?name ."
MODELS = "?m prov:wasGeneratedBy ?epoch ; a provml:Model ."
EVALUATIONS = "?ev prov:wasGeneratedBy ?epoch ; a provml:ModelEvaluation ; prov:value ?val ."
PRINTED = {
    "epochs": [TRAININGS, EPOCHS_OF],
    "model-hyperparameters": [TRAININGS, EPOCHS_OF, HYPERPARAMETERS, NAMES],
    "models": [TRAININGS, EPOCHS_OF, MODELS],
    "model-evaluations": [TRAININGS, EPOCHS_OF, EVALUATIONS],
    "learning": [TRAININGS, EPOCHS_OF, HYPERPARAMETERS, NAMES, MODELS, EVALUATIONS],
}
MICROSECOND = 1e-6


@dataclass(frozen=True)
class Study:
    """The example after its run: its files, what it printed, and the services that captured it."""

    work: Path
    output: str
    services: Any

    @cached_property
    def client(self) -> Client:
        return Client(self.services.query_url)

    def rows(self, analysis: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of an analysis without their empty cells; numbers but for rounding."""
        answer = self.client.analysis(analysis, **parameters)
        assert not answer["truncated"]
        return [{name: _near(value) for name, value in row.items() if value is not None} for row in answer["rows"]]

    def lineage(self, of: str, store: str, **parameters: Any) -> list[dict[str, Any]]:
        given = {"of": of, "store": store, **parameters}
        answer = httpx.get(f"{self.services.query_url}/v1/lineage", params=given, timeout=60).raise_for_status().json()
        assert not answer["truncated"]
        assert answer["ambiguous"] == []
        return list(answer["nodes"])

    def facts(self, survey: str) -> dict[str, Any]:
        """What the three stores say about a survey."""
        document = self.document(survey)
        geology = rdflib.Graph().parse(self.work / "geology.ttl")
        field = rdflib.URIRef(document["field"])
        basin = geology.value(field, rdflib.URIRef("https://example.org/geology/basin"))
        return {
            "number_of_slices": segy.read(self.work / "raw" / f"{survey}.sgy").slices,
            "coordinates": document["coordinates"],
            "field": str(geology.value(field, rdflib.RDFS.label)),
            "basin": str(geology.value(basin, rdflib.RDFS.label)),
        }

    def document(self, survey: str) -> dict[str, Any]:
        with closing(sqlite3.connect(self.work / "survey-docs.sqlite")) as documents:
            (body,) = documents.execute("SELECT body FROM document WHERE id = ?", (f"surveys/{survey}",)).fetchone()
        return dict(json.loads(body))

    @cached_property
    def runs(self) -> list[Run]:
        scores = json.loads((self.work / "models" / "best.json").read_text())["scores"]
        return [Run(told, scores) for told in json.loads((self.work / "models" / "runs.json").read_text())]

    def runs_on(self, *sets: str) -> list[Run]:
        return [run for run in self.runs if run.told["set"] in sets]


@dataclass(frozen=True)
class Run:
    """A run of the training as its script wrote it down, and the scores that the evaluation gave its model."""

    told: dict[str, Any]
    scores: dict[str, dict[str, float]]

    @property
    def failed(self) -> bool:
        return "failed" in self.told

    @property
    def key(self) -> str:
        return str(self.told["model"])

    @property
    def path(self) -> dict[str, str]:
        return {} if self.failed else {"path": self.key}

    @property
    def settings(self) -> dict[str, Any]:
        names = ("learning_rate", "batch_size", "hidden_units")
        return {**{name: _near(self.told[name]) for name in names}, "epochs": EPOCHS}

    @property
    def shape(self) -> dict[str, Any]:
        return {} if self.failed else {"layers": self.told["layers"], "weights": self.told["weights"]}

    @property
    def evaluations(self) -> dict[str, Any]:
        """By the names that the answers have for them."""
        if self.failed:
            return {}
        found = {"final_loss": self.told["final_loss"]}
        for stage, scores in (("validation", self.told["validation"]), ("evaluation", self.scores[self.key])):
            found |= {f"{stage} {measure}": value for measure, value in scores.items()}
        return {name: _near(value) for name, value in found.items()}

    @property
    def details(self) -> dict[str, Any]:
        return {**self.path, **self.settings, **self.shape, **self.evaluations}

    @property
    def least_batch_loss(self) -> float:
        return min(loss for epoch in self.told["epochs"] for loss in epoch["batch_losses"])


def _near(value: Any) -> Any:
    return pytest.approx(value) if isinstance(value, float) else value


@pytest.fixture(scope="module")
def seismic(stack, store_kind, empty_store, tmp_path_factory) -> Iterator[Study]:
    """The demonstration has run on a stack of its own."""
    with stack(tmp_path_factory.mktemp("seismic"), store=empty_store(store_kind)) as services:
        script = ROOT / "examples" / "seismic" / "demo.py"
        command = [sys.executable, str(script), "--data", str(services.data), "--epochs", str(EPOCHS)]
        environment = {**os.environ, "PLLIB_STRICT": "1", "COLUMNS": "160"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        yield Study(services.data / "seismic", done.stdout, services)


def sets_of(slice_range: str) -> list[str]:
    return [name for name, how in SETS.items() if how["slice_range"] == slice_range]


def test_the_example_runs_as_it_says(seismic):
    assert [run.failed for run in seismic.runs] == [False] * 6 + [True]
    for question in [*(f"Q{number}" for number in range(1, 8)), "SHARED-DATA", *(f"{name}.rq" for name in PRINTED)]:
        assert question in seismic.output
    assert seismic.output.count("audit-archive") == 0  # asked before there was one
    best = json.loads((seismic.work / "models" / "best.json").read_text())
    assert best["scores"][best["best"]]["accuracy"] == max(each["accuracy"] for each in best["scores"].values())
    assert min(each["accuracy"] for each in best["scores"].values()) > 0.75
    picture = (seismic.work / "best-model.svg").read_text()
    assert "<svg" in picture
    assert best["best"].split("/")[-1] in picture


def test_a_run_that_failed_is_told_as_such(seismic):
    runs = list(seismic.client.executions(workflow="train-salt"))
    assert sorted(run["status"] for run in runs) == ["failed"] + ["finished"] * 6
    failed = next(run for run in runs if run["status"] == "failed")
    tasks = httpx.get(f"{seismic.services.query_url}/v1/executions/{failed['id'].removeprefix('execution/')}").json()
    assert "Diverged" in json.dumps(tasks)


def test_q1_coordinates_basin_field_and_number_of_slices(seismic):
    for run in seismic.runs[:6]:
        rows = seismic.rows("q1", model=run.key, store="models")
        found = {row.pop("path"): row for row in rows}
        assert all(row.pop("data").startswith("http") for row in found.values())
        surveys = SETS[run.told["set"]]["surveys"]
        assert found == {f"{survey}.npz": seismic.facts(survey) for survey in surveys}


def test_q2_tile_size_noise_threshold_and_slice_range(seismic):
    for run in seismic.runs[:6]:
        (row,) = seismic.rows("q2", model=run.key, store="models")
        assert "/data/prepared/" in row.pop("training_set")
        how = {name: SETS[run.told["set"]][name] for name in ("slice_range", "tile_size", "noise_threshold")}
        assert row == {"path": f"{run.told['set']}/train.npz", **how, **SPLIT}


@pytest.mark.parametrize("store", ["prepared", "archive"])
@pytest.mark.parametrize("name", list(SETS))
def test_q3_the_model_with_the_least_loss_under_both_names_of_the_store(seismic, name, store):
    def losses(run: Run) -> list[float]:
        return [loss for epoch in run.told["epochs"] for loss in [*epoch["batch_losses"], epoch.get("loss", 1e9)]]

    (row,) = seismic.rows("q3", dataset=f"{name}/train.npz", store=store)
    best = min(seismic.runs_on(name), key=lambda run: min(losses(run)))
    assert "/execution/train-salt/" in row.pop("training")
    assert "/data/models/" in row.pop("model")
    assert row == {"least": _near(min(losses(best))), **best.details}


def batch_times(seismic: Study, name: str) -> list[dict[str, Any]]:
    return list(seismic.client.analysis("q4", dataset=f"{name}/train.npz", store="prepared")["rows"])


@pytest.mark.parametrize("name", list(SETS))
def test_q4_times_of_batches_in_each_epoch(seismic, name):
    """The times are pllib's own; the script's, around the same batches and inside them, say where they must lie."""
    rows = batch_times(seismic, name)
    assert {(row["name"], row["part"]) for row in rows} == {("epoch", "batch")}
    for run in seismic.runs_on(name):
        mine = sorted((row for row in rows if row["path"] == run.path.get("path")), key=lambda row: row["started"])
        assert len(mine) == len(run.told["epochs"])
        for row, epoch in zip(mine, run.told["epochs"]):
            ended = len(epoch["batch_losses"]) + run.failed  # a batch that failed has ended, too
            assert row["count"] == ended
            assert row["least"] <= row["average"] <= row["greatest"]
            if run.failed:
                continue
            assert row["average"] >= statistics.mean(epoch["batch_seconds"]) - MICROSECOND
            assert row["greatest"] >= max(epoch["batch_seconds"]) - MICROSECOND
            assert row["average"] * ended <= epoch["seconds"]
    assert len(rows) == sum(len(run.told["epochs"]) for run in seismic.runs_on(name))


@pytest.mark.parametrize("slice_range", RANGES)
def test_q5_batch_times_and_evaluations_by_the_range_of_slices(seismic, slice_range):
    rows = seismic.rows("q5", attribute="slice_range", value=slice_range)
    times = {row["section"]: row["average"] for name in sets_of(slice_range) for row in batch_times(seismic, name)}
    assert {row["epoch"]: row["average"] for row in rows} == times
    for run in seismic.runs_on(*sets_of(slice_range)):
        mine = [row for row in rows if row.get("path") == run.path.get("path")]
        assert len(mine) == len(run.told["epochs"])
        for row in mine:
            told = {name: value for name, value in row.items() if name not in ("training", "epoch", "epoch_started")}
            assert told == {"average": row["average"], **run.path, **run.evaluations}


@pytest.mark.parametrize("slice_range", RANGES)
def test_q6_source_files_slices_basin_and_field(seismic, slice_range):
    rows = seismic.rows("q6", attribute="slice_range", value=slice_range)
    found = {(row.pop("store"), row.pop("path")): row for row in rows}
    assert all(row.pop("data") for row in found.values())
    surveys = {survey for name in sets_of(slice_range) for survey in SETS[name]["surveys"]}
    expected: dict[tuple[str, str], dict[str, Any]] = {}
    for survey in surveys:
        expected[("curated", f"{survey}.npz")] = seismic.facts(survey)
        expected[("raw", f"{survey}.sgy")] = {}
        expected[("survey-docs", f"surveys/{survey}")] = {}
        expected[("geology", seismic.document(survey)["field"])] = {}
    assert found == expected


@pytest.mark.parametrize("slice_range", RANGES)
def test_q7_models_by_their_least_batch_loss_best_first(seismic, slice_range):
    rows = seismic.rows("q7", attribute="slice_range", value=slice_range)
    assert all("/execution/train-salt/" in row.pop("training") for row in rows)
    runs = sorted(seismic.runs_on(*sets_of(slice_range)), key=lambda run: run.least_batch_loss)
    assert rows == [{"least": _near(run.least_batch_loss), **run.details} for run in runs]


def test_the_listings_stand_as_they_were_printed():
    assert set(listings()) == set(PRINTED)
    for name, text in listings().items():
        lines = text.splitlines()
        head = [line for line in lines if line.startswith("PREFIX ")]
        assert lines == [*head, "SELECT * WHERE {", *PRINTED[name], "}"]


def expected_of(seismic: Study, name: str) -> list[tuple[Any, ...]]:
    """What a listing must find: for each epoch a row, with the values in it that the script wrote down."""
    epochs = [(run, number, epoch) for run in seismic.runs for number, epoch in enumerate(run.told["epochs"])]
    if name != "epochs":  # the epoch in which a run failed has generated nothing
        epochs = [each for each in epochs if "loss" in each[2]]
    rows = []
    for run, number, epoch in epochs:
        values = {
            "name": "samples_seen",
            "v": str(epoch.get("samples_seen")),
            "m": f"{run.told['set']}/{run.key.split('/')[1]}/checkpoint-{number}.pkl",
            "val": repr(epoch.get("loss")),
        }
        columns = {"model-hyperparameters": ["name", "v"], "models": ["m"], "model-evaluations": ["val"]}
        wanted = {"epochs": [], "learning": ["name", "v", "m", "val"], **columns}[name]
        rows.append(tuple(values[column] for column in wanted))
    return sorted(rows)


def found_in(bindings: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """The columns of a listing's answer that can be told from the example's files."""

    def plain(name: str, value: str) -> str:
        if name == "m":
            return value.split("/data/models/")[1].split("/")[0].replace("%2F", "/")
        return repr(float(value)) if name == "val" else value

    return sorted(
        tuple(plain(name, row[name]["value"]) for name in ("name", "v", "m", "val") if name in row) for row in bindings
    )


@pytest.mark.parametrize("name", list(PRINTED))
def test_the_papers_listings_run_word_for_word(seismic, name):
    headers = {"Content-Type": "application/sparql-query", "Accept": "application/sparql-results+json"}
    answer = httpx.post(f"{seismic.services.query_url}/sparql", content=listings()[name], headers=headers, timeout=60)
    assert answer.status_code == 200, answer.text
    rows = answer.json()["results"]["bindings"]
    assert len({row["epoch"]["value"] for row in rows}) == len(rows)
    assert found_in(rows) == expected_of(seismic, name)


def test_a_client_of_the_standard_runs_them(seismic):
    client = SPARQLWrapper(f"{seismic.services.query_url}/sparql", returnFormat=JSON)
    client.setQuery(listings()["learning"])
    rows = client.queryAndConvert()["results"]["bindings"]
    assert found_in(rows) == expected_of(seismic, "learning")
    assert len(rows) == 6 * EPOCHS


@pytest.mark.parametrize("survey", ["netherlands-f3", "parihaka", "albacora"])
def test_models_that_descend_from_a_raw_file(seismic, survey):
    sets = [name for name, how in SETS.items() if survey in how["surveys"]]
    expected = set()
    for run in seismic.runs_on(*sets):
        done = [number for number, epoch in enumerate(run.told["epochs"]) if "loss" in epoch]
        folder = run.key.rpartition("/")[0]
        expected |= {f"{folder}/checkpoint-{number}.pkl" for number in done} | (set() if run.failed else {run.key})
    nodes = seismic.lineage(f"{survey}.sgy", "raw", direction="forward", type="Model")
    assert {node["label"] for node in nodes} == expected


def test_what_a_raw_file_fed_over_all_workflows_and_a_renamed_store(seismic):
    def workflows(survey: str) -> set[str]:
        nodes = seismic.lineage(f"{survey}.sgy", "raw", direction="forward", grain="task")
        return {node["workflow"] for node in nodes if node["kind"] == "activity"}

    everything = {"curate-surveys", "prepare-tiles", "train-salt", "evaluate-salt", "audit-archive"}
    assert workflows("netherlands-f3") == workflows("parihaka") == everything
    assert workflows("albacora") == {"curate-surveys"}


def test_a_renamed_store_is_walked_through_backward(seismic):
    nodes = seismic.lineage("audit.json", "reports")
    keys = {(node["store"], node["label"]) for node in nodes if node.get("store")}
    assert {("raw", "netherlands-f3.sgy"), ("raw", "parihaka.sgy")} <= keys
    assert ("raw", "albacora.sgy") not in keys
    assert not [key for key in keys if key[0] == "models"]
    tiles = json.loads((seismic.work / "audit.json").read_text())
    assert {key for store, key in keys if store in ("archive", "prepared")} == set(tiles)


def test_a_document_and_a_triple_are_data_like_files(seismic):
    for of, store in (("surveys/parihaka", "survey-docs"), (seismic.document("parihaka")["field"], "geology")):
        nodes = seismic.lineage(of, store, direction="forward", type="LearningDataset")
        found = {node["label"].split("/")[0] for node in nodes}
        assert found == {name for name, how in SETS.items() if "parihaka" in how["surveys"]}


def test_workflows_that_share_data(seismic):
    used = {survey for how in SETS.values() for survey in how["surveys"]}
    expected = {("curated", f"{survey}.npz", "curate-surveys", "prepare-tiles") for survey in used}
    readers = {"train": "train-salt", "validation": "train-salt", "test": "evaluate-salt"}
    for name in SETS:
        expected |= {("prepared", f"{name}/{part}.npz", "prepare-tiles", reader) for part, reader in readers.items()}
        expected |= {("archive", f"{name}/{part}.npz", "prepare-tiles", "audit-archive") for part in readers}
    expected |= {("models", run.key, "train-salt", "evaluate-salt") for run in seismic.runs if not run.failed}
    rows = seismic.rows("shared-data")
    assert all(row["certain"] is True for row in rows)
    assert sorted((row["store"], row["key"], row["wrote"], row["used"]) for row in rows) == sorted(expected)
    mine = {row for row in expected if "curate-surveys" in row}
    found = seismic.rows("shared-data", workflow="curate-surveys")
    assert {(row["store"], row["key"], row["wrote"], row["used"]) for row in found} == mine


def test_the_graph_of_all_workflows_holds_to_prov_constraints(seismic, constraint_violations):
    answer = httpx.get(seismic.services.store.graph_url, headers={"Accept": "application/n-triples"})
    assert constraint_violations(set(answer.text.splitlines())) == []
