"""Any service, and all at once, ended at any instant under load: nothing acknowledged is lost, the graph is the same."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.ledger import Ledger

from .cluster import Cluster, Layout, Process
from .graphs import Truth
from .load import Load

KILLS_A_RUN = 5
LONGEST_PAUSE = 0.1
"""Seconds from a batch's acknowledgement to the instant of the fault, at most: the manager works on it by then."""

Fault = Callable[[], None]
pytestmark = pytest.mark.timeout(1800)


def runs(kills: int) -> Iterator[int]:
    """How many faults each run gets."""
    while kills > 0:
        yield min(kills, KILLS_A_RUN)
        kills -= KILLS_A_RUN


def under_load(load: Load, faults: int, chance: random.Random, strike: Fault) -> None:
    """Strikes at random instants, each within a share of the load that goes on meanwhile."""
    for number in range(faults):
        before, after = (len(load.batches) * step // (faults + 1) for step in (number, number + 1))
        load.allow(after)
        load.reached(chance.randint(before, after - 1))
        time.sleep(chance.uniform(0, LONGEST_PAUSE))
        strike()
    load.finish()


def one(cluster: Cluster, name: str) -> Process:
    """The service of this name."""
    (found,) = (process for process in cluster.everything if process.service.name.partition("-")[0] == name)
    return found


def killed(process: Process) -> None:
    process.end(signal.SIGKILL)
    process.start()


def stopped(process: Process) -> None:
    """A clean stop, which is bounded."""
    assert process.wait().end(signal.SIGTERM) == 0, process.told
    process.start()


@pytest.mark.parametrize("name", ["tracker", "manager", "store"])
@pytest.mark.parametrize("how", [killed, stopped])
def test_a_service_ends(
    cluster: Cluster,
    truth: Truth,
    ledger: Ledger,
    tries: Callable[[int, int], int],
    chance: random.Random,
    name: str,
    how: Callable[[Process], None],
) -> None:
    for faults in runs(tries(2, 50)):
        cluster.fresh(Layout())
        with Load(cluster.urls, truth.batches) as load:
            under_load(load, faults, chance, lambda: how(one(cluster, name)))
        row = ledger.row(f"{'kill -9' if how is killed else 'SIGTERM'} of {name}")
        truth.account(row, load.acknowledged, cluster.settle(), faults)
        assert cluster.stats()["dead_letters"] == 0
