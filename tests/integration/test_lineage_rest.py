"""Lineage over a real store and a real query engine."""

from __future__ import annotations

import random
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pygraphviz
import pytest

from tests.integration.query_graph import Served
from tests.unit.lineage.digits import digits
from tests.unit.lineage.graphs import BASE, Graph, build, chain
from tests.unit.lineage.test_lineage_walk import activities, trace

LINKS = ("refs", "files", "match")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def engine(engine_on_a_store: Callable[..., Any], store_kind: str) -> Iterator[Served]:
    with engine_on_a_store(store_kind) as running:
        running.load(digits().text)
        for link in LINKS:
            running.load(chain(60, 3, link)[0].text)
        yield running


@pytest.fixture(scope="module")
def http(engine: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.query_url, timeout=60) as client:
        yield client


def ask(http: httpx.Client, of: str, **parameters: Any) -> dict[str, Any]:
    answer = http.get("/v1/lineage", params={"of": of, **parameters})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def tasks(found: dict[str, Any]) -> set[str]:
    return {node["id"] for node in found["nodes"] if node["kind"] == "activity"} - {found["of"]}


FIT, SPLIT, CROP = "execution/train/t1/fit/1", "execution/prepare/p1/split/1", "execution/prepare/p1/crop/0"
CURATION = {"execution/curate/c1/check/1", "execution/curate/c1/read/0"}


def test_a_model_leads_back_to_the_raw_file_and_to_nothing_else(http):
    found = ask(http, "0-899/m1.pkl", store="digits")
    assert tasks(found) == {FIT, SPLIT, CROP, *CURATION}
    assert found["ambiguous"] == []
    assert not found["truncated"]
    nodes = {node["id"]: node for node in found["nodes"]}
    assert nodes["data/scikit-learn/%2Flib%2Fdigits.csv.gz/s1-raw"]["label"] == "/lib/digits.csv.gz"
    rate = nodes["value/train/t1/learning_rate/d-0.01"]
    assert (rate["label"], rate["value"], rate["depth"]) == ("learning_rate", 0.01, 2)
    assert rate["type"] == "provml:LearningHyperparameterValue"
    fit = nodes[FIT]
    assert (fit["label"], fit["workflow"], fit["execution"], fit["depth"]) == ("fit", "train", "t1", 1)
    assert (fit["type"], fit["status"], fit["seconds"]) == ("provml:TrainingExecution", "finished", 20.0)
    assert fit["iri"] == BASE + FIT
    assert {"from": FIT, "to": rate["id"], "relation": "used", "certain": True} in found["edges"]


def test_the_same_resource_may_be_given_by_iri_id_key_or_path(http):
    state = "data/digits/0-899%2Fm1.pkl/s1-new"
    answers = [
        tasks(ask(http, of)) for of in (BASE + state, state, "0-899/m1.pkl", "./0-899//m1.pkl", "/digits/0-899/m1.pkl")
    ]
    assert all(answer == answers[0] for answer in answers)


def test_a_path_means_the_newest_state_and_the_older_ones_are_named(http):
    found = ask(http, "curated.npz", store="digits")
    assert tasks(found) == CURATION
    assert found["ambiguous"] == [
        {
            "entity": "data/digits/curated.npz",
            "used_by": None,
            "candidates": [{"entity": "data/digits/curated.npz/s1-old", "activity": "execution/curate/c0/check/1"}],
        }
    ]
    old = ask(http, "data/digits/curated.npz/s1-old")
    assert tasks(old) == {each.replace("c1", "c0") for each in CURATION}
    assert old["ambiguous"] == []


def test_forward_goes_to_models_sections_and_scores(http):
    found = ask(http, "0-1796/train.npz", direction="forward")
    batches = {f"execution/train/t1/batch/2-{epoch}-{batch}" for epoch in (0, 1) for batch in (0, 1)}
    epochs = {f"execution/train/t1/epoch/2-{epoch}" for epoch in (0, 1)}
    scores = {f"execution/train/t1/{stage}/2" for stage in ("validation", "evaluation")}
    assert tasks(found) == {"execution/train/t1/fit/2", *batches, *epochs, *scores}


