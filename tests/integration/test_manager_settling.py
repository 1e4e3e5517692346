"""What follows from sessions and points, in a real store: the same in any order, from several managers at once, after kills."""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pyshacl import validate
from rdflib import Graph

from manager.ontology import graph as vocabulary
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PROV, PROVLAKE
from tests.faults.proxy import SILENCE, Proxy, Reply, Request
from tests.integration.test_manager_process import Manager, normal, wait_until
from tests.provenance import tracked
from tests.provenance.constraints import check
from tests.provenance.oxigraph import Oxigraph

Json = Any
Ports = Callable[[], int]

SETTLED = [PROV + "startedAtTime", PROV + "endedAtTime", PROV + "value"]
SETTLED += [PROVLAKE + name for name in ("duration", "status", "latest", "lastStep", "lastTime", "minimum", "maximum")]


@pytest.fixture(scope="module")
def store(make_store: Callable[[str, Path], Any], store_kind: str, tmp_path_factory: Any) -> Iterator[Oxigraph]:
    store = make_store(store_kind, tmp_path_factory.mktemp("settling") / "store")
    store.start()
    yield store
    store.end()


@pytest.fixture(scope="module")
def managers(store: Oxigraph, free_port: Ports, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Manager]]:
    """Three of them on one store; each test has executions of its own."""
    folder = tmp_path_factory.mktemp("managers")
    found = [Manager(free_port(), store.url, folder / f"{number}.log", store.store.kind) for number in range(3)]
    for manager in found:
        manager.start()
    wait_until(found[0].usable, "the ontology is in the store")
    yield found
    for manager in found:
        manager.end()


def named(records: Sequence[Json], name: str) -> list[Json]:
    """The same records of another execution."""
    return json.loads(json.dumps(records).replace(tracked.RUN, f"digits/{name}"))  # type: ignore[no-any-return]


def documents(records: Sequence[Json], producer: int) -> list[bytes]:
    """One a record."""
    return [tracked.document([record], producer=f"{producer:032x}") for record in records]


def post(manager: Manager, *parts: bytes) -> Json:
    answer = manager.client.post("/v1/prov-ml", content=tracked.body(*parts))
    assert answer.status_code == 200, answer.text
    return answer.json()


def about(store: Oxigraph, name: str) -> set[str]:
    """What the graph says of an execution and what belongs to it, whatever it is called."""
    return {line.replace(f"/digits/{name}", "/digits/RUN") for line in store.lines() if f"/digits/{name}" in line}


def facts(store: Oxigraph, name: str, of: str = "") -> dict[str, list[str]]:
    """Literals of one resource of an execution, by the last part of their property."""
    found: dict[str, list[str]] = {}
    subject = f"<{DEFAULT_BASE}execution/digits/{name}{of}> "
    for line in store.lines():
        if line.startswith(subject):
            _, predicate, rest = line.split(" ", 2)
            text = rest.removesuffix(" .").rpartition("^^")[0] or rest.removesuffix(" .")
            found.setdefault(predicate.rpartition("#")[2][:-1], []).append(text.strip('"'))
    return found


def assert_one_of_each(lines: set[str]) -> None:
    counts = Counter(tuple(line.split(" ", 2)[:2]) for line in lines)
    several = {key: count for key, count in counts.items() if key[1][1:-1] in SETTLED and count > 1}
    assert not several


def processes(ranks: int = 3) -> list[tuple[int, list[Json]]]:
    return [(rank, tracked.shared_run(rank)) for rank in range(ranks)]


def test_the_same_in_any_order_by_several_managers_at_once(store: Oxigraph, managers: list[Manager]) -> None:
    for rank, records in processes():
        post(managers[0], tracked.document(named(records, "in-order"), producer=f"{rank:032x}"))
    expected = about(store, "in-order")
    assert_one_of_each(expected)
    for seed in range(3):
        name = f"shuffled-{seed}"
        chance = random.Random(seed)
        single = [one for rank, records in processes() for one in documents(named(records, name), rank)] * 2
        chance.shuffle(single)
        groups = []
        while single:
            size = chance.choice((1, 1, 2, 7))
            groups.append((chance.choice(managers), single[:size]))
            single = single[size:]
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(lambda group: post(group[0], *group[1]), groups))
        assert about(store, name) == expected


