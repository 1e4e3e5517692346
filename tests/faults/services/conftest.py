"""What the fault tests of the services share: records, what they give without faults, and two clusters."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from tests.faults.ledger import Ledger

from .cluster import Cluster, RelayedCluster
from .graphs import Truth, statements, visible
from .load import Load
from .workload import Batch, capture


@pytest.fixture(scope="session")
def batches(tmp_path_factory: pytest.TempPathFactory, tries: Callable[[int, int], int]) -> list[Batch]:
    """Records of a real client in small batches: some 600, or 2,000 where all is tried."""
    return capture(tmp_path_factory.mktemp("captured"), tries(30, 110))


@pytest.fixture(scope="session")
def cluster(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    require_server: Callable[[str], str],
    ledger: Ledger,
    request: pytest.FixtureRequest,
) -> Iterator[Cluster]:
    """Services that reach each other directly; a test begins with ``fresh``."""

    def redis_program() -> str:  # only where it is needed: where it is missing, only those tests are skipped
        return str(request.getfixturevalue("redis_program"))

    made = Cluster(tmp_path_factory.mktemp("cluster"), free_port, require_server("oxigraph"), redis_program)
    yield made
    made.close()
    tell_crashes(made, ledger)


@pytest.fixture(scope="session")
def relayed(
    tmp_path_factory: pytest.TempPathFactory,
    free_port: Callable[[], int],
    require_server: Callable[[str], str],
    ledger: Ledger,
) -> Iterator[RelayedCluster]:
    """Services with a relay in front of each; a test begins with ``fresh``."""
    made = RelayedCluster(tmp_path_factory.mktemp("relayed"), free_port, require_server("oxigraph"))
    yield made
    made.close()
    tell_crashes(made, ledger)


def tell_crashes(cluster: Cluster, ledger: Ledger) -> None:
    """Notes in the ledger what ended by itself, which the runs got over."""
    if cluster.crashes:
        row = ledger.row("services that crashed unasked")
        row.tries += len(cluster.crashes)
        row.note = "; ".join([*filter(None, [row.note]), *cluster.crashes])


@pytest.fixture(scope="session")
def truth(cluster: Cluster, batches: list[Batch]) -> Truth:
    """What the records give without faults."""
    cluster.fresh()
    with Load(cluster.urls, batches) as load:
        load.finish()
    graph = cluster.settle()
    assert visible(batches, graph) == sum(len(batch.payloads) for batch in batches)
    return Truth(batches, statements(graph))


@pytest.fixture
def chance() -> random.Random:
    """Where instants come from; the seed is shown when a test fails."""
    seed = random.randrange(2**32)
    print(f"seed of this test's instants: {seed}")
    return random.Random(seed)
