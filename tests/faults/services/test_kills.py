"""Any service, and all at once, ended at any instant under load: nothing acknowledged is lost, the graph is the same."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.ledger import Ledger

from .cluster import Cluster, Layout, Process
from .early_acknowledgement import DELAY
from .graphs import Truth, visible
from .load import Load
from .strikes import all_at_once, killed, named, runs, stopped, under_load

ALL = os.environ.get("PLLIB_FAULTS") == "all"
EARLY = Path(__file__).with_name("early_acknowledgement.py")
LAYOUTS = {"sqlite": Layout(), "redis": Layout(queue="redis", trackers=2, managers=2)}
EACH = {
    "sqlite": ("tracker", "manager", "store"),
    "redis": ("redis", "tracker", *(("manager", "store") if ALL else ())),
}
TURNS = [(queue, victims) for queue, each in EACH.items() for victims in ([(one,) for one in each] if ALL else [each])]
"""Queues, and services that end in turn during one run."""

Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


@pytest.mark.parametrize(("queue", "victims"), TURNS, ids=lambda one: one if isinstance(one, str) else ",".join(one))
@pytest.mark.parametrize(("how", "few"), [(killed, 2), (stopped, 1)], ids=["killed", "stopped"])
def test_services_end_under_load(
    cluster: Cluster,
    truth: Truth,
    ledger: Ledger,
    tries: Tries,
    chance: random.Random,
    queue: str,
    victims: tuple[str, ...],
    how: Callable[[Process, random.Random], None],
    few: int,
) -> None:
    row = ledger.row(f"{'kill -9' if how is killed else 'SIGTERM'} of {', '.join(victims)} ({queue})")
    for count in runs(tries(few, 50) * len(victims)):
        cluster.fresh(LAYOUTS[queue])
        turn = [victims[number % len(victims)] for number in range(count)]
        with Load(cluster.urls, truth.batches) as load:
            under_load(load, [lambda name=name: how(named(cluster, name, chance), chance) for name in turn], chance)
        truth.account(row, load.acknowledged, cluster.settle(), count)
        assert cluster.stats()["dead_letters"] == 0


@pytest.mark.parametrize("queue", LAYOUTS)
def test_everything_is_killed_at_once(
    cluster: Cluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random, queue: str
) -> None:
    for count in runs(tries(2, 50)):
        cluster.fresh(LAYOUTS[queue])
        with Load(cluster.urls, truth.batches) as load:
            under_load(load, [lambda: all_at_once(cluster, chance)] * count, chance)
        truth.account(ledger.row(f"kill -9 of all at once ({queue})"), load.acknowledged, cluster.settle(), count)


@pytest.mark.parametrize("liar", ["tracker", "manager"])
def test_a_service_that_says_yes_too_soon_is_found_out(
    cluster: Cluster, truth: Truth, ledger: Ledger, chance: random.Random, liar: str
) -> None:
    """The control: were the promise not kept, these kills would show it."""
    cluster.fresh(Layout(wraps={liar: (str(EARLY),)}))
    some = truth.batches[:90]
    with Load(cluster.urls, some) as load:
        under_load(load, [lambda: killed(named(cluster, liar, chance), chance)] * 2, chance)
    time.sleep(2 * DELAY)  # until the tracker has done what it said
    cluster.settle()
    time.sleep(2 * DELAY)  # and the manager
    lost = load.records - visible(load.acknowledged, cluster.graph())
    assert 0 < lost < load.records  # what no kill came after did arrive
    ledger.row(f"control: a {liar} that says yes too soon").note = f"{lost} of {load.records} lost by 2 kills"
