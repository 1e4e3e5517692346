"""Trials of one fault: scripts that are run and harmed, and the account of what became of their records.

What was accepted is read from the side files (see ``workload.py``), what was delivered from the store, what is on disk
from the spool. A record is known by its unit: ``b`` or ``e`` (begin or end of a task) and the value it carries.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from pllib import spool
from tests.faults.client import graphs
from tests.faults.ledger import Row
from tests.faults.proxy import Proxy, keeping

ROOT = Path(__file__).parents[3]
WORKLOAD = Path(__file__).with_name("workload.py")
BEFORE_EXIT = 5.5
"""Seconds that the end of a process may take, as promised."""
FORKS_OF_THREADS = "ignore:This process:DeprecationWarning"
"""Python 3.12 and later warn of forks in a process with threads, as which every script with pllib counts."""
BUSY = 5.0
"""Seconds more that a busy machine is given."""


class Unit(NamedTuple):
    """A record: ``b`` or ``e``, and the value it carries."""

    kind: str
    value: str


class Ended(NamedTuple):
    """How a process ended: exit code (negative: the signal), its error output, and seconds since it was told to."""

    code: int
    errors: str
    seconds: float


class Account(NamedTuple):
    """What became of the records of a trial.

    Attributes:
        accepted: units whose capture call had returned.
        delivered: of each unit that the store holds, in how many executions.
        on_disk: units that the spool holds whole.
    """

    accepted: frozenset[Unit]
    delivered: Mapping[Unit, int]
    on_disk: frozenset[Unit]

    @property
    def missing(self) -> frozenset[Unit]:
        """Accepted, and neither delivered nor on disk."""
        return self.accepted - self.delivered.keys() - self.on_disk

    @property
    def duplicated(self) -> int:
        return sum(count - 1 for count in self.delivered.values())

    def of(self, *runs: str) -> Account:
        """The account of some runs alone."""

        def ours(unit: Unit) -> bool:
            return unit.value.partition("-")[0].partition(".")[0] in runs

        return Account(
            frozenset(filter(ours, self.accepted)),
            {unit: count for unit, count in self.delivered.items() if ours(unit)},
            frozenset(filter(ours, self.on_disk)),
        )

    def check(self, dropped: int = 0) -> None:
        """Raises ``AssertionError`` when something was lost or doubled."""
        lost = len(self.missing) - dropped
        assert lost == 0, f"{lost} of {len(self.accepted)} lost: {sorted(self.missing)[:9]}"
        assert self.duplicated == 0, [unit for unit, count in self.delivered.items() if count > 1][:9]

    def add_to(self, row: Row, tries: int, dropped: int = 0) -> None:
        """Adds itself to the ledger."""
        arrived = self.accepted & self.delivered.keys()
        row.tries += tries
        row.accepted += len(self.accepted)
        row.delivered += len(arrived)
        row.on_disk += len((self.accepted & self.on_disk) - arrived)
        row.dropped += dropped
        row.duplicated += self.duplicated


@dataclass
class Trial:
    """The scripts of one fault, with a spool folder, side files, and a relay before the tracker.

    Attributes:
        services: the stack that gets the records.
        folder: where all files of the trial lie.
        proxy: the relay; the scripts are given its address.
        records: every record that came by at the relay, by producer and number.
    """

    services: Any
    folder: Path
    proxy: Proxy
    mark: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    records: dict[tuple[str, int], bytes] = field(default_factory=dict)
    runs: int = 0
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.proxy.behave(keeping(self.records))
        (self.folder / "side").mkdir(parents=True)

    @property
    def spool(self) -> Path:
        return self.folder / "spool"

    @property
    def side(self) -> Path:
        """Folder of the side files."""
        return self.folder / "side"

    def environment(self, **settings: Any) -> dict[str, str]:
        """Environment of a script; settings are those of the library, or other variables by their full names."""
        base = {
            name: text
            for name, text in os.environ.items()
            if not name.startswith("PLLIB_") or name == "PLLIB_TEST_SESSION"
        }
        chosen = {"url": self.proxy.url, "spool": self.spool, **settings}
        named = {name if name.isupper() else f"PLLIB_{name.upper()}": str(value) for name, value in chosen.items()}
        return {**base, "PYTHONPATH": str(ROOT), "PYTHONDEVMODE": "0", **named}

    def start(self, kind: str = "plain", *options: str, wrap: tuple[str, ...] = (), **settings: Any) -> Run:
        """Starts the script under test in a process group of its own."""
        self.runs += 1
        name = f"r{self.runs}"
        side = self.side / name
        command = [*wrap, sys.executable, "-W", "error", "-W", FORKS_OF_THREADS, str(WORKLOAD), kind]
        command += ["--mark", self.mark, "--run", name, "--side", str(side), *options]
        process = subprocess.Popen(
            command,
            env=self.environment(**settings),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            cwd=self.folder,
            process_group=0,
        )
        self._processes.append(process)
        return Run(name, process, side)

    def run(self, kind: str = "plain", *options: str, **settings: Any) -> Ended:
        """Runs the script to its end."""
        return self.start(kind, *options, **settings).wait()

    def ship(
        self, *options: str, url: str | None = None, folder: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Ships what is on disk, as a user would."""
        return self.command(self.ship_command(*options, url=url, folder=folder))

    def command(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Runs a command to its end, with the settings of this trial."""
        return subprocess.run(command, **self._shipping)

    def start_ship(self, *options: str, url: str | None = None, folder: Path | None = None) -> subprocess.Popen[str]:
        """Ships in the background."""
        settings = {name: value for name, value in self._shipping.items() if name not in ("capture_output", "timeout")}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(self.ship_command(*options, url=url, folder=folder), **settings, **pipes)
        self._processes.append(process)
        return process

    def ship_command(self, *options: str, url: str | None = None, folder: Path | None = None) -> list[str]:
        target = ["--url", url or self.proxy.url, "--retry", "60"]
        return [sys.executable, "-W", "error", "-m", "pllib", "ship", str(folder or self.spool), *target, *options]

    @property
    def _shipping(self) -> dict[str, Any]:
        return {"env": self.environment(), "cwd": ROOT, "capture_output": True, "text": True, "timeout": 150}

    # -- the account ------------------------------------------------------------------------------------------------

    def accepted(self) -> frozenset[Unit]:
        """Units that the side files name."""
        lines = (line for path in self.side.iterdir() if not path.suffix for line in path.read_text().splitlines())
        return frozenset(Unit(*line.split(" ", 1)) for line in lines)

    def on_disk(self) -> frozenset[Unit]:
        """Units that the spool holds whole."""
        found = (self.unit_of(payload) for payload in payloads(self.spool))
        return frozenset(unit for unit in found if unit is not None)

    def unit_of(self, payload: bytes) -> Unit | None:
        """Which unit a record is; ``None`` for those that are no task's."""
        record = json.loads(payload)
        if record["op"] == "begin" and (value := record.get("used", {}).get(f"begun_{self.mark}")) is not None:
            return Unit("b", value)
        if record["op"] == "end" and (value := record.get("generated", {}).get(f"ended_{self.mark}")) is not None:
            return Unit("e", value)
        return None

    def delivered(self) -> Counter[Unit]:
        """Of each unit that the store holds, in how many executions."""
        graphs.settle(self.services)
        found: Counter[Unit] = Counter()
        for kind, name, pattern in (
            ("b", "begun", "?a prov:used ?x ; prov:startedAtTime ?t ."),
            ("e", "ended", "?x prov:wasGeneratedBy ?a . ?a prov:endedAtTime ?t ."),
        ):
            label = f"{name}_{self.mark}"
            rows = graphs.select(
                self.services,
                f'SELECT ?v (COUNT(DISTINCT ?a) AS ?n) {{ ?attribute rdfs:label "{label}" . '
                f"?x prov:wasDerivedFrom ?attribute ; prov:value ?v . {pattern} }} GROUP BY ?v",
            )
            found.update({Unit(kind, row["v"]): int(row["n"]) for row in rows})
        return found

    def account(self) -> Account:
        """What became of all records until now."""
        return Account(self.accepted(), self.delivered(), self.on_disk())

    def settle_account(self, row: Row, dropped: int = 0) -> Account:
        """Ships what is left, adds the account to the ledger, and checks that it comes out even.

        Raises:
            AssertionError: something was lost, doubled or invented.
        """
        if self.spool.is_dir():
            shipped = self.ship()
            assert shipped.returncode == 0, shipped.stderr
        found = self.account()
        found.add_to(row, self.runs, dropped)
        found.check(dropped)
        return found

    def same_graph(self, clean: Any) -> int:
        """How many triples came of these records, which are the very ones that come of them in a stack that sees no fault."""
        return graphs.same_graph(self.services, clean, self.mark, self.records)

    def end_processes(self) -> None:
        """Ends what still runs, with all children."""
        for process in self._processes:
            kill_group(process)
            process.communicate()


class Run(NamedTuple):
    """A script that runs."""

    name: str
    process: subprocess.Popen[str]
    side: Path

    def records(self) -> int:
        """How many it has captured so far."""
        return self.side.read_bytes().count(b"\n") if self.side.exists() else 0

    def began(self, records: int = 1, seconds: float = 60.0) -> None:
        """Waits until it has captured so many records."""
        deadline = time.monotonic() + seconds
        while self.records() < records:
            assert self.process.poll() is None, (self.records(), self.process.communicate()[1])
            assert time.monotonic() < deadline, "the script captures nothing"
            time.sleep(0.002)

    def kill(self, number: int = signal.SIGKILL) -> Ended:
        """Sends a signal and waits for the end."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self, seconds: float = 120.0) -> Ended:
        """Waits for the end; the time counts from now."""
        started = time.monotonic()
        _, errors = self.process.communicate(timeout=seconds)
        return Ended(self.process.returncode, errors, time.monotonic() - started)

    def end_seconds(self) -> float:
        """Waits for the end; seconds since the last record was captured."""
        self.process.wait(120)
        return time.time() - self.side.stat().st_mtime

    def stats(self) -> dict[str, Any]:
        """The accounting that a script with ``--ending tell`` wrote."""
        found: dict[str, Any] = json.loads(self.side.with_name(self.name + ".stats").read_text())
        return found


def kill_group(process: subprocess.Popen[str]) -> None:
    """Kills a process that leads a group, and what it started."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        if process.poll() is None:
            process.kill()


def payloads(folder: Path) -> Iterator[bytes]:
    """All whole records in a spool folder, whether they were sent or not."""
    if not folder.is_dir():
        return
    for producer in spool.producers(str(folder)):
        for number in spool.segments(str(folder), producer):
            for frame in spool.read_segment(str(folder), producer, number):
                if frame.payload is not None:
                    yield frame.payload


@contextmanager
def running(services: Any, folder: Path) -> Iterator[Trial]:
    """A trial, whose processes are ended when the block is."""
    with Proxy(services.tracker_url) as proxy:
        trial = Trial(services, folder, proxy)
        try:
            yield trial
        finally:
            trial.end_processes()


def side_by_side(work: list[Callable[[], None]]) -> None:
    """Runs functions in threads; the first error is raised."""
    errors: list[BaseException] = []

    def guarded(one: Callable[[], None]) -> None:
        try:
            one()
        except BaseException as error:  # noqa: BLE001 - raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(one,)) for one in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
