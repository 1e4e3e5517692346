"""The graphs that came of records: asked of a store, and compared with what comes of them where there is no fault."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import httpx

PREFIXES = "PREFIX prov: <http://www.w3.org/ns/prov#> PREFIX rdfs: <http://www.w3.org/2000/01/rdf-schema#> "


def _query(services: Any, text: str, accept: str) -> httpx.Response:
    answer = httpx.post(
        f"{services.store_url}/query", data={"query": PREFIXES + text}, headers={"Accept": accept}, timeout=120
    )
    assert answer.status_code == 200, answer.text
    return answer


def select(services: Any, text: str) -> list[dict[str, str]]:
    """Rows as the store gives them: plain texts by name."""
    rows = _query(services, text, "application/sparql-results+json").json()["results"]["bindings"]
    return [{name: term["value"] for name, term in row.items()} for row in rows]


def settle(services: Any, seconds: float = 120.0) -> None:
    """Waits until the tracker's queue is empty."""
    deadline = time.monotonic() + seconds
    while httpx.get(f"{services.tracker_url}/v1/stats", timeout=60).json()["queue"]["depth"]:
        assert time.monotonic() < deadline, "the tracker's queue does not get empty"
        time.sleep(0.05)


def triples(services: Any, mark: str, producers: frozenset[str]) -> frozenset[str]:
    """All that the store says of the workflows with this mark and of these processes, as lines of N-Triples."""
    wanted = f'CONTAINS(STR(?s), "{mark}") || CONTAINS(STR(?s), "agent/process/")'
    found = _query(services, f"CONSTRUCT {{ ?s ?p ?o }} {{ ?s ?p ?o FILTER({wanted}) }}", "application/n-triples")
    lines = found.text.splitlines()
    return frozenset(line for line in lines if mark in line or any(producer in line for producer in producers))


def replay(services: Any, records: Mapping[tuple[str, int], bytes], size: int = 1000) -> None:
    """Posts records in order, with no fault."""
    by_producer: dict[str, list[bytes]] = {}
    for (producer, _), payload in sorted(records.items()):
        by_producer.setdefault(producer, []).append(payload)
    with httpx.Client(timeout=120) as client:
        for producer, own in by_producer.items():
            for first in range(0, len(own), size):
                body = b'{"version":1,"producer":"%b","records":[%b]}' % (
                    producer.encode(),
                    b",".join(own[first : first + size]),
                )
                while (answer := client.post(f"{services.tracker_url}/v1/captures", content=body)).status_code == 429:
                    time.sleep(0.2)
                assert answer.json()["rejected"] == 0, answer.text
    settle(services)


def same_graph(faulty: Any, clean: Any, mark: str, records: Mapping[tuple[str, int], bytes]) -> int:
    """Delivers records to a stack that sees no fault and compares what both stores say; how many triples that is.

    Raises:
        AssertionError: the graphs differ.
    """
    replay(clean, records)
    producers = frozenset(producer for producer, _ in records)
    found, expected = triples(faulty, mark, producers), triples(clean, mark, producers)
    assert found == expected, sorted(found ^ expected)[:9]
    assert found
    return len(found)
