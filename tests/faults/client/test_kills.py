"""``kill -9`` of a capturing process at random instants: what was accepted is delivered once, or still on disk."""

from __future__ import annotations

import random
import time

import pytest

from tests.faults.client.trials import BUSY, kill_group
from tests.faults.proxy import keeping, slow

SEED = 20260726
SMALL = {"segment_bytes": 2_000, "batch_records": 7, "interval": 0.005}
"""Files of a few records and tiny batches, so that rotations, acknowledgements and deletions happen all the time."""


def kill_at_random(trial, tries, *options, seconds=0.2, group=False, **settings):
    chance = random.Random(SEED)
    for _ in range(tries):
        run = trial.start(*options, **settings)
        run.began()
        time.sleep(chance.uniform(0, seconds))
        if group:
            kill_group(run.process)
        ended = run.kill()
        assert ended.code < 0, ended


@pytest.mark.parametrize("state", ["up", "slow", "down"])
def test_kill_9_at_random_instants_loses_nothing(trial, clean, ledger, tries, state):
    if state == "slow":
        trial.proxy.behave(slow(0.15, keeping(trial.records)))
    elif state == "down":
        trial.proxy.down()
    kill_at_random(trial, tries(3, 200), "plain", "--count", "100000", "--pause", "0.002")
    before = trial.account()
    assert not before.missing
    assert before.on_disk  # else nothing was shown of the disk
    trial.proxy.behave(keeping(trial.records))
    trial.proxy.up()
    row = ledger.row(f"kill -9, server {state}")
    found = trial.settle_account(row)
    assert len(found.delivered.keys() - found.accepted) <= trial.runs  # the record in the making, at most
    row.note = f"{trial.same_graph(clean)} triples, as with no fault; {len(before.on_disk - before.delivered.keys())} were on disk"


@pytest.mark.parametrize("state", ["up", "down"])
def test_kill_9_between_rotations_and_acknowledgements(trial, clean, ledger, tries, state):
    if state == "down":
        trial.proxy.down()
    kill_at_random(trial, tries(4, 100), "threads", "--count", "100000", "--pause", "0.004", **SMALL)
    trial.proxy.up()
    row = ledger.row(f"kill -9 with tiny files, server {state}")
    found = trial.settle_account(row)
    assert len(found.delivered.keys() - found.accepted) <= trial.runs * 4
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


@pytest.mark.parametrize("mode", ["process", "node", "disk"])
def test_kill_9_of_many_threads_at_full_speed(trial, clean, ledger, tries, mode):
    """Most of them are in the middle of a write, or wait for the interpreter after one, when the process is gone."""
    trial.proxy.down()
    more = {} if mode == "disk" else {"interval": 0.005}
    options = ("threads", "--count", "100000", "--children", "8", "--pause", "0.0005")
    kill_at_random(trial, tries(2, 50), *options, mode=mode, segment_bytes=20_000, **more)
    before = trial.account()
    assert not before.missing
    trial.proxy.up()
    row = ledger.row(f"kill -9 of eight threads, mode {mode}")
    found = trial.settle_account(row)
    assert len(found.delivered.keys() - found.accepted) <= trial.runs * 8
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_kill_9_of_a_whole_pool(trial, clean, ledger, tries):
    kill_at_random(trial, tries(2, 100), "pool", "--count", "10", "--pause", "0.004", group=True)
    row = ledger.row("kill -9 of a pool of processes")
    trial.settle_account(row)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_kill_9_of_the_parent_of_a_pool_lets_the_workers_records_be(trial, clean, ledger, tries):
    for _ in range(tries(1, 20)):
        run = trial.start("pool", "--count", "10", "--pause", "0.004")
        run.began(20)
        run.process.kill()
        run.process.wait(BUSY)
        time.sleep(0.3)  # the workers go on with what they had been handed
        kill_group(run.process)
        run.wait()
    row = ledger.row("kill -9 of the parent of a pool")
    trial.settle_account(row)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


@pytest.mark.parametrize("arm", ["memory", "buffered"])
def test_control_a_queue_in_memory_or_a_buffered_file_does_lose(trial, ledger, tries, arm):
    """The tests above can fail: the same kills, the same account, and records are missing."""
    trial.proxy.down()
    options = ["--buffered"] if arm == "buffered" else []
    mode = "memory" if arm == "memory" else "process"
    kill_at_random(trial, tries(2, 10), "plain", "--count", "100000", "--pause", "0.001", *options, mode=mode)
    found = trial.account()
    assert len(found.missing) > trial.runs
    row = ledger.row("kill -9, server down")
    row.note += f"; control, {arm}: {len(found.missing)} of {len(found.accepted)} lost"
