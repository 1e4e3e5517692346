"""What a real script captured, as OpenLineage events: of the form, sent by the command line, and the same lineage where they arrive."""

from __future__ import annotations

import http.server
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openlineage.client.generated as generated
import pytest
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState

from pllib.errors import ConfigurationError, TransportError
from pllib.openlineage_commands import Backend
from pllib.query import Client, QueryRefused
from tests import openlineage_events as night

Json = Any

ROOT = Path(__file__).parents[2]
SCRIPT = """
import pllib
from pathlib import Path

pllib.store("MARK", root=".")
Path("raw.csv").write_text("1")
with pllib.workflow("prepare MARK") as flow:
    code = pllib.data("clean.py", store="git:git.example.org/lab/code", version="1f2e", meaning="implementation")
    with flow.task("clean", used={"raw": pllib.data("raw.csv", store="MARK"), "limit": 3, "code": code}) as task:
        Path("clean.csv").write_text("2")
        task.generated(data=pllib.data("clean.csv", store="MARK"), rows=7)
    with flow.task("upload", used={"data": pllib.data("clean.csv", store="MARK")}) as task:
        task.generated(copy=pllib.data("s3://MARK/ä b/clean.csv"))
with pllib.workflow("train MARK") as flow:
    for lr in (0.1, 0.2):
        with flow.task("fit", used={"data": pllib.data("clean.csv", store="MARK"), "lr": lr, "note": 'ä "quoted"'}) as task:
            Path(f"model-{lr}.pkl").write_text(str(lr))
            task.generated(model=pllib.model(f"model-{lr}.pkl", store="MARK"), loss=0.25)
    with flow.task("fetch", used={"copy": pllib.data("s3://MARK/ä b/clean.csv")}) as task:
        task.generated(local=pllib.data("local.csv", store="MARK"))
    try:
        with flow.task("check", used={"model": pllib.data("model-0.1.pkl", store="MARK")}):
            raise ValueError("<no> & no")
    except ValueError:
        pass
"""


@pytest.fixture
def client(lab: Any) -> Client:
    lab.run(SCRIPT)
    lab.settle()
    return Client(lab.services.query_url)


@pytest.fixture
def runs(client: Client, lab: Any) -> list[str]:
    """Ids of the executions of the workflows, in order of time."""
    found = [each["id"].removeprefix("execution/") for each in client.executions() if lab.mark in each["workflow"]]
    assert len(found) == 2
    return sorted(found)


def pllib(lab: Any, *arguments: str) -> subprocess.CompletedProcess[str]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PLLIB_QUERY_URL": lab.services.query_url}
    command = [sys.executable, "-m", "pllib", "openlineage", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=lab.folder, env=environ)


# -- their form


def _classes() -> dict[str, Any]:
    """Facet classes of the real client, by the URL of their schema."""
    found = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for each in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(each, type) and each.__name__.endswith("Facet") and hasattr(each, "_get_schema"):
                found[each._get_schema()] = each
    return found


def parsed(event: Json) -> RunEvent:
    """An event in the classes of the real client, which take no field that OpenLineage has not."""
    classes = _classes()

    def facets(given: Json) -> Json:
        for facet in given.values():
            fields = {name: value for name, value in facet.items() if not name.startswith("_")}
            classes[facet["_schemaURL"]](**fields, producer=facet["_producer"])
        return given

    def datasets(kind: Any, name: str) -> list[Any]:
        return [
            kind(each["namespace"], each["name"], facets(each.get(name, {})), facets=facets(each["facets"]))
            for each in event[f"{name.removesuffix('Facets')}s"]
        ]

    found = RunEvent(
        eventType=RunState[event["eventType"]],
        eventTime=event["eventTime"],
        run=Run(event["run"]["runId"], facets(event["run"]["facets"])),
        job=Job(event["job"]["namespace"], event["job"]["name"], facets(event["job"]["facets"])),
        inputs=datasets(InputDataset, "inputFacets"),
        outputs=datasets(OutputDataset, "outputFacets"),
        producer=event["producer"],
    )
    assert found.schemaURL == event["schemaURL"]
    return found


