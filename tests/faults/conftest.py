"""What the fault tests share: how often a fault is tried, and the ledger that is printed at the end.

``make test`` tries each fault a few times; ``make faults`` (which sets ``PLLIB_FAULTS=all``) as often as is promised. The file that
``PLLIB_FAULTS_TABLE`` names gets the ledger too.
"""

from __future__ import annotations

import datetime
import os
import platform
from collections.abc import Callable
from pathlib import Path

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
    """Prints the ledger, and writes it to the file that was asked for."""
    if not _ledger.rows:
        return
    terminalreporter.section("faults, in records")
    terminalreporter.write_line(_ledger.table())
    if (path := os.environ.get("PLLIB_FAULTS_TABLE")) is not None:
        machine = f"{platform.platform()}, {os.cpu_count()} processors, Python {platform.python_version()}"
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        Path(path).write_text(f"# Faults, in records, {when}\n\n{machine}\n\n{_ledger.table()}\n", encoding="utf-8")
