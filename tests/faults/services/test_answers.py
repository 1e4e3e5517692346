"""Answers that are lost, late, wrong or none, on every way between the services: tried again, and nothing comes of it twice."""

from __future__ import annotations

import gzip
import random
import re
import time
from collections.abc import Callable
from email.utils import formatdate
from functools import partial

import pytest

from tests.faults.ledger import Ledger
from tests.faults.proxy import Behaviour, Proxy, Reply, Request, answer, black_hole, dripping, losing_answers, until

from .cluster import RelayedCluster, heal
from .graphs import Truth, executions
from .load import Load

SHARE = 0.3
PATIENCE = 60.0
Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


def test_answers_are_lost_after_the_commit(
    relayed: RelayedCluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random
) -> None:
    row = ledger.row(f"{SHARE:.0%} of answers lost: client, tracker, manager, store")
    posts = lost = 0
    for _ in range(tries(1, 10)):
        relayed.fresh()
        for proxy in relayed.relays:
            proxy.behave(losing_answers(SHARE, chance.randrange(2**32)))
        with Load(relayed.urls, truth.batches) as load:
            load.finish()
            assert until(lambda: relayed.stats()["failed_posts"] >= 2, PATIENCE), relayed.stats()
        for proxy in relayed.relays:
            heal(proxy)
        truth.account(row, load.acknowledged, relayed.settle(), load.answers[0])
        posts, lost = posts + load.posts, lost + load.answers[0]
    assert lost > 0
    row.note = f"{posts} posts, {posts - lost} batches"


def as_if_new(behaviour: Behaviour) -> Behaviour:
    """Gives each post's workflow executions other names: what is posted again is then something new."""

    def behave(proxy: Proxy, request: Request) -> Reply:
        body = gzip.decompress(request.body) if "content-encoding" in request.headers else request.body
        body = re.sub(rb'"wf":"[^"]*', rb"\g<0>-%d" % request.number, body)
        headers = {name: text for name, text in request.headers.items() if not name.startswith("content-")}
        return behaviour(proxy, request._replace(body=body, headers={**headers, "content-length": str(len(body))}))

    return behave


def test_without_identities_lost_answers_would_double_records(
    relayed: RelayedCluster, truth: Truth, ledger: Ledger, chance: random.Random
) -> None:
    """The control: what makes the graph the same is that records have identities."""
    relayed.fresh()
    relayed.front.behave(as_if_new(losing_answers(SHARE, chance.randrange(2**32))))
    with Load(relayed.urls, truth.batches[:80]) as load:
        load.finish()
    once = sum(payload.count(b'"op":"end"') for batch in load.acknowledged for payload in batch.payloads)
    more = len(executions(relayed.settle())) - once
    assert more > 0
    ledger.row("control: answers lost, no identities").note = f"{more} of {once} executions doubled"


def soon() -> str:
    return formatdate(time.time() + 2, usegmt=True)


MISBEHAVIOURS: dict[str, Callable[[], Behaviour]] = {
    "503": lambda: answer(503),
    "429, Retry-After in seconds": lambda: answer(429, {"Retry-After": "1"}),
    "429, Retry-After as a date": lambda: answer(429, {"Retry-After": soon()}),
    "429, Retry-After garbage": lambda: answer(429, {"Retry-After": "soon; -1"}),
    "500": lambda: answer(500),
    "404": lambda: answer(404),
    "an answer of no sense": lambda: answer(299 + 1, {"Location": "nowhere"}, b"\xff"),
    "a byte a second": lambda: dripping(1.0),
    "black hole": lambda: black_hole,
}
AT_THE_STORE = ("500", "a byte a second", "black hole", "404", "503", "429, Retry-After garbage")


def test_a_manager_or_store_misbehaves_for_a_while(
    relayed: RelayedCluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random
) -> None:
    ways = [*(("manager", name) for name in MISBEHAVIOURS), *(("store", name) for name in AT_THE_STORE[: tries(3, 6)])]
    for _ in range(tries(1, 10)):
        relayed.fresh()
        order = chance.sample(ways, len(ways))
        with Load(relayed.urls, truth.batches) as load:
            for number, (service, name) in enumerate(order):
                proxy = relayed.middle if service == "manager" else relayed.back
                before = proxy.counts["requests"]
                proxy.behave(MISBEHAVIOURS[name]())
                share = len(truth.batches) * (number + 1) // (len(order) + 1)
                load.allow(share)
                load.reached(share)  # captures are taken all the same
                met = partial(lambda proxy, before: proxy.counts["requests"] > before, proxy, before)
                assert until(met, PATIENCE), (service, name)
                heal(proxy)
                assert until(relayed.drained, PATIENCE), (service, name, relayed.stats())
            load.finish()
        assert not load.answers
        graph = relayed.settle()
        assert relayed.stats()["dead_letters"] == 0
        truth.account(
            ledger.row(f"manager and store misbehave in {len(ways)} ways"), load.acknowledged, graph, len(order)
        )


def test_services_stop_in_order_while_nobody_answers(relayed: RelayedCluster, truth: Truth, ledger: Ledger) -> None:
    relayed.fresh()
    relayed.back.behave(black_hole)
    half = len(truth.batches) // 2
    before = relayed.back.counts["requests"]
    with Load(relayed.urls, truth.batches) as load:
        load.allow(half)
        load.reached(half)
        assert until(lambda: relayed.back.counts["requests"] > before, PATIENCE)
        stopping = [*relayed.trackers, *relayed.managers]
        for process in stopping:
            process.ask()
        assert [process.exit_code() for process in stopping] == [0, 0], relayed.managers[0].told
        heal(relayed.back)
        relayed.start()
        load.finish()
    truth.account(ledger.row("SIGTERM while the store does not answer"), load.acknowledged, relayed.settle(), 1)
