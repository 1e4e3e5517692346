"""Faults at random instants of a load."""

from __future__ import annotations

import random
import signal
import time
from collections.abc import Callable, Iterator, Sequence

from .cluster import Cluster, Process
from .load import Load

STRIKES_A_RUN = 8
LONGEST_PAUSE = 0.1
"""Seconds from a batch's acknowledgement to the instant of the fault, at most: the manager works on it by then."""

Strike = Callable[[], None]


def runs(strikes: int) -> Iterator[int]:
    """How many strikes each run gets: few enough for all of them to meet the load."""
    while strikes > 0:
        yield min(strikes, STRIKES_A_RUN)
        strikes -= STRIKES_A_RUN


def under_load(load: Load, strikes: Sequence[Strike], chance: random.Random) -> None:
    """Strikes at random instants, each in a share of the load that goes on meanwhile; then lets the load finish."""
    for number, strike in enumerate(strikes):
        before, after = (len(load.batches) * step // (len(strikes) + 1) for step in (number, number + 1))
        load.allow(after)
        load.reached(chance.randint(before, after - 1))
        time.sleep(chance.uniform(0, LONGEST_PAUSE))
        strike()
    load.finish()


def named(cluster: Cluster, name: str, chance: random.Random) -> Process:
    """A service of this kind."""
    return chance.choice([process for process in cluster.everything if process.kind == name])


def killed(process: Process, chance: random.Random) -> None:
    """kill -9, perhaps while it starts, and started again."""
    if chance.random() < 0.6:
        process.wait()
    process.end(signal.SIGKILL)
    process.start()


def stopped(process: Process, chance: random.Random) -> None:
    """A clean stop, which is bounded, and started again."""
    code = process.wait().end(signal.SIGTERM)
    # Oxigraph takes no notice of the signal, and its commits do not need it to.
    assert code == (-signal.SIGTERM if process.kind == "store" else 0), process.told
    process.start()


def all_at_once(cluster: Cluster, chance: random.Random) -> None:
    """kill -9 of everything, started in any order, with one killed again while it starts."""
    cluster.end(*_shuffled(cluster.everything, chance))
    for process in _shuffled(cluster.everything, chance):
        process.start()
    time.sleep(chance.uniform(0, 0.5))
    again = chance.choice(cluster.everything)
    again.end(signal.SIGKILL)
    cluster.start()


def _shuffled(everything: Sequence[Process], chance: random.Random) -> list[Process]:
    return chance.sample(list(everything), len(everything))
