"""The scripts for Slurm on a real cluster of two nodes: arrays, MPI, time limits, cancelled jobs, a node that fails, no network."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from pllib.addresses import locate
from pllib.query import Client, QueryUnreachable
from tests.slurm.cluster import NODES, Cluster, run, wait_for
from tests.slurm.conftest import CHECKOUT, Site

pytestmark = pytest.mark.timeout(400)
EXAMPLES = CHECKOUT / "examples" / "slurm"
WORK = """\
import sys, time
import pllib
with pllib.workflow("work") as wf:
    for n in range(int(sys.argv[2])):
        with wf.task("step", used={"job": sys.argv[1], "n": n}):
            time.sleep(float(sys.argv[3]))
        print(n, flush=True)
"""


def client(site: Site) -> Client:
    """The query engine that the services' job has announced."""
    address = locate(f"file://{site.announced}", None, None, "query_engine")
    return Client(address.url, token=address.token, timeout=60)


def worker(site: Site, name: str, steps: int, pause: float, *options: str, **environment: str) -> str:
    """A job that captures steps, and prints each that has been captured."""
    (site.shared / "work.py").write_text(WORK)
    script = site.shared / f"{name}.sbatch"
    script.write_text(
        f"#!/bin/bash\nexec {sys.executable} {site.shared}/work.py {name} {steps} {pause} >{site.shared}/{name}.$SLURM_JOB_ID\n"
    )
    spool = str(site.shared / "spool")
    url = f"file://{site.announced}"
    return site.submit(script, *options, **{"PLLIB_URL": url, "PLLIB_SPOOL": spool, **environment})


def captured(site: Site, name: str) -> int:
    """How many steps jobs of a name have captured, by what they printed."""
    return sum(len(path.read_text().splitlines()) for path in site.shared.glob(f"{name}.[0-9]*"))


def visible(site: Site) -> int:
    """How many steps the store has."""
    try:
        rows = client(site).sparql("SELECT (COUNT(DISTINCT ?t) AS ?n) { ?t a provlake:DataTransformationExecution }")
    except QueryUnreachable:
        return -1
    return int(rows[0]["n"])


def ship(site: Site, *options: str) -> str:
    """``pllib ship`` on the login node."""
    environment = {**os.environ, "PLLIB_URL": f"file://{site.announced}"}
    return run(sys.executable, "-m", "pllib", "ship", str(site.shared / "spool"), *options, env=environment)


def all_visible(site: Site, count: int) -> None:
    wait_for(lambda: visible(site) >= count, f"{count} steps in the store")
    assert visible(site) == count


def test_an_array_job_is_visible_and_nobody_gets_in_without_the_token(cluster: Cluster, site: Site) -> None:
    site.wait_for_services(site.services())
    for name in ("services.json", "token"):
        assert stat.S_IMODE((site.shared / name).stat().st_mode) == 0o600
    array = site.submit(EXAMPLES / "array.sbatch")
    assert Counter(cluster.wait(array)) == {"COMPLETED": 8}, site.logs()
    wait_for(lambda: len(list(client(site).runs(experiment="sweep", status="finished"))) == 8, "8 runs")
    best = next(client(site).runs(experiment="sweep", metric="loss"))
    assert client(site).run(best["id"])["parameters"]["rate"] == 0.08
    assert [path for path in (site.shared / "spool").rglob("*") if path.is_file()] == []
    told = json.loads(site.announced.read_text())
    for service in ("tracker", "query_engine"):
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(f"{told[service]}/v1/executions", timeout=10)
    assert told["token"] not in site.logs() + "".join(log.read_text() for log in site.shared.glob("data/logs/*.log"))


@pytest.mark.parametrize("launcher", ["mpirun", "srun"])
def test_the_ranks_of_an_mpi_job_are_one_run(cluster: Cluster, site: Site, tmp_path: Path, launcher: str) -> None:
    site.wait_for_services(site.services())
    script = EXAMPLES / "mpi.sbatch"
    if launcher == "srun":
        script = tmp_path / "mpi.sbatch"
        script.write_text((EXAMPLES / "mpi.sbatch").read_text().replace("exec mpirun", "exec srun --mpi=pmix"))
    # The services have one node for themselves, so all ranks are on the other one.
    job = site.submit(script, "--nodes=1", PLLIB_PYTHON="/usr/bin/python3")
    assert cluster.wait(job) == ["COMPLETED"], site.logs()
    wait_for(lambda: len(list(client(site).runs(experiment="pi", status="finished"))) == 1, "one run")
    (found,) = client(site).runs(experiment="pi")
    sessions = client(site).execution(found["id"])["sessions"]
    assert sorted(session["rank"] for session in sessions) == [0, 1, 2, 3]


