"""``pllib ship``: killed and run again, several at once, beside the living producer, over torn files and copies."""

from __future__ import annotations

import random
import shutil
import sys
import time

from pllib import spool, spool_reader
from pllib.spool_reader import SpoolReader
from tests.faults.client.trials import kill_group, payloads
from tests.faults.proxy import keeping, slow

SEED = 20260726
WITHOUT_REGARD = """
import fcntl, sys
fcntl.flock = lambda *_: None
from pllib.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The control arm: ships as if no process that writes were there."""


def spooled(trial, runs: int, count: int = 150, **settings) -> None:
    """Records of some scripts that had no server."""
    for _ in range(runs):
        assert trial.run("plain", "--count", str(count), mode="disk", **settings).code == 0


def nothing_left(trial) -> None:
    assert not list(payloads(trial.spool))


def test_killed_at_random_instants_and_run_again(trial, clean, ledger, tries):
    chance = random.Random(SEED)
    row = ledger.row("`pllib ship` killed, and run again")
    spooled(trial, 2, tries(200, 6000), segment_bytes=3_000)
    trial.proxy.behave(slow(0.03, keeping(trial.records)))
    kills = 0
    for _ in range(tries(5, 200)):
        shipping = trial.start_ship()
        time.sleep(chance.uniform(0.1, 0.5))
        kills += shipping.poll() is None
        shipping.kill()
        shipping.communicate()
    assert kills > tries(2, 10)
    trial.proxy.behave(keeping(trial.records))
    found = trial.settle_account(row)
    assert found.delivered.keys() == found.accepted
    nothing_left(trial)
    row.tries = kills
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_several_at_once(trial, clean, ledger, tries):
    row = ledger.row("`pllib ship` three times at once")
    for _ in range(tries(1, 30)):
        spooled(trial, 2, segment_bytes=3_000)
        for shipping in [trial.start_ship() for _ in range(3)]:
            _, errors = shipping.communicate(timeout=120)
            assert shipping.returncode == 0, errors
    found = trial.settle_account(row)
    assert found.delivered.keys() == found.accepted
    nothing_left(trial)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def beside(trial, command: list[str], seconds: float, pause: float = 0.003, **settings) -> None:
    """Runs a command over and over beside a script that captures, with so many seconds between two tasks."""
    run = trial.start("plain", "--count", "100000", "--pause", str(pause), mode="disk", **settings)
    run.began()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        trial.command(command)
    kill_group(run.process)
    run.wait()


def test_beside_the_living_producer(trial, clean, ledger, tries):
    """What is sent may be deleted, but not the file that is still written to."""
    row = ledger.row("`pllib ship` beside the living producer")
    for size in (8_000_000, 3_000):
        beside(trial, trial.ship_command(), tries(1, 15), segment_bytes=size)
    found = trial.settle_account(row)
    assert found.delivered.keys() >= found.accepted
    nothing_left(trial)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_control_beside_the_living_producer_without_regard_for_it(trial, ledger):
    """The test above can fail: a shipper that deletes what it has sent takes the file from under the script."""
    script = trial.folder / "without_regard.py"
    script.write_text(WITHOUT_REGARD)
    command = [sys.executable, str(script), *trial.ship_command()[5:]]
    beside(trial, command, 2.0, pause=0.05)
    shipped = trial.ship()
    assert shipped.returncode == 0, shipped.stderr
    missing = len(trial.account().missing)
    assert missing > 0
    ledger.row("`pllib ship` beside the living producer").note += f"; control, without regard for it: {missing} lost"


def test_torn_tails_and_files_of_another_host(trial, clean, ledger, tries):
    """A copy of the files, as from another host's disk, is shipped too, with tails torn at random: nothing doubles."""
    chance = random.Random(SEED)
    row = ledger.row("`pllib ship` of copies with torn tails")
    for _ in range(tries(2, 20)):
        spooled(trial, 1, segment_bytes=10_000)
    copy = trial.folder / "copy"
    shutil.copytree(trial.spool, copy)
    torn = 0
    for path in sorted(copy.rglob("*.frames")):
        with open(path, "ab") as file:
            file.write(chance.randbytes(chance.randrange(1, 40)).replace(b"\n", b" "))
            torn += 1
    for folder in (copy, trial.spool, copy):
        shipped = trial.ship(folder=folder)
        assert shipped.returncode == 0, shipped.stderr
    assert torn >= tries(2, 20)
    assert spool.producers(str(copy))  # a torn end is kept
    found = trial.settle_account(row)
    assert found.delivered.keys() == found.accepted
    nothing_left(trial)
    row.note = f"{trial.same_graph(clean)} triples, as with no fault"


def test_what_is_written_between_two_looks_is_not_passed_over(tmp_path, monkeypatch):
    """The writer goes on in a file, and begins the next, at the one moment between the two looks of the reader."""
    producer = "3f" + "0" * 30
    writer = spool.SpoolWriter(str(tmp_path), producer, 60, 1_000_000)
    written = [b'{"n":%d,"op":"begin"}' % n for n in range(9)]
    assert writer.offer(written[0]) is None
    reader = SpoolReader(str(tmp_path), producer)
    reader.done(reader.take(10, 1_000_000))
    listing = spool_reader.segments
    rest = iter(written[1:])

    def listed(folder: str, of: str) -> list[int]:
        for payload in rest:
            assert writer.offer(payload) is None
        return listing(folder, of)

    monkeypatch.setattr(spool_reader, "segments", listed)
    found = [written[0]]
    while (batch := reader.take(10, 1_000_000)) is not None:
        found += batch.payloads
        reader.done(batch)
    writer.close()
    assert found == written
