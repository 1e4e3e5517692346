"""The papers' questions on a study small enough to answer by hand (tests/unit/lineage/digits.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.integration.query_graph import HEAD, Served
from tests.unit.lineage.digits import digits
from tests.unit.lineage.graphs import BASE, Graph

NEW = "data/digits/0-899%2F{}/s1-new"
OLD_RUN, M0, M1 = (f"execution/train/{name}" for name in ("t0/fit/0", "t1/fit/0", "t1/fit/1"))
MODEL = {"model": "0-899/m1.pkl", "store": "digits"}
SET = {"dataset": "0-899/train.npz", "store": "digits"}
RANGE = {"attribute": "image_range", "value": "0-899"}
SCORES = {"m0": (0.8, 0.75, 0.55), "m1": (0.9, 0.85, 0.325), "old": (0.1, 0.1, 0.001)}


@pytest.fixture(scope="module")
def turtle() -> str:
    return digits().text


@pytest.fixture(scope="module")
def ask(engine: Served) -> Iterator[Callable[..., list[dict[str, Any]]]]:
    with httpx.Client(base_url=engine.query_url, timeout=60) as http:

        def run(name: str, **parameters: Any) -> list[dict[str, Any]]:
            answer = http.get(f"/v1/analyses/{name}/run", params=parameters)
            assert answer.status_code == 200, answer.text
            found = answer.json()
            assert not found["truncated"]
            assert {name for row in found["rows"] for name in row} <= {column["name"] for column in found["columns"]}
            return [{name: _plain(value) for name, value in row.items()} for row in found["rows"]]

        yield run


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return pytest.approx(value)
    return value.removeprefix(BASE) if isinstance(value, str) else value


def test_q1_the_domain_facts_behind_a_model(ask):
    expected = {
        "data": "data/digits/curated.npz/s1-new",
        "path": "curated.npz",
        "source": "UCI",
        "number_of_images": 1797,
    }
    assert ask("q1", **MODEL) == [expected]


def test_q2_what_a_training_set_was_prepared_with(ask):
    expected = {"image_range": "0-899", "margin": 1, "test_fraction": 0.2}
    assert ask("q2", **MODEL) == [{"training_set": NEW.format("train.npz"), "path": "0-899/train.npz", **expected}]


def evaluations(name: str) -> dict[str, float]:
    return dict(zip(("validation accuracy", "evaluation accuracy", "final_loss"), SCORES[name]))


def test_q3_the_model_with_the_least_loss(ask):
    facts = {"learning_rate": 0.01, "epochs": 2, "layers": 3, **evaluations("m1")}
    best = {"training": M1, "model": NEW.format("m1.pkl"), "path": "0-899/m1.pkl", "least": 0.3, **facts}
    assert ask("q3", **SET) == [best]
    assert ask("q3", **SET, measure="accuracy") == []


def test_q4_times_of_batches_in_each_epoch(ask):
    times = [
        (
            row["training"],
            row["section"].rpartition("/")[2],
            row["part"],
            row["count"],
            row["average"],
            row["least"],
            row["greatest"],
        )
        for row in ask("q4", **SET)
    ]
    assert times == [
        (M0, "0-0", "batch", 2, 2.0, 1.0, 3.0),
        (M0, "0-1", "batch", 2, 2.0, 2.0, 2.0),
        (M1, "1-0", "batch", 2, 1.0, 1.0, 1.0),
        (M1, "1-1", "batch", 2, 1.5, 1.0, 2.0),
    ]


def test_q5_batch_times_and_scores_by_a_parameter_of_the_preparation(ask):
    rows = ask("q5", **RANGE)
    found = [(row["training"], row["average"]) for row in rows]
    assert found == [(OLD_RUN, 9.0), (OLD_RUN, 9.0), (M0, 2.0), (M0, 2.0), (M1, 1.0), (M1, 1.5)]
    for row in rows:
        name = {OLD_RUN: "old", M0: "m0", M1: "m1"}[row["training"]]
        assert {key: row[key] for key in evaluations(name)} == evaluations(name)


def test_q6_the_source_data_of_the_sets(ask):
    rows = {
        row["data"]: (row["path"], row["store"], row["source"], row["number_of_images"]) for row in ask("q6", **RANGE)
    }
    assert rows == {
        "data/digits/curated.npz/s1-new": ("curated.npz", "digits", "UCI", 1797),
        "data/digits/curated.npz/s1-old": ("curated.npz", "digits", "an older source", 10),
        "data/scikit-learn/%2Flib%2Fdigits.csv.gz/s1-raw": ("/lib/digits.csv.gz", "scikit-learn", None, None),
    }


def test_q7_models_by_their_least_batch_loss_best_first(ask):
    settings = {"epochs": 2, "layers": 3}
    assert ask("q7", **RANGE) == [
        {
            "training": OLD_RUN,
            "path": "0-899/m0.pkl",
            "least": 0.001,
            "learning_rate": 0.1,
            **settings,
            **evaluations("old"),
        },
        {"training": M1, "path": "0-899/m1.pkl", "least": 0.3, "learning_rate": 0.01, **settings, **evaluations("m1")},
        {"training": M0, "path": "0-899/m0.pkl", "least": 0.5, "learning_rate": 0.1, **settings, **evaluations("m0")},
    ]


def test_a_state_that_is_given_itself_is_that_state(ask):
    old = "data/digits/curated.npz/s1-old"
    assert [row["training"] for row in ask("q3", dataset="data/digits/0-899%2Ftrain.npz/s1-old")] == [OLD_RUN]
    assert [row["source"] for row in ask("q1", model=BASE + "data/digits/0-899%2Fm0.pkl/s1-old")] == ["an older source"]
    assert [row["data"] for row in ask("q1", model="data/digits/0-899%2Fm0.pkl/s1-old")] == [old]


@pytest.mark.parametrize("value", ["0-900", "0", '"} ?s ?p ?o #'])
def test_another_value_of_the_parameter_has_no_part_in_it(ask, value):
    for name in ("q5", "q6", "q7"):
        assert ask(name, attribute="image_range", value=value) == []


def test_learning_that_goes_on_or_diverges_is_told_as_far_as_it_is(engine, ask):
    graph = Graph()
    run = graph.run("live", "1", learning=True)
    data = graph.data("s", "live.npz", "v1")
    graph.writes(graph.task(run, "prepare", 0), "train", data, "dataset")
    for number, losses in enumerate(([0.5, 0.25], [float("nan"), float("nan")])):
        fit = graph.task(run, "fit", number, stage="training")
        graph.reads(fit, "train", data, "dataset")
        for turn, loss in enumerate(losses):
            epoch = graph.task(run, "epoch", f"{number}-{turn}", "section", "training", fit, end=1.0)
            graph.generate(epoch, "loss", loss, "evaluation_measure")
    graph.use(f"{run}/prepare/0", "speed", 7)
    engine.load(graph.text)
    (row,) = ask("q3", dataset="live.npz", store="s")
    assert (row["training"], row["model"], row["least"]) == (f"{run}/fit/0", None, 0.25)
    (row,) = ask("q7", attribute="speed", value="7")
    assert (row["training"], row["path"], row["least"]) == (f"{run}/fit/0", None, 0.25)


def test_tuning_a_model_further_is_a_training_of_its_own(engine, ask):
    graph = Graph()
    run = graph.run("tune", "1", learning=True)
    first, second = (graph.task(run, "fit", number, stage="training", start=number) for number in (0, 1))
    graph.reads(first, "train", graph.data("s", "first.npz", "v1"), "dataset")
    graph.hand(second, graph.generate(first, "model", {"type": "net"}, "model"))
    for number, fit in enumerate((first, second)):
        epoch = graph.task(run, "epoch", number, "section", "training", fit, end=2)
        batch = graph.task(run, "batch", number, "section", "training", epoch, end=1)
        graph.generate(batch, "loss", 0.5 - 0.4 * number, "evaluation_measure")
    engine.load(graph.text)
    (row,) = ask("q3", dataset="first.npz", store="s")
    assert (row["training"], row["least"]) == (first, 0.5)
    assert [row["training"] for row in ask("q4", dataset="first.npz", store="s")] == [first]


def test_values_that_are_handed_on_keep_the_names_of_their_own_task(engine, ask):
    graph = Graph()
    run = graph.run("sweep", "1", learning=True)
    data, model = graph.data("s", "sweep.npz", "v1"), graph.data("s", "sweep.pkl", "v1")
    split, advise = graph.task(run, "split", 0), graph.task(run, "advise", 1)
    graph.use(split, "sweep_speed", 7)
    graph.writes(split, "train", data, "dataset")
    fit = graph.task(run, "fit", 2, stage="training", start=1)
    graph.reads(fit, "train", data, "dataset")
    graph.hand(fit, graph.generate(advise, "best_rate", 0.5, "hyperparameter"), name="learning_rate")
    final = graph.generate(fit, "loss", 0.25, "evaluation_measure")
    graph.writes(fit, "model", model, "model")
    epoch = graph.task(run, "epoch", 3, "section", "training", fit, end=2)
    batch = graph.task(run, "batch", 4, "section", "training", epoch, end=1)
    graph.generate(batch, "loss", 0.5, "evaluation_measure")
    judge = graph.task(run, "judge", 5, stage="evaluation", start=2)
    graph.reads(judge, "model", model, "model")
    accuracy = graph.generate(judge, "accuracy", 0.75, "evaluation_measure")
    choose = graph.task(run, "choose", 6, start=3)
    graph.hand(choose, final, name="loss of the first")
    graph.hand(choose, accuracy, name="accuracy of the first")
    engine.load(graph.text)
    facts = {"learning_rate": 0.5, "loss": 0.25, "evaluation accuracy": 0.75}
    (row,) = ask("q3", dataset="sweep.npz", store="s")
    assert row == {"training": fit, "model": model, "path": "sweep.pkl", "least": 0.25, **facts}
    (row,) = ask("q7", attribute="sweep_speed", value="7")
    assert row == {"training": fit, "path": "sweep.pkl", "least": 0.5, **facts}
    (row,) = ask("q5", attribute="sweep_speed", value="7")
    about = {
        "training": fit,
        "path": "sweep.pkl",
        "epoch": epoch,
        "epoch_started": row["epoch_started"],
        "average": 1.0,
    }
    assert row == {**about, "evaluation accuracy": 0.75}


def test_a_set_that_nobody_saw_being_written_is_found_where_there_is_but_one(engine, ask):
    graph = Graph()
    run = graph.run("remote", "1", learning=True)
    split, fit = graph.task(run, "split", 0), graph.task(run, "fit", 0, stage="training", start=1)
    graph.writes(split, "train", graph.written(split, "s3://bucket", "train"), "dataset")
    graph.reads(fit, "train", graph.data("s3://bucket", "train"), "dataset")
    graph.generate(fit, "loss", 0.5, "evaluation_measure")
    engine.load(graph.text)
    assert [row["training"] for row in ask("q3", dataset="s3://bucket/train")] == [fit]


def shares(ask: Callable[..., list[dict[str, Any]]], *about: str, **parameters: Any) -> list[tuple[Any, ...]]:
    """Rows of ``shared-data``, without the data's id; with ``about``, only those of these stores."""
    rows = ask("shared-data", **parameters)
    assert all(row["data"].startswith("data/") for row in rows)
    return [
        (row["store"], row["key"], row["wrote"], row["used"], row["certain"])
        for row in rows
        if not about or row["store"] in about
    ]


