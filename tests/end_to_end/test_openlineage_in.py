"""OpenLineage events from the wire to the graph: real services, the real client, and events as integrations send them."""

from __future__ import annotations

import gzip
import json
import random
import signal
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import (
    Dataset,
    DatasetEvent,
    InputDataset,
    Job,
    JobEvent,
    OutputDataset,
    Run,
    RunEvent,
    RunState,
)
from openlineage.client.generated import (
    column_lineage_dataset,
    dataset_version_dataset,
    error_message_run,
    parent_run,
    processing_engine_run,
    schema_dataset,
)
from openlineage.client.transport.http import HttpCompression, HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid

from tests import openlineage_events as night
from tests.integration.test_tracker_process import Receiver, Tracker, wait_until

Json = Any

ONE, BATCH = "/api/v1/lineage", "/api/v1/lineage/batch"


@pytest.fixture
def post(lab: Any) -> Callable[..., httpx.Response]:
    def send(path: str, body: Json, **options: Any) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return lab.http.post(lab.services.tracker_url + path, content=content, **options)

    return send


def data_of(lab: Any, place: tuple[str, str]) -> Json:
    """What the query engine says of a dataset, named as in this test's events."""
    store, key = night.marked(list(place), lab.mark)
    (found,) = lab.get("/v1/data", path=key, store=store).json()["items"]
    return found


def jobs_behind(lab: Any, of: str, **parameters: Any) -> set[str]:
    found = lab.lineage(of, **parameters)
    return {node["label"] for node in found["nodes"] if node["kind"] == "activity" and node["depth"] > 0}


def test_a_night_of_airflow_spark_and_dbt_and_a_script_after_it(lab: Any, post: Any) -> None:
    """Sent one by one; then a script reads the table, and its lineage goes back through all of them."""
    events = night.marked(night.night(), lab.mark)
    for event in events:
        answer = post(ONE, event)
        assert (answer.status_code, answer.json()) == (201, {"accepted": 1})
    store, key = night.marked(list(night.TABLE), lab.mark)
    lab.run(f"""
        import pllib
        with pllib.workflow("report MARK") as flow, flow.task("plot") as task:
            task.used(orders=pllib.data("{store}/{key}", version="snapshot-2"))
            task.generated(plot=pllib.data("s3://MARK-plots/orders.png"))
    """)
    lab.settle()
    plot = data_of(lab, ("s3://plots", "orders.png"))
    behind = jobs_behind(lab, plot["id"])
    loader = "spark-prod:orders_loader"
    assert behind == {
        "plot",
        *(f"{loader}.atomic_replace_table_as_select.lake_orders", loader, "airflow:nightly.load_orders", "airflow:nightly"),
    }  # fmt: skip
    raw = data_of(lab, night.RAW)
    ahead = jobs_behind(lab, raw["id"], direction="forward")
    assert {"plot", "dbt:shop.analytics.daily_orders", "dbt:shop.analytics.weekly_orders"} <= ahead
    (failed,) = [
        each
        for each in lab.get("/v1/executions", workflow="dbt:shop.analytics.weekly_orders", status="failed").json()["items"]
        if each["id"].split("/")[-1].startswith(lab.mark)
    ]  # fmt: skip
    assert failed["error"] == {"type": "FAIL", "message": "relation does not exist"}
    assert failed["duration"] == 9.0


def test_any_order_and_repetition_in_batches_is_the_same_graph(other_lab: Any) -> None:
    lab = other_lab
    before = lab.triples()
    answer = lab.http.post(lab.services.tracker_url + BATCH, json=night.marked(night.night(), lab.mark))
    assert answer.json()["summary"]["successful"] == len(night.night())
    lab.settle()
    first = lab.triples() - before
    assert len(first) > 150
    other = "ffff0000"
    shuffled = night.marked([*night.night(), *night.night()], other)
    random.Random(11).shuffle(shuffled)
    for start in range(0, len(shuffled), 7):
        answer = lab.http.post(lab.services.tracker_url + BATCH, json=shuffled[start : start + 7])
        assert answer.json()["status"] == "success"
    lab.settle()
    second = lab.triples() - before - first
    assert {line.replace(other, lab.mark) for line in second} == {line for line in first if lab.mark in line}


