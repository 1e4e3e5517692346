"""A series of a million points over a real store: fetched whole in bounded time, thinned out, and refused beyond a limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator

import httpx
import numpy as np
import pytest

from query_engine.errors import TooLarge
from query_engine.series_points import Window
from query_engine.series_reading import fetch
from query_engine.store import StoreClient
from tests.integration.query_graph import BASE, Served, served
from tests.integration.runs_graph import START, RunsGraph, chunk

COUNT, CHUNK = 1_000_000, 1000
SERIES = "execution/long/one/training/0/loss"
SELECT = f"SELECT ?chunk {{ <{BASE}{SERIES}> <https://w3id.org/pllib/provlake#points> ?chunk }}"
SLOWER = 10
"""How many times as long as the bare query for its chunks a series may take; it takes two to three times as long."""


@pytest.fixture(scope="module")
def values() -> np.ndarray:
    generator = np.random.default_rng(1)
    return np.exp(-np.arange(COUNT) / 200_000) + 0.01 * generator.standard_normal(COUNT)


@pytest.fixture(scope="module")
def engine(free_port: Callable[[], int], require_server: Callable[[str], str], values: np.ndarray) -> Iterator[Served]:
    with served(require_server("oxigraph"), (free_port(), free_port())) as running:
        made = RunsGraph()
        training = made.context(made.run("long", "one"), "training")
        series = made.series(training, "loss", [])
        running.load(made.turtle)
        chunks = []
        for first in range(0, COUNT, CHUNK):
            points = [
                (first + place, START + first + place, value)
                for place, value in enumerate(values[first : first + CHUNK].tolist())
            ]
            text = chunk(points, "aa", first).replace('"', '\\"')
            chunks.append(
                f'<{BASE}{series}> <https://w3id.org/pllib/provlake#points> "{text}"^^<http://www.w3.org/1999/02/22-rdf-syntax-ns#JSON> .'
            )
        headers = {"Content-Type": "application/n-triples"}
        url = running.store.bulk_url
        httpx.post(url, content="\n".join(chunks).encode(), headers=headers, timeout=60).raise_for_status()
        yield running


def least_time(ask: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        begin = time.perf_counter()
        ask()
        times.append(time.perf_counter() - begin)
    return min(times)


def test_a_million_points_are_thinned_out_in_a_few_times_what_their_bare_query_takes(engine, values):
    headers = {"Content-Type": "application/sparql-query", "Accept": "text/csv"}
    with httpx.Client(timeout=60) as client:

        def bare() -> None:
            client.post(engine.store.query_url, content=SELECT, headers=headers).raise_for_status()

        def thinned() -> dict:
            answer = client.get(f"{engine.query_url}/v1/series/{SERIES}", params={"points": 1000})
            assert answer.status_code == 200, answer.text
            return answer.json()

        found = thinned()
        assert (found["total"], found["returned"], found["downsampled"]) == (COUNT, 1000, True)
        assert (found["steps"][0], found["steps"][-1]) == (0, COUNT - 1)
        assert found["values"] == values[found["steps"]].tolist()
        assert least_time(thinned) < SLOWER * least_time(bare)


def test_more_points_than_are_allowed_are_refused_with_what_to_do(engine):
    async def ask(window: Window) -> int:
        store = StoreClient(engine.store)
        try:
            return len(await fetch(store, BASE + SERIES, window, most=10_000))
        finally:
            await store.aclose()

    with pytest.raises(TooLarge, match="points") as caught:
        asyncio.run(ask(Window()))
    assert "from_step" in caught.value.fix
    assert asyncio.run(ask(Window(from_step=500_000, to_step=505_000))) == 5001
