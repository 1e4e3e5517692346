"""REST resources and IRIs of the query engine, over a real store."""

from __future__ import annotations

import json

import httpx
import pytest
from rdflib import Graph

from tests.integration.query_graph import BASE, GRAPH


@pytest.fixture(scope="module")
def turtle() -> str:
    return GRAPH


def items(http: httpx.Client, url: str) -> list[dict]:
    answer = http.get(url)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


def ids(http: httpx.Client, url: str) -> list[str]:
    return [item["id"] for item in items(http, url)]


def test_workflows_are_listed_with_their_executions_and_studies(http):
    found = {item["name"]: item for item in items(http, "/v1/workflows")}
    assert set(found) == {"train", "prepare", "a/b c"}
    assert found["train"]["executions"] == 2
    assert found["train"]["studies"] == ["digits"]
    assert set(found["train"]["types"]) == {"provlake:Workflow", "provml:LearningExperiment"}


def test_a_workflow_shows_its_transformations_and_attributes(http):
    found = http.get("/v1/workflows/train").json()
    fit = next(part for part in found["transformations"] if part["name"] == "fit")
    assert (fit["inputs"], fit["outputs"], fit["executions"]) == (["lr", "set"], ["loss"], 1)
    assert fit["parts"] == ["workflow/train/transformation/epoch"]
    assert {attribute["name"] for attribute in found["attributes"]} == {"lr", "loss", "set"}
    assert found["executions_by_status"] == {"running": 1, "failed": 1}


@pytest.mark.parametrize("path", ["a%2Fb%20c", "a%2fb%20c"])
def test_names_with_slashes_are_found_by_their_encoded_form(http, path):
    assert http.get(f"/v1/workflows/{path}").json()["name"] == "a/b c"


def test_executions_come_newest_first_with_live_counts(http):
    found = items(http, "/v1/executions")
    assert [one["id"] for one in found] == ["execution/train/9f-1", "execution/prepare/p-1", "execution/train/late"]
    running = found[0]
    assert (running["status"], running["ended"], running["duration"]) == ("running", None, None)
    assert running["activities"]["by_status"] == {"running": 1, "finished": 1, "failed": 1}
    assert running["activities"]["by_transformation"] == [
        {"transformation": "epoch", "total": 2, "by_status": {"finished": 1, "failed": 1}},
        {"transformation": "fit", "total": 1, "by_status": {"running": 1}},
    ]
    assert found[1]["duration"] == 5.5
    assert (found[2]["status"], found[2]["started"]) == ("failed", None)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("workflow=prepare", ["execution/prepare/p-1"]),
        ("status=running", ["execution/train/9f-1"]),
        ("status=failed", ["execution/train/late"]),
        ("study=digits&status=finished", ["execution/prepare/p-1"]),
        ("person=ana", ["execution/train/9f-1", "execution/prepare/p-1"]),
        ("from=2026-01-02T00:00:00", ["execution/train/9f-1"]),
        ("to=2026-01-02T02:00:00%2B02:00", ["execution/prepare/p-1"]),
        ("type=LearningProcessExecution", ["execution/train/9f-1"]),
        ("type=provlake:WorkflowExecution&workflow=prepare", ["execution/prepare/p-1"]),
        ("workflow=nobody", []),
        ("counts=false&workflow=prepare", ["execution/prepare/p-1"]),
    ],
)
def test_executions_are_filtered(http, filters, found):
    assert ids(http, f"/v1/executions?{filters}") == found


@pytest.mark.parametrize(
    "path",
    [
        "/v1/executions?counts=false",
        "/v1/executions/train/9f-1/tasks?status=finished&type=TrainingSectionExecution",
        "/v1/executions/train/9f-1/tasks",
        "/v1/values?attribute=loss",
        "/v1/data",
        "/v1/agents",
        "/v1/workflows",
    ],
)
def test_pages_of_one_give_the_same_items(http, path):
    whole, found = ids(http, path), []
    following = f"{path}{'&' if '?' in path else '?'}limit=1"
    while following:
        page = http.get(following).json()
        found += [item["id"] for item in page["items"]]
        following = page["next"]
    assert found == whole


