"""Sessions, series and what is added, from several processes, through the whole stack: one run, valid PROV, in any order."""

from __future__ import annotations

import json
import random

import pytest

from pllib import prov
from pllib.query import Client
from tests.provenance import tracked

RANKS = 3


@pytest.fixture
def redis_lab(stack, redis_server, tmp_path_factory):
    """A lab on a stack of its own whose queue is a Redis server."""
    from tests.end_to_end.conftest import Lab

    with stack(tmp_path_factory.mktemp("redis-stack"), "--queue", redis_server.url) as services:
        found = Lab(services, tmp_path_factory.mktemp("redis-lab"))
        yield found
        found.http.close()


def records(name):
    """Records of each process of a run, by producer."""
    found = {}
    for rank in range(RANKS):
        more = [
            tracked.points(
                50 + n, tracked.RUN, "training/0", "loss", [rank / 7, "NaN"], first=6 + 2 * n, steps=[n, 1], rank=rank
            )
            for n in range(10)
        ]
        own = json.loads(json.dumps([*tracked.shared_run(rank), *more]).replace(tracked.RUN, f"digits/{name}"))
        found[f"{rank + 1:032x}"] = own
    return found


def about(lab, name):
    return {line for line in lab.triples() if f"/digits/{name}" in line}


def test_shuffled_doubled_and_split_records_of_a_shared_run_give_the_same_graph(lab, redis_lab):
    name = f"run-{lab.mark}"
    for producer, own in records(name).items():
        assert lab.post(producer, own).json()["rejected"] == 0
    lab.settle()
    chance = random.Random(11)
    posts = []
    for producer, own in records(name).items():
        mixed = own * 2
        chance.shuffle(mixed)
        while mixed:
            size = chance.choice((1, 2, 5, 9))
            posts.append((producer, mixed[:size]))
            mixed = mixed[size:]
    chance.shuffle(posts)
    for producer, part in posts:
        assert redis_lab.post(producer, part).json()["rejected"] == 0
    redis_lab.settle()
    first = about(lab, name)
    assert len(first) > 100
    assert about(redis_lab, name) == first
    for producer, own in reversed(records(name).items()):
        lab.post(producer, reversed(own))
    lab.settle()
    assert about(lab, name) == first


def test_a_shared_execution_is_valid_prov_with_one_begin_and_one_end(lab):
    name = f"valid-{lab.mark}"
    for producer, own in records(name).items():
        lab.post(producer, own)
    lab.settle()
    client = Client(lab.services.query_url)
    (found,) = [each for each in client.executions() if name in each["id"]]
    document = prov.read(client.prov(found["id"]).encode(), "json")
    assert prov.validate(document) == []
    (run,) = lab.select(
        f"SELECT ?start ?end ?status ?sessions {{ ?x prov:startedAtTime ?start ; prov:endedAtTime ?end ; provlake:status ?status "
        f'FILTER(STRENDS(STR(?x), "execution/digits/{name}")) '
        "{ SELECT ?x (COUNT(?s) AS ?sessions) { ?s provlake:sessionOf ?x } GROUP BY ?x } }"
    )
    assert (run["start"], run["end"]) == ("2023-11-14T22:13:20Z", "2023-11-14T22:13:20.00209Z")
    assert (run["status"], int(run["sessions"])) == ("failed", RANKS)
    rows = lab.select(
        f'SELECT ?v {{ ?s a provml:ModelEvaluation ; prov:value ?v FILTER(CONTAINS(STR(?s), "{name}")) }}'
    )
    assert [row["v"] for row in rows] == ["NaN"]


def test_tasks_lineage_and_agents_count_no_sessions(lab):
    name = f"quiet-{lab.mark}"
    producer = f"{lab.mark}{0:024x}"
    process = {"n": 99, "op": "producer", "t": tracked.T, "m": 0, "host": "node"}
    assert lab.post(producer, [process, *records(name)[f"{1:032x}"]]).json()["rejected"] == 0
    lab.settle()
    client = Client(lab.services.query_url)
    (found,) = [each for each in client.executions() if name in each["id"]]
    tasks = lab.get(f"/v1/executions/{found['id'].removeprefix('execution/')}/tasks").json()
    assert [task["id"] for task in tasks["items"]] == [f"{found['id']}/training/0"]
    assert lab.get(f"/v1/agents/process/{producer}").json()["activities"] == 2  # the run, and training in it
    nodes = lab.lineage(f"{found['id']}/training/0/loss")["nodes"]
    assert any(node["id"].endswith("/loss") for node in nodes)
    assert not [node for node in nodes if "session/" in json.dumps(node)]
