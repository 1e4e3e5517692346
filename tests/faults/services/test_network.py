"""A network that is cut again and again, on every way between the services."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from tests.faults.ledger import Ledger
from tests.faults.proxy import Proxy

from .cluster import RelayedCluster
from .graphs import Truth
from .load import Load
from .strikes import under_load

LONGEST_CUT = 0.1
Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


def flap(proxy: Proxy, chance: random.Random) -> None:
    """Breaks the connections, even in the middle of an answer, and refuses new ones for a while."""
    proxy.down()
    time.sleep(chance.uniform(0, LONGEST_CUT))
    proxy.up()


def test_the_network_flaps(
    relayed: RelayedCluster, truth: Truth, ledger: Ledger, tries: Tries, chance: random.Random
) -> None:
    relayed.fresh()
    flaps = tries(10, 100)
    ways = [*relayed.relays] * flaps
    with Load(relayed.urls, truth.batches) as load:
        under_load(load, [lambda way=way: flap(way, chance) for way in ways[:flaps]], chance)
    truth.account(ledger.row("flaps of the network"), load.acknowledged, relayed.settle(), flaps)
    assert relayed.stats()["dead_letters"] == 0


def test_the_network_behind_the_tracker_is_cut(relayed: RelayedCluster, truth: Truth, ledger: Ledger) -> None:
    """Captures are taken while nothing can be delivered, and all of it arrives afterwards."""
    relayed.fresh()
    for way in (relayed.middle, relayed.back):
        way.down()
    with Load(relayed.urls, truth.batches) as load:
        load.finish()
    assert not load.answers
    assert relayed.stats()["queue"]["depth"] == relayed.stats()["appended"]
    for way in (relayed.middle, relayed.back):
        way.up()
    truth.account(ledger.row("no network behind the tracker"), load.acknowledged, relayed.settle(), 1)