def test_shared_data_are_what_one_workflow_wrote_and_another_used(ask):
    sets = {(image_range, part) for image_range in ("0-899", "0-1796") for part in ("train", "validation", "test")}
    expected = [("digits", "curated.npz", "curate", "prepare", True)] * 2  # an old state and a new one
    expected += [("digits", f"{image_range}/{part}.npz", "prepare", "train", True) for image_range, part in sets]
    old = [("digits", f"0-899/{part}.npz", "prepare", "train", True) for part in ("train", "validation", "test")]
    assert sorted(shares(ask, "digits", "scikit-learn")) == sorted(expected + old)
    states = {row["data"] for row in ask("shared-data", workflow="curate")}
    assert states == {"data/digits/curated.npz/s1-new", "data/digits/curated.npz/s1-old"}
    assert sorted(shares(ask, "digits", workflow="train")) == sorted(expected[2:] + old)
    assert shares(ask, workflow="nobody's") == []


def test_shared_data_of_which_not_all_is_known_are_told_as_such(engine, ask):
    graph = Graph()
    writer, reader, other = (graph.task(graph.run(name, "1"), "step", 0) for name in ("writer", "reader", "other"))
    graph.writes(writer, "out", graph.data("disk", "seen", "v1"))
    graph.writes(writer, "out", graph.written(writer, "disk", "unseen"))
    graph.writes(writer, "out", graph.data("disk", "unused", "v1"))
    graph.writes(writer, "out", graph.data("old", "moved", "v1"))
    graph.reads(writer, "out", graph.data("disk", "own", "v1"))  # the name of an output, too
    graph.reads(reader, "in", graph.data("disk", "seen"))  # the state that was read is not known
    graph.reads(reader, "in", graph.data("disk", "unseen", "v7"))  # the state that was written is not known
    graph.reads(reader, "in", graph.data("disk", "unused", "v2"))  # another state than what was written
    for each in (reader, other):
        graph.reads(each, "in", graph.data("found", "twice", "v1"))
        graph.reads(each, "in", graph.data("found", f"once by {each.split('/')[1]}", "v1"))
    graph.reads(reader, "in", graph.data("new", "moved", "v1"))
    graph.reads(other, "in", graph.data("new", "moved", "v2"))
    engine.load(graph.text)
    known = [
        ("disk", "seen", "writer", "reader", False),
        ("disk", "unseen", "writer", "reader", False),
        ("found", "twice", None, "other", None),
        ("found", "twice", None, "reader", None),
    ]
    assert shares(ask, "disk", "found", "old", "new") == known
    graph.say("store/new", "provlake:sameStoreAs", "store/old")
    engine.load(graph.text)
    assert shares(ask, "disk", "found", "old", "new") == [*known, ("new", "moved", "writer", "reader", True)]
    assert shares(ask, workflow="other") == [known[2]]