def test_what_the_execution_and_the_series_say(store: Oxigraph, managers: list[Manager]) -> None:
    for rank, records in processes(2):
        post(managers[0], tracked.document(named(records, "told"), producer=f"{rank:032x}"))
    run = facts(store, "told")
    assert run["startedAtTime"] == ["2023-11-14T22:13:20Z"]
    assert run["endedAtTime"] == ["2023-11-14T22:13:20.00109Z"]
    assert [float(text) for text in run["duration"]] == [0.00109]
    assert (run["status"], run["errorType"], run["errorMessage"]) == (["failed"], ["ValueError"], ["rank 1"])
    training = facts(store, "told", "/training/0")
    assert training["status"] == ["finished"]
    assert "errorType" not in training
    loss = facts(store, "told", "/training/0/loss")
    assert [float(text) for text in loss["value"] + loss["lastStep"]] == [1.125, 5]
    assert [float(text) for text in loss["minimum"] + loss["maximum"]] == [-1, 1.125]
    assert loss["lastTime"] == ["2023-11-14T22:13:20Z"]
    assert len(loss["points"]) == 4


def test_a_shared_execution_holds_to_prov_constraints(store: Oxigraph, managers: list[Manager]) -> None:
    for rank, records in processes(3):
        post(managers[rank], tracked.document(named(records, "valid"), producer=f"{rank:032x}"))
    lines = sorted(about(store, "valid"))
    assert check(lines) == ([], [])
    graph = Graph().parse(data="\n".join(lines), format="nt")
    conforms, _, text = validate(
        graph, shacl_graph=vocabulary("shapes"), ont_graph=vocabulary("ontology"), inference="rdfs"
    )
    assert conforms, text


def test_many_points_of_one_series_from_all_sides(store: Oxigraph, managers: list[Manager]) -> None:
    name, chance = "crowd", random.Random(7)
    chunks = []
    for number in range(90):
        values = [chance.gauss(0, 100) for _ in range(3)]
        more = {"first": 3 * number, "steps": [number % 30, 0, 0], "times": [tracked.T, 0, 0]}
        record = tracked.points(number, f"digits/{name}", "training/0", "loss", values, **more)
        chunks.append((values, number % 30, f"{number % 2:032x}", 3 * number + 2, record))
    expected = max((step, by, last, values[2]) for values, step, by, last, _ in chunks)
    with ThreadPoolExecutor(9) as pool:
        jobs = [tracked.document([record], producer=by) for _, _, by, _, record in chunks]
        list(pool.map(lambda job: post(chance.choice(managers), job), jobs + jobs[::3]))
    found = facts(store, name, "/training/0/loss")
    assert {len(found[key]) for key in ("value", "lastStep", "lastTime", "latest", "minimum", "maximum")} == {1}
    latest = json.loads(found["latest"][0].replace("\\", ""))
    assert (latest["step"], latest["by"], latest["index"], latest["value"]) == expected
    assert float(found["value"][0]) == expected[3]
    every = [value for values, *_ in chunks for value in values]
    assert [float(text) for text in found["minimum"] + found["maximum"]] == [min(every), max(every)]


def test_a_manager_that_is_killed_between_the_commit_and_what_follows(
    store: Oxigraph, managers: list[Manager], free_port: Ports, tmp_path: Path
) -> None:
    bodies = [tracked.document(named(records, "killed"), producer=f"{rank:032x}") for rank, records in processes(2)]
    with Proxy(store.url) as between:
        doomed = Manager(free_port(), between.url, tmp_path / "doomed.log", store.store.kind)
        doomed.start()
        wait_until(doomed.usable, "it has a store")

        def die(proxy: Proxy, request: Request) -> Reply:
            if request.path == "/query" and b"sessionOf" in request.body:
                assert doomed._process is not None
                doomed._process.kill()
                return SILENCE
            return proxy.forward(request)

        between.behave(die)
        with pytest.raises(Exception, match=r".+"):
            post(doomed, *bodies)
        assert doomed._process is not None
        doomed._process.wait(60)
        doomed.client.close()
    half = facts(store, "killed")
    assert half["wasInfluencedBy"], "it was committed"
    assert "startedAtTime" not in half
    assert "value" not in facts(store, "killed", "/training/0/loss")
    post(managers[0], *bodies)
    whole = about(store, "killed")
    assert_one_of_each(whole)
    post(managers[1], *bodies)
    assert about(store, "killed") == whole
    assert facts(store, "killed")["status"] == ["failed"]


