"""Managers keep no state: several of them behind a load balancer make the graph that one makes."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.faults.proxy import Proxy, alternating, relay
from tests.integration.test_manager_process import Manager, wait_until
from tests.integration.test_tracker_process import Tracker
from tests.provenance import tracked
from tests.provenance.oxigraph import Oxigraph

Ports = Callable[[], int]
EXECUTIONS = 60


@pytest.fixture
def make(
    require_server: Callable[[str], str], free_port: Ports, tmp_path: Path
) -> Iterator[Callable[..., tuple[Oxigraph, list[Manager]]]]:
    """Starts a store with so many managers on it; all end with the test."""
    started: list[Any] = []

    def begin(name: str, managers: int) -> tuple[Oxigraph, list[Manager]]:
        store = Oxigraph(require_server("oxigraph"), tmp_path / name, free_port())
        store.start()
        started.append(store)
        found = [Manager(free_port(), store.url, tmp_path / f"{name}-{number}.log") for number in range(managers)]
        for manager in found:
            manager.start()
            started.append(manager)
            wait_until(manager.usable, "the manager has a store")
        return store, found

    yield begin
    for one in reversed(started):
        one.end()


def root(manager: Manager) -> str:
    return str(manager.client.base_url).rstrip("/")


def groups() -> Iterator[list[dict[str, Any]]]:
    """Batches of records of many executions, which chain values of each other."""
    for number in range(EXECUTIONS):
        wf = f"train/{number}"
        previous = {"$": "ref", "id": "fit/0", "name": "loss", "wf": f"train/{number - 1}"} if number else 0.5
        yield [
            tracked.begin(0, wf, None, "workflow"),
            tracked.begin(1, wf, "fit/0", used={"lr": 0.1, "start": previous}),
        ]
        yield [
            tracked.end(2, wf, "fit/0", generated={"loss": 1 / (number + 1), "model": tracked.SET}),
            tracked.end(3, wf, None, "workflow"),
        ]


def test_several_managers_behind_a_balancer_make_the_same_graph_though_one_is_killed(
    make: Callable[..., tuple[Oxigraph, list[Manager]]], tmp_path: Path, free_port: Ports
) -> None:
    alone, (single,) = make("alone", 1)
    shared, pair = make("shared", 2)
    with Proxy(root(pair[0])) as balancer, Proxy(root(pair[1])) as second:
        balancer.behave(alternating(relay, lambda proxy, request: second.forward(request)))
        for name, url in (("one", root(single)), ("two", balancer.url)):
            (tmp_path / name).mkdir()
            tracker = Tracker(tmp_path / name / "data", free_port(), url, "--partitions", "4")
            tracker.start()
            try:
                for number, records in enumerate(groups()):
                    tracker.send(*records, producer=tracked.PRODUCER)
                    if name == "two" and number == EXECUTIONS:
                        kill(pair[1])
                wait_until(tracker.drained, "all is delivered")
                stats = tracker.stats()
                assert stats["dead_letters"] == 0
            finally:
                tracker.end(signal.SIGTERM)
                tracker.client.close()
    assert stats["failed_posts"] > 0  # the balancer went on sending to the one that was killed
    assert balancer.counts["200"] > 2
    assert alone.lines() == shared.lines()


def kill(manager: Manager) -> None:
    process = manager._process
    assert process is not None
    process.kill()
    process.wait()
    manager.client.close()
    manager.end = lambda: 0  # type: ignore[method-assign]  (it has ended)


def test_the_same_group_posted_to_two_managers_at_once_is_harmless(
    make: Callable[..., tuple[Oxigraph, list[Manager]]],
) -> None:
    alone, (single,) = make("alone", 1)
    shared, pair = make("shared", 2)
    body = tracked.body(*(tracked.document(records) for records in groups()))
    assert single.client.post("/v1/prov-ml", content=body).status_code == 200

    def post(manager: Manager) -> None:
        answers.append(manager.client.post("/v1/prov-ml", content=body).json())

    answers: list[Any] = []
    for _ in range(5):
        both = [threading.Thread(target=post, args=(manager,)) for manager in pair]
        for one in both:
            one.start()
        for one in both:
            one.join()
    assert [answer["documents"] for answer in answers] == [2 * EXECUTIONS] * 10
    assert shared.lines() == alone.lines()
