"""What producers say of their records is kept, bounded, and costs no batch anything."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tracker.batches import decode_batch
from tracker.producers import MAX_REASONS, Accounting, Producers, decode

A, B, C = ("a" * 32, "b" * 32, "c" * 32)


def batch(accounting: Any) -> bytes:
    return json.dumps({"version": 1, "producer": A, "records": [], "accounting": accounting}).encode()


def test_the_accounting_of_a_batch() -> None:
    told = {
        "accepted": 10,
        "delivered": 6,
        "refused": 1,
        "waiting": 3,
        "dropped": {"full": 2},
        "mode": "process",
        "new": 1,
    }
    assert decode(decode_batch(batch(told)).accounting) == Accounting(10, 6, 1, 3, {"full": 2}, "process")
    assert decode(decode_batch(batch({})).accounting) == Accounting()


@pytest.mark.parametrize(
    "malformed",
    [
        7,
        "all is well",
        None,
        [],
        {"accepted": -1},
        {"accepted": "many"},
        {"dropped": 3},
        {"dropped": {"full": 1.5}},
        {"mode": 3},
        {"waiting": 2**70},
        {"mode": "x" * 1000},
        {"dropped": {str(number): 1 for number in range(MAX_REASONS + 1)}},
    ],
)
def test_a_malformed_accounting_is_ignored(malformed: Any) -> None:
    found = decode_batch(batch(malformed))
    assert found.producer == A
    assert decode(found.accounting) is None


@pytest.mark.parametrize("text", ['{"accepted": NaN}', '{"mode": "\\ud800"}'])
def test_one_that_is_no_strict_json_is_ignored(text: str) -> None:
    found = decode_batch(batch("HERE").replace(b'"HERE"', text.encode()))
    assert (found.producer, decode(found.accounting)) == (A, None)


def test_what_is_seen_and_what_is_said() -> None:
    now = [100.0]
    known = Producers(clock=lambda: now[0])
    known.saw(B, 3, 9, Accounting(accepted=10, waiting=7))
    now[0] = 105.0
    known.saw(B, 2, 4, None)
    known.saw(A, 1, None, None)
    first, second = known.page(10)
    assert first == {"id": A, "received": 1, "highest_n": None, "last_seen": 105.0, "accounting": None}
    assert second["id"] == B
    assert (second["received"], second["highest_n"], second["last_seen"]) == (5, 9, 105.0)
    assert second["accounting"] == Accounting(accepted=10, waiting=7)
    assert [one["id"] for one in known.page(1)] == [A]
    assert [one["id"] for one in known.page(10, A)] == [B]


def test_a_statement_that_was_overtaken_is_not_taken_for_the_newest() -> None:
    known = Producers()
    known.saw(A, 1, 1, Accounting(accepted=10, delivered=8, waiting=2))
    known.saw(A, 1, 2, Accounting(accepted=10, delivered=5, waiting=5))
    assert known.totals().waiting == 2
    known.saw(A, 1, 3, Accounting(accepted=10, delivered=10))
    assert known.totals().waiting == 0


def test_producers_are_bounded_and_their_losses_are_not_forgotten() -> None:
    known = Producers(limit=2)
    known.saw(A, 1, 1, Accounting(accepted=5, waiting=1, dropped={"full": 3}))
    known.saw(B, 1, 1, Accounting(accepted=5, waiting=1, dropped={"full": 1, "spool": 2}))
    known.saw(A, 1, 1, None)
    known.saw(C, 1, 1, None)
    assert [one["id"] for one in known.page(10)] == [A, C]
    assert known.totals() == (2, 1, {"full": 4, "spool": 2})
    for number in range(100):
        known.saw(f"{number:032x}", 1, 1, Accounting(dropped={f"reason {number}": 1}))
    totals = known.totals()
    assert len(totals.dropped) <= MAX_REASONS + 1
    assert sum(totals.dropped.values()) == 106
