"""The spool as a state machine over a disk that loses what was not synced, fills up, and lets processes die.

Hypothesis chooses what happens: records are offered, with or without room; files are synced, taken, acknowledged, refused
and removed; the writer or the reader is killed; the power is cut. The real writer and reader run over real files. Of each file
it is known how much was synced; a power cut leaves at least that, and an arbitrary part of the rest. Of small files that are
replaced it leaves any earlier state, and files that were deleted may be back.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pllib import spool
from pllib.spool_reader import SpoolReader
from pllib.syncing import Syncer

SEGMENT, MOST = 150, 5_000
PLENTY = 1_000_000


class Disk:
    """What was synced of each file, and what earlier states a power cut may bring back."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.room: int | None = None
        self._synced: Counter[tuple[int, int]] = Counter()
        self._states: dict[Path, list[bytes]] = {}

    def write(self, descriptor: int, data: bytes) -> int:
        """``os.write``, of as much as there is room for."""
        if self.room is None:
            return WRITE(descriptor, data)
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done = WRITE(descriptor, data[: self.room])
        self.room -= done
        return done

    def fsync(self, descriptor: int) -> None:
        """``os.fsync``, as far as it matters here."""
        state = os.fstat(descriptor)
        self._synced[state.st_dev, state.st_ino] = state.st_size

    def note(self) -> None:
        """Remembers the files as they are."""
        for path in self._files():
            states = self._states.setdefault(path, [])
            if not states or states[-1] != path.read_bytes():
                states.append(path.read_bytes())

    def cut_power(self, data: st.DataObject) -> None:
        """Leaves of each file what was synced, and of the rest what the draws say."""
        for path, states in sorted(self._states.items()):
            if path.suffix == ".frames" and path.exists():
                state = path.stat()
                synced = self._synced[state.st_dev, state.st_ino]
                os.truncate(path, data.draw(st.integers(min(synced, state.st_size), state.st_size), "bytes left"))
            elif path.suffix == ".frames":
                if data.draw(st.booleans(), "deleted file is back"):
                    path.write_bytes(states[-1][: data.draw(st.integers(0, len(states[-1])), "bytes left")])
            elif path.suffix == ".acked":
                was = data.draw(st.sampled_from([None, b"", states[-1][:3], *states]), "note")
                path.unlink(missing_ok=True)
                if was is not None:
                    path.write_bytes(was)

    def _files(self) -> list[Path]:
        return [path for path in self.folder.rglob("*") if path.is_file()]

    @contextmanager
    def used(self):
        """In its block the system's calls go through this."""
        with mock.patch.object(os, "write", self.write), mock.patch.object(os, "fsync", self.fsync):
            yield
        self.note()


WRITE = os.write


class Producer:
    """One process that writes, and what became of its records."""

    def __init__(self, folder: Path, number: int) -> None:
        self.id = f"{number:032x}"
        self.writer: spool.SpoolWriter | None = spool.SpoolWriter(
            str(folder), self.id, SEGMENT, MOST, keeps_finished=True
        )
        self.offered = 0
        self.accepted: list[bytes] = []
        self.dropped: set[bytes] = set()
        self.promised: set[bytes] = set()
        self.lost: set[bytes] = set()
        self.taken: Counter[bytes] = Counter()


