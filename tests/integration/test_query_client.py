"""``pllib.query`` against a real query engine and store."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from pllib.query import Client, QueryRefused
from tests.integration.query_graph import Served
from tests.unit.lineage.digits import digits
from tests.unit.lineage.graphs import Graph


@pytest.fixture(scope="module")
def engine(engine_on_a_store: Callable[..., Any], store_kind: str) -> Iterator[Served]:
    with engine_on_a_store(store_kind) as running:
        graph = digits()
        for number in range(120):
            graph.run("many", f"{number:03}", start=1000 + number, end=1001 + number)
        headers = {"Content-Type": "application/n-triples"}
        httpx.post(running.store.graph_url, content=_text(graph), headers=headers).raise_for_status()
        yield running


def _text(graph: Graph) -> bytes:
    return graph.text.encode()


@pytest.fixture(scope="module")
def client(engine: Served) -> Client:
    return Client(engine.query_url)


def test_sparql_gives_rows_of_python_values(client):
    rows = client.sparql(
        "SELECT ?name ?value { ?v a provml:LearningHyperparameterValue ; prov:value ?value ; prov:wasDerivedFrom/rdfs:label ?name }"
    )
    assert {"name": "learning_rate", "value": 0.01} in rows
    assert {"name": "epochs", "value": 2} in rows
    assert client.sparql("ASK { ?m a provml:Model }") == [{"answer": True}]


def test_a_query_that_is_none_is_refused_with_the_place(client):
    with pytest.raises(QueryRefused) as caught:
        client.sparql("SELECT WHERE {")
    assert caught.value.status == 400
    assert caught.value.fix


def test_lineage_as_graph_and_as_drawing(client):
    found = client.lineage("0-899/m1.pkl", store="digits", grain="task", depth=2)
    assert {node["label"] for node in found["nodes"] if node["kind"] == "activity"} == {"fit", "split"}
    assert client.lineage("0-899/m1.pkl", format="dot").startswith("digraph")
    ElementTree.fromstring(client.lineage("0-899/m1.pkl", format="svg"))  # noqa: S314 - our own server's
    with pytest.raises(QueryRefused, match="no-such"):
        client.lineage("no-such.pkl")


def test_analyses_are_listed_by_facet_and_run(client):
    assert [each["name"] for each in client.analyses(data="execution")] == ["q4"]
    answer = client.analysis("q2", model="0-899/m1.pkl", store="digits")
    assert answer["rows"][0]["image_range"] == "0-899"
    with pytest.raises(QueryRefused, match="model"):
        client.analysis("q2")


def test_lists_go_over_all_pages_and_only_as_far_as_asked(client):
    found = list(client.executions(workflow="many", limit=50))
    assert len(found) == len({each["id"] for each in found}) == 120
    assert [each["execution"] for each in itertools.islice(client.executions(limit=7), 3)] == ["119", "118", "117"]
    assert client.execution("many/007")["iri"].endswith("execution/many/007")
    assert client.execution(found[0]["iri"])["id"] == found[0]["id"]


def test_data_and_values_are_found(client):
    (data,) = client.data("curated.npz")
    assert {state["id"].rpartition("/")[2] for state in data["states"]} == {"s1-old", "s1-new"}
    values = list(client.values(attribute="learning_rate", value=0.1))
    assert values
    assert all(each["value"] == 0.1 for each in values)
