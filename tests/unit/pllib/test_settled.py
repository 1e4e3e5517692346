"""What follows from sessions and from points: the rules, case by case, and that the order does not matter."""

from __future__ import annotations

import json
import math
from itertools import permutations
from typing import List, Optional

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pllib.provml.settled import Extent, Latest, Outcome, Session, extent, merged, outcome

DONE, FAILED = "finished", "failed"


def session(
    name: str, start: Optional[int], end: Optional[int] = None, status: Optional[str] = None, **more: object
) -> Session:
    return Session(name, start, end, status or (DONE if end is not None else None), **more)  # type: ignore[arg-type]


def again(
    name: str, start: int, end: Optional[int] = None, status: Optional[str] = None, rank: Optional[int] = None
) -> Session:
    return session(name, start, end, status, resumes=True, rank=rank)


S = 1_000_000
CASES = {
    "one": ([session("a", 1 * S, 3 * S)], Outcome(1 * S, 3 * S, 2.0, DONE)),
    "nothing known": ([], Outcome()),
    "running": ([session("a", 5)], Outcome(5)),
    "one of two has ended": ([session("a", 5, 9), session("b", 7)], Outcome(5)),
    "both have ended": ([session("a", 5, 9), session("b", 3, 8)], Outcome(3, 9, 6e-06, DONE)),
    "one failed while the other runs": (
        [session("a", 5, 9, FAILED), session("b", 7)],
        Outcome(5, None, None, FAILED, "a"),
    ),
    "the first to fail has the error": (
        [session("a", 1, 9, FAILED), session("b", 2, 8, FAILED), session("c", 0, 20)],
        Outcome(0, 20, 2e-05, FAILED, "b"),
    ),
    "only the end is known": ([session("a", None, 9)], Outcome(None, 9, None, DONE)),
    "killed, then resumed": ([session("a", 1), again("b", 10, 15)], Outcome(1, 15, 1.4e-05, DONE)),
    "failed, then resumed": ([session("a", 1, 5, FAILED), again("b", 10, 15)], Outcome(1, 15, 1.4e-05, DONE)),
    "finished, then resumed and running": ([session("a", 1, 5), again("b", 10)], Outcome(1)),
    "finished, then resumed and failed": (
        [session("a", 1, 5), again("b", 10, 12, FAILED)],
        Outcome(1, 12, 1.1e-05, FAILED, "b"),
    ),
    "resumed twice, once in vain": (
        [session("a", 1), again("b", 10, 12, FAILED), again("c", 20, 30)],
        Outcome(1, 30, 2.9e-05, DONE),
    ),
    "killed twice": ([session("a", 1), again("b", 10), again("c", 20, 30)], Outcome(1, 30, 2.9e-05, DONE)),
    "ranks resume together, one fails": (
        [
            session("a", 1, rank=0),
            session("b", 1, rank=1),
            again("c", 10, 30, FAILED, rank=0),
            again("d", 11, 20, rank=1),
        ],
        Outcome(1, 30, 2.9e-05, FAILED, "c"),
    ),
    "ranks resume twice": (
        [
            again("a", 1, rank=0),
            again("b", 2, 3, FAILED, rank=1),
            again("c", 10, 30, rank=0),
            again("d", 11, 20, rank=1),
        ],
        Outcome(1, 30, 2.9e-05, DONE),
    ),
    "fewer ranks resume": (
        [again("a", 1, 5, FAILED, rank=1), again("b", 10, 20, rank=0)],
        Outcome(1, 20, 1.9e-05, DONE),
    ),
    "one that helps a resumed run": ([again("a", 1, 9), session("b", 3)], Outcome(1)),
    "an end before the begin": ([session("a", None, 3), session("b", 9, 4)], Outcome(9, 4, 0.0, DONE)),
}


@pytest.mark.parametrize("case", CASES)
def test_the_outcome_in_any_order(case: str) -> None:
    sessions, expected = CASES[case]
    for order in permutations(sessions):
        assert outcome(order) == expected


def test_a_begin_that_is_no_session_counts() -> None:
    assert outcome([session("a", 5, 9)], [2, 7]) == Outcome(2, 9, 7e-06, DONE)


def test_the_latest_point_is_the_one_with_the_greatest_step_then_time() -> None:
    found = extent("p", 10, [1, 3, 3, 2], [50, 10, 9, 99], [0.1, 0.2, 0.3, 0.4])
    assert found == Extent(Latest(3, 10, "p", 11, 0.2), 0.1, 0.4)
    assert found.latest.value == 0.2
    assert extent("p", 0, [1, 1], [5, 5], [7, 8]).latest.value == 8
    assert extent("p", 0, [2, 1], [5, 5], [7, 8]).latest.value == 7
    assert merged(extent("p", 9, [1], [5], [7]), extent("q", 0, [1], [5], [8])).latest.by == "q"
    assert merged(extent("p", 9, [1], [5], [7]), extent("p", 10, [1], [5], [8])).latest.index == 10


def test_values_that_are_no_numbers_have_no_least_and_greatest() -> None:
    assert extent("p", 0, [0, 1], [0, 0], ["INF", "NaN"]) == Extent(Latest(1, 0, "p", 1, "NaN"), None, None)
    found = merged(extent("p", 0, [0], [0], ["NaN"]), extent("p", 1, [1], [0], [3]))
    assert (found.minimum, found.maximum) == (3.0, 3.0)
    assert type(found.minimum) is float
    assert math.copysign(1, extent("p", 0, [0], [0], [-0.0]).minimum or 0.0) == 1


def test_the_latest_point_as_json() -> None:
    text = Latest(-1, 7, "p", 3, 0.1).as_json()
    assert text == '{"by":"p","index":3,"step":-1,"time":7,"value":0.1}'
    assert Latest(**json.loads(text)).as_json() == text


PARTS = st.builds(
    lambda by, first, points: extent(by, first, *zip(*points)),
    st.sampled_from("pq"),
    st.integers(0, 3),
    st.lists(
        st.tuples(st.integers(-2, 2), st.integers(0, 2), st.one_of(st.floats(allow_nan=False), st.just("NaN"))),
        min_size=1,
        max_size=4,
    ),
)


@given(st.lists(PARTS, min_size=1, max_size=5), st.randoms())
def test_parts_come_to_the_same_in_any_order(parts: List[Extent], chance: object) -> None:
    def whole(some: List[Extent]) -> Extent:
        found = some[0]
        for one in some[1:]:
            found = merged(found, one)
        return found

    expected = whole(parts)
    shuffled = parts * 2
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert whole(shuffled) == expected
    assert expected.latest == max(one.latest for one in parts)