def test_a_fact_has_the_lineage_of_the_data_it_is_about(http):
    found = ask(http, "data/digits/0-899%2Fm1.pkl/s1-new/layers/i-3", grain="task")
    assert {FIT, SPLIT, CROP, *CURATION} <= tasks(found)
    assert any(edge["relation"] == "hadMember" for edge in found["edges"])


def test_a_workflow_execution_has_the_lineage_of_its_tasks(http):
    found = ask(http, "execution/prepare/p1", grain="task")
    assert {f"execution/prepare/p1/{name}" for name in ("crop/0", "split/1", "crop/2", "split/3")} | CURATION == tasks(
        found
    )


def test_at_the_grain_of_tasks_there_are_no_plain_values(http):
    found = ask(http, "0-899/m1.pkl", grain="task")
    entities = [node for node in found["nodes"] if node["kind"] == "entity"]
    assert entities
    assert all(node["store"] for node in entities)
    assert {"from": SPLIT, "to": CROP, "relation": "wasInformedBy", "certain": True} in found["edges"]
    ids = {node["id"] for node in found["nodes"]}
    assert all({edge["from"], edge["to"]} <= ids for edge in found["edges"])


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("depth", [None, 3, 20])
def test_chains_of_all_kinds_are_followed_to_the_depth_asked_for(http, link, depth):
    more = {} if depth is None else {"depth": depth}
    first, last = (f"execution/chain/{link}/step/{number}" for number in (0, 59))
    for start, direction in ((last, "backward"), (first, "forward")):
        found = ask(http, start, direction=direction, **more)
        assert len(tasks(found)) == (depth or 59)
        assert max(node["depth"] for node in found["nodes"]) == depth or depth is None
        assert all(edge["certain"] for edge in found["edges"]) == (link != "match")
        assert all(node["value"] is not None for node in found["nodes"] if node["kind"] == "entity")


def test_the_store_is_looked_up_as_the_rules_say_for_any_graph(engine, http):
    source = random.Random(20)
    for number in range(25):
        statements = []
        for _ in range(source.randint(4, 16)):
            kind = source.choice(["hand", "parent", "use", "match", "read", "write", "read", "write"])
            state = source.choice([None, "v1", "v2"])
            more = state if kind in ("read", "write") else source.randint(0, 2 if kind in ("use", "match") else 5)
            statements.append((kind, source.randint(0, 5), more))
        graph, all_tasks = build(statements, f"any-{number}")
        engine.load(graph.text)
        for task in all_tasks:
            for direction in ("backward", "forward"):
                expected = trace(graph, task, direction)
                found = ask(http, task, direction=direction)
                assert tasks(found) == activities(expected, task), (statements, task, direction)
                edges = {(edge["from"], edge["to"], edge["relation"]): edge["certain"] for edge in found["edges"]}
                assert edges == {tuple(edge): sure for edge, sure in expected.edges.items()}, (
                    statements,
                    task,
                    direction,
                )
                listed = {(each["used_by"], each["entity"]) for each in found["ambiguous"]}
                assert listed == set(expected.ambiguous), (statements, task, direction)