def test_events_are_of_the_form_and_say_what_happened(client: Client, runs: list[str], lab: Any) -> None:
    prepare, train = ([*map(parsed, client.openlineage(each))] for each in runs)
    mark = lab.mark
    told = [(each.eventType.name, each.job.name) for each in train]
    assert told[0] == ("START", f"train {mark}")
    assert told[-1] == ("COMPLETE", f"train {mark}")
    assert told.count(("COMPLETE", f"train {mark}.fit")) == 2
    (failed,) = [each for each in train if each.eventType is RunState.FAIL]
    assert failed.run.facets["errorMessage"]["message"] == "ValueError: <no> & no"
    assert [(each.namespace, each.name) for each in failed.inputs] == [(mark, "model-0.1.pkl")]
    whole = train[0].run.runId
    for each in train[1:-1]:
        assert each.run.facets["parent"]["run"]["runId"] == whole
        assert each.run.facets["parent"]["job"] == {"namespace": "pllib", "name": f"train {mark}"}
    fit = next(each for each in train if each.job.name.endswith(".fit") and each.eventType is RunState.COMPLETE)
    parameters = {each["key"]: each["value"] for each in fit.run.facets["executionParameters"]["parameters"]}
    assert (parameters["lr"], parameters["note"]) == ("0.1", 'ä "quoted"')
    (model,) = fit.outputs
    assert model.outputFacets["outputStatistics"]["size"] == 3
    assert model.facets["version"]["datasetVersion"].startswith("s1-3-")
    clean, upload = (
        next(each for each in prepare if each.job.name.endswith(name) and each.eventType is RunState.COMPLETE)
        for name in (".clean", ".upload")
    )
    location = clean.job.facets["sourceCodeLocation"]
    assert (location["repoUrl"], location["path"], location["version"]) == (
        "https://git.example.org/lab/code",
        "clean.py",
        "1f2e",
    )
    assert [each.name for each in clean.inputs] == ["raw.csv"]
    assert [(each.namespace, each.name) for each in upload.outputs] == [(f"s3://{mark}", "ä b/clean.csv")]
    assert upload.outputs[0].facets["dataSource"]["uri"] == f"s3://{mark}"


def test_a_run_that_is_nested_in_another_has_it_as_parent(lab: Any) -> None:
    outer = {"op": "begin", "kind": "workflow", "wf": f"outer-{lab.mark}/1", "n": 0, "t": 10**15, "m": 0}
    inner = {**outer, "n": 1, "wf": f"inner-{lab.mark}/1", "within": {"wf": outer["wf"]}}
    assert lab.post(uuid.uuid4().hex, [outer, inner]).json()["accepted"] == 2
    lab.settle()
    ((around,), (event,)) = ([*Client(lab.services.query_url).openlineage(each["wf"])] for each in (outer, inner))
    facet = parsed(event).run.facets["parent"]
    assert facet["run"] == facet["root"]["run"] == {"runId": around["run"]["runId"]}
    assert facet["job"] == {"namespace": "pllib", "name": f"outer-{lab.mark}"}


def test_pages_are_the_whole(client: Client, runs: list[str], lab: Any) -> None:
    whole = [*client.openlineage(runs[1])]
    path, pages = f"/v1/executions/{runs[1]}/openlineage?limit=1", []
    while path:
        page = lab.http.get(lab.services.query_url + path).json()
        assert len(page["items"]) <= 4
        pages += page["items"]
        path = page["next"]
    assert pages == whole
    assert [*client.openlineage(runs[1])] == whole  # the same runs, each time
    assert {each["job"]["namespace"] for each in client.openlineage(runs[1], namespace="lab")} == {"lab"}
    with pytest.raises(QueryRefused, match="no workflow execution"):
        next(client.openlineage("no/such"))


def test_what_came_as_openlineage_goes_as_it_came(lab: Any) -> None:
    events = night.marked(night.spark(), lab.mark)
    answer = lab.http.post(f"{lab.services.tracker_url}/api/v1/lineage/batch", json=events)
    assert answer.json()["status"] == "success"
    lab.settle()
    run = night.marked(night.QUERY, lab.mark)
    identifier = f"spark-prod%3A{night.QUERY_JOB[1]}/{run}"
    expected = [each for each in events if each["run"]["runId"] == run]
    assert [*Client(lab.services.query_url).openlineage(identifier)] == expected
    path, pages = f"/v1/executions/{identifier}/openlineage?limit=1", []
    while path:
        page = lab.http.get(lab.services.query_url + path).json()
        pages += page["items"]
        path = page["next"]
    assert pages == expected


# -- to another store


def links(lab: Any) -> set[tuple[str, str]]:
    """Which data, in which state, came of which in one step."""
    rows = lab.select(
        "SELECT ?from ?to { ?a prov:used ?from . ?to prov:wasGeneratedBy ?a . "
        "?from a provlake:DataReference . ?to a provlake:DataReference }"
    )
    return {(row["from"].partition("/id/")[2], row["to"].partition("/id/")[2]) for row in rows}


