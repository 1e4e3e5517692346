"""Clocks that are set, of services and of clients: nothing waits for the clock, nothing is lost, no time is negative."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable
from datetime import datetime
from email.utils import formatdate
from pathlib import Path

import msgspec
import pytest

from pllib.provml.vocabulary import PROV, PROVLAKE
from tests.faults.ledger import Ledger
from tests.faults.proxy import answer, until

from .cluster import Layout, RelayedCluster, heal
from .graphs import Truth, statements, visible
from .load import Load
from .workload import Batch, records

DAY = 86_400
SHIFTED = Path(__file__).with_name("shifted_clock.py")
LIBRARIES = (
    "/usr/lib/*/faketime/libfaketime.so.1",
    "/usr/lib/faketime/libfaketime.so.1",
    "/usr/local/lib/faketime/*.so.1",
)
PATIENCE = 60.0
Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


def library() -> str | None:
    """Path of libfaketime, where it is installed."""
    return next((str(path) for text in LIBRARIES for path in Path("/").glob(text[1:])), None)


def put(file: Path, seconds: int) -> None:
    """Says by how much clocks are ahead, so that nobody reads half of it."""
    draft = file.with_suffix(".draft")
    draft.write_text(f"{seconds:+d}", encoding="ascii")
    draft.replace(file)


def replaced(file: Path) -> Layout:
    """Tracker and manager whose clocks are ahead by the seconds in a file."""
    wrap = (str(SHIFTED), str(file))
    return Layout(wraps={"tracker": wrap, "manager": wrap})


def preloaded(file: Path) -> Layout:
    """The same by libfaketime, under which the tracker is many times slower."""
    preload = library()
    if preload is None:
        pytest.skip("libfaketime is not installed")
    environment = {"LD_PRELOAD": preload, "FAKETIME_TIMESTAMP_FILE": str(file), "FAKETIME_NO_CACHE": "1"}
    environment |= {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}
    return Layout(environment={"tracker": environment, "manager": environment})


WAYS = [pytest.param(replaced, 16, id="replaced")]
if os.environ.get("PLLIB_FAULTS") == "all":
    WAYS.append(pytest.param(preloaded, 2, id="libfaketime"))


@pytest.mark.parametrize(("by", "rounds"), WAYS)
def test_the_clocks_of_tracker_and_manager_are_set(
    relayed: RelayedCluster,
    truth: Truth,
    ledger: Ledger,
    tries: Tries,
    chance: random.Random,
    tmp_path: Path,
    by: Callable[[Path], Layout],
    rounds: int,
) -> None:
    clock = tmp_path / "ahead"
    put(clock, 0)
    steps = [step * DAY for step in (1, -1, 0)] * tries(1, rounds)
    relayed.fresh(by(clock))
    with Load(relayed.urls, truth.batches) as load:
        for number, step in enumerate(steps):
            share = len(truth.batches) * (number + 1) // (len(steps) + 1)
            load.allow(share)
            load.reached(share - chance.randrange(1, 5))
            put(clock, step)
            assert relayed.stats()["queue"]["oldest_seconds"] >= 0
            # By the clock of who asks for it this wait is short, whatever the tracker's says.
            told = {"Date": formatdate(usegmt=True), "Retry-After": formatdate(time.time() + 1, usegmt=True)}
            relayed.middle.behave(answer(429, told))
            before = relayed.middle.counts["429"]
            load.reached(share)
            until(lambda before=before: relayed.middle.counts["429"] > before or relayed.drained(), PATIENCE)
            heal(relayed.middle)
            assert until(relayed.drained, PATIENCE), (step, relayed.stats())
        load.finish()
    row = ledger.row(f"clock steps of a day, tracker and manager ({by.__name__})")
    truth.account(row, load.acknowledged, relayed.settle(), len(steps))


def skewed(batch: Batch, days: int) -> Batch:
    """The records of a client whose clock is days ahead."""
    moved = [{**record, "t": record["t"] + days * DAY * 1_000_000} for record in records(batch)]
    return Batch(batch.producer, [msgspec.json.encode(record) for record in moved])


def test_the_clocks_of_clients_are_wrong(relayed: RelayedCluster, truth: Truth, ledger: Ledger) -> None:
    producers = sorted({batch.producer for batch in truth.batches})
    days = {producer: number - 1 for number, producer in enumerate(producers)}  # -1, 0, 1, 2
    batches = [skewed(batch, days[batch.producer]) for batch in truth.batches]
    relayed.fresh()
    with Load(relayed.urls, batches) as load:
        load.finish()
    graph = statements(relayed.settle())
    row = ledger.row("clients a day behind or ahead")
    row.tries += len(producers)
    row.accepted += load.records
    row.delivered += visible(load.acknowledged, graph)
    assert row.lost == 0
    assert without_times(graph) == without_times(truth.graph)
    assert min(durations(graph)) >= 0
    began, ended = times("startedAtTime", graph), times("endedAtTime", graph)
    assert {a: (began[a], at) for a, at in ended.items() if a in began and began[a] > at} == {}


def without_times(graph: set[str]) -> set[str]:
    return {line for line in graph if f"<{PROV}startedAtTime>" not in line and f"<{PROV}endedAtTime>" not in line}


def times(name: str, graph: set[str]) -> dict[str, datetime]:
    """Activities and their times."""
    parts = [line.split(" ", 2) for line in graph if f"<{PROV}{name}>" in line]
    return {subject: datetime.fromisoformat(value.split('"')[1]) for subject, _, value in parts}


def durations(graph: set[str]) -> list[float]:
    found = [re.search(r'"([^"]*)"', line) for line in graph if f"<{PROVLAKE}duration>" in line]
    return [float(match[1]) for match in found if match]