def test_the_listings_of_the_papers_run_as_they_are(engine):
    listing = """SELECT ?epoch ?name ?v ?val {
        ?training a provml:TrainingExecution .
        ?epoch a provml:TrainingSectionExecution ; prov:wasInformedBy ?training .
        ?hp prov:wasGeneratedBy ?epoch ; a provml:ModelHyperparameterValue ; prov:value ?v ; prov:wasDerivedFrom ?att .
        ?att rdfs:label ?name .
        ?ev prov:wasGeneratedBy ?epoch ; a provml:ModelEvaluation ; prov:value ?val . }"""
    models = "SELECT ?m { ?training a provml:TrainingExecution . ?m prov:wasGeneratedBy ?training ; a provml:Model }"
    headers = {"Accept": "application/sparql-results+json"}
    found = []
    for query in (listing, models):
        answer = httpx.get(f"{engine.query_url}/sparql", params={"query": HEAD + query}, headers=headers)
        found.append(answer.json()["results"]["bindings"])
    rows = {
        (row["epoch"]["value"].removeprefix(BASE), row["name"]["value"], int(row["v"]["value"])) for row in found[0]
    }
    assert ("execution/train/t1/epoch/1-1", "samples_seen", 200) in rows
    assert len(rows) == 8
    assert {BASE + NEW.format("m1.pkl"), BASE + NEW.format("m0.pkl")} <= {row["m"]["value"] for row in found[1]}