def test_ranks_on_two_nodes_are_one_run_that_began_before_the_tracker(cluster: Cluster, site: Site) -> None:
    job = site.submit(EXAMPLES / "mpi.sbatch", PLLIB_PYTHON="/usr/bin/python3", PLLIB_EXIT_TIMEOUT="0.5")
    assert cluster.wait(job) == ["COMPLETED"], site.logs()
    site.wait_for_services(site.services())
    assert " records sent" in ship(site)
    wait_for(lambda: len(list(client(site).runs(experiment="pi", status="finished"))) == 1, "one run")
    (found,) = client(site).runs(experiment="pi")
    sessions = client(site).execution(found["id"])["sessions"]
    assert sorted(session["rank"] for session in sessions) == [0, 1, 2, 3]
    hosts = client(site).sparql("SELECT DISTINCT ?host { ?process provlake:host ?host }")
    assert sorted(row["host"] for row in hosts) == [*NODES]


def test_jobs_that_began_before_the_tracker_deliver_to_it_while_they_run(cluster: Cluster, site: Site) -> None:
    job = worker(site, "early", 400, 0.1)
    wait_for(lambda: captured(site, "early") > 5, "captures")
    site.wait_for_services(site.services())
    wait_for(lambda: visible(site) > 5, "captures in the store")
    assert cluster.states(job) == ["RUNNING"]


def test_at_the_time_limit_the_services_drain_and_the_next_job_goes_on(cluster: Cluster, site: Site) -> None:
    first = site.services("--time=3", "--signal=B:TERM@110")  # that is after 40 to 70 s: Slurm looks each half minute
    second = site.services()
    job = worker(site, "limit", 1000, 0.1)
    site.wait_for_services(first)
    before = json.loads(site.announced.read_text())["tracker"]
    assert cluster.states(second) == ["PENDING"]
    assert cluster.wait(first) == ["COMPLETED"], site.logs()
    assert "the tracker takes no more captures" in site.logs()
    cluster.wait_until(second, "RUNNING")
    site.wait_for_services(second)
    assert json.loads(site.announced.read_text())["tracker"] != before
    assert cluster.wait(job) == ["COMPLETED"]
    ship(site)
    all_visible(site, 1000)
    assert [path for path in (site.shared / "spool").rglob("*.frames")] == []


def test_a_node_fails_and_slurm_starts_the_services_again(cluster: Cluster, site: Site) -> None:
    services = site.services("--nodelist=n1")
    site.wait_for_services(services)
    job = worker(site, "failing", 400, 0.1, "--nodelist=n2")
    wait_for(lambda: visible(site) > 5, "captures in the store")
    before = site.announced.read_text()
    cluster.kill_node("n1")
    assert site.announced.read_text() == before  # nobody was left to take it back
    try:
        wait_for(lambda: cluster.states(services) != ["RUNNING"], "Slurm notices")
        cluster.start_node("n1")
        cluster.wait_until(services, "RUNNING")
        wait_for(lambda: site.announced.exists() and site.announced.read_text() != before, "the services, elsewhere")
        assert cluster.wait(job) == ["COMPLETED"]
        ship(site)
        all_visible(site, 400)
    finally:
        cluster.start_node("n1")


def test_what_cancelled_and_killed_jobs_captured_is_sent_from_the_login_node(cluster: Cluster, site: Site) -> None:
    jobs = [worker(site, name, 10_000, 0.01, PLLIB_URL="http://127.0.0.1:1") for name in ("cancelled", "killed")]
    wait_for(lambda: captured(site, "cancelled") > 50 and captured(site, "killed") > 50, "captures")
    cluster.cancel(jobs[0])
    cluster.cancel(jobs[1], "--signal=KILL", "--full")
    for job in jobs:
        cluster.wait(job)
    services = site.services()
    site.wait_for_services(services)
    ship(site)
    told = captured(site, "cancelled") + captured(site, "killed")
    wait_for(lambda: visible(site) >= told, f"{told} steps in the store")
    assert visible(site) <= told + 2  # the step that each was in when it ended


def test_offline_jobs_are_shipped_beside_and_after_them(cluster: Cluster, site: Site) -> None:
    offline = site.submit(EXAMPLES / "offline.sbatch")
    job = worker(site, "offline", 300, 0.1, PLLIB_MODE="disk")
    site.wait_for_services(site.services())
    wait_for(lambda: captured(site, "offline") > 5, "captures")
    ship(site)
    wait_for(lambda: visible(site) > 5, "the first of it")
    assert cluster.states(job) == ["RUNNING"]
    until_killed = subprocess.Popen(
        [sys.executable, "-m", "pllib", "ship", str(site.shared / "spool"), "--url", f"file://{site.announced}"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    until_killed.kill()
    until_killed.wait()
    assert cluster.wait(job) == ["COMPLETED"]
    assert Counter(cluster.wait(offline)) == {"COMPLETED": 4}
    ship(site)
    all_visible(site, 300)
    assert len(list(client(site).runs(experiment="sweep"))) == 4
    assert [path for path in (site.shared / "spool").rglob("*") if path.is_file()] == []