class Spools(RuleBasedStateMachine):
    """See the module."""

    folder: Path
    total: Counter[str]

    @initialize()
    def begin(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.disk = Disk(self.folder)
        self.producers: list[Producer] = []
        self.readers: dict[str, list[SpoolReader]] = {}
        self.last: dict[SpoolReader, int] = {}
        self._start()

    # -- writing ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        with self.disk.used():
            self.producers.append(Producer(self.folder, len(self.producers) + 1))

    @property
    def living(self) -> Producer | None:
        return next((one for one in self.producers if one.writer is not None), None)

    @precondition(lambda self: self.living or len(self.producers) < 4)
    @rule(size=st.integers(0, 60), count=st.integers(1, 8))
    def offer(self, size: int, count: int) -> None:
        """Records, of the process that lives or else of a new one."""
        if not self.living:
            self._start()
        for _ in range(count):
            self._offer(size)

    @precondition(lambda self: self.living)
    @rule(size=st.integers(0, 60), room=st.integers(0, 120))
    def offer_with_little_room(self, size: int, room: int) -> None:
        self.disk.room = room
        for _ in range(3):
            self._offer(size)
        self.disk.room = None

    def _offer(self, size: int) -> None:
        one = self.living
        payload = b'{"n":%d,"p":"%b"}' % (one.offered, b"x" * size)
        one.offered += 1
        with self.disk.used():
            accepted = self.put(one.writer, payload)
        (one.accepted.append if accepted else one.dropped.add)(payload)

    @staticmethod
    def put(writer: spool.SpoolWriter, payload: bytes) -> bool:
        return writer.offer(payload) is None

    @precondition(lambda self: self.living)
    @rule()
    def sync(self) -> None:
        with self.disk.used():
            self.bring_to_disk(self.living.writer)
        self.living.promised = set(self.living.accepted)

    def bring_to_disk(self, writer: spool.SpoolWriter) -> None:
        assert Syncer(writer, self.disk.fsync).stop(60)

    @precondition(lambda self: self.living)
    @rule(how=st.sampled_from(["in order", "killed"]))
    def end(self, how: str) -> None:
        """The process ends; when it is killed the system closes its file."""
        if how == "killed":
            os.close(self.living.writer.fd)
        else:
            with self.disk.used():
                self.living.writer.close()
        self.living.writer = None

    # -- shipping -----------------------------------------------------------------------------------------------

    def _reader(self, one: Producer, which: int) -> SpoolReader:
        readers = self.readers.setdefault(one.id, [])
        while len(readers) <= which:
            readers.append(SpoolReader(str(self.folder), one.id))
        return readers[which]

    @precondition(lambda self: self.producers)
    @rule(
        data=st.data(),
        which=st.integers(0, 1),
        most=st.integers(1, 6),
        then=st.sampled_from(["acknowledge", "acknowledge", "acknowledge", "die", "refuse"]),
    )
    def ship(self, data: st.DataObject, which: int, most: int, then: str) -> None:
        one = data.draw(st.sampled_from(self.producers), "producer")
        with self.disk.used():
            self._ship(one, self._reader(one, which), most, then)

    def _ship(self, one: Producer, reader: SpoolReader, most: int, then: str = "acknowledge") -> bool:
        batch = reader.take(most, PLENTY)
        if batch is None:
            return False
        numbers = [one.accepted.index(payload) for payload in batch.payloads]  # raises where something was invented
        assert numbers == sorted(set(numbers))
        assert not numbers or numbers[0] > self.last.get(reader, -1), "out of order, or twice"
        one.taken.update(batch.payloads)
        if then == "die":  # after the tracker had the batch, before that was noted
            self.readers[one.id] = []
            return True
        if then == "refuse":
            reader.refuse([{"record": payload.decode()} for payload in batch.payloads[:1]])
        reader.done(batch)
        if numbers:
            self.last[reader] = numbers[-1]
        return True

    @precondition(lambda self: self.producers)
    @rule(data=st.data(), which=st.integers(0, 1))
    def finish(self, data: st.DataObject, which: int) -> None:
        """As ``pllib ship`` does at its end, also while the producer lives."""
        one = data.draw(st.sampled_from(self.producers), "producer")
        with self.disk.used():
            self._reader(one, which).finish()

    # -- the machine --------------------------------------------------------------------------------------------

    @rule(data=st.data())
    def cut_power(self, data: st.DataObject) -> None:
        if self.living:
            self.end("killed")
        self.readers = {}
        self.disk.cut_power(data)
        for one in self.producers:
            there = b"".join(path.read_bytes() for path in sorted(self.folder.rglob(f"{one.id}.*.frames")))
            gone = {payload for payload in one.accepted if b" " + payload + b"\n" not in there} - one.taken.keys()
            assert not gone & one.promised, "synced, and lost"
            one.lost |= gone

    @invariant()
    def accounts_come_out_even(self) -> None:
        for one in getattr(self, "producers", ()):
            assert one.offered == len(one.accepted) + len(one.dropped)
            if one.writer is not None:
                assert one.writer.accepted == len(one.accepted)
            assert not one.dropped & one.taken.keys()

    def teardown(self) -> None:
        """All that survived is shipped in the end, and nothing but that."""
        if not hasattr(self, "producers"):
            return
        if self.living:
            self.end("in order")
        for one in self.producers:
            reader = SpoolReader(str(self.folder), one.id)
            with self.disk.used():
                while self._ship(one, reader, 10):
                    pass
                reader.finish()
            assert set(one.accepted) - one.lost <= one.taken.keys(), "survived, and never shipped"
            assert one.taken.keys() <= set(one.accepted)
            self.total["accepted"] += len(one.accepted)
            self.total["delivered"] += len(one.taken)
            self.total["lost"] += len(one.lost - one.taken.keys())
            self.total["dropped"] += len(one.dropped)
        self.total["tries"] += 1


def explore(machine: type[Spools], folder: Path, examples: int) -> Counter[str]:
    """Runs the machine so many times; what became of all records."""
    total: Counter[str] = Counter()
    placed = type(machine.__name__, (machine,), {"folder": folder / "spool", "total": total})
    chosen = settings(
        max_examples=examples,
        stateful_step_count=40,
        deadline=None,
        database=None,
        derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate,),  # add Phase.shrink to get a short story of a failure
        report_multiple_bugs=False,
        print_blob=False,
    )
    run_state_machine_as_test(placed, settings=chosen)
    return total


def test_whatever_happens_to_processes_and_disk_the_account_comes_out_even(tmp_path, ledger, tries):
    total = explore(Spools, tmp_path, tries(40, 3000))
    row = ledger.row("any order of crashes, power cuts, full disks (a state machine)")
    row.tries += total["tries"]
    row.accepted += total["accepted"] - total["lost"]
    row.delivered += total["delivered"]
    row.note = f"beside {total['lost']} that a power cut took before they were synced, and {total['dropped']} that found no room"


class NothingSynced(Spools):
    def bring_to_disk(self, writer: spool.SpoolWriter) -> None:
        """Says so and does nothing."""


class Torn(Spools):
    @staticmethod
    def put(writer: spool.SpoolWriter, payload: bytes) -> bool:
        """Takes a short write for a whole one."""
        writer.offer(payload)
        return True


class Hasty(Spools):
    def _ship(self, one: Producer, reader: SpoolReader, most: int, then: str = "acknowledge") -> bool:
        """Acknowledges before the tracker has answered."""
        if then == "die" and (batch := reader.take(most, PLENTY)) is not None:
            reader.done(batch)
            self.readers[one.id] = []
            return True
        return super()._ship(one, reader, most, then)


@pytest.mark.parametrize("machine", [NothingSynced, Torn, Hasty])
def test_control_faulty_spools_are_found_out(tmp_path, machine):
    with pytest.raises(AssertionError):
        explore(machine, tmp_path, 300)
