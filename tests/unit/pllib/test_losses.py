"""Drops by reason, and when and how they are told."""

from __future__ import annotations

import itertools
import json
from typing import Any

from pllib.losses import Losses


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> int:
        return int(self.now * 1e9)


def losses() -> tuple[Losses, Clock]:
    clock = Clock()
    return Losses(clock, clock), clock


def told(found: Losses, numbers: Any = None) -> list[dict[str, Any]]:
    taken: list[bytes] = []
    assert found.tell(numbers or itertools.count(7), taken.extend, going_on=False) is None
    return [json.loads(payload) for payload in taken]


def test_drops_are_told_by_reason_with_count_and_times():
    found, clock = losses()
    found.drop("full")
    clock.now += 2
    found.drop("full", 3)
    found.drop("disk")
    assert found.dropped == {"full": 4, "disk": 1}
    assert found.pending
    assert found.untold() == 5
    first, second = told(found)
    assert first == {
        "n": 7,
        "op": "gap",
        "t": 1002_000_000,
        "m": 1002_000_000_000,
        "count": 4,
        "from": 1000_000_000,
        "to": 1002_000_000,
        "reason": "full",
    }
    assert (second["n"], second["reason"], second["count"]) == (8, "disk", 1)
    assert not found.pending
    assert found.untold() == 0
    assert found.dropped == {"full": 4, "disk": 1}


def test_what_found_no_room_is_told_later_with_what_came_since():
    found, clock = losses()
    found.drop("full")
    assert found.tell(itertools.count(), lambda _: "full", going_on=False) == "full"
    assert found.pending
    clock.now += 1
    found.drop("full")
    assert [gap["count"] for gap in told(found)] == [2]


def test_a_drop_while_telling_is_told_the_next_time_and_not_twice():
    found, _ = losses()
    found.drop("full")

    def put(_: list[bytes]) -> None:
        found.drop("full")

    assert found.tell(itertools.count(), put, going_on=False) is None
    assert found.pending
    assert [gap["count"] for gap in told(found)] == [1]


def test_drops_that_go_on_are_told_at_growing_intervals():
    found, clock = losses()
    at = []
    for _ in range(100):
        if found.drop("full"):
            at.append(clock.now - 1000)
            assert found.tell(itertools.count(), lambda _: None, going_on=True) is None
        clock.now += 0.5
    assert at == [0, 1, 3, 7, 15, 31]
    found.drop("full")
    told(found)
    assert found.drop("full")  # after an end, the first of the next is told at once again


def test_a_record_of_the_clients_own_goes_first():
    found, _ = losses()
    found.drop("full")
    found.owe(b'{"op":"producer"}')
    assert [record["op"] for record in told(found)] == ["producer", "gap"]


def test_a_gap_record_is_one_the_tracker_takes():
    from tracker.records import Gap, decode_record

    found, _ = losses()
    found.drop('odd "reason"', 2)
    taken: list[bytes] = []
    found.tell(itertools.count(), taken.extend, going_on=False)
    record = decode_record(taken[0])
    assert isinstance(record, Gap)
    assert (record.count, record.reason, record.since, record.to) == (2, 'odd "reason"', 1000_000_000, 1000_000_000)
