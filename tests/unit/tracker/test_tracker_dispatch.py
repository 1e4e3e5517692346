"""What the manager's answers mean, and how long to wait."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracker.dispatch import (
    BACKOFF_CAP,
    Delivered,
    Named,
    Unavailable,
    Unexplained,
    backoff,
    body_of,
    outcome_of,
    retry_after,
)
from tracker.queue import Entry

NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)


def answer(status: int, body: object = None, **headers: str) -> httpx.Response:
    return httpx.Response(status, content=json.dumps(body).encode(), headers=headers)


def test_documents_are_joined_as_they_are() -> None:
    group = [Entry("1", b'{"plans":[]}', 0), Entry("2", b"{}", 0)]
    assert json.loads(body_of(group)) == {"version": 1, "documents": [{"plans": []}, {}]}
    assert json.loads(body_of([])) == {"version": 1, "documents": []}


@pytest.mark.parametrize("status", [200, 201, 204])
def test_success(status: int) -> None:
    assert isinstance(outcome_of(answer(status), 1), Delivered)


@pytest.mark.parametrize("status", [302, 401, 403, 404, 405, 408, 429, 502, 503, 504])
def test_not_the_documents_fault(status: int) -> None:
    assert isinstance(outcome_of(answer(status), 1), Unavailable)


@pytest.mark.parametrize("status", [400, 409, 413, 422, 500, 501])
def test_perhaps_the_documents_fault(status: int) -> None:
    found = outcome_of(answer(status, {"error": "x"}), 1)
    assert isinstance(found, Unexplained)
    assert str(status) in found.reason


def test_documents_named() -> None:
    errors = [{"index": 1, "field": "$.x", "message": "no"}, {"index": 7}, {"index": -1}]
    found = outcome_of(answer(422, {"error": {}, "errors": errors}), 2)
    assert found == Named({1: "HTTP 422: $.x no"})


@pytest.mark.parametrize("body", [{"errors": []}, {"errors": [{"index": 5}]}, {"errors": 7}, {"errors": [{}]}, []])
def test_names_that_mean_nothing_explain_nothing(body: object) -> None:
    assert isinstance(outcome_of(answer(422, body), 2), Unexplained)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, 0),
        ("7", 7),
        ("99999999", 300),
        ("Sat, 31 Jan 2026 12:00:10 GMT", 10),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
        ("soon", 0),
        ("-3", 0),
        ("31 Jan 2026 12:00:10", 0),
    ],
)
def test_retry_after(header: str | None, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


def test_a_date_to_wait_for_goes_by_the_clock_of_who_answered() -> None:
    asked = {"Date": "Tue, 01 Jan 2030 12:00:00 GMT", "Retry-After": "Tue, 01 Jan 2030 12:00:05 GMT"}
    found = outcome_of(answer(503, **asked), 1)
    assert isinstance(found, Unavailable)
    assert found.retry_after == 5


@given(st.integers(0, 10_000), st.floats(0, 1))
def test_backoff_is_bounded(failures: int, chance: float) -> None:
    assert 0 <= backoff(failures, chance) <= BACKOFF_CAP
    assert backoff(failures, 1) <= backoff(failures + 1, 1)
