"""A query engine over a store that holds what a test module says."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import httpx
import pytest

from tests.integration.query_graph import Served, served


@pytest.fixture(scope="module")
def engine(turtle: str, free_port: Callable[[], int], require_server: Callable[[str], str]) -> Iterator[Served]:
    """A query engine and its store with the module's own fixture ``turtle`` in it."""
    with served(require_server("oxigraph"), (free_port(), free_port())) as running:
        running.load(turtle)
        yield running


@pytest.fixture(scope="module")
def http(engine: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.query_url, timeout=60) as client:
        yield client
