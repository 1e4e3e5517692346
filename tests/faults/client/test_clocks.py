"""Clocks that step by a day, and clients whose clocks differ by days: no hang, no loss, no negative duration."""

from __future__ import annotations

import json
import time

from tests.faults.client.graphs import select, triples
from tests.faults.client.trials import BEFORE_EXIT, BUSY, Trial
from tests.faults.proxy import alternating, answer, keeping
from tests.faults.tools import require_library

DAY = 86_400
STEPS = f"0,{DAY},{-DAY}"


def by_the_wall_clock(trial: Trial) -> int:
    """The control arm: how many durations would be negative if the end were what the wall clock said then."""
    begins: dict[tuple[str, str], int] = {}
    negative = 0
    for record in map(json.loads, trial.records.values()):
        key = (record.get("wf", ""), record.get("id", ""))
        if record["op"] == "begin":
            begins[key] = record["t"]
        elif record["op"] == "end":
            negative += record.get("clock", record["t"]) < begins[key]
    return negative


def check_times(trial: Trial) -> None:
    """No task of the graph ends before it begins, or lasts as long as no script did."""
    rows = select(
        trial.services,
        f"""PREFIX provlake: <https://w3id.org/pllib/provlake#>
        SELECT ?a ?duration (?end < ?start AS ?before) {{ ?a prov:startedAtTime ?start ; prov:endedAtTime ?end ; provlake:duration ?duration
        FILTER(CONTAINS(STR(?a), "{trial.mark}") && CONTAINS(STR(?a), "/t/")) }}""",
    )
    assert len(rows) > 100
    assert all(row["before"] == "false" and 0 <= float(row["duration"]) < 60 for row in rows), rows


def check_constraints(trial: Trial, constraint_violations) -> None:
    lines = triples(trial.services, trial.mark, frozenset(producer for producer, _ in trial.records))
    assert constraint_violations(lines) == []


def test_a_wall_clock_that_steps_while_a_script_runs(trial, clean, ledger, tries, constraint_violations):
    """The portable arm: the process's own ``time`` steps, also under retries whose date is a clock time."""
    trial.proxy.behave(alternating(answer(503, {"Retry-After": "1"}), keeping(trial.records)))
    row = ledger.row("clock steps of a day, in the process")
    for _ in range(tries(1, 20)):
        run = trial.start("plain", "--count", "200", "--lasting", "0.005", "--clock", STEPS)
        assert run.end_seconds() <= BEFORE_EXIT + BUSY
        assert run.wait().code == 0
    trial.settle_account(row)
    check_times(trial)
    check_constraints(trial, constraint_violations)
    row.note = (
        f"no negative duration; control, by the wall clock: {by_the_wall_clock(trial)}; the graph as with no fault"
    )
    assert by_the_wall_clock(trial) > 0
    trial.same_graph(clean)


def test_a_system_clock_that_steps(trial, clean, ledger, tries, constraint_violations):
    """libfaketime: every call of the C library sees the steps, the waits of threads among them."""
    library = require_library("libfaketime.so.1", "libfaketime")
    row = ledger.row("clock steps of a day, by libfaketime")
    clock = trial.folder / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(library),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    for _ in range(tries(1, 20)):
        run = trial.start("plain", "--count", "160", "--lasting", "0.01", "--sleep-by-select", **faked)
        run.began(10)
        for offset in (DAY, -DAY) * 4:
            clock.write_text(f"{offset:+d}")
            time.sleep(0.15)
        started = time.monotonic()
        assert run.wait().code == 0
        assert time.monotonic() - started <= BEFORE_EXIT + BUSY
    trial.settle_account(row)
    check_times(trial)
    check_constraints(trial, constraint_violations)
    assert by_the_wall_clock(trial) > 0
    row.note = (
        f"no negative duration; control, by the wall clock: {by_the_wall_clock(trial)}; the graph as with no fault"
    )
    trial.same_graph(clean)


def test_clients_whose_clocks_are_days_apart(trial, clean, ledger, tries):
    """They share a workflow execution, so that their times meet in one activity."""
    row = ledger.row("clients with clocks a day ahead, right, and a day behind")
    for attempt in range(tries(1, 20)):
        runs = [
            trial.start("plain", "--count", "40", "--clock", str(offset), execution=f"job{attempt}")
            for offset in (DAY, 0, -DAY)
        ]
        for run in runs:
            assert run.wait().code == 0
    found = trial.settle_account(row)
    assert len(found.accepted) == trial.runs * 40 * 2
    check_times(trial)
    row.note = f"no negative duration; {trial.same_graph(clean)} triples, as with no fault"
