"""What a run has recorded."""

from __future__ import annotations

import pytest

import pllib
from pllib import _boundary
from pllib.runs import background
from tests.unit.pllib.test_activities import check_schema


@pytest.fixture
def said(records):
    """Records so far, checked against the schema; everything that is under way is waited for."""

    def read(op=None, **fields):
        assert background.jobs.wait(30)
        pllib.flush()
        found = records()
        check_schema(found)
        return [
            record
            for record in found
            if op in (None, record["op"]) and all(record.get(name) == value for name, value in fields.items())
        ]

    return read


@pytest.fixture
def nothing_goes_wrong():
    """Fails the test when an error was kept from the script."""
    _boundary.swallowed.clear()
    yield
    assert not _boundary.swallowed
