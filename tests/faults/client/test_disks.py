"""Disks that are full, read-only, limited, not there, or taken away: the script goes on, and what is lost is counted."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.faults.client.trials import Run, Trial, payloads
from tests.faults.proxy import until
from tests.faults.tools import fill, small_disk

SIZE = 5_000_000
OWN = 3
"""Records that have no unit: of the process, and of begin and end of the workflow."""


def ended_well(run: Run) -> dict[str, Any]:
    """The accounting of a script that ended as if nothing had been."""
    ended = run.wait()
    assert (ended.code, "Traceback" in ended.errors) == (0, False), ended
    return run.stats()


def shipped(trial: Trial, folder: Path | None = None) -> None:
    done = trial.ship(folder=folder)
    assert done.returncode == 0, done.stderr


def full_for_a_while(trial: Trial, run: Run, disk: Path, records: int) -> int:
    """Fills the disk while the script goes on for so many records, then makes room; how many it says were dropped in the end."""
    fill(disk / "ballast")
    run.began(run.records() + records)
    (disk / "ballast").unlink()
    trial.proxy.up()
    told = sum(ended_well(run)["dropped"].values())
    shipped(trial, disk / "spool")
    return told


def gaps(trial: Trial) -> int:
    """Dropped records that the records which arrived tell of."""
    found = [json.loads(payload) for payload in trial.records.values()]
    return sum(record["count"] for record in found if record["op"] == "gap")


def removed(folder: Path) -> bool:
    """Whether a folder could be deleted with all that is in it, while somebody may write there."""
    shutil.rmtree(folder, ignore_errors=True)
    return not folder.exists()


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_full_disk_drops_and_counts_and_resumes(trial, clean, ledger, tries, state):
    row = ledger.row(f"disk full, then space again; server {state}")
    dropped = 0
    for attempt in range(tries(1, 10)):
        if state == "down":
            trial.proxy.down()
        with small_disk(trial.folder / f"disk{attempt}", SIZE) as disk:
            more = ("--pad", "500", "--pause", "0.001", "--ending", "tell", "--flush", "60")
            run = trial.start("plain", "--count", "1500", *more, spool=disk / "spool")
            run.began(100)
            told = full_for_a_while(trial, run, disk, 400)
        assert told > 100
        dropped += told
        found = trial.account().of(run.name)
        assert any(unit.value == f"{run.name}-1499" for unit in found.delivered)  # it resumed
        found.add_to(row, 1, told)
        found.check(told)
    assert gaps(trial) == dropped
    row.note = f"gap records tell of all; {trial.same_graph(clean)} triples, as with no fault"


def test_a_full_disk_under_many_threads_drops_and_counts_and_resumes(trial, clean, ledger, tries):
    """Where a record finds room for a part of itself, others come behind it at once."""
    row, dropped = ledger.row("disk full under eight threads, then space again"), 0
    for attempt in range(tries(1, 10)):
        trial.proxy.down()
        with small_disk(trial.folder / f"disk{attempt}", SIZE) as disk:
            more = ("--children", "8", "--pad", "300", "--pause", "0.003", "--ending", "tell", "--flush", "60")
            run = trial.start("threads", "--count", "250", *more, spool=disk / "spool", segment_bytes=100_000)
            run.began(300)
            told = full_for_a_while(trial, run, disk, 800)
        assert told > 100
        dropped += told
        found = trial.account().of(run.name)
        assert all(any(unit.value == f"{run.name}.{own}-249" for unit in found.delivered) for own in range(8))
        found.add_to(row, 1, told)
        found.check(told)
    assert gaps(trial) == dropped
    row.note = f"gap records tell of all; {trial.same_graph(clean)} triples, as with no fault"


def test_control_on_a_full_disk_the_count_of_drops_is_needed(trial):
    """The test above can fail: the records are missing indeed, and nothing but the count accounts for them."""
    with small_disk(trial.folder / "disk", SIZE) as disk:
        run = trial.start("plain", "--count", "400", "--pause", "0.002", spool=disk / "spool")
        run.began(50)
        fill(disk / "ballast")
        run.wait()
        found = trial.account()
    with pytest.raises(AssertionError, match="lost"):
        found.check()


def test_shipping_from_a_disk_that_is_full_makes_room(trial, ledger, tries):
    """It has no byte to note what was taken, and goes on all the same."""
    for attempt in range(tries(1, 10)):
        with small_disk(trial.folder / f"disk{attempt}", SIZE) as disk:
            settings = {"mode": "disk", "spool": disk / "spool", "segment_bytes": 50_000}
            assert trial.run("plain", "--count", "300", "--pad", "500", **settings).code == 0
            fill(disk / "ballast")
            shipped(trial, disk / "spool")
            assert not list(payloads(disk / "spool"))
    found = trial.account()
    found.add_to(ledger.row("disk full, shipped while it is"), trial.runs)
    found.check()
    assert found.delivered.keys() >= found.accepted


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_limit_of_the_size_of_files_drops_and_counts(trial, ledger, tries, state):
    """As a quota does: ``EFBIG`` in place of ``EDQUOT``, from the kernel. Files that are finished earlier do not meet it."""
    row = ledger.row(f"limit on the size of files; server {state}")
    more = ("--count", "400", "--pad", "1000", "--file-limit", "200000", "--ending", "tell", "--flush", "2")
    for _ in range(tries(1, 10)):
        if state == "down":
            trial.proxy.down()
        limited, free = trial.start("plain", *more), trial.start("plain", *more, segment_bytes=50_000)
        told = sum(ended_well(limited)["dropped"].values())
        assert not ended_well(free)["dropped"]
        trial.proxy.up()
        shipped(trial)
        found = trial.account()
        found.of(free.name).check()
        missing = len(found.of(limited.name).missing)
        assert missing > 100
        assert 0 <= told - missing <= OWN
        found.of(limited.name, free.name).add_to(row, 2, missing)
        assert not found.duplicated
    row.note = "none with files that end before the limit"


# Root is allowed everything, and shows the same on a disk that is read-only, which only root can mount.
NO_PLACES = ["a file", "below a file", "read-only" if os.geteuid() == 0 else "not allowed"]


@pytest.mark.parametrize("place", NO_PLACES)
def test_a_spool_that_cannot_be_made_is_replaced_by_another(trial, ledger, place):
    """Records go to the folder for temporary files; the script sees nothing of it."""
    temporary, wanted = trial.folder / "temporary", trial.folder / "wanted"
    temporary.mkdir()

    def run(spool: Path) -> None:
        ended = trial.run("plain", "--count", "50", spool=spool, TMPDIR=temporary)
        assert (ended.code, ended.errors) == (0, ""), ended

    if place == "read-only":
        with small_disk(wanted, 1_000_000, "ro"):
            run(wanted)
    elif place == "not allowed":
        wanted.mkdir(mode=0o500)
        run(wanted)
    else:
        wanted.write_text("mine")
        run(wanted if place == "a file" else wanted / "spool")
        assert wanted.read_text() == "mine"
    found = trial.account()
    assert found.delivered.keys() >= found.accepted
    row = ledger.row("a spool folder that cannot be made")
    found.add_to(row, 1)
    found.check()
    row.note = "records went by the folder for temporary files"


@pytest.mark.parametrize("state", ["up", "down"])
def test_a_spool_folder_that_is_deleted_under_a_running_script(trial, ledger, tries, state):
    """What had been sent is safe; what was only there is lost by whoever deleted it, and is counted; capture goes on.

    The file is looked at when something is to be sent: at once, or with no tracker after the seconds that the last failure costs.
    """
    row = ledger.row(f"spool folder deleted while in use; server {state}")
    for _ in range(tries(1, 10)):
        if state == "down":
            trial.proxy.down()
        run = trial.start("plain", "--count", "600", "--pause", "0.002", "--ending", "tell", "--flush", "20")
        run.began(200)
        assert until(lambda: removed(trial.spool), 10)
        run.began(700)
        trial.proxy.up()
        told = sum(ended_well(run)["dropped"].values())
        found = trial.account().of(run.name)
        if state == "up":
            assert not [unit for unit in found.missing if int(unit.value.partition("-")[2]) >= 400]
        assert len(found.missing) <= told <= len(found.missing) + OWN
        found.add_to(row, 1, len(found.missing))
        assert not found.duplicated
    row.note = "the dropped ones were deleted with the folder"
