"""What a backlog costs on its way into the store, in things that can be counted: triples, requests and transactions, not time."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.faults.proxy import Proxy, Reply, Request, relay, slow
from tests.integration.test_manager_process import Manager, wait_until
from tests.provenance import tracked
from tests.provenance.oxigraph import Oxigraph
from tracker.batches import decode_batch
from tracker.database import Database
from tracker.dispatch import AT_A_TIME, Dispatcher
from tracker.intake import Intake
from tracker.metrics import Metrics
from tracker.names import Specifications
from tracker.producers import Producers
from tracker.queue_sqlite import SCHEMA, SqliteQueue, open_queue

TASKS = 1_000
FEW = 200
BATCH = 250
"""Records of a batch: some 125 KB."""
TRIPLES_OF_A_TASK = 48
"""Of 10 + 10 values; a client adds one, the duration."""
GROUP = (500, 4_000_000)


class Way:
    """A store behind a relay that counts what is asked of it, and a manager before it."""

    def __init__(self, store: Oxigraph, between: Proxy, manager: Manager) -> None:
        self.store = store
        self.manager = manager
        self.asked: Counter[str] = Counter()
        between.behave(self._count)

    def _count(self, proxy: Proxy, request: Request) -> Reply:
        self.asked[request.path] += 1
        return relay(proxy, request)


@pytest.fixture(scope="module")
def way(
    require_server: Callable[[str], str], free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Way]:
    folder = tmp_path_factory.mktemp("way")
    store = Oxigraph(require_server("oxigraph"), folder / "store", free_port())
    store.start()
    try:
        with Proxy(store.url) as between:
            manager = Manager(free_port(), between.url, folder / "manager.log")
            manager.start()
            try:
                wait_until(manager.usable, "the ontology is in the store")
                yield Way(store, between, manager)
            finally:
                manager.end()
    finally:
        store.end()


def batches(tasks: int, size: int) -> list[bytes]:
    records = tracked.chain(tasks)
    return [
        json.dumps({"version": 1, "producer": tracked.PRODUCER, "records": records[begin : begin + size]}).encode()
        for begin in range(0, len(records), size)
    ]


class Tracker:
    """The parts of a tracker on a real file, with the transactions of the file counted."""

    def __init__(self, folder: Path) -> None:
        self.database = Database(folder / "tracker.sqlite", SCHEMA)
        self.commits = 0
        self.metrics = Metrics()
        self.database._connection.set_trace_callback(self._saw)

    def _saw(self, statement: str) -> None:
        self.commits += statement == "COMMIT"

    async def take(self, queue: SqliteQueue, tasks: int, size: int = BATCH) -> None:
        intake = Intake(queue, Specifications(), self.metrics, Producers())
        for body in batches(tasks, size):
            assert json.loads(await intake.take(decode_batch(body)))["rejected"] == 0

    async def deliver(self, queue: SqliteQueue, url: str, group: tuple[int, int] = GROUP) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:
            dispatcher = Dispatcher(queue, 0, client, group, self.metrics, lambda: None)
            running = asyncio.create_task(dispatcher.run())
            async with asyncio.timeout(60):
                while await queue.depth():
                    await asyncio.sleep(0.01)
                dispatcher.stop()
                await running


def ingest(way: Way, folder: Path, tasks: int) -> tuple[int, int, Metrics]:
    """Transactions of taking and of delivering a backlog of so many tasks, and what was counted."""
    folder.mkdir()
    tracker = Tracker(folder)

    async def work() -> tuple[int, int]:
        queue = await open_queue(tracker.database, 1, 300.0)
        opened = tracker.commits
        await tracker.take(queue, tasks)
        taken = tracker.commits
        await tracker.deliver(queue, str(way.manager.client.base_url))
        delivered = tracker.commits
        await queue.close()
        return taken - opened, delivered - taken

    return *asyncio.run(work()), tracker.metrics


def test_a_backlog_costs_few_requests_and_transactions(way: Way, tmp_path: Path) -> None:
    ingest(way, tmp_path / "few", FEW)
    before = len(way.store.lines())
    way.asked.clear()
    taken, delivered, metrics = ingest(way, tmp_path / "many", TASKS)

    # The first tasks were there.
    assert len(way.store.lines()) - before == TRIPLES_OF_A_TASK * (TASKS - FEW)

    assert metrics.batches == 2 * TASKS / BATCH
    assert taken == metrics.batches, "one transaction a batch, whatever is in it"
    assert metrics.posts == 1, "what waits goes in as few groups as its size allows"
    assert delivered <= 3 * metrics.posts + 1, "a claim, an acknowledgement, and a claim that finds nothing"
    assert way.asked == {"/store?default&no_transaction": 1}, "one bulk load a group, and nothing is looked up"


class Crowd:
    """A relay's behaviour that holds each post for a while, and notes how many are there at a time at most."""

    def __init__(self) -> None:
        self.most = 0
        self._there = 0
        self._lock = threading.Lock()

    def __call__(self, proxy: Proxy, request: Request) -> Reply:
        with self._lock:
            self._there += 1
            self.most = max(self.most, self._there)
        try:
            return slow(0.2)(proxy, request)
        finally:
            with self._lock:
                self._there -= 1


@pytest.mark.parametrize(("group", "at_a_time"), [((2, 10**7), AT_A_TIME), ((1_000, 100_000), AT_A_TIME), (GROUP, 1)])
def test_a_full_group_is_followed_at_once_and_a_smaller_one_when_it_is_in(
    way: Way, tmp_path: Path, group: tuple[int, int], at_a_time: int
) -> None:
    crowd = Crowd()
    tracker = Tracker(tmp_path)

    async def work() -> None:
        queue = await open_queue(tracker.database, 1, 300.0)
        await tracker.take(queue, FEW, size=50)
        await tracker.deliver(queue, proxy.url, group)
        await queue.close()

    with Proxy(str(way.manager.client.base_url)) as proxy:
        proxy.behave(crowd)
        asyncio.run(work())
    assert crowd.most == at_a_time
    assert tracker.metrics.failed_posts == 0
    assert len([line for line in way.store.lines() if "#endedAtTime" in line]) >= FEW