@pytest.mark.parametrize(
    ("name", "parameters", "status", "field"),
    [
        ("q9", {}, 404, "name"),
        ("q1", {}, 400, "model"),
        ("q1", {"model": "no/such.pkl"}, 404, "model"),
        ("q1", {**MODEL, "speed": "1"}, 400, "speed"),
        ("q1", {"model": "execution/train/t1/fit/1"}, 400, "model"),
        ("q5", {"attribute": "image_range"}, 400, "value"),
    ],
)
def test_what_is_wrong_with_a_question_is_told(engine, name, parameters, status, field):
    answer = httpx.get(f"{engine.query_url}/v1/analyses/{name}/run", params=parameters)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["field"] == field
    assert answer.json()["error"]["fix"]


@pytest.mark.parametrize(
    ("facets", "names"),
    [
        ({"data": "execution"}, ["q4"]),
        ({"direction": "backward"}, ["q1", "q2", "q6"]),
        ({"execution_timing": "online", "training_timing": "intra"}, ["q3", "q4"]),
        ({"data": "domain"}, []),
    ],
)
def test_analyses_are_listed_by_the_taxonomy(engine, facets, names):
    found = httpx.get(f"{engine.query_url}/v1/analyses", params=facets).json()["items"]
    assert [item["name"] for item in found] == names
