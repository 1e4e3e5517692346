"""Bad input at every door: a clear error with the right status, and nothing lost beside it."""

from __future__ import annotations

import json
import math
import secrets

import pytest


def records(mark: str) -> list[dict]:
    wf = f"bad-{mark}/run"
    base = {"m": 5, "wf": wf}
    return [
        {"n": 0, "op": "begin", "t": 1_700_000_000_000_000, "kind": "workflow", **base},
        {"n": 1, "op": "begin", "t": 1_700_000_000_000_100, "kind": "task", "id": "good/1", "used": {"x": 1}, **base},
        {"n": 2, "op": "begin", "t": "yesterday", "kind": "task", "id": "bad/2", **base},
        {"n": 3, "op": "explode", "t": 1, **base},
        {
            "n": 4,
            "op": "end",
            "t": 1_700_000_000_000_200,
            "kind": "task",
            "id": "orphan/9",
            "status": "finished",
            **base,
        },
        {"n": 5, "op": "begin", "t": 1_700_000_000_000_300, "kind": "task", "id": "no slash", **base},
        {"n": 6, "op": "begin", "t": 1_700_000_000_000_400, "kind": "task", "id": "odd/6", "colour": "unknown", **base},
    ]


def test_bad_records_are_named_and_their_neighbours_arrive(lab):
    answer = lab.post(secrets.token_hex(16), records(lab.mark))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["accepted"], told["rejected"]) == (4, 3)
    assert [(each["index"], each["status"]) for each in told["results"]] == [(2, 422), (3, 422), (5, 422)]
    assert "t" in told["results"][0]["field"]
    assert "id" in told["results"][2]["field"]
    assert all(each["message"] for each in told["results"])
    lab.settle()
    rows = lab.select(f'SELECT DISTINCT ?t {{ ?t provlake:isPartOf ?w FILTER(CONTAINS(STR(?w), "bad-{lab.mark}")) }}')
    assert {row["t"].split("/run/")[1] for row in rows} == {"good/1", "orphan/9", "odd/6"}


def test_an_end_with_no_begin_is_kept_and_completed_when_the_begin_comes(lab):
    producer = secrets.token_hex(16)
    begin, end = (
        {
            "n": n,
            "op": op,
            "t": 1_700_000_000_000_000 + n,
            "m": n,
            "kind": "task",
            "wf": f"late-{lab.mark}/r",
            "id": "t/1",
        }
        for n, op in enumerate(("begin", "end"))
    )
    lab.post(producer, [{**end, "status": "finished", "generated": {"y": 2}}])
    lab.settle()
    query = f'SELECT ?p {{ ?t ?p ?o FILTER(STRENDS(STR(?t), "late-{lab.mark}/r/t/1")) }}'
    before = {row["p"].rpartition("#")[2] for row in lab.select(query)}
    assert {"endedAtTime", "status"} <= before
    assert "startedAtTime" not in before
    lab.post(producer, [begin])
    lab.settle()
    assert "startedAtTime" in {row["p"].rpartition("#")[2] for row in lab.select(query)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"version":1}', 400),
        (b'{"version":7,"producer":"' + b"0" * 32 + b'","records":[]}', 409),
        (b'{"version":1,"producer":"zz","records":[]}', 400),
    ],
)
def test_what_is_no_batch_is_refused_as_a_whole(lab, body, status):
    answer = lab.http.post(f"{lab.services.tracker_url}/v1/captures", content=body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]["message"]
    assert answer.json()["error"]["fix"]


@pytest.mark.parametrize(
    ("path", "parameters", "status", "word"),
    [
        ("/sparql", {"query": "SELECT {"}, 400, ""),
        ("/sparql", {"query": "SELECT * { SERVICE <http://127.0.0.1:1/> { ?s ?p ?o } }"}, 400, "SERVICE"),
        ("/sparql", {"query": "INSERT DATA { <a:a> <a:a> <a:a> }"}, 400, ""),
        ("/sparql", {"query": "{" * 4500}, 400, ""),
        ("/v1/lineage", {"of": "http://not an iri"}, 400, "of"),
        ("/v1/lineage", {"of": "/no/such/file.npz"}, 404, "/no/such/file.npz"),
        ("/v1/lineage", {"of": "execution/none/1/t/2"}, 404, "execution/none/1/t/2"),
        ("/v1/executions", {"cursor": "garbage"}, 400, "cursor"),
        ("/v1/executions", {"limit": "-3"}, 422, "limit"),
        ("/v1/executions/none/none", {}, 404, "none"),
        ("/id/data/none/none", {}, 404, "data/none/none"),
        ("/v1/analyses/none", {}, 404, "none"),
    ],
)
def test_bad_questions_get_a_clear_refusal(lab, path, parameters, status, word):
    answer = lab.get(path, **parameters)
    assert answer.status_code in (status, {400: 403}.get(status, status), {422: 400}.get(status, status)), answer.text
    told = answer.json()["error"]
    assert word in json.dumps(told)
    assert told["message"]
    assert told["fix"]


HOSTILE = [
    '"',
    "'",
    "\\",
    "} ?s ?p ?o {",
    "<x>",
    "\n\r\t",
    "é😀",
    "%2F../..",
    "a b",
    "?x",
    "\\u0022",
    "; DROP",
    "\x00\x01",
    "{{}}",
]


def test_hostile_names_and_values_come_back_exactly(lab):
    names = ", ".join(f"{text!r}: {text!r}" for text in HOSTILE)
    lab.run(
        f"""
        import pllib
        with pllib.workflow("hostile MARK <>") as wf:
            with wf.task("make \\" it", used={{{names}}}) as task:
                task.generated(nan={math.nan!r}, file=pllib.data("we ird/<n>\\"ame", store="st ore>"))
        """.replace("nan=nan", "nan=float('nan')")
    )
    lab.settle()
    rows = lab.select(
        f"SELECT ?n ?v {{ ?t prov:used ?e ; provlake:isPartOf ?w . ?e prov:value ?v ; prov:wasDerivedFrom/rdfs:label ?n "
        f'FILTER(CONTAINS(STR(?w), "{lab.mark}")) }}'
    )
    assert sorted((row["n"], row["v"]) for row in rows) == sorted((text, text) for text in HOSTILE)
    found = lab.get("/v1/data", path='we ird/<n>"ame', store="st ore>").json()["items"]
    assert len(found) == 1
    for text in HOSTILE:
        items = lab.get("/v1/values", attribute=text, value=text).json()["items"]
        assert any(item["value"] == text for item in items), text