@pytest.mark.parametrize(
    ("parameters", "status", "field", "words"),
    [
        ({"of": "no/such.npz"}, 404, "of", "no/such.npz"),
        ({"of": "m1.pkl", "store": "elsewhere"}, 404, "of", "elsewhere"),
        ({"of": BASE + "execution/train/t1/fit/99"}, 404, "of", "fit/99"),
        ({"of": "http://[not an iri>"}, 400, "of", "IRI"),
        ({"of": "x", "depth": "0"}, 400, "depth", "0"),
        ({"of": "x", "depth": "deep"}, 400, "depth", "deep"),
        ({"of": "x", "direction": "sideways"}, 400, "direction", "backward, forward"),
        ({"of": "x", "grain": "sand"}, 400, "grain", "value, task"),
        ({"of": "x", "format": "png"}, 400, "format", "json, dot, svg"),
        ({"of": "workflow/train/transformation/fit"}, 400, "of", "provml:Training"),
        ({}, 422, "of", "of"),
        ({"of": '"} DROP ALL #'}, 404, "of", "DROP"),
        ({"of": "\ud800".encode("utf-8", "surrogatepass")}, 404, "of", "nothing"),
    ],
)
def test_bad_questions_are_told_what_is_wrong(http, parameters, status, field, words):
    answer = http.get("/v1/lineage", params=parameters)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["field"] == field
    assert words in error["message"]
    assert error["fix"]


def test_one_key_in_two_stores_must_be_told_apart(engine, http):
    graph = Graph()
    run = graph.run("w", "stores")
    for store in ("here", "there"):
        graph.writes(graph.task(run, store, 0), "out", graph.data(store, "same.npz", "v1"))
    engine.load(graph.text)
    error = http.get("/v1/lineage", params={"of": "same.npz"}).json()["error"]
    assert error["field"] == "store"
    assert "'here', 'there'" in error["message"]
    assert tasks(ask(http, "same.npz", store="here")) == {f"{run}/here/0"}


def moved(engine: Served, link: str) -> tuple[str, str, str]:
    """A file that is written in one store and read in another, which says that it is the first under a new name.

    Args:
        link: ``state``: both saw the same state; ``unseen``: nobody saw one; ``other``: the reader saw another state.
    """
    graph = Graph()
    run = graph.run("w", f"moved-{link}")
    key = f"{link}.npz"
    raw, writer, reader = (graph.task(run, name, number) for number, name in enumerate(("raw", "write", "read")))
    origin = graph.data(f"old-{link}", f"raw-{link}", "s1-raw")
    graph.writes(raw, "raw", origin)
    graph.reads(writer, "raw", graph.data(f"new-{link}", f"raw-{link}", "s1-raw"))
    if link == "unseen":
        graph.writes(writer, "set", graph.written(writer, f"old-{link}", key))
        graph.reads(reader, "set", graph.data(f"new-{link}", key))
    else:
        graph.writes(writer, "set", graph.data(f"old-{link}", key, "s1-a"))
        graph.reads(reader, "set", graph.data(f"new-{link}", key, "s1-a" if link == "state" else "s1-b"))
    graph.writes(reader, "model", graph.data(f"new-{link}", f"model-{link}", "s1-m"), "model")
    engine.load(graph.text)
    return raw, writer, reader


@pytest.mark.parametrize(("link", "joined"), [("state", True), ("unseen", True), ("other", False)])
def test_a_store_that_was_moved_joins_by_one_statement(engine, http, link, joined):
    raw, writer, reader = moved(engine, link)
    assert tasks(ask(http, reader)) == set()
    assert tasks(ask(http, raw, direction="forward")) == set()
    alias = Graph()
    alias.say(f"store/new-{link}", "provlake:sameStoreAs", f"store/middle-{link}")
    alias.say(f"store/old-{link}", "provlake:sameStoreAs", f"store/middle-{link}")
    engine.load(alias.text)
    found = ask(http, reader)
    assert tasks(found) == ({raw, writer} if joined else set())
    assert all(edge["certain"] for edge in found["edges"]) == (link != "unseen")
    forward = ask(http, raw, direction="forward")
    assert tasks(forward) == ({writer, reader} if joined else {writer})
    for store in (f"old-{link}", f"new-{link}"):
        assert tasks(ask(http, f"model-{link}", store=store)) == ({raw, writer, reader} if joined else {reader})
        by_path = ask(http, f"raw-{link}", store=store, direction="forward")
        assert tasks(by_path) == ({writer, reader} if joined else {writer})
    models = ask(http, f"raw-{link}", direction="forward", type="Model")
    assert [node["label"] for node in models["nodes"]] == ([f"model-{link}"] if joined else [])


