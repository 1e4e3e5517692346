"""A cluster for the session, a shared folder and the services as a job. ``make test-slurm`` runs these tests; nothing else does."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import Cluster, wait_for

CHECKOUT = Path(__file__).resolve().parents[2]
SERVICES = CHECKOUT / "deploy" / "slurm" / "services.sbatch"

collect_ignore = [] if "PLLIB_TEST_SLURM" in os.environ else ["test_cluster.py"]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    made = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        made.start()
        yield made
    finally:
        made.stop()


class Site:
    """What a user of the cluster has: a shared folder, and jobs.

    Attributes:
        shared: the folder, ``PLLIB_SHARED`` of all scripts.
    """

    def __init__(self, cluster: Cluster, shared: Path) -> None:
        self.cluster, self.shared = cluster, shared
        self._jobs: list[str] = []
        self.environment = {
            "PLLIB_SHARED": str(shared),
            "PLLIB_CHECKOUT": str(CHECKOUT),
            "PLLIB_PYTHON": sys.executable,
            "PYTHONPATH": str(CHECKOUT),
            "OMPI_ALLOW_RUN_AS_ROOT": "1",
            "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
            "PMIX_MCA_gds": "hash",
        }

    @property
    def announced(self) -> Path:
        return self.shared / "services.json"

    def submit(self, script: Path, *options: str, **environment: str) -> str:
        """Submits a script as the user would, from the checkout."""
        job = self.cluster.submit(
            f"--chdir={CHECKOUT}",
            f"--output={self.shared}/%x-%A-%a.log",
            *options,
            str(script),
            **{**self.environment, **environment},
        )
        self._jobs.append(job)
        return job

    def services(self, *options: str) -> str:
        """Submits the services' job."""
        return self.submit(SERVICES, "--time=30", *options)

    def wait_for_services(self, job: str) -> None:
        """Returns once the services have said where they are."""
        wait_for(lambda: self.announced.exists() or "FAILED" in self.cluster.states(job), "the services")
        assert self.announced.exists(), self.logs()

    def logs(self) -> str:
        """What all jobs have printed."""
        return "\n".join(f"{log.name}: {log.read_text(errors='replace')}" for log in self.shared.glob("*.log"))

    def end(self) -> None:
        for job in self._jobs:
            self.cluster.cancel(job, "--quiet")
        for job in self._jobs:
            self.cluster.wait(job)


@pytest.fixture
def site(cluster: Cluster, tmp_path: Path) -> Iterator[Site]:
    shared = tmp_path / "shared"
    shared.mkdir()
    made = Site(cluster, shared)
    try:
        yield made
    finally:
        made.end()
