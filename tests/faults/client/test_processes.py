"""Forks under load, pools of all kinds, and ranks that start at once: every process has its own identity and file."""

from __future__ import annotations

import shutil

import pytest

from pllib import spool

TRACES = ("OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK")


@pytest.mark.parametrize("state", ["up", "down"])
def test_forks_under_load(trial, clean, ledger, tries, state):
    """A thread captures and ships while children are forked: a lock held at that instant must not stop a child."""
    if state == "down":
        trial.proxy.down()
    children = tries(20, 250)
    run = trial.start("forks", "--count", "3", "--children", str(children), interval=0.01)
    ended = run.wait(60 + children)
    assert ended.code == 0, ended  # no child hung
    trial.proxy.up()
    row = ledger.row(f"forks under load, server {state}")
    found = trial.settle_account(row)
    names = {unit.value.partition("-")[0].partition(".")[2] for unit in found.accepted}
    assert {f"{index}" for index in range(children)} <= names
    assert sum(name.isdigit() for name in names) == children
    row.tries = children
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_pools_of_all_kinds(trial, clean, ledger, tries, method):
    for _ in range(tries(1, 10)):
        run = trial.start("pool", "--count", "3", "--parts", "8", "--children", "2", "--method", method)
        ended = run.wait()
        assert ended.code == 0, ended
    row = ledger.row(f"pool of processes, {method}")
    found = trial.settle_account(row)
    assert len(found.accepted) == trial.runs * 8 * 3 * 2
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


# Where MPI is missing (Debian: openmpi-bin) the ranks are started by the test itself.
LAUNCHERS = ["environment", *(["mpirun"] if shutil.which("mpirun") else [])]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ranks_that_start_in_the_same_second(trial, clean, ledger, tries, launcher):
    """All in one workflow execution, by ``PLLIB_EXECUTION`` alone."""
    row = ledger.row(f"8 ranks at once, by {launcher}")
    for attempt in range(tries(1, 10)):
        barrier = trial.folder / f"barrier{attempt}"
        barrier.mkdir()
        options = ["--count", "20", "--children", "8", "--barrier", str(barrier)]
        if launcher == "mpirun":
            started = [trial.start("rank", *options, wrap=MPIRUN, execution=f"job{attempt}", **FOR_ROOT)]
        else:
            started = [
                trial.start(
                    "rank", *options, execution=f"job{attempt}", **dict(zip(TRACES, ("8", str(rank)), strict=True))
                )
                for rank in range(8)
            ]
        for run in started:
            ended = run.wait()
            assert ended.code == 0, ended
    found = trial.settle_account(row)
    assert len(found.accepted) == tries(1, 10) * 8 * 20 * 2
    ranks = {unit.value.partition("-")[0] for unit in found.accepted}
    producers = {producer for producer, _ in trial.records}
    assert len(producers) == len(ranks) == tries(1, 10) * 8  # each an identity of its own, and by it a file
    executions = {
        record.split(b'"wf": "')[1].split(b'"')[0]
        for record in trial.records.values()
        if b'"kind": "workflow"' in record
    }
    assert len(executions) == tries(1, 10)
    assert not spool.producers(str(trial.spool))
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


MPIRUN = ("mpirun", "-n", "8", "--oversubscribe", "--bind-to", "none")
FOR_ROOT = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