@pytest.mark.parametrize("cursor", ["garbage", "%00", "W10", "WyJhIiwiYiIsImMiXQ", "WyJhIiwiYiJd", "🦉", "A" * 3999])
def test_a_garbage_cursor_is_told(http, cursor):
    answer = http.get("/v1/executions", params={"cursor": cursor})
    assert answer.status_code == 400
    assert answer.json()["error"]["code"] == "bad_cursor"


def test_a_cursor_of_another_list_is_refused(http):
    following = http.get("/v1/executions?limit=1").json()["next"]
    for changed in (following + "&workflow=train", following.replace("/v1/executions", "/v1/workflows")):
        assert http.get(changed).json()["error"]["code"] == "bad_cursor"


def test_an_execution_comes_with_its_tasks(http):
    found = http.get("/v1/executions/train/9f-1").json()
    assert [task["id"] for task in found["tasks"]["items"]] == [
        "execution/train/9f-1/fit/1",
        "execution/train/9f-1/epoch/2",
        "execution/train/9f-1/epoch/3",
    ]
    assert found["tasks"]["next"] is None
    assert found["agents"] == ["agent/process/9f"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("transformation=fit", ["fit/1"]),
        ("parent=fit/1", ["epoch/2", "epoch/3"]),
        ("parent=execution/train/9f-1/fit/1&status=failed", ["epoch/3"]),
        ("status=running", ["fit/1"]),
        ("type=BaseLearningExecution", ["fit/1"]),
    ],
)
def test_tasks_are_filtered(http, filters, found):
    assert ids(http, f"/v1/executions/train/9f-1/tasks?{filters}") == [f"execution/train/9f-1/{id}" for id in found]


def test_a_measured_duration_goes_before_the_difference_of_two_times(http):
    assert http.get("/v1/activities/execution/prepare/p-1/split/7").json()["duration"] == 1.125


def test_an_activity_shows_what_it_used(http):
    found = http.get("/v1/activities/execution/train/9f-1/fit/1").json()
    used = {value["id"]: value for value in found["used"]}
    assert used["value/train/9f-1/lr/d-0.1"]["value"] == 0.1
    assert used["value/train/9f-1/lr/d-0.1"]["datatype"] == "xsd:double"
    assert used["data/scratch/sets%2Ftrain.npz/s1-2f"]["data"] == {
        "store": "scratch",
        "key": "sets/train.npz",
        "path": "/scratch/sets/train.npz",
        "version": "s1-2f",
        "size": 123,
    }


def test_a_failed_activity_tells_why_and_never_has_a_negative_duration(http):
    found = http.get("/v1/activities/execution/train/9f-1/epoch/3").json()
    assert found["error"] == {"type": "ValueError", "message": "<script>alert(1)</script>"}
    assert found["duration"] == 0
    assert found["generated"][0]["value"] == "NaN"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("attribute=loss", ["execution/train/9f-1/epoch/2/loss", "execution/train/9f-1/epoch/3/loss"]),
        ("attribute=loss&value=0.25", ["execution/train/9f-1/epoch/2/loss"]),
        ("attribute=loss&value=25e-2", ["execution/train/9f-1/epoch/2/loss"]),
        ("attribute=loss&value=true", []),
        ("type=ModelEvaluation", ["execution/train/9f-1/epoch/2/loss"]),
        ("execution=train/9f-1&attribute=lr", ["value/train/9f-1/lr/d-0.1"]),
        ("execution=prepare/p-1", ["data/scratch/sets%2Ftrain.npz/s1-2f"]),
        ('attribute=loss"}%20UNION%20{}', []),
    ],
)
def test_values_are_found(http, filters, found):
    assert ids(http, f"/v1/values?{filters}") == found


def test_values_need_a_filter(http):
    assert http.get("/v1/values?value=1").status_code == 400


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ("", ["raw.npz", "sets/train.npz"]),
        ("path=sets/train.npz", ["sets/train.npz"]),
        ("path=/scratch/sets/train.npz", ["sets/train.npz"]),
        ("path=./raw.npz", ["raw.npz"]),
        ("path=/scratch//sets/./train.npz", ["sets/train.npz"]),
        ("store=scratch&prefix=sets/", ["sets/train.npz"]),
        ("store=other", []),
    ],
)
def test_data_is_found_by_path_store_and_prefix(http, filters, found):
    assert [item["data"]["key"] for item in items(http, f"/v1/data?{filters}")] == found


