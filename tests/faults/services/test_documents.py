"""A PROV document that was taken is in the store as a whole, whatever is killed after the answer, and whoever sends it again."""

from __future__ import annotations

import random

import httpx
import pytest

from pllib import prov
from pllib.provml.vocabulary import PROVLAKE

from .cluster import Cluster, Layout
from .strikes import all_at_once, killed, named

STATEMENTS = 1_500
TEXT = "\n".join(
    [
        "document",
        "prefix ex <http://example.org/>",
        *(f"wasGeneratedBy(ex:e{n}, ex:a{n}, 2026-11-21T10:00:00Z, [ex:n={n}])" for n in range(STATEMENTS)),
        "endDocument",
    ]
)


@pytest.mark.parametrize("queue", ["sqlite", "redis"])
def test_a_document_that_was_taken_arrives_whole(cluster: Cluster, chance: random.Random, queue: str) -> None:
    cluster.fresh(Layout(queue=queue) if queue == "redis" else Layout())
    for victim in ("manager", "tracker", "all"):
        answer = httpx.post(f"{cluster.urls[0]}/v1/prov", content=TEXT, timeout=60, trust_env=False)
        assert answer.status_code == 200, answer.text
        if victim == "all":
            all_at_once(cluster, chance)
        else:
            killed(named(cluster, victim, chance), chance)
        graph = cluster.settle()
    kept = [line for line in graph if f'> <{PROVLAKE}statement> "' in line]
    assert len(kept) == STATEMENTS
    assert {line.split(" ")[0].rpartition("/")[2] for line in kept} == {prov.normal(prov.read(TEXT)).digest + ">"}
    # Both forms of each relation, and no second node for any.
    assert sum("qualifiedGeneration>" in line for line in graph) == STATEMENTS
    assert cluster.stats()["dead_letters"] == 0
