"""What the faults of the capture client share: trials against the stack of the session, and a stack that sees no fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client.trials import Trial, running


@pytest.fixture(scope="session")
def clean(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A stack that gets the same records with no fault, for the graph that is expected."""
    with stack(tmp_path_factory.mktemp("clean")) as services:
        yield services


@pytest.fixture
def trials(services: Any, tmp_path: Path) -> Callable[[str], AbstractContextManager[Trial]]:
    """A function that begins a trial by name, for a ``with`` block."""
    return lambda name: running(services, tmp_path / name)


@pytest.fixture
def trial(trials: Callable[[str], AbstractContextManager[Trial]]) -> Iterator[Trial]:
    """The one trial of a test."""
    with trials("trial") as begun:
        yield begun