@pytest.fixture
def two_readers(store: Oxigraph, free_port: Ports, tmp_path: Path) -> Iterator[Callable[[bytes, bytes], None]]:
    """A function that posts two groups to two managers so that both read the store before either of them changes it."""
    barrier = threading.Barrier(2)

    def together(proxy: Proxy, request: Request) -> Reply:
        if request.path == "/update":
            with suppress(threading.BrokenBarrierError):
                barrier.wait(0.3)
        return proxy.forward(request)

    with Proxy(store.url) as one, Proxy(store.url) as other, ThreadPoolExecutor(2) as pool:
        both = [
            Manager(free_port(), proxy.url, tmp_path / f"{number}.log", store.store.kind)
            for number, proxy in enumerate((one, other))
        ]
        for manager in both:
            manager.start()
        wait_until(both[0].usable, "it has a store")

        def run(first: bytes, second: bytes) -> None:
            barrier.reset()
            one.behave(together)
            other.behave(together)
            list(pool.map(post, both, (first, second)))

        yield run
        for manager in both:
            manager.end()


def test_managers_that_read_the_same_and_write_at_once(
    store: Oxigraph, managers: list[Manager], two_readers: Callable[[bytes, bytes], None]
) -> None:
    """Updates of a store need not see each other: without reading again, there would be two latest values."""
    wf, context = "digits/race", "training/0"
    for step in range(3):
        one = tracked.points(0, wf, context, "loss", [step], steps=[step], **{"as": "evaluation_measure"})
        two = tracked.points(0, wf, context, "loss", [-step], steps=[step])
        two_readers(tracked.document([one], producer="1" * 32), tracked.document([two], producer="2" * 32))
        found = facts(store, "race", "/training/0/loss")
        assert {len(found[key]) for key in ("value", "lastStep", "lastTime", "latest", "minimum", "maximum")} == {1}
        assert [float(found[key][0]) for key in ("value", "minimum", "maximum")] == [-step, -step, step]
    sessions = [
        [
            tracked.begin(0, wf, None, "workflow", at=at, session=name),
            tracked.end(1, wf, None, "workflow", at=at + 9, session=name),
        ]
        for name, at in (("a", 5), ("b", 2))
    ]
    two_readers(*(tracked.document(records, producer=by * 32) for by, records in zip("12", sessions, strict=True)))
    run = facts(store, "race")
    assert (run["startedAtTime"], run["endedAtTime"]) == (
        ["2023-11-14T22:13:20.000002Z"],
        ["2023-11-14T22:13:20.000014Z"],
    )
    assert_one_of_each(about(store, "race"))


def test_a_manager_that_was_slow_does_not_undo_what_came_in_between(
    store: Oxigraph, managers: list[Manager], free_port: Ports, tmp_path: Path
) -> None:
    wf, name = "digits/slow", "slow"
    begun = tracked.begin(0, wf, None, "workflow", session="a"), tracked.end(1, wf, None, "workflow", at=5, session="a")
    early = tracked.document([*begun, tracked.points(2, wf, "training/0", "loss", [7])], producer="1" * 32)
    later = tracked.document(
        [
            tracked.begin(0, wf, None, "workflow", at=3, session="b"),
            tracked.points(1, wf, "training/0", "loss", [8], steps=[9]),
        ],
        producer="2" * 32,
    )
    reached, go_on = threading.Event(), threading.Event()

    def hold(proxy: Proxy, request: Request) -> Reply:
        if request.path == "/update":
            reached.set()
            go_on.wait(60)
        return proxy.forward(request)

    with Proxy(store.url) as between, ThreadPoolExecutor(1) as pool:
        slow = Manager(free_port(), between.url, tmp_path / "slow.log", store.store.kind)
        slow.start()
        wait_until(slow.usable, "it has a store")
        between.behave(hold)
        answer = pool.submit(post, slow, early)
        assert reached.wait(60)
        post(managers[0], later)
        go_on.set()
        answer.result(60)
        slow.end()
    run, loss = facts(store, name), facts(store, name, "/training/0/loss")
    assert "endedAtTime" not in run
    assert "status" not in run
    assert run["startedAtTime"] == ["2023-11-14T22:13:20Z"]
    assert (loss["lastStep"], [float(text) for text in loss["value"] + loss["minimum"]]) == (["9"], [8, 7])
    assert_one_of_each(about(store, name))


