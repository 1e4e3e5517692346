"""The queue in memory: bounded in records and in bytes, whatever is in it."""

from __future__ import annotations

import threading
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest

from pllib.encoding import payload, weight
from pllib.memory import ITEM_BYTES, MemoryQueue

Make = Callable[[int], tuple[str, dict[str, Any]]]


def head(n: int) -> str:
    return f'{{"n":{n},"op":"end","t":{10**15 + n},"m":{10**13 + n},"kind":"task","wf":"w/{"0" * 32}-1","id":"t/{n}"'


SHAPES: dict[str, Make] = {
    "nothing": lambda n: (head(n), {}),
    "numbers": lambda n: (head(n), {"used": {f"x{k}": n + k / 7 for k in range(10)}}),
    "integers": lambda n: (head(n), {"used": {f"x{k}": 10**6 * n + k for k in range(10)}}),
    "texts": lambda n: (head(n), {"used": {"a": f"{n}" * 50, "b": f"ö{n}" * 50, "c": f"😀{n}" * 50}}),
    "a list": lambda n: (head(n), {"generated": {"x": [n + k / 7 for k in range(100)]}}),
    "structures": lambda n: (head(n), {"generated": {"x": {"$": "json", "v": {str(k): [n + k / 3, f"t{n}"] for k in range(20)}}}}),
    "links": lambda n: (head(n), {"links": {f"t/{n - 1}": [f"x{k}" for k in range(10)]}}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_the_estimate_is_no_less_than_the_memory_that_is_taken(shape):
    make, count = SHAPES[shape], 500
    make(0)
    tracemalloc.start()
    kept = [(ITEM_BYTES + 0, make(n)) for n in range(count)]
    taken, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    told = sum(ITEM_BYTES + weight(*item) for _, item in kept)
    assert taken <= told <= 6 * taken


def queue(max_records: int = 10**6, max_bytes: int = 10**9) -> MemoryQueue:
    return MemoryQueue("0" * 32, max_records, max_bytes, payload)


def test_both_bounds_hold_and_room_comes_back():
    by_records, by_bytes = queue(max_records=10), queue(max_bytes=20_000)
    for found in (by_records, by_bytes):
        while found.offer(("{", {"used": {"x": "y" * 500}})) is None:
            assert found.bytes_held() <= 20_000
        batch = found.take(3, 10**6)
        assert batch is not None
        assert len(batch.payloads) == 3
        taken = found.accepted
        found.done(batch)
        assert found.offer(b"{}") is None
        assert found.accepted == taken + 1
    while (batch := by_bytes.take(100, 10**6)) is not None:
        by_bytes.done(batch)
    assert by_bytes.bytes_held() == by_bytes._flying == 0


def test_what_is_not_done_comes_again():
    found = queue()
    for n in range(5):
        found.offer(b'{"n":%d}' % n)
    first = found.take(2, 10**6)
    assert found.take(2, 10**6) == first
    found.done(first)
    assert found.take(9, 10**6).payloads == [b'{"n":2}', b'{"n":3}', b'{"n":4}']


def test_all_or_none():
    found = queue(max_records=3)
    assert found.offer(b"1", b"2", b"3", b"4") == "full"
    assert (found.accepted, found.ready()) == (0, False)
    assert found.offer(b"1", b"2", b"3") is None
    assert found.offer(b"gap", reserve=True) is None
    assert found.accepted == 4
    found.close()
    assert found.offer(b"5") == found.offer(b"6", b"7", reserve=True) == "closed"


def test_what_cannot_be_encoded_is_no_longer_accepted():
    found = MemoryQueue("0" * 32, 10, 10**6, lambda start, parts: None)
    found.offer(("{", {}))
    assert found.take(9, 10**6) is None
    assert (found.accepted, found.bytes_held()) == (0, 0)


def test_threads_lose_nothing():
    found, taken = queue(), []
    threads = [threading.Thread(target=lambda: [found.offer(b"{}") for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads) or found.ready():
        batch = found.take(100, 10**6)
        if batch is not None:
            taken += batch.payloads
            found.done(batch)
    assert len(taken) == found.accepted == 8000
    assert found.bytes_held() == 0
