"""Documents that the manager refuses, or fails at: they are set aside with the reason, hold nothing up, and can be replayed."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import msgspec
import pytest

from tests.faults.ledger import Ledger
from tests.faults.proxy import Proxy, Reply, Request, until

from .cluster import RelayedCluster, heal
from .graphs import Truth, visible
from .load import Load

PATIENCE = 120.0
REFUSED, FAILED = b"model-1-0.txt", b"model-2-0.txt"
"""What the poisoned documents hold: names of files of the workload."""
Tries = Callable[[int, int], int]
pytestmark = pytest.mark.timeout(1800)


def poisoned(proxy: Proxy, request: Request) -> Reply:
    """Fails at some documents, and spoils others so that the manager itself refuses them."""
    if FAILED in request.body:
        return Reply(500, {}, b"Internal Server Error")
    documents = msgspec.json.decode(request.body, type=dict[str, msgspec.Raw])["documents"]
    bodies = [bytes(one) for one in msgspec.json.decode(documents, type=list[msgspec.Raw])]
    spoiled = [one.replace(b'"types":["', b'"types":["no:such","') if REFUSED in one else one for one in bodies]
    body = b'{"version":1,"documents":[' + b",".join(spoiled) + b"]}"
    headers = {**request.headers, "content-length": str(len(body))}
    return proxy.forward(request._replace(body=body, headers=headers))


def dead_letters(cluster: RelayedCluster) -> list[dict[str, object]]:
    found = httpx.get(cluster.trackers[0].url + "/v1/dead-letters?limit=500", trust_env=False, timeout=30)
    return list(found.raise_for_status().json()["dead_letters"])


def test_poison_is_set_aside_and_replayed(relayed: RelayedCluster, truth: Truth, ledger: Ledger, tries: Tries) -> None:
    bad = [batch for batch in truth.batches if any(word in p for p in batch.payloads for word in (REFUSED, FAILED))]
    row = ledger.row("documents that the manager refuses or fails at")
    for _ in range(tries(1, 10)):
        relayed.fresh()
        relayed.middle.behave(poisoned)
        with Load(relayed.urls, truth.batches) as load:
            load.finish()
        assert until(relayed.drained, PATIENCE), relayed.stats()
        letters = dead_letters(relayed)
        assert 2 <= len(letters) <= len(bad)
        reasons = [str(letter["reason"]) for letter in letters]
        assert sum(reason.startswith("HTTP 422: ") and "'no:such' is no class" in reason for reason in reasons) > 0
        assert sum(reason.startswith("5 deliveries failed; the last: HTTP 500") for reason in reasons) > 0
        others = [batch for batch in load.acknowledged if batch not in bad]
        assert visible(others, relayed.graph()) == sum(len(batch.payloads) for batch in others)

        heal(relayed.middle)
        replayed = httpx.post(relayed.trackers[0].url + "/v1/dead-letters/replay", trust_env=False, timeout=30)
        assert replayed.json() == {"replayed": len(letters)}
        truth.account(row, load.acknowledged, relayed.settle(), len(letters))
        assert dead_letters(relayed) == []
