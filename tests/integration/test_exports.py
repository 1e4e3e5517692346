"""PROV documents of a real run, out of a real store by a real query engine: valid, and read by the ``prov`` package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import prov.model
import pytest

from pllib import prov as documents
from pllib.provml.iris import DEFAULT_BASE as BASE
from pllib.provml.vocabulary import PREFIXES
from pllib.query import Client, QueryRefused
from query_engine.exports import FORMATS
from tests.integration.query_graph import GRAPH, Served
from tests.unit.lineage.digits import digits

ORACLE = {"prov-json": "json", "provn": "provn", "prov-xml": "xml", "prov-ttl": "rdf", "prov-jsonld": "jsonld"}
PROV = PREFIXES["prov"]


@pytest.fixture(scope="module")
def engine(engine_on_a_store: Callable[..., Any], store_kind: str) -> Iterator[Served]:
    with engine_on_a_store(store_kind) as running:
        for content, form in ((digits().text, "application/n-triples"), (GRAPH, "text/turtle")):
            httpx.post(
                running.store.graph_url, content=content.encode(), headers={"Content-Type": form}
            ).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def client(engine: Served) -> Client:
    return Client(engine.query_url)


def kinds(document: documents.Document) -> dict[str, str]:
    return {each.id: each.kind for each in document.statements if each.kind in ("entity", "activity", "agent")}


def relations(document: documents.Document) -> set[tuple[Any, ...]]:
    return {
        (each.kind, *each.arguments[:2])
        for each in document.statements
        if each.kind not in ("entity", "activity", "agent")
    }


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("execution", ["train/t1", "train/9f-1", "prepare/p-1"])
def test_an_execution_is_one_valid_document_in_every_format(client: Client, execution: str, name: str) -> None:
    document = documents.read(client.prov(execution, name).encode(), name)
    assert documents.validate(document) == []
    same = documents.read(client.prov(execution).encode(), "json")
    assert documents.differences(document, same) == []
    activity = f"{BASE}execution/{execution}"
    assert kinds(document)[activity] == "activity"


@pytest.mark.parametrize("name", ORACLE)
def test_the_prov_package_reads_what_is_exported(client: Client, name: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        options = {"rdf_format": "turtle"} if name == "prov-ttl" else {}
        found = prov.model.ProvDocument.deserialize(
            content=client.prov("train/9f-1", name), format=ORACLE[name], **options
        )
    activities = {str(each.identifier.uri) for each in found.get_records(prov.model.ProvActivity)}
    assert f"{BASE}execution/train/9f-1/fit/1" in activities


def test_what_an_execution_exports_is_what_the_graph_says_of_it(client: Client) -> None:
    document = documents.read(client.prov(f"{BASE}execution/train/9f-1").encode(), "json")
    run, fit, epoch = (f"{BASE}execution/train/9f-1{rest}" for rest in ("", "/fit/1", "/epoch/2"))
    dataset = f"{BASE}data/scratch/sets%2Ftrain.npz"
    assert {
        ("used", fit, f"{BASE}value/train/9f-1/lr/d-0.1"),
        ("used", fit, f"{dataset}/s1-2f"),
        ("wasGeneratedBy", f"{epoch}/loss", epoch),
        ("wasInformedBy", epoch, fit),
        ("specializationOf", f"{dataset}/s1-2f", dataset),
        ("wasAssociatedWith", run, f"{BASE}agent/process/9f"),
        ("actedOnBehalfOf", f"{BASE}agent/process/9f", f"{BASE}agent/person/ana"),
        ("wasInfluencedBy", run, f"{BASE}workflow/train"),
    } <= relations(document)
    said = {each.id: each for each in document.statements}
    assert (PROV + "type", documents.Ref(PROV + "Plan")) in said[f"{BASE}workflow/train"].attributes
    assert (PROV + "label", documents.Literal("train")) in said[f"{BASE}workflow/train"].attributes
    (loss,) = (value for name, value in said[f"{epoch}/loss"].attributes if name == PROV + "value")
    assert isinstance(loss, documents.Literal)
    assert (float(loss.text), loss.datatype) == (0.25, PREFIXES["xsd"] + "double")  # each store has its own text for it
    assert said[fit].arguments == ("2026-01-02T10:00:01Z", None)
    # What is no provenance of a run stays out: the parts of plans, and other runs.
    assert not any("hasInput" in name for each in said.values() for name, _ in each.attributes)
    assert kinds(document).get(f"{BASE}execution/prepare/p-1") is None


@pytest.mark.parametrize("name", FORMATS)
def test_a_lineage_is_a_valid_document_of_its_nodes(client: Client, name: str) -> None:
    graph = client.lineage("0-899/m1.pkl", store="digits")
    text = client.lineage("0-899/m1.pkl", store="digits", format=name)
    text = text if isinstance(text, str) else str(text)
    document = documents.read(text.encode(), name)
    assert documents.validate(document) == []
    found = kinds(document)
    assert {node["iri"] for node in graph["nodes"] if node["kind"] == "activity"} == {
        iri for iri, kind in found.items() if kind == "activity"
    }
    nodes = {node["iri"] for node in graph["nodes"]}
    assert {edge[1:] for edge in relations(document) if edge[0] in ("used", "wasGeneratedBy")} <= {
        (start, end) for start in nodes for end in nodes
    }


def test_by_accept(engine: Served) -> None:
    with httpx.Client(base_url=engine.query_url) as http:
        for name, form in FORMATS.items():
            answer = http.get("/v1/executions/train/9f-1/prov", headers={"Accept": form.media_type})
            assert answer.status_code == 200
            assert answer.headers["content-type"].partition(";")[0] == form.media_type
            documents.read(answer.content, name)
        lineage = {"of": "0-899/m1.pkl", "store": "digits"}
        turtle = http.get("/v1/lineage", params=lineage, headers={"Accept": "text/turtle"})
        assert documents.read(turtle.content, "ttl").statements
        assert "nodes" in http.get("/v1/lineage", params=lineage, headers={"Accept": "application/json"}).json()
        assert http.get("/v1/executions/train/9f-1/prov", headers={"Accept": "image/png"}).status_code == 406


def test_what_is_wrong_is_said(client: Client) -> None:
    with pytest.raises(QueryRefused, match="none of prov-json") as caught:
        client.prov("train/9f-1", "yaml")
    assert (caught.value.status, caught.value.field) == (400, "format")
    with pytest.raises(QueryRefused) as caught:
        client.prov("train/none")
    assert caught.value.status == 404


def test_what_a_format_cannot_hold_is_said(engine: Served, client: Client) -> None:
    triple = f'<{BASE}execution/odd/o1> a <{PREFIXES["provlake"]}WorkflowExecution> ; <{PREFIXES["provlake"]}stdout> "\\u0007" .'
    httpx.post(engine.store.graph_url, content=triple, headers={"Content-Type": "text/turtle"}).raise_for_status()
    with pytest.raises(QueryRefused, match=r"U\+0007") as caught:
        client.prov("odd/o1", "prov-xml")
    assert caught.value.status == 406
    held = documents.read(client.prov("odd/o1", "prov-json").encode(), "json")
    assert (PREFIXES["provlake"] + "stdout", documents.Literal("\a")) in next(iter(held.statements)).attributes
