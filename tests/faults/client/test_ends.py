"""Every other way for a script to end, and not to end: the same account as for ``kill -9``."""

from __future__ import annotations

import signal
import time

import pytest

from tests.faults.client.trials import BEFORE_EXIT, BUSY
from tests.faults.proxy import black_hole, keeping

ENDINGS = {
    "return": 0,
    "term": -signal.SIGTERM,
    "int": -signal.SIGINT,
    "kill": -signal.SIGKILL,
    "os-exit": 3,
    "exit": 4,
    "raise": 1,
    "exit-in-thread": 0,
}


@pytest.mark.parametrize("state", ["up", "down"])
def test_however_a_script_ends_its_records_and_its_exit_code_stay(trial, clean, ledger, tries, state):
    if state == "down":
        trial.proxy.down()
    for _ in range(tries(1, 25)):
        runs = {name: trial.start("plain", "--count", "40", "--ending", name) for name in ENDINGS}
        for name, run in runs.items():
            ended = run.wait()
            assert ended.code == ENDINGS[name], (name, ended)
            assert ("Traceback" in ended.errors) == (name in ("int", "raise")), (name, ended)  # the script's own
    assert not trial.account().missing
    trial.proxy.up()
    row = ledger.row(f"{', '.join(ENDINGS)}; server {state}")
    trial.settle_account(row)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


@pytest.mark.parametrize("script", ["ends by it", "ends in order"])
def test_term_and_two_seconds_later_kill_as_batch_systems_do(trial, clean, ledger, tries, script):
    """Worst of all when the script ends in order and the library still tries to ship to a server that is silent."""
    trial.proxy.behave(black_hole)
    more = ["--exit-on-term"] if script == "ends in order" else []
    for _ in range(tries(1, 20)):
        runs = [trial.start("plain", "--count", "100000", "--pause", "0.002", *more) for _ in range(2)]
        for run in runs:
            run.began(30)
            run.process.send_signal(signal.SIGTERM)
        time.sleep(2)
        for run in runs:
            assert (run.process.poll() is None) == (script == "ends in order")
            run.kill()
    assert not trial.account().missing
    trial.proxy.behave(keeping(trial.records))
    row = ledger.row(f"SIGTERM, 2 s later SIGKILL; the script {script}")
    trial.settle_account(row)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_a_process_that_was_stopped_for_a_while_goes_on(trial, ledger, tries):
    """Long enough, in all tries, for the tracker to have closed the connection."""
    for _ in range(tries(1, 5)):
        run = trial.start("plain", "--count", "150", "--pause", "0.005")
        run.began(40)
        for _ in range(tries(2, 5)):
            run.process.send_signal(signal.SIGSTOP)
            time.sleep(tries(1, 7))
            run.process.send_signal(signal.SIGCONT)
            time.sleep(0.1)
        assert run.end_seconds() <= BEFORE_EXIT + BUSY
        ended = run.wait()
        assert (ended.code, ended.errors) == (0, "")
    found = trial.account()
    assert found.delivered.keys() >= found.accepted  # by itself
    found.add_to(ledger.row("SIGSTOP, later SIGCONT"), trial.runs)
    found.check()