def test_a_group_that_comes_again_changes_nothing(store: Oxigraph, managers: list[Manager]) -> None:
    bodies = [tracked.document(named(records, "again"), producer=f"{rank:032x}") for rank, records in processes(2)]
    first = post(managers[0], *bodies)
    once = about(store, "again")
    again = post(managers[0], *bodies)
    assert about(store, "again") == once
    assert again["triples"] < first["triples"], "what follows was there already"


@pytest.mark.parametrize(
    ("values", "latest", "least", "most"),
    [
        (["NaN"], "NaN", None, None),
        (["INF", "-INF"], "-INF", None, None),
        (["NaN", 2], "2", 2.0, 2.0),
        ([1e300, -1e-300, "NaN"], "NaN", -1e-300, 1e300),
        ([0.0, -0.0], "-0", 0.0, 0.0),
        ([2**53, -(2**53)], str(-(2**53)), -(2.0**53), 2.0**53),
    ],
)
def test_values_that_are_no_numbers(
    store: Oxigraph, managers: list[Manager], values: list[Json], latest: str, least: float | None, most: float | None
) -> None:
    name = f"odd-{abs(hash(str(values)))}"
    whole = [tracked.points(0, f"digits/{name}", "training/0", "loss", values)]
    parts = [
        tracked.points(
            n, f"digits/{name}", "training/0", "loss", [value], first=n, steps=[n], times=[tracked.T + 1_000_000 * n]
        )
        for n, value in enumerate(values)
    ]
    for records in (whole, parts, parts[::-1]):
        for one in documents(records, 0):
            post(managers[0], one)
        found = facts(store, name, "/training/0/loss")
        assert [float(text) for text in found["value"]] == pytest.approx([float(latest)], nan_ok=True)
        assert [float(text) for text in found.get("minimum", [])] == [least] * (least is not None)
        assert [float(text) for text in found.get("maximum", [])] == [most] * (most is not None)
        assert_one_of_each(about(store, name))


def test_an_execution_without_sessions_stays_as_it_is(store: Oxigraph, managers: list[Manager]) -> None:
    document = tracked.document(named([*tracked.run(), *tracked.chain(3)], "x"))
    answer = post(managers[0], document)
    expected = set(tracked.lines(document))
    assert answer["triples"] == len(expected)
    assert normal(expected) <= normal(store.lines())


def test_a_process_without_a_session_counts_for_the_begin_alone(store: Oxigraph, managers: list[Manager]) -> None:
    def records(name: str) -> list[bytes]:
        wf = f"digits/{name}"
        plain = [tracked.begin(0, wf, None, "workflow", at=-5), tracked.end(1, wf, None, "workflow", at=999)]
        shared = [
            tracked.begin(0, wf, None, "workflow", at=0, session="s-0", resumes=True),
            tracked.end(
                1, wf, None, "workflow", at=90, session="s-0", status="failed", error={"type": "E", "message": "m\\n"}
            ),
        ]
        return [*documents(plain, 8), *documents(shared, 9)]

    found = []
    for number, order in enumerate(([0, 1, 2, 3], [2, 3, 0, 1], [1, 3, 2, 0], [3, 1, 0, 2])):
        each = records(f"mixed-{number}")
        for index in order:
            post(managers[index % 2], each[index])
        found.append(about(store, f"mixed-{number}"))
    assert found[0] == found[1] == found[2] == found[3]
    run = facts(store, "mixed-0")
    assert run["startedAtTime"] == ["2023-11-14T22:13:19.999995Z"]
    assert run["endedAtTime"] == ["2023-11-14T22:13:20.00009Z"]
    assert (run["status"], run["errorMessage"]) == (["failed"], ["m\\\\n"])
