"""The SPARQL endpoint as real clients use it, and its limits, over a real store."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from SPARQLWrapper import CSV, JSON, JSONLD, N3, POST, POSTDIRECTLY, RDFXML, TSV, TURTLE, XML, SPARQLWrapper
from SPARQLWrapper.SPARQLExceptions import QueryBadFormed

from edge.stores import StoreAddress
from tests.integration.query_graph import GRAPH, HEAD, Served, process

MAX_ROWS = 50
MANY = "".join(f'<urn:many:{n}> <urn:p> "row {n}\\n{{}}[], \\"é\\"" .\n' for n in range(200))
ALL_MANY = "SELECT ?s ?o WHERE { ?s <urn:p> ?o }"


@pytest.fixture(scope="module")
def engine(engine_on_a_store: Callable[..., Any], store_kind: str) -> Iterator[Served]:
    limits = ("--max-rows", str(MAX_ROWS), "--max-bytes", "200000")
    with engine_on_a_store(store_kind, *limits) as running:
        running.load(GRAPH)
        running.load(MANY)
        yield running


@pytest.fixture(scope="module")
def http(engine: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.query_url) as client:
        yield client


def select(http: httpx.Client, query: str, accept: str = "application/json") -> httpx.Response:
    return http.get("/sparql", params={"query": query}, headers={"Accept": accept})


# -- clients ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", POST])
@pytest.mark.parametrize("form", [JSON, XML, CSV, TSV])
def test_sparqlwrapper_reads_solutions(engine, method, form):
    client = SPARQLWrapper(engine.query_url + "/sparql")
    client.setMethod(method)
    client.setReturnFormat(form)
    client.setQuery(HEAD + "SELECT ?name WHERE { ?w a provlake:Workflow ; rdfs:label ?name } ORDER BY ?name")
    found = client.query().convert()
    if form == JSON:
        assert [row["name"]["value"] for row in found["results"]["bindings"]] == ["a/b c", "prepare", "train"]
    else:
        text = found.toxml() if form == XML else found.decode()
        assert "a/b c" in text
        assert "train" in text


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")
@pytest.mark.parametrize("form", [TURTLE, N3, RDFXML, JSONLD])
def test_sparqlwrapper_reads_graphs(engine, form):
    client = SPARQLWrapper(engine.query_url + "/sparql")
    client.setMethod(POST)
    client.setRequestMethod(POSTDIRECTLY)
    client.setReturnFormat(form)
    client.setQuery(HEAD + "CONSTRUCT { ?w rdfs:label ?name } WHERE { ?w a provlake:Workflow ; rdfs:label ?name }")
    answer = client.query()
    assert b"a/b c" in answer.response.read()


def test_sparqlwrapper_tells_a_malformed_query(engine):
    client = SPARQLWrapper(engine.query_url + "/sparql")
    client.setQuery("SELECT WHERE {")
    with pytest.raises(QueryBadFormed):
        client.query()


def test_the_papers_patterns_run(http):
    query = f"""{HEAD}SELECT ?name ?val WHERE {{
      ?training a provml:TrainingExecution .
      ?epoch a provml:TrainingSectionExecution ; prov:wasInformedBy ?training .
      ?ev prov:wasGeneratedBy ?epoch ; a provml:ModelEvaluation ; prov:value ?val ; prov:wasDerivedFrom ?att .
      ?att rdfs:label ?name . ?training a/rdfs:subClassOf* provml:BaseLearningExecution }}"""
    (row,) = select(http, query).json()["results"]["bindings"]
    assert (row["name"]["value"], float(row["val"]["value"])) == ("loss", 0.25)


# -- protocol --------------------------------------------------------------------------------------------------------


def test_the_three_ways_to_ask_give_the_same(http):
    ask = "ASK { ?s ?p ?o }"
    answers = [
        http.get("/sparql", params={"query": ask}),
        http.post("/sparql", data={"query": ask}),
        http.post("/sparql", content=ask, headers={"Content-Type": "application/sparql-query"}),
    ]
    assert [answer.json()["boolean"] for answer in answers] == [True, True, True]


@pytest.mark.parametrize("accept", ["application/sparql-results+xml", "text/csv", "text/tab-separated-values"])
def test_ask_in_other_formats(http, accept):
    answer = select(http, "ASK {}", accept)
    assert answer.headers["content-type"].startswith(accept)
    assert "true" in answer.text


def test_without_a_query_the_service_is_described(http):
    answer = http.get("/sparql")
    assert answer.headers["content-type"].startswith("text/turtle")
    assert "sd:SPARQL11Query" in answer.text


@pytest.mark.parametrize(
    ("method", "options", "status"),
    [
        ("GET", {"params": {"query": "ASK {", "x": "1"}}, 400),
        ("GET", {"params": {"query": "SELECT ?x { ?x ?y }"}}, 400),
        ("GET", {"params": [("query", "ASK {}"), ("query", "ASK {}")]}, 400),
        ("GET", {"params": {"query": "ASK {}", "default-graph-uri": "urn:a"}}, 400),
        ("GET", {"params": {"query": "ASK {}", "named-graph-uri": "urn:a"}}, 400),
        ("GET", {"params": {"query": "ASK {}"}, "headers": {"Accept": "image/png"}}, 406),
        ("GET", {"params": {"update": "DELETE WHERE {?s ?p ?o}"}}, 403),
        ("POST", {"data": {"update": "DELETE WHERE {?s ?p ?o}"}}, 403),
        ("POST", {"data": {"query": "DELETE WHERE {?s ?p ?o}"}}, 403),
        ("POST", {"content": "DELETE WHERE {}", "headers": {"Content-Type": "application/sparql-update"}}, 403),
        ("POST", {"content": "ASK {}", "headers": {"Content-Type": "text/plain"}}, 415),
        ("POST", {"content": b"\xff", "headers": {"Content-Type": "application/sparql-query"}}, 400),
        ("POST", {"data": {}}, 415),
        ("POST", {"content": "a" * 70_000, "headers": {"Content-Type": "application/sparql-query"}}, 413),
        ("POST", {"content": "a" * 700_000, "headers": {"Content-Type": "application/sparql-query"}}, 413),
        ("PUT", {"content": "ASK {}"}, 405),
        ("DELETE", {}, 405),
    ],
)
def test_what_is_no_query_is_refused(http, method, options, status):
    answer = http.request(method, "/sparql", **options)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]


def test_the_stores_own_message_reaches_the_client(http):
    message = select(http, "SELECT ?x WHERE { ?x ?y }").json()["error"]["message"]
    assert "expected" in message or "Encountered" in message


# -- limits ----------------------------------------------------------------------------------------------------------


def test_answers_are_cut_at_the_row_limit_with_a_mark_and_stay_well_formed(http):
    found = {}
    for accept in ("application/json", "application/sparql-results+xml", "text/csv", "text/tab-separated-values"):
        answer = select(http, ALL_MANY, accept)
        assert answer.headers["x-pllib-truncated"] == f"rows={MAX_ROWS}"
        found[accept] = answer.text
    document = json.loads(found["application/json"])
    assert (len(document["results"]["bindings"]), document["truncated"]) == (MAX_ROWS, {"rows": MAX_ROWS})
    tree = ElementTree.fromstring(found["application/sparql-results+xml"])  # noqa: S314 - our own
    assert len(list(tree.iter("{http://www.w3.org/2005/sparql-results#}result"))) == MAX_ROWS
    assert "cut after 50 rows" in found["application/sparql-results+xml"]
    assert len(list(csv.reader(io.StringIO(found["text/csv"], newline="")))) == MAX_ROWS + 1
    assert found["text/tab-separated-values"].count("\n") == MAX_ROWS + 1


@pytest.mark.parametrize(
    "accept", ["application/json", "application/sparql-results+xml", "text/csv", "text/tab-separated-values"]
)
def test_an_answer_of_exactly_the_limit_is_whole(http, engine, accept):
    query = f"{ALL_MANY} LIMIT {MAX_ROWS}"
    answer = select(http, query, accept)
    assert "x-pllib-truncated" not in answer.headers
    direct = httpx.post(
        engine.store.query_url,
        content=query,
        headers={"Content-Type": "application/sparql-query", "Accept": answer.headers["content-type"].split(";")[0]},
    )
    assert answer.content == direct.content


@pytest.mark.parametrize("accept", ["text/turtle", "application/n-triples", "application/ld+json"])
def test_graphs_are_cut_too(http, accept):
    answer = select(http, "CONSTRUCT WHERE { ?s <urn:p> ?o }", accept)
    assert answer.headers["x-pllib-truncated"] == f"rows={MAX_ROWS}"
    assert answer.text.count("urn:many:") == MAX_ROWS


def test_an_answer_of_too_many_bytes_is_refused(http):
    rows = " ".join(f'"{"x" * 3000}"' for _ in range(20))
    answer = select(http, f"SELECT (CONCAT(?a, ?a, ?a, ?a, ?a, ?a) AS ?b) {{ VALUES ?a {{ {rows} }} }}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (413, "too_large")


def test_a_query_takes_no_longer_than_its_limit(engine, free_port):
    url = f"http://127.0.0.1:{free_port()}"
    command = [sys.executable, "-m", "query_engine", "--port", url.rpartition(":")[2], "--timeout", "0.5"]
    slow = f"SELECT (COUNT(*) AS ?n) {{ {' '.join(f'?s{n} ?p{n} ?o{n} .' for n in range(6))} }}"
    with process([*command, "--store-url", engine.store.url, "--store-kind", engine.store.kind], f"{url}/health"):
        answer = httpx.get(f"{url}/sparql", params={"query": slow}, timeout=30)
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "query_timeout")


def test_an_answer_that_the_store_breaks_off_is_no_answer(free_port, require_server):
    store, url = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    store_command = [require_server("oxigraph"), "serve", "--bind", store.removeprefix("http://"), "--timeout-s", "1"]
    command = [sys.executable, "-m", "query_engine", "--port", url.rpartition(":")[2], "--store-url", store]
    values = " ".join(str(n) for n in range(2000))
    endless = " ".join(f"?s{n} ?p{n} ?o{n} ." for n in range(4))
    slow = f"SELECT ?a {{ {{ VALUES ?a {{ {values} }} }} UNION {{ {endless} FILTER(?s0 = ?o3) }} }}"
    with process(store_command, f"{store}/query"), process(command, f"{url}/health"):
        Served(url, StoreAddress(store)).load(MANY)
        for accept in ("text/csv", "application/json"):
            answer = httpx.get(f"{url}/sparql", params={"query": slow}, headers={"Accept": accept}, timeout=60)
            assert answer.json()["error"]["message"] == "the query took longer than the store allows"


# -- the store away --------------------------------------------------------------------------------------------------


def test_without_a_store_everything_says_so(free_port):
    url, store = (f"http://127.0.0.1:{free_port()}" for _ in range(2))
    command = [sys.executable, "-m", "query_engine", "--port", url.rpartition(":")[2], "--store-url", store]
    with process(command, f"{url}/metrics"):
        for path in ("/health", "/v1/executions", "/id/workflow/a", "/sparql?query=ASK%7B%7D"):
            answer = httpx.get(url + path)
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "store_unavailable")


def test_beyond_loopback_only_when_told(free_port):
    command = [sys.executable, "-m", "query_engine", "--host", "0.0.0.0", "--port", str(free_port())]  # noqa: S104
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "--insecure" in done.stderr


def test_guarded_queries_leave_the_store_alive(http):
    for text in ("{" * 2250 + "}" * 2250, "?s?p?o." * 9000, "OPTIONAL{}" * 6000, "{}UNION" * 9000 + "{}"):
        answer = http.post("/sparql", data={"query": f"ASK {{{text}}}"})
        assert answer.json()["error"]["code"] == "bad_query"
    assert select(http, "ASK {}").json()["boolean"] is True
