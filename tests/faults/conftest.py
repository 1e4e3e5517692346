"""What the fault tests share: how often a fault is tried, and the ledger that is printed at the end.

``make test`` tries each fault a few times; ``make faults`` (which sets ``PLLIB_FAULTS=all``) as often as is promised.
"""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest

from tests.faults.ledger import Ledger

ALL = os.environ.get("PLLIB_FAULTS") == "all"
_ledger = Ledger()


@pytest.fixture(scope="session")
def ledger() -> Ledger:
    """Where each fault test writes its account."""
    return _ledger


@pytest.fixture(scope="session")
def tries() -> Callable[[int, int], int]:
    """A function that chooses how often: ``tries(few, all)``."""
    return lambda few, every: every if ALL else few


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints the ledger."""
    if _ledger.rows:
        terminalreporter.section("faults, in records")
        terminalreporter.write_line(_ledger.table())
