"""The memory of a client whose server is dead does not grow with what it captures."""

from __future__ import annotations

import pytest

from tests.faults.proxy import black_hole

MOST = 64_000_000
"""Bytes of growth, as promised."""


@pytest.mark.parametrize("state", ["down", "black hole"])
def test_memory_under_a_dead_server(trial, ledger, tries, state):
    """Counted on disk alone: a million records would keep the stack busy for long, and tell nothing more."""
    if state == "down":
        trial.proxy.down()
    else:
        trial.proxy.behave(black_hole)
    count = tries(50_000, 500_000)  # tasks, of two records each
    options = ("--count", str(count), "--ending", "tell", "--flush", "0")
    run = trial.start("plain", *options, exit_timeout=0.2)
    assert run.wait(600).code == 0
    grown = run.stats()["grown"]
    assert grown <= MOST, f"{grown / 1e6:.0f} MB"
    row = ledger.row(f"{2 * count:,} records, server {state}")
    on_disk = trial.on_disk()
    accepted = trial.accepted()
    row.tries += 1
    row.accepted += len(accepted)
    row.on_disk += len(accepted & on_disk)
    assert accepted <= on_disk
    assert len(accepted) == 2 * count
    row.note = f"memory grew by {grown / 1e6:.1f} MB"


def test_control_a_queue_in_memory_grows(trial, ledger):
    trial.proxy.down()
    options = ("--count", "50000", "--ending", "tell", "--flush", "0")
    run = trial.start(
        "plain", *options, mode="memory", queue_records=1_000_000, queue_bytes=1_000_000_000, exit_timeout=0.2
    )
    assert run.wait(600).code == 0
    grown = run.stats()["grown"]
    assert grown > 64_000_000
    for row in ledger.rows.values():
        if row.note.startswith("memory grew"):
            row.note += f"; control, a queue in memory: {grown / 1e6:.0f} MB"