def test_only_nodes_of_a_class_and_those_below_it(engine, http):
    stages = ask(http, "0-899/m1.pkl", store="digits", type="prov:Activity")
    assert stages["edges"] == []
    everything = ask(http, "0-899/m1.pkl", store="digits")
    sets = {n["id"] for n in everything["nodes"] if n["type"] == "provml:LearningDataset"}
    found = ask(http, "0-899/m1.pkl", store="digits", type="LearningDataset")
    assert {node["id"] for node in found["nodes"]} == sets != set()
    assert ask(http, "0-899/m1.pkl", store="digits", type="NoSuchClass")["nodes"] == []


def test_the_answer_comes_in_the_format_that_is_asked_for(http):
    for accept, media_type in (
        ("image/svg+xml", "image/svg+xml"),
        ("text/vnd.graphviz", "text/vnd.graphviz"),
        ("*/*", "application/json"),
    ):
        answer = http.get("/v1/lineage", params={"of": "0-899/m1.pkl"}, headers={"Accept": accept})
        assert answer.headers["content-type"].split(";")[0] == media_type
    answer = http.get("/v1/lineage", params={"of": "0-899/m1.pkl"}, headers={"Accept": "video/mp4"})
    assert answer.status_code == 406


def test_a_drawing_has_a_shape_for_each_node_and_links_to_them(http):
    found = ask(http, "0-899/m1.pkl", format="json")
    answer = http.get("/v1/lineage", params={"of": "0-899/m1.pkl", "format": "svg"})
    root = ElementTree.fromstring(answer.content)  # noqa: S314 - our own server's
    drawn = [each for each in root.iter(f"{SVG}g") if each.get("class") == "node"]
    assert len(drawn) == len(found["nodes"]) - 1  # the file is drawn as the state of it
    links = {each.get("{http://www.w3.org/1999/xlink}href") for each in root.iter(f"{SVG}a")}
    assert BASE + FIT in links
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")


HOSTILE = 'a"b\\ <i>&\n\\N]; x -> y {'


def test_hostile_names_stay_names_in_drawings(engine, http):
    graph = Graph()
    run = graph.run(HOSTILE, "hostile")
    task = graph.task(run, HOSTILE, 0)
    graph.use(task, HOSTILE, HOSTILE + "<script>alert(1)</script>")
    engine.load(graph.text)
    parsed = pygraphviz.AGraph(string=http.get("/v1/lineage", params={"of": task, "format": "dot"}).text)
    assert len(parsed.nodes()) == 2
    assert len(parsed.edges()) == 1
    svg = http.get("/v1/lineage", params={"of": task, "format": "svg"})
    assert svg.status_code == 200
    root = ElementTree.fromstring(svg.content)  # noqa: S314
    assert not list(root.iter(f"{SVG}script"))
    assert any("<i>&" in (text.text or "") for text in root.iter(f"{SVG}text"))


def test_a_lineage_too_large_to_be_drawn_is_refused_and_says_what_to_do(http, engine):
    graph = Graph()
    task = graph.task(graph.run("w", "wide"), "wide", 0)
    for number in range(450):
        graph.use(task, "x", number)
    engine.load(graph.text)
    answer = http.get("/v1/lineage", params={"of": task, "format": "svg"})
    assert answer.status_code == 413
    assert "grain=task" in answer.json()["error"]["fix"]
    assert http.get("/v1/lineage", params={"of": task, "format": "dot"}).status_code == 200
    assert http.get("/v1/lineage", params={"of": task, "format": "svg", "grain": "task"}).status_code == 200
