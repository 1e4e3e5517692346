"""Series: what a point may be, how points go on the wire, and where they go."""

from __future__ import annotations

import json
import math
from decimal import Decimal
from fractions import Fraction
from itertools import accumulate
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import pllib
from pllib import points
from pllib.errors import CaptureError
from pllib.series import Series
from tests.unit.pllib.test_activities import check_schema


def of(records: list[dict[str, Any]], name: str) -> list[tuple[int, int, int, Any]]:
    """The points of a series in records: index, step, time, value; by index."""
    found = []
    for record in records:
        if record["op"] == "points" and record["series"] == name:
            steps, times = accumulate(record["steps"]), accumulate(record["times"])
            indexes = range(record["first"], record["first"] + len(record["values"]))
            found += zip(indexes, steps, times, record["values"])
    return sorted(found, key=lambda point: point[0])


def test_points_are_sealed_into_records_when_the_activity_ends(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        loss = Series(task, "train/loss: é", unit="nats", rank=2)
        for step in range(3):
            loss.log(1 / (step + 1), step=10 * step, t=1_700_000_000_000_000 + step)
        assert [record["op"] for record in records()] == ["begin", "begin"]
    found = records()
    check_schema(found)
    assert [record["op"] for record in found] == ["begin", "begin", "points", "end", "end"]
    record = found[2]
    assert {name: record[name] for name in ("kind", "wf", "id", "series", "as", "unit", "rank", "first")} == {
        "kind": "task",
        "wf": wf.wf,
        "id": task.id,
        "series": "train/loss: é",
        "as": "evaluation_measure",
        "unit": "nats",
        "rank": 2,
        "first": 0,
    }
    assert record["steps"] == [0, 10, 10]
    assert record["times"] == [1_700_000_000_000_000, 1, 1]
    assert record["values"] == [1.0, 0.5, 1 / 3]


def test_a_record_holds_at_most_a_thousand_points(records):
    with pllib.workflow("w") as wf:
        series = Series(wf, "loss")
        for step in range(2500):
            series.log(float(step))
    found = records()
    check_schema(found)
    chunks = [record for record in found if record["op"] == "points"]
    assert [record["first"] for record in chunks] == [0, 1000, 2000]
    assert "id" not in chunks[0]
    assert [point[:2] + point[3:] for point in of(found, "loss")] == [(n, n, float(n)) for n in range(2500)]


def test_telemetry_says_so_and_has_no_meaning(records):
    with pllib.workflow("w") as wf:
        Series(wf, "cpu.percent", telemetry=True, unit="%").log(3)
    (record,) = [record for record in records() if record["op"] == "points"]
    assert record["telemetry"] is True
    assert "as" not in record
    check_schema(records())


def test_two_of_the_same_name_are_one_series(records):
    with pllib.workflow("w") as wf:
        Series(wf, "loss").log(1.5)
        Series(wf, "loss").log(2.5)
        Series(wf, "other").log(3.5)
    assert [point[:2] + point[3:] for point in of(records(), "loss")] == [(0, 0, 1.5), (1, 1, 2.5)]
    assert [point[0] for point in of(records(), "other")] == [0]


class Tensor:
    """As a tensor of one element."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def item(self) -> Any:
        return self.value


class Floatlike:
    def __float__(self) -> float:
        return 2.5


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0.1, 0.1),
        (-0.0, 0.0),
        (3, 3),
        (True, 1),
        (2**53, 2**53),
        (2**53 + 1, float(2**53)),
        (-(2**64), -(2.0**64)),
        (10**400, "INF"),
        (-(10**400), "-INF"),
        (math.nan, "NaN"),
        (math.inf, "INF"),
        (-math.inf, "-INF"),
        (np.float32(0.5), 0.5),
        (np.float64(0.25), 0.25),
        (np.float64("nan"), "NaN"),
        (np.int64(7), 7),
        (np.bool_(True), 1),
        (np.array([[1.5]]), 1.5),
        (np.array(7), 7),
        (Tensor(1.25), 1.25),
        (Floatlike(), 2.5),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (5e-324, 5e-324),
        (1.7976931348623157e308, 1.7976931348623157e308),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_numbers_of_every_kind_are_taken(records, value, expected):
    with pllib.workflow("w") as wf:
        Series(wf, "x").log(value)
    ((_, _, _, found),) = of(records(), "x")
    assert found == expected
    assert type(found) is type(expected)
    check_schema(records())


@pytest.mark.parametrize(
    "value",
    [
        "1",
        b"1",
        None,
        [1],
        pytest.param(object(), id="object"),
        1j,
        np.array([1.0, 2.0]),
        np.str_("1"),
        {},
        pytest.param(Tensor("x"), id="tensor"),
    ],
    ids=repr,
)
def test_what_is_no_number_is_refused_clearly_and_never_harms_the_script(records, value):
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        with pytest.raises(CaptureError, match="number"):
            series.log(value)
    pllib.configure(strict=False)
    with pllib.workflow("w") as wf:
        Series(wf, "x").log(value)
    assert pllib.stats()["errors"] == {"Series.log": 1}
    assert not of(records(), "x")


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([5, 3, 3, -7], [5, 3, 3, -7]),
        ([None, 10, None], [0, 10, 2]),
        ([1.0, np.int32(2), np.float64(3.0), True, Tensor(4)], [1, 2, 3, 1, 4]),
        ([2**53 - 1, -(2**53) + 1], [2**53 - 1, -(2**53) + 1]),
    ],
)
def test_steps_in_any_order(records, steps, expected):
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        for step in steps:
            series.log(0.5, step)
    assert [point[1] for point in of(records(), "x")] == expected
    check_schema(records())


@pytest.mark.parametrize(
    "step", [0.5, "1", 2**53, -(2**53), math.nan, math.inf, pytest.param(object(), id="object")], ids=repr
)
def test_a_step_that_is_no_whole_number_is_refused(records, step):
    with pllib.workflow("w") as wf, pytest.raises(CaptureError, match=r"step|number"):
        Series(wf, "x").log(1.0, step)
    assert not of(records(), "x")


def test_nothing_is_logged_after_the_end(records):
    with pllib.workflow("w") as wf, wf.task("t") as task:
        series = Series(task, "x")
        series.log(1.0)
    with pytest.raises(CaptureError, match=r"series\(\) after the end"):
        series.log(2.0)
    assert len(of(records(), "x")) == 1


def test_a_series_of_an_activity_that_was_opened_elsewhere(records):
    with pllib.workflow("w") as wf, wf.section("epoch") as section, pllib.attach(section.token) as remote:
        series = Series(remote, "x")
        for value in range(3):
            series.log(value)
    found = records()
    check_schema(found)
    assert [point[3] for point in of(found, "x")] == [0, 1, 2]
    (record,) = [record for record in found if record["op"] == "points"]
    assert (record["kind"], record["id"]) == ("section", section.id)


def test_where_nothing_is_captured_nothing_is_logged(records):
    pllib.configure(enabled=False)
    with pllib.workflow("w") as wf:
        Series(wf, "x").log(1.0)
    assert records() == []


def test_an_unknown_meaning_is_refused(records):
    with pllib.workflow("w") as wf, pytest.raises(CaptureError, match="evaluation_measure"):
        Series(wf, "x", meaning="nonsense").log(1.0)


def test_points_are_counted(records):
    assert pllib.stats()["points"] == {"accepted": 0, "waiting": 0}
    with pllib.workflow("w") as wf:
        series = Series(wf, "x")
        for _ in range(1003):
            series.log(1.0)
        figures = pllib.stats()
        assert figures["points"] == {"accepted": 1003, "waiting": 3}
        assert figures["accepted"] == figures["waiting"] == 3  # producer, begin, and a record of a thousand points
        pllib.flush()
        assert pllib.stats()["points"] == {"accepted": 1003, "waiting": 0}


def test_ten_thousand_series(records):
    with pllib.workflow("w") as wf:
        many = [Series(wf, f"x{number}") for number in range(10_000)]
        for value in (0.5, 1.5):
            for series in many:
                series.log(value)
    found = records()
    assert sum(record["op"] == "points" for record in found) >= 10_000
    for number in (0, 5_000, 9_999):
        assert [point[3] for point in of(found, f"x{number}")] == [0.5, 1.5]


INTEGERS = some.integers(-(2**53) + 1, 2**53 - 1)
POINTS = some.lists(some.tuples(INTEGERS, INTEGERS, some.floats() | some.integers()), min_size=1, max_size=30)


@given(POINTS, some.integers(0, 10**6))
def test_differences_give_the_points_again(found, first):
    texts = [(first + place, step, t, points.value_text(value)) for place, (step, t, value) in enumerate(found)]
    fields = json.loads("{" + points.fields(texts) + "}")
    assert fields["first"] == first
    assert list(accumulate(fields["steps"])) == [step for step, _, _ in found]
    assert list(accumulate(fields["times"])) == [t for _, t, _ in found]
    for told, (_, _, value) in zip(fields["values"], found):
        if isinstance(value, float) and math.isfinite(value):
            assert told == value


@given(some.sets(some.integers(0, 60), min_size=1), some.integers(1, 10))
def test_runs_hold_every_point_once_and_have_no_holes(indexes, most):
    given_points = [(index, 0, 0, "1") for index in indexes]
    found = list(points.runs(list(reversed(given_points)), most))
    assert [point for run in found for point in run] == sorted(given_points)
    for run in found:
        assert [point[0] for point in run] == list(range(run[0][0], run[0][0] + len(run)))
        assert len(run) <= most