def test_the_real_client(lab: Any) -> None:
    """Facets of the client's own classes, gzip, and events of jobs and datasets."""
    config = HttpConfig(url=lab.services.tracker_url, compression=HttpCompression.GZIP)
    client = OpenLineageClient(transport=HttpTransport(config))
    job, run_id, parent_id = Job("app", f"load-{lab.mark}"), str(generate_new_uuid()), str(generate_new_uuid())
    parent = parent_run.ParentRunFacet(
        run=parent_run.Run(parent_id), job=parent_run.Job(namespace="app", name=f"all-{lab.mark}")
    )
    engine = processing_engine_run.ProcessingEngineRunFacet(version="1.2", name="engine")
    error = error_message_run.ErrorMessageRunFacet(message="no space", programmingLanguage="PYTHON")
    fields = [schema_dataset.SchemaDatasetFacetFields(name="id", type="long", description="its number")]
    source = InputDataset(f"pg://{lab.mark}", "in", facets={"schema": schema_dataset.SchemaDatasetFacet(fields=fields)})
    lineage = column_lineage_dataset.ColumnLineageDatasetFacet(
        fields={"id": column_lineage_dataset.Fields(inputFields=[])}
    )
    target = OutputDataset(
        f"pg://{lab.mark}",
        "out",
        facets={"version": dataset_version_dataset.DatasetVersionDatasetFacet("v7"), "columnLineage": lineage},
    )
    times = [f"2026-08-20T00:0{minute}:00+02:00" for minute in range(5)]
    run = Run(run_id, {"parent": parent, "processing_engine": engine})
    sent: list[Any] = [
        RunEvent(eventType=RunState.START, eventTime=times[0], run=run, job=job, inputs=[source]),
        RunEvent(eventType=RunState.RUNNING, eventTime=times[1], run=Run(run_id), job=job),
        RunEvent(eventType=RunState.COMPLETE, eventTime=times[2], run=Run(run_id), job=job, outputs=[target]),
        RunEvent(
            eventType=RunState.ABORT,
            eventTime=times[3],
            run=Run(parent_id, {"errorMessage": error}),
            job=Job("app", f"all-{lab.mark}"),
        ),
        JobEvent(eventTime=times[4], job=job, inputs=[source], outputs=[OutputDataset(target.namespace, "out")]),
        DatasetEvent(eventTime=times[4], dataset=Dataset(f"pg://{lab.mark}", "other")),
    ]
    for event in sent:
        client.emit(event)
    client.close()
    lab.settle()
    identifier = f"app%3Aload-{lab.mark}/{run_id}"
    found = lab.get(f"/v1/executions/{identifier}").json()
    assert (found["status"], found["started"], found["ended"]) == (
        "finished",
        "2026-08-19T22:00:00Z",
        "2026-08-19T22:02:00Z",
    )
    outer = lab.get(f"/v1/executions/app%3Aall-{lab.mark}/{parent_id}").json()
    assert (outer["status"], outer["error"]) == ("failed", {"type": "ABORT", "message": "no space"})
    (state,) = data_of(lab, (f"pg://{lab.mark}", "out"))["states"]
    assert (state["data"]["version"], state["generated_by"]) == ("v7", [f"execution/{identifier}"])
    stores = {each["name"]: each for each in lab.get("/v1/stores").json()["items"]}
    (schema,) = stores[f"pg://{lab.mark}"]["schemas"]
    assert schema["name"] == "in"
    told = lab.get(f"/v1/executions/{identifier}/openlineage").json()["items"]
    assert [each["eventType"] for each in told] == ["START", "RUNNING", "COMPLETE"]
    assert told[2]["outputs"][0]["facets"]["columnLineage"]["fields"] == {"id": {"inputFields": []}}


def test_bad_events_are_named_and_their_neighbours_arrive(lab: Any, post: Any) -> None:
    good = night.marked(night.airflow(), lab.mark)
    wrong = {**good[0], "eventTime": "yesterday"}
    answer = post(BATCH, [good[0], wrong, 5, *good[1:]])
    assert answer.status_code == 200
    told = answer.json()
    assert told["status"] == "partial_success"
    assert told["summary"] == {"received": 6, "successful": 4, "failed": 2, "retriable": 0, "non_retriable": 2}
    assert [(each["index"], each["retriable"]) for each in told["failed_events"]] == [(1, False), (2, False)]
    assert told["failed_events"][0]["reason"].startswith("$.eventTime: ")
    lab.settle()
    rows = lab.select(f'SELECT ?e ?s {{ ?e provlake:status ?s FILTER(CONTAINS(STR(?e), "{lab.mark}")) }}')
    assert [row["s"] for row in rows] == ["finished", "finished"]
    kept = lab.http.get(f"{lab.services.tracker_url}/v1/quarantine", params={"limit": 500}).json()["quarantined"]
    assert [each["field"] for each in kept if lab.mark in each["body"]] == ["$.eventTime"]
    alone = post(ONE, wrong)
    assert alone.status_code == 422
    assert (alone.json()["error"]["code"], alone.json()["error"]["field"]) == ("bad_event", "$.eventTime")
    assert alone.json()["error"]["fix"]


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        (ONE, b"", 400, "no_json"),
        (ONE, b"{", 400, "no_json"),
        (ONE, b" [{}]", 400, "no_event"),
        (ONE, b"5", 400, "no_batch"),
        (BATCH, b'"text"', 400, "no_batch"),
        (BATCH, b"[" * 200_000, 413, "too_deep"),
        (ONE, b'{"a":' * 100 + b"1" + b"}" * 100, 422, "bad_event"),
        (ONE, b'{"a":"' + b"x" * 8_000_001 + b'"}', 413, "too_large"),
    ],
)
def test_what_is_no_event_is_refused(post: Any, path: str, body: bytes, status: int, code: str) -> None:
    answer = post(path, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_batch_may_be_empty_or_compressed(post: Any) -> None:
    assert post(BATCH, []).json()["status"] == "success"
    answer = post(BATCH, gzip.compress(b"[]"), headers={"Content-Encoding": "gzip"})
    assert answer.json()["summary"]["received"] == 0


# -- durability


def test_what_was_answered_survives_a_kill(tracker: Tracker, receiver: Receiver) -> None:
    """The manager is down, the tracker is killed; the events that it answered for arrive when both are there again."""
    for event in night.airflow():
        assert tracker.client.post(ONE, json=event).status_code == 201
    tracker.end(signal.SIGKILL)
    assert not receiver.taken
    tracker.start()
    receiver.start()
    ended = {f"execution/airflow%3A{job[1]}/{run}" for job, run in ((night.DAG_JOB, night.DAG), (night.TASK_JOB, night.TASK))}  # fmt: skip
    wait_until(
        lambda: ended <= {each["id"] for one in receiver.taken for each in one.get("activities", ()) if "ended" in each},
        "the events arrive",
    )  # fmt: skip