def test_data_shows_who_used_and_generated_each_state(http):
    (state,) = items(http, "/v1/data?path=sets/train.npz")[0]["states"]
    assert state["generated_by"] == ["execution/prepare/p-1/split/7"]
    assert state["used_by"] == ["execution/train/9f-1/fit/1"]
    assert state["names"] == ["train", "set"]


def test_agents(http):
    assert ids(http, "/v1/agents?kind=software") == ["agent/software/numpy/2.3"]
    for path in ("process/9f", "agent/process/9f"):
        found = http.get(f"/v1/agents/{path}").json()
        assert (found["pid"], found["environment"], found["activities"]) == (12, {"SLURM_JOB_ID": "7"}, 1)
        assert (found["acted_for"], found["lost"]) == (["agent/person/ana"], [{"count": 2}])


def test_studies(http):
    (study,) = items(http, "/v1/studies")
    assert (study["workflows"], study["executions"]) == (["workflow/prepare", "workflow/train"], 3)


@pytest.mark.parametrize(
    "path",
    [
        "/v1/workflows/none",
        "/v1/executions/train/none",
        "/v1/executions/train/none/tasks",
        "/v1/activities/execution/train/9f-1/none/1",
        "/v1/activities/workflow/train",
        "/v1/activities/%22",
        "/v1/agents/person/none",
        "/id/nothing/here",
        "/id/execution/train/9f-1%3E",
    ],
)
def test_what_is_unknown_is_404_and_says_what_was_looked_for(http, path):
    answer = http.get(path)
    assert answer.status_code == 404
    looked_for = path.rpartition("/")[2] if "executions" not in path else "train/none"
    assert looked_for in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    "url",
    [
        "/v1/executions?status=odd",
        "/v1/executions?type=%3C",
        "/v1/executions?limit=0",
        "/v1/executions?limit=x",
        "/v1/executions?from=soon",
        "/v1/agents?kind=odd",
        "/nowhere",
    ],
)
def test_every_error_has_the_same_body(http, url):
    answer = http.get(url)
    assert 400 <= answer.status_code < 500
    assert set(answer.json()["error"]) == {"code", "message", "field", "fix"}


def test_every_iri_of_the_graph_resolves_in_every_format(http):
    iris = {str(term) for triple in Graph().parse(data=GRAPH, format="turtle") for term in triple}
    paths = [iri.removeprefix(BASE) for iri in iris if iri.startswith(BASE)]
    assert len(paths) > 20
    for path in paths:
        assert http.get(f"/id/{path}", headers={"Accept": "application/json"}).json()["id"] == path


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph:DeprecationWarning")  # rdflib's own reader of JSON-LD
@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("text/turtle", "turtle"),
        ("application/n-triples", "nt"),
        ("application/ld+json", "json-ld"),
        ("application/rdf+xml", "xml"),
    ],
)
def test_a_resource_comes_as_rdf(http, accept, form):
    answer = http.get("/id/execution/train/9f-1/epoch/3", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith(accept)
    found = Graph().parse(data=answer.content, format=form)
    whole = Graph().parse(data=GRAPH, format="turtle")
    me = f"{BASE}execution/train/9f-1/epoch/3"
    assert set(found) == {triple for triple in whole if me in (str(triple[0]), str(triple[2]))}


def test_a_resource_is_a_page_for_browsers_and_nothing_in_it_is_live(http):
    accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
    answer = http.get("/id/execution/train/9f-1/epoch/3", headers={"Accept": accept})
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script>" not in answer.text
    assert 'href="/id/execution/train/9f-1/fit/1"' in answer.text


def test_a_resource_in_no_format_it_has_is_406(http):
    assert http.get("/id/workflow/train", headers={"Accept": "image/png"}).status_code == 406


def test_openapi_describes_every_route_and_parameter(http):
    paths = http.get("/openapi.json").json()["paths"]
    assert {"/sparql", "/v1/executions", "/v1/data", "/id/{id}"} <= set(paths)
    for path, methods in paths.items():
        for operation in methods.values():
            assert operation["description"], path
    json.dumps(paths)


def test_start_page_health_and_metrics(http):
    assert "SPARQL" in http.get("/").text
    assert http.get("/health").json()["status"] == "ok"
    assert 'pllib_query_requests_total{route="/health",status="200"}' in http.get("/metrics").text


def test_an_unknown_host_is_refused(http):
    answer = http.get("/v1/executions", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "unknown_host")
