"""Points of series: ``kill -9``, threads, forks, signals, full and damaged disks; nothing that was accepted is lost or doubled.

A point is accepted when its call has returned, and known by its value, which is unique. What is delivered is read from the records that a
server in the place of the tracker got, the same record counted once.
"""

from __future__ import annotations

import ast
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from pllib import points_recovery, spool
from tests.faults.client.trials import FORKS_OF_THREADS, ROOT, Run
from tests.faults.ledger import Row
from tests.faults.tools import fill, small_disk
from tests.unit.pllib.receiver import Receiver

WORKLOAD = Path(__file__).with_name("points_workload.py")
SEED = 20260726
SMALL = {"segment_bytes": 3_000, "batch_records": 7, "interval": 0.005}
"""Points files of some fifty points, so that they are begun and removed all the time."""


class Trial:
    """Scripts that log points, and what became of these."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.spool = folder, folder / "spool"
        self.receiver = Receiver()
        self.runs: list[Run] = []

    def environment(self, **settings: Any) -> dict[str, str]:
        base = {name: text for name, text in os.environ.items() if not name.startswith("PLLIB_")}
        chosen = {"url": self.receiver.url, "spool": self.spool, **settings}
        named = {f"PLLIB_{name.upper()}": str(value) for name, value in chosen.items()}
        return {**base, "PYTHONPATH": str(ROOT), **named}

    def start(self, *options: str, **settings: Any) -> Run:
        name = f"r{len(self.runs)}"
        side = self.folder / name
        command = [sys.executable, "-W", "error", "-W", FORKS_OF_THREADS, str(WORKLOAD), str(side)]
        process = subprocess.Popen(
            [*command, "--first", str(len(self.runs) * 100_000_000), *options],
            env=self.environment(**settings),
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
        )
        self.runs.append(Run(name, process, side))
        return self.runs[-1]

    def run(self, *options: str, **settings: Any) -> dict[str, Any]:
        """Runs the script to its end; its accounting."""
        run = self.start(*options, **settings)
        ended = run.wait()
        assert ended.code == 0, ended
        assert "Traceback" not in ended.errors, ended
        found: dict[str, Any] = ast.literal_eval(run.side.with_name(run.name + ".stats").read_text())
        return found

    def ship(self, folder: Path | None = None, *options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-W", "error", "-m", "pllib", "ship", str(folder or self.spool), *options]
        return subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=120, cwd=ROOT)

    def shipped(self, folder: Path | None = None) -> None:
        done = self.ship(folder)
        assert done.returncode == 0, done.stderr

    def accepted(self) -> Counter[tuple[str, int]]:
        lines = [line.split() for run in self.runs if run.side.exists() for line in run.side.read_text().splitlines()]
        return Counter((name, int(value)) for name, value in lines)

    def records(self) -> list[dict[str, Any]]:
        """Every record that arrived, once; what has the same identity is the same to the last byte."""
        found: dict[tuple[str, int], dict[str, Any]] = {}
        for batch in self.receiver.batches:
            for record in batch["records"]:
                known = found.setdefault((batch["producer"], record["n"]), {**record, "producer": batch["producer"]})
                assert known == {**record, "producer": batch["producer"]}
        return list(found.values())

    def delivered(self) -> Counter[tuple[str, int]]:
        found: Counter[tuple[str, int]] = Counter()
        places: Counter[tuple[str, str, int]] = Counter()
        for record in self.records():
            if record["op"] == "points":
                assert len(record["steps"]) == len(record["times"]) == len(record["values"]) <= 1000
                assert all(time > 10**15 for time in accumulate(record["times"]))
                found.update((record["series"], value) for value in record["values"])
                places.update(
                    (record["producer"], record["series"], record["first"] + at) for at in range(len(record["values"]))
                )
        assert not [place for place, number in places.items() if number > 1]
        return found

    def check(self, row: Row, making: int = 0, dropped: int = 0) -> None:
        """Everything that was accepted arrived once; at most ``making`` points more, whose calls had not returned."""
        accepted, delivered = self.accepted(), self.delivered()
        assert not {point for point, number in delivered.items() if number > 1}
        missing = accepted.keys() - delivered.keys()
        assert len(missing) == dropped, (len(accepted), len(delivered), sorted(missing)[:9])
        assert len(delivered.keys() - accepted.keys()) <= making
        assert accepted
        row.tries += len(self.runs)
        row.accepted += len(accepted)
        row.delivered += len(accepted) - len(missing)
        row.dropped += dropped

    def left(self) -> list[str]:
        """Names of files in the spool."""
        return [path.name for path in self.spool.rglob("*") if path.is_file()] if self.spool.is_dir() else []


@pytest.fixture
def trial(tmp_path: Path) -> Iterator[Trial]:
    begun = Trial(tmp_path)
    yield begun
    for run in begun.runs:
        if run.process.poll() is None:
            run.process.kill()
        run.process.communicate()
    begun.receiver.stop()


@pytest.mark.parametrize(
    ("mode", "settings"),
    [("process", {}), ("process", SMALL), ("node", SMALL), ("disk", SMALL)],
    ids=["process", "process, small files", "node, small files", "disk, small files"],
)
def test_kill_9_at_random_instants_loses_and_doubles_nothing(trial, ledger, tries, mode, settings):
    chance = random.Random(SEED)
    for _ in range(tries(2, 100)):
        run = trial.start("--count", "10000000", mode=mode, **settings)
        run.began()
        time.sleep(chance.uniform(0, 0.4))
        assert run.kill().code < 0
    trial.shipped()
    trial.check(ledger.row("kill -9 while points are logged, in points"), making=len(trial.runs))
    trial.shipped()  # there is nothing left to send
    assert not trial.left()


def test_kill_9_of_a_process_with_eight_threads(trial, ledger, tries):
    chance = random.Random(SEED)
    for _ in range(tries(2, 50)):
        run = trial.start("--count", "10000000", "--threads", "8", "--series", "20", **SMALL)
        run.began(100)
        time.sleep(chance.uniform(0, 0.4))
        run.kill()
    trial.shipped()
    trial.check(ledger.row("kill -9 while eight threads log points, in points"), making=8 * len(trial.runs))


def test_four_processes_of_eight_threads(trial, ledger):
    for _ in range(4):
        trial.start("--count", "2000", "--threads", "8", "--series", "5")
    for run in trial.runs:
        ended = run.wait()
        assert (ended.code, ended.errors) == (0, ""), ended
    trial.check(ledger.row("four processes of eight threads, in points"))
    assert not trial.left()
    begins = [record for record in trial.records() if record["op"] == "begin" and record.get("id") == "training/0"]
    assert len({record["session"] for record in begins}) == 4


def test_forked_children_have_files_and_counts_of_their_own(trial, ledger):
    stats = trial.run("--children", "10", "--count", "20", "--pause", "0.0005")
    trial.shipped()  # of those that ended by os._exit
    trial.check(ledger.row("forks while points are logged, in points"))
    assert stats["accepted"] == stats["delivered"]
    firsts = Counter((record["producer"], record["series"]) for record in trial.records() if record.get("first") == 0)
    assert set(firsts.values()) == {1}
    assert len({producer for producer, name in firsts if name == "s0"}) == 11


@pytest.mark.parametrize("mode", ["process", "disk"])
def test_a_signals_handler_that_logs_in_the_middle_of_logging(trial, ledger, tries, mode):
    chance = random.Random(SEED)
    for _ in range(tries(2, 30)):
        run = trial.start("--count", "10000000", "--series", "2", "--handler", mode=mode, **SMALL)
        run.began(50)
        time.sleep(chance.uniform(0, 0.4))
        run.kill()
    trial.run("--count", "5000", "--series", "2", "--handler", mode=mode, **SMALL)
    trial.shipped()
    trial.check(ledger.row("a signal's handler logs points, in points"), making=2 * len(trial.runs))


def test_control_without_the_points_file_points_are_lost(trial):
    """The tests above can fail: with points in memory alone they are missing."""
    run = trial.start("--count", "10000000", "--pause", "0.0005", mode="memory")
    run.began(50)
    run.kill()
    with pytest.raises(AssertionError):
        trial.check(Row("control"))


def test_the_limit_of_a_file_drops_points_and_counts_them(trial, ledger):
    """As a quota of the disk does; the script goes on."""
    stats = trial.run("--count", "20000", "--full", "tell", "--file-limit", "30000", mode="disk")
    dropped = sum(stats["dropped"].values())
    assert dropped > 100
    trial.shipped()
    told = sum(record["count"] for record in trial.records() if record["op"] == "gap")
    assert told == dropped


def test_a_full_disk_drops_and_counts_and_resumes(trial, ledger):
    with small_disk(trial.folder / "disk", 3_000_000) as disk:
        run = trial.start("--count", "4000", "--pause", "0.0005", spool=disk / "spool")
        run.began(300)
        fill(disk / "ballast")
        run.began(run.records() + 1000)
        (disk / "ballast").unlink()
        ended = run.wait()
        assert ended.code == 0
        assert "Traceback" not in ended.errors
        stats = ast.literal_eval(run.side.with_name(run.name + ".stats").read_text())
        trial.shipped(disk / "spool")
    dropped = sum(stats["dropped"].values())
    missing = trial.accepted().keys() - trial.delivered().keys()
    assert 0 < len(missing) == dropped
    assert ("s0", 3999) in trial.delivered()
    assert stats["points"]["accepted"] + dropped >= 4000
    row = ledger.row("disk full while points are logged, in points")
    row.tries, row.accepted, row.delivered, row.dropped = 1, 4000, 4000 - dropped, dropped
    assert sum(record["count"] for record in trial.records() if record["op"] == "gap") == dropped


# -- recovery -----------------------------------------------------------------------------------------------------


def dead(trial: Trial, *options: str) -> str:
    """A producer that was killed, whose points are in no record."""
    run = trial.start("--count", "10000000", *options, mode="disk")
    run.began(400)
    run.kill()
    return next(name for name in spool.producers(str(trial.spool)))


def test_recovery_twice_or_killed_in_the_middle_gives_the_same_records(trial, ledger):
    producer = dead(trial)
    whole = trial.folder / "whole"
    shutil.copytree(trial.spool, whole)
    first = points_recovery.recover(str(trial.spool), producer)
    assert first == ([], None)
    assert not [name for name in trial.left() if name.endswith(".points")]
    for path in whole.rglob("*.points"):  # killed before the points were removed
        shutil.copy(path, trial.spool / path.relative_to(whole))
    points_recovery.recover(str(trial.spool), producer)
    assert len(spool.segments(str(trial.spool), producer)) == 2  # and not a third
    trial.shipped()
    count = len(trial.records())
    trial.shipped(whole)
    assert len(trial.records()) == count
    trial.check(ledger.row("recovery of points, twice and killed"), making=1)


def test_a_kill_of_pllib_ship_in_the_middle_of_recovery(trial, ledger, tries):
    chance = random.Random(SEED)
    for _ in range(tries(3, 50)):
        dead(trial)
    for _ in range(tries(6, 100)):
        command = [sys.executable, "-m", "pllib", "ship", str(trial.spool)]
        process = subprocess.Popen(
            command, env=trial.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0.05, 0.25))
        process.kill()
        process.wait()
    trial.shipped()
    trial.check(ledger.row("kill -9 of pllib ship while it recovers points, in points"), making=len(trial.runs))


def test_several_recover_at_once(trial, ledger):
    for _ in range(3):
        dead(trial)
    command = [sys.executable, "-m", "pllib", "ship", str(trial.spool)]
    running = [
        subprocess.Popen(command, env=trial.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    for process in running:
        assert process.communicate(timeout=60)[1] == ""
    trial.shipped()
    trial.check(ledger.row("several recover the same points, in points"), making=len(trial.runs))


def test_points_of_a_living_process_are_left_alone(trial):
    run = trial.start("--count", "1500", "--pause", "0.001", mode="disk")
    run.began(300)
    before = [name for name in trial.left() if name.endswith(".points")]
    trial.shipped()
    assert [name for name in trial.left() if name.endswith(".points")] == before != []
    assert run.wait().code == 0
    trial.shipped()
    trial.check(Row("none"))


def test_points_in_a_folder_that_is_read_only_are_sent_all_the_same(trial, ledger):
    dead(trial)
    with small_disk(trial.folder / "disk", 30_000_000) as disk:
        shutil.copytree(trial.spool, disk / "spool")
        done = subprocess.run(["mount", "-o", "remount,ro", str(disk)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        for _ in range(2):
            shipped = trial.ship(disk / "spool")
            assert shipped.returncode == 0, shipped.stderr
            assert "could not be kept" in shipped.stderr
    trial.check(ledger.row("points on a disk that is read only"), making=1)


def read(data: bytes) -> tuple[list[tuple[str, int, Any]], int]:
    found = points_recovery.records([data])
    made = [json.loads(payload) for payload in found.records]
    return [(r["series"], r["first"] + at, v) for r in made for at, v in enumerate(r["values"])], len(found.damaged)


def test_every_truncation_and_flipped_byte_costs_only_the_lines_it_is_in(trial, ledger):
    dead(trial, "--series", "2", "--pause", "0.0001")
    (path,) = trial.spool.rglob("*.points")
    lines = path.read_bytes().splitlines(keepends=True)[:60]  # every other one is empty
    data = b"".join(lines)
    whole, damaged = read(data)
    assert (len(whole), damaged) == (27, 0)
    row = ledger.row("a truncated or flipped points file")
    for size in range(len(data)):
        found, damaged = read(data[:size])
        assert found == [point for point in whole if point in found]
        # The version, two series, and points; of the last one the newline may be missing.
        complete = data[:size].count(b"\n") + (data[size : size + 1] == b"\n")
        assert len(found) == sum(line.split()[1:2] in ([b"0"], [b"1"]) for line in lines[:complete])
        assert not damaged
        row.tries += 1
    for place in range(len(data)):
        harmed = bytearray(data)
        harmed[place] ^= 1 << (place % 8)
        try:
            found, damaged = read(bytes(harmed))
        except points_recovery.UnknownVersion:
            pytest.fail("a damaged line is no line of another version")
        assert set(found) <= set(whole)
        of_series = 20  # where it is introduced all its points are without a name, and are kept as they are
        first = data[:place].count(b"\n")
        touched = lines[first : first + 1 + (data[place] == 10)]
        assert len(whole) - len(found) <= (of_series if any(b" s " in line for line in touched) else 2)
        # A hex digit may be written large or small, and nought as a space; the last newline is not needed.
        assert damaged or set(found) == set(whole) or place == len(data) - 1
        row.tries += 1