def test_events_sent_to_an_empty_store_are_the_same_lineage(runs: list[str], lab: Any, other_lab: Any) -> None:
    for _ in range(2):  # sent twice they say the same
        for each in runs:
            done = pllib(lab, "emit", each, "--to", other_lab.services.tracker_url)
            assert done.returncode == 0, done.stderr
            assert "events to http://127.0.0.1:" in done.stdout
        other_lab.settle()
        here = {pair for pair in links(lab) if lab.mark in "".join(pair)}
        assert len(here) >= 5
        assert links(other_lab) == here
    reference = f"data/{lab.mark}/local.csv"
    jobs = []
    for each in (lab, other_lab):
        found = each.lineage(reference)
        jobs.append({node["label"] for node in found["nodes"] if node["kind"] == "activity"})
        assert found["ambiguous"] == []
    assert jobs[0] == {"fetch", "upload", "clean"}
    assert {name.rpartition(".")[2] for name in jobs[1]} >= jobs[0]


def test_export_writes_a_file_and_leaves_what_was_there_when_it_fails(
    client: Client, runs: list[str], lab: Any
) -> None:
    file = lab.folder / "run.json"
    assert pllib(lab, "export", runs[0], "-o", str(file)).returncode == 0
    assert json.loads(file.read_text(encoding="utf-8")) == [*client.openlineage(runs[0])]
    assert json.loads(pllib(lab, "export", runs[0]).stdout) == json.loads(file.read_text(encoding="utf-8"))
    failed = pllib(lab, "export", "no/such", "-o", str(file))
    assert failed.returncode == 1
    assert "no workflow execution" in failed.stderr
    assert len(json.loads(file.read_text(encoding="utf-8"))) > 4
    assert [each.name for each in lab.folder.iterdir() if "part" in each.name] == []


class Marquez:
    """A backend that answers as it is told to, and keeps what it was sent."""

    def __init__(self, answers: list[tuple[int, dict[str, str]]]) -> None:
        self.requests: list[tuple[str, dict[str, str], Json]] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.requests.append((self.path, dict(self.headers), body))
                status, headers = answers.pop(0) if answers else (201, {})
                self.send_response(status)
                for name, value in {**headers, "Content-Length": "0"}.items():
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def marquez() -> Iterator[Any]:
    made: list[Marquez] = []

    def start(*answers: tuple[int, dict[str, str]]) -> Marquez:
        made.append(Marquez([*answers]))
        return made[-1]

    yield start
    for each in made:
        each.close()


def test_a_key_goes_in_a_header_and_nowhere_else(runs: list[str], lab: Any, marquez: Any) -> None:
    backend, key = marquez(), uuid.uuid4().hex
    file = lab.folder / "key"
    file.write_text(key + "\n")
    done = pllib(lab, "emit", runs[0], "--to", backend.url, "--api-key-file", str(file))
    assert done.returncode == 0, done.stderr
    assert {(path, headers["Authorization"]) for path, headers, _ in backend.requests} == {
        ("/api/v1/lineage", f"Bearer {key}")
    }
    assert [body for _, _, body in backend.requests] == [*Client(lab.services.query_url).openlineage(runs[0])]
    assert key not in done.stdout + done.stderr
    refused = marquez((401, {}))
    done = pllib(lab, "emit", runs[0], "--to", refused.url, "--api-key-file", str(file))
    assert done.returncode == 1
    assert "401" in done.stderr
    assert key not in done.stdout + done.stderr
    file.write_text("two words")
    assert pllib(lab, "emit", runs[0], "--to", refused.url, "--api-key-file", str(file)).returncode == 2


def test_a_backend_that_asks_for_patience_gets_it_and_one_that_refuses_does_not(marquez: Any) -> None:
    waits: list[float] = []
    busy = marquez((503, {"Retry-After": "7"}), (429, {}), (201, {}))
    backend = Backend(busy.url + "/else/where?x=1", None, 10, sleep=waits.append)
    backend.send({"n": 1})
    backend.close()
    assert waits == [7.0, 2.0]
    assert [path for path, _, _ in busy.requests] == ["/else/where?x=1"] * 3
    for answers, count in (([(422, {})], 1), ([(302, {"Location": busy.url})], 1), ([(503, {})] * 20, 6)):
        refusing = marquez(*answers)
        backend = Backend(refusing.url, None, 10, sleep=waits.append)
        with pytest.raises(TransportError, match=str(answers[0][0])):
            backend.send({})
        backend.close()
        assert len(refusing.requests) == count
    assert max(waits) <= 30


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "http://", "http://u:p@a", "http://u:p@a:x", "http://a:b", "http://a\r\nX: y", "http://é"]
)
def test_an_address_that_is_none_or_holds_a_password_is_refused(url: str) -> None:
    with pytest.raises(ConfigurationError, match="--to") as refusal:
        Backend(url, None, 1)
    assert "u:p" not in str(refusal.value)
