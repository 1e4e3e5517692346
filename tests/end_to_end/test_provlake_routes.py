"""The ProvLake routes with input as clients send it in error: taken with a stated meaning, or refused record by record."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.test_tracker_process import Receiver, Tracker, wait_until

Json = Any

RETROSPECTIVE = "/retrospective-provenance"
PROSPECTIVE = "/prospective-provenance"


@pytest.fixture
def post(lab: Any) -> Callable[..., httpx.Response]:
    """Posts a body, given as bytes or as JSON that Python alone understands."""

    def send(path: str, body: Json, method: str = "POST", **parameters: str) -> httpx.Response:
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return lab.http.request(method, lab.services.tracker_url + path, content=content, params=parameters)

    return send


def task(mark: str, identifier: Json, moment: str = "Generate", values: Json = None, **more: Json) -> Json:
    inner = {"id": identifier, "wf_execution": "r", **more}
    prov_obj = {"task": inner, "dt": "t", "type": moment, "values": values or {}}
    return {"prov_obj": prov_obj, "dataflow_name": f"lake-{mark}", "act_type": "task"}


def values_of(lab: Any) -> dict[str, str]:
    lab.settle()
    rows = lab.select(
        f'SELECT ?name ?v {{ ?t prov:used ?e . ?e prov:value ?v ; prov:wasDerivedFrom/rdfs:label ?name '
        f'FILTER(CONTAINS(STR(?t), "lake-{lab.mark}")) }}'
    )  # fmt: skip
    return {row["name"]: row["v"] for row in rows}


def tasks_of(lab: Any) -> set[str]:
    lab.settle()
    rows = lab.select(f'SELECT ?t {{ ?t provlake:isPartOf ?w FILTER(CONTAINS(STR(?w), "lake-{lab.mark}")) }}')
    return {row["t"].rpartition("/")[2] for row in rows}


def test_bad_records_are_named_and_their_neighbours_arrive(lab: Any, post: Any) -> None:
    mark = lab.mark
    records = [
        task(mark, "first", values={"a": 1}),
        task(mark, None),
        {**task(mark, "x"), "act_type": "dance"},
        task(mark, "late", startTime="yesterday"),
        5,
        task(mark, "odd", values={"n": math.nan, "i": -math.inf, "big": 10**30, "zero": -0.0}, startTime=-0.0),
        task(mark, "long", values={"x" * 5000: 1}),
        task(mark, "last", values={"z": 2}),
    ]
    answer = post(RETROSPECTIVE, records)
    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (3, 5)
    assert [each["index"] for each in told["results"]] == [1, 2, 3, 4, 6]
    assert all(each["status"] == 422 and each["field"] and each["message"] for each in told["results"])
    (shown,) = {finding["code"] for findings in told["error"] for finding in findings}
    assert shown == "E301"
    assert tasks_of(lab) == {"first", "odd", "last"}
    assert values_of(lab) == {"a": "1", "z": "2", "n": "NaN", "i": "-INF", "big": str(10**30), "zero": "-0"}
    kept = lab.http.get(f"{lab.services.tracker_url}/v1/quarantine", params={"limit": 500}).json()["quarantined"]
    assert sum(mark in record["body"] for record in kept) == 4


def test_bytes_that_are_no_utf_8_are_kept_visibly_and_alone(lab: Any, post: Any) -> None:
    good, bad = (json.dumps(task(lab.mark, name, values={name: "BAD"})).encode() for name in ("good", "bad"))
    answer = post(RETROSPECTIVE, b"[" + good + b", " + bad.replace(b'"BAD"', b'"a\xff"') + b"]")
    assert answer.json()["accepted"] == 2
    found = values_of(lab)
    assert found["good"] == "BAD"
    assert json.loads(found["bad"]) == {"type": "builtins.str", "escaped": "a\\udcff"}


def test_ids_that_collide_are_one_execution_and_not_across_transformations(lab: Any, post: Any) -> None:
    first, second = task(lab.mark, 1.5, values={"a": 1}), task(lab.mark, 1.5, values={"b": 2})
    second["prov_obj"]["dt"] = "other"
    assert post(RETROSPECTIVE, [first, first, second]).json()["accepted"] == 3
    lab.settle()
    rows = lab.select(f'SELECT ?t {{ ?t provlake:isPartOf ?w FILTER(CONTAINS(STR(?w), "lake-{lab.mark}")) }}')
    assert {row["t"].split("/r/")[1] for row in rows} == {"t/1.5", "other/1.5"}


def test_one_record_alone_and_digits_without_end(lab: Any, post: Any) -> None:
    body = json.dumps(task(lab.mark, 1, values={"n": "DIGITS"})).replace('"DIGITS"', "9" * 5000).encode()
    assert post(RETROSPECTIVE, body).json()["accepted"] == 1
    assert json.loads(values_of(lab)["n"]) == {"type": "builtins.int", "digits": 5000}
    assert post(RETROSPECTIVE, []).json() == {"accepted": 0, "rejected": 0, "results": [], "error": []}


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "no_json"),
        (b"[] garbage", 400, "no_json"),
        (b'[{"act_type": "task"', 400, "no_json"),
        (b"5", 400, "no_batch"),
        (b'"text"', 400, "no_batch"),
        (b"[" + b"0," * 1_000_001 + b"0]", 413, "too_many_nodes"),
        (b"[" * 200_000, 413, "too_deep"),
    ],
)
def test_what_is_no_array_of_records_is_refused_as_a_whole(post: Any, body: bytes, status: int, code: str) -> None:
    answer = post(RETROSPECTIVE, body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_a_value_that_is_nested_too_deep_is_refused_alone(lab: Any, post: Any) -> None:
    deep: Json = 1
    for _ in range(200):
        deep = [deep]
    answer = post(RETROSPECTIVE, [task(lab.mark, "deep", values={"v": deep}), task(lab.mark, "flat")]).json()
    assert (answer["accepted"], answer["rejected"]) == (1, 1)
    assert "nested deeper" in answer["results"][0]["message"]


PLAN = {"data_transformations": {"t": {"input_datasets": [{"attributes": [{"name": "n", "dtype": "integer"}]}]}}}


def test_validation_is_told_as_the_client_reads_it(lab: Any, post: Any) -> None:
    records = [task(lab.mark, 1, values={"n": "x"}), task(lab.mark, 2, values={"n": 2})]
    told = post(RETROSPECTIVE, records, with_validation="True", db_name="any").json()
    assert [finding["code"] for (finding,) in told["error"]] == ["W101"]
    assert post(PROSPECTIVE, {"dataflow_name": f"lake-{lab.mark}", **PLAN}).status_code == 201
    assert post(RETROSPECTIVE, records).json()["error"] == []
    explained = {"type": "wrong_type", "explanation": "input `n` of `t` is `x` (str), expected integer"}
    told = post(RETROSPECTIVE, records, with_validation="True").json()
    assert told == {"accepted": 2, "rejected": 0, "results": [], "error": [[{"code": "W104", **explained}]]}
    told = post(RETROSPECTIVE, records, with_validation="strict").json()
    assert (told["accepted"], told["rejected"], told["error"]) == (1, 1, [[{"code": "E104", **explained}]])
    assert told["results"] == [{"index": 0, "status": 422, "field": "$.prov_obj", "message": explained["explanation"]}]


def test_prospective_documents_have_versions(lab: Any, post: Any) -> None:
    document = {"dataflow_name": f"lake-{lab.mark}", **PLAN}
    first = post(PROSPECTIVE, document, overwrite="True")
    assert (first.status_code, first.json()["version"], first.json()["error"]) == (201, 1, [])
    assert post(PROSPECTIVE, document, "PUT").status_code == 200
    kept = post(PROSPECTIVE, {**document, "description": "new"}, overwrite="False")
    assert kept.status_code == 406
    assert json.loads(kept.json()["error"])[0][0]["code"] == "E207"
    changed = post("/below/a/prefix" + PROSPECTIVE, {**document, "description": "new"}, "PUT")
    assert (changed.status_code, changed.json()["version"]) == (201, 2)


def test_a_refused_document_says_all_that_is_wrong_in_a_text(post: Any) -> None:
    wrong = {"dataflow_name": "w", "data_transformations": {"a": {"stage": "x", "part_of": "a"}}}
    answer = post(PROSPECTIVE, wrong)
    assert answer.status_code == 406
    # The client replaces apostrophes in the text before it shows it.
    (findings,) = json.loads(answer.json()["error"].replace("'", '"'))
    assert {finding["code"] for finding in findings} == {"E204", "E206"}
    assert post(PROSPECTIVE, b"{").status_code == 400


def test_a_data_store_is_refused_with_the_field(post: Any) -> None:
    answer = post("/provenance/api/data-stores", {"id": "a", "type": "Lustre"})
    assert (answer.status_code, answer.json()["error"]["field"]) == (422, "$.name")


# -- durability


def test_what_was_answered_survives_a_kill(tracker: Tracker, receiver: Receiver) -> None:
    """The manager is down, the tracker is killed; what it answered for arrives when both are there again."""
    store = {"id": "pg", "name": "measurements", "type": "PostgreSQL", "host_address": "db1"}
    for number in range(5):
        done = task("kill", number, "Output", {"y": number}, startTime=1.5, endTime=2.5, status="FINISHED")
        assert tracker.client.post(RETROSPECTIVE, json=[done]).json()["accepted"] == 1
    assert tracker.client.post("/provenance/api/data-stores", json=store).status_code == 201
    assert tracker.client.post(PROSPECTIVE, json={"dataflow_name": "lake-kill", **PLAN}).status_code == 201
    tracker.end(signal.SIGKILL)
    assert not receiver.taken
    tracker.start()
    receiver.start()
    wait_until(lambda: len(receiver.tasks()) == 5, "the tasks arrive")
    assert tracker.client.get("/provenance/api/data-stores/pg").json() == {**store, "hkg_id": "pg"}
    told = tracker.client.post(
        RETROSPECTIVE, params={"with_validation": "True"}, json=[task("kill", 9, values={"n": "x"})]
    )
    assert told.json()["error"][0][0]["code"] == "W104"
    wait_until(lambda: any("stores" in document for document in receiver.taken), "the store arrives")


def test_above_the_high_water_mark_nothing_is_taken(
    tmp_path: Path, free_port: Callable[[], int], receiver: Receiver
) -> None:
    full = Tracker(tmp_path / "data", free_port(), receiver.url, "--max-backlog", "1")
    full.start()
    try:
        first, second = (full.client.post(RETROSPECTIVE, json=[task("full", n)]) for n in (1, 2))
        assert first.status_code == 200
        assert second.status_code == 429
        assert int(second.headers["retry-after"]) > 0
    finally:
        full.end(signal.SIGKILL)
        full.client.close()
