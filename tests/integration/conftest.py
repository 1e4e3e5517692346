"""A query engine over a store that holds what a test module says."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.integration.query_graph import Served

collect_ignore = [] if "PLLIB_KUSTOMIZE" in os.environ else ["test_kustomize.py"]


@pytest.fixture(scope="module")
def engine(turtle: str, engine_on_a_store: Callable[..., Any], store_kind: str) -> Iterator[Served]:
    """A query engine and its store with the module's own fixture ``turtle`` in it, on each kind of store."""
    with engine_on_a_store(store_kind) as running:
        running.load(turtle)
        yield running


@pytest.fixture(scope="module")
def http(engine: Served) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=engine.query_url, timeout=60) as client:
        yield client
