"""Capture by several threads of one process: none waits for another, nothing is lost or doubled, the bounds hold."""

from __future__ import annotations

import errno
import json
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pllib import appending, encoding, frames, spool, spool_reader, this_process
from pllib.losses import Losses
from pllib.memory import MemoryQueue
from pllib.spool import SpoolWriter
from pllib.tally import Tally, _LockedTally

PRODUCER = "3f" + "0" * 30
WORKERS = 8
SOON = 20.0


@pytest.fixture(autouse=True)
def _many_switches() -> Iterator[None]:
    """Threads change so often that whatever can come in between does."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(before)


def together(work: Callable[[int], None], workers: int = WORKERS) -> None:
    """Does the work in so many threads at once; what one of them raises is raised."""
    raised: list[Exception] = []

    def guarded(own: int) -> None:
        try:
            work(own)
        except Exception as error:  # noqa: BLE001 - told below
            raised.append(error)

    threads = [threading.Thread(target=guarded, args=(own,), daemon=True) for own in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SOON)
        assert raised or not thread.is_alive()
    for error in raised:
        raise error


def payload(own: int, number: int) -> bytes:
    return b'{"n":%d,"own":%d,"x":"%s"}' % (number, own, b"x" * (number % 40))


def of_each(payloads: list[bytes]) -> dict[int, list[int]]:
    """The numbers that each thread's records have, in their order."""
    found: dict[int, list[int]] = {}
    for text in payloads:
        record = json.loads(text)
        found.setdefault(record["own"], []).append(record["n"])
    return found


@pytest.mark.parametrize("kind", [Tally, _LockedTally])
def test_a_sum_that_threads_add_to_is_exact(kind):
    found = kind()

    def work(own: int) -> None:
        for _ in range(5_000):
            found.add(3)
            found.add(-1)
            found.total()

    together(work)
    assert found.total() == WORKERS * 5_000 * 2


def test_a_sum_survives_an_exception_between_its_two_steps():
    found = Tally()
    found._given.append(5)  # as when a signal's handler raises just there
    found.add(2)
    assert found.total() == 7
    assert found.add(1) == 8


# -- memory -------------------------------------------------------------------------------------------------------------


def made(own: int, number: int) -> bytes:
    return payload(own, number)


def drain(queue: MemoryQueue, stop: threading.Event, taken: list[bytes]) -> None:
    while not stop.is_set() or queue.ready():
        batch = queue.take(7, 10**6)
        if batch is None:
            time.sleep(0.0002)
        else:
            taken.extend(batch.payloads)
            queue.done(batch)


def test_the_queue_in_memory_keeps_its_bounds_and_loses_nothing():
    queue = MemoryQueue("0" * 32, 50, 20_000, encoding.payload)
    queue.hurry()
    beyond: list[tuple[int, int]] = []
    taken: list[bytes] = []
    stop = threading.Event()

    def offer(own: int, number: int) -> bool:
        if number % 3:
            return queue.offer_unlinked(600, made, (own, number))
        queue.link()
        return queue.offer(payload(own, number)) is None

    def work(own: int) -> None:
        number = 0
        while number < 400:
            took = offer(own, number)
            lasting = len(queue._queue) + len(queue._unlinked) + len(queue._in_flight)
            if lasting > 50 + WORKERS:
                beyond.append((own, lasting))
            number += took
            if not took:
                time.sleep(0.0002)

    taker = threading.Thread(target=drain, args=(queue, stop, taken), daemon=True)
    taker.start()
    together(work)
    stop.set()
    taker.join(SOON)
    assert not taker.is_alive()
    assert not beyond
    assert of_each(taken) == {own: list(range(400)) for own in range(WORKERS)}
    assert (queue.accepted, queue.waiting(), queue.bytes_held()) == (400 * WORKERS, 0, 0)


def test_threads_that_find_no_room_in_memory_leave_the_figures_exact():
    queue = MemoryQueue("0" * 32, 100, 10**6, encoding.payload)
    took: Counter[int] = Counter()

    def work(own: int) -> None:
        for number in range(500):
            took[own] += queue.offer_unlinked(300, made, (own, number)) or queue.offer(payload(own, number)) is None

    together(work)
    held = sum(took.values())
    assert held == queue.accepted == queue.waiting()
    assert 100 <= held <= 100 + WORKERS
    queue.close()
    assert queue.give_up() == held
    assert (queue.accepted, queue.waiting(), queue.bytes_held()) == (0, 0, 0)


def test_no_thread_waits_for_one_that_links():
    queue = MemoryQueue("0" * 32, 100, 10**6, encoding.payload)
    linking, going_on = threading.Event(), threading.Event()

    def slow() -> bytes:
        linking.set()
        going_on.wait(SOON)
        return b"{}"

    for number in range(30):
        queue.offer(payload(0, number))
    queue.offer_unlinked(300, slow, ())
    linker = threading.Thread(target=queue.link, daemon=True)
    linker.start()
    assert linking.wait(SOON)
    together(lambda own: [queue.offer_unlinked(300, made, (own, number)) for number in range(5)] and None, 5)
    assert queue.waiting() == 30 + 1 + 25  # more than half, where each call links
    going_on.set()
    linker.join(SOON)


# -- files ----------------------------------------------------------------------------------------------------------------


def writer(folder: Path, segment_bytes: int = 10**6, spool_bytes: int = 10**8) -> SpoolWriter:
    return SpoolWriter(str(folder), PRODUCER, segment_bytes, spool_bytes)


def lines(folder: Path) -> list[frames.Frame]:
    numbers = spool.segments(str(folder), PRODUCER)
    return [frame for number in numbers for frame in spool.read_segment(str(folder), PRODUCER, number)]


class HeldUp:
    """Holds up the write of one record until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, mark: bytes) -> None:
        self.there, self.going_on = threading.Event(), threading.Event()
        real = os.write

        def write(fd: int, data: bytes) -> int:
            if mark in data:
                self.there.set()
                assert self.going_on.wait(SOON)
            return real(fd, data)

        monkeypatch.setattr(os, "write", write)

    def begin(self, work: Callable[[], object]) -> threading.Thread:
        thread = threading.Thread(target=work, daemon=True)
        thread.start()
        assert self.there.wait(SOON)
        return thread

    def end(self, thread: threading.Thread) -> None:
        self.going_on.set()
        thread.join(SOON)
        assert not thread.is_alive()


def test_no_thread_waits_for_anothers_write(tmp_path, monkeypatch):
    sink, held = writer(tmp_path), HeldUp(monkeypatch, b"slow")
    sink.offer(b'{"first":1}')
    slow = held.begin(lambda: sink.offer(b'{"slow":1}'))
    together(lambda own: [sink.offer(payload(own, number)) for number in range(20)] and None)
    assert len(lines(tmp_path)) == 1 + 20 * WORKERS
    held.end(slow)
    sink.close()
    assert lines(tmp_path)[-1].payload == b'{"slow":1}'
    assert sink.accepted == len(lines(tmp_path)) == 2 + 20 * WORKERS


def test_no_file_is_followed_by_the_next_while_somebody_writes_to_it(tmp_path, monkeypatch):
    """Whoever finds the next one takes the first to be complete, and deletes it."""
    monkeypatch.setattr(appending, "PATIENCE", 0.01)
    sink, held = writer(tmp_path, segment_bytes=500), HeldUp(monkeypatch, b"slow")
    sink.offer(b'{"first":1}')
    slow = held.begin(lambda: sink.offer(b'{"slow":1}'))
    before = sink.fd
    for number in range(50):
        assert sink.offer(payload(0, number)) is None
    assert spool.segments(str(tmp_path), PRODUCER) == [1]
    held.end(slow)
    for number in range(50, 100):
        assert sink.offer(payload(0, number)) is None
    assert len(spool.segments(str(tmp_path), PRODUCER)) > 2
    assert sink.fd != before or sink.number > 1
    sink.close()
    in_first = [frame.payload for frame in spool.read_segment(str(tmp_path), PRODUCER, 1)]
    assert b'{"slow":1}' in in_first
    assert sum(sink.counts.values()) == sink.accepted == len(lines(tmp_path)) == 102


def test_a_file_is_not_closed_while_somebody_writes_to_it(tmp_path, monkeypatch):
    monkeypatch.setattr(appending, "PATIENCE", 0.01)
    sink, held = writer(tmp_path), HeldUp(monkeypatch, b"slow")
    sink.offer(b'{"first":1}')
    slow = held.begin(lambda: sink.offer(b'{"slow":1}'))
    sink.close()
    os.fstat(sink.fd)
    assert sink.offer(b"{}") == spool.CLOSED
    held.end(slow)
    assert [frame.payload for frame in lines(tmp_path)] == [b'{"first":1}', b'{"slow":1}']
    os.close(sink.fd)


def test_a_signals_handler_may_capture_in_the_middle_of_a_write_that_fills_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(appending, "PATIENCE", 0.01)
    sink, real, inner = writer(tmp_path, segment_bytes=300), os.write, []

    def write(fd: int, data: bytes) -> int:
        if b"outer" in data:
            inner.extend(sink.offer(payload(0, number)) for number in range(20))
        return real(fd, data)

    sink.offer(b'{"first":1}')
    monkeypatch.setattr(os, "write", write)
    assert sink.offer(b'{"outer":1}') is None
    assert inner == [None] * 20
    assert sink.offer(payload(0, 20)) is None
    sink.close()
    assert sum(sink.counts.values()) == sink.accepted == len(lines(tmp_path)) == 23


def test_a_signals_handler_may_capture_in_the_middle_of_a_change_of_files(tmp_path, monkeypatch):
    sink, real, inner = writer(tmp_path, segment_bytes=300), spool.hold, []

    def hold(fd: int, ships: bool) -> None:
        real(fd, ships)
        inner.append(sink.offer(payload(1, len(inner))))

    monkeypatch.setattr(spool, "hold", hold)
    for number in range(50):
        assert sink.offer(payload(0, number)) is None
    sink.close()
    assert len(inner) == sink.number - 1 > 3
    assert inner == [None] * len(inner)
    assert sum(sink.counts.values()) == sink.accepted == len(lines(tmp_path)) == 50 + len(inner)
    for number, count in sink.counts.items():
        assert len(list(spool.read_segment(str(tmp_path), PRODUCER, number))) == count


def test_files_go_round_under_many_threads_while_they_are_read_and_deleted(tmp_path):
    sink, losses = writer(tmp_path, segment_bytes=600), Losses()
    source = spool_reader.OwnSpool(sink, losses)
    source.hurry()
    taken: list[bytes] = []
    left = threading.Semaphore(0)

    def take() -> None:
        ended = 0
        while ended < WORKERS or source.ready():
            ended += left.acquire(blocking=False)
            batch = source.take(7, 10**6)
            if batch is None:
                time.sleep(0.0002)
            else:
                taken.extend(batch.payloads)
                assert not batch.damaged
                source.done(batch)
                assert sink.accepted >= len(taken)
                assert source.waiting() >= 0

    def work(own: int) -> None:
        if own == WORKERS:
            take()
            return
        for number in range(300):
            assert sink.offer(payload(own, number)) is None
        left.release()

    together(work, WORKERS + 1)
    sink.close()
    source.finish()
    assert of_each(taken) == {own: list(range(300)) for own in range(WORKERS)}
    assert sink.accepted == 300 * WORKERS
    assert sink.number > 50
    assert not losses.dropped
    assert os.listdir(tmp_path / "3f") == []


def test_a_disk_that_fills_under_many_threads_takes_whole_records_or_none(tmp_path, monkeypatch):
    sink, real, chance = writer(tmp_path, segment_bytes=2_000), os.write, random.Random(3)

    def write(fd: int, data: bytes) -> int:
        luck = chance.random()
        if luck < 0.1:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, data[: chance.randrange(1, len(data))] if luck < 0.25 else data)

    monkeypatch.setattr(os, "write", write)
    answers: dict[tuple[int, int], str | None] = {}

    def work(own: int) -> None:
        for number in range(150):
            answers[own, number] = sink.offer(payload(own, number))

    together(work)
    sink.close()
    assert set(answers.values()) == {None, spool.DISK}
    found = [frame.payload for frame in lines(tmp_path) if frame.payload is not None]
    expected = {own: [n for n in range(150) if answers[own, n] is None] for own in range(WORKERS)}
    assert of_each(found) == expected
    assert sum(sink.counts.values()) == sink.accepted == len(found)
    for number, count in sink.counts.items():
        there = [frame for frame in spool.read_segment(str(tmp_path), PRODUCER, number) if frame.payload is not None]
        assert len(there) == count


@pytest.mark.parametrize("part", [1, 2, 15, -1])
def test_part_of_a_record_is_taken_back_also_where_somebody_wrote_behind_it(tmp_path, monkeypatch, part):
    sink, real = writer(tmp_path), os.write
    behind: list[str | None] = []

    def write(fd: int, data: bytes) -> int:
        if b"torn" not in data:
            return real(fd, data)
        done = real(fd, data[:part])
        if b"behind" in data:
            together(lambda own: behind.append(sink.offer(payload(9, own))), 2)
        return done

    sink.offer(b'{"first":1}')
    monkeypatch.setattr(os, "write", write)
    size = os.fstat(sink.fd).st_size
    assert sink.offer(b'{"torn":1}') == spool.DISK
    assert os.fstat(sink.fd).st_size - size in (0, 1)  # a newline does no harm
    assert sink.offer(b'{"torn":"behind"}') == spool.DISK
    assert behind == [None, None]
    assert sink.offer(b'{"last":1}') is None
    sink.close()
    found = lines(tmp_path)
    assert [frame.payload for frame in found][-1] == b'{"last":1}'
    assert sink.accepted == len(found) == 4
    assert os.path.getsize(spool.segment_path(str(tmp_path), PRODUCER, 1)) == sink.position[1]


def test_the_quota_holds_under_many_threads(tmp_path):
    sink, took = writer(tmp_path, segment_bytes=1_000, spool_bytes=20_000), Counter()  # type: ignore[var-annotated]

    def work(own: int) -> None:
        for number in range(200):
            took[sink.offer(payload(own, number))] += 1

    together(work)
    sink.close()
    assert took[spool.FULL] > 100
    assert sum(path.stat().st_size for path in tmp_path.rglob("*.frames")) <= 20_000
    assert took[None] == sink.accepted == len(lines(tmp_path))


def test_a_file_that_is_closed_under_many_threads_is_replaced_once(tmp_path, monkeypatch):
    sink = writer(tmp_path)
    held = os.dup(sink.fd)
    os.close(sink.fd)
    together(lambda own: [sink.offer(payload(own, number)) for number in range(20)] and None)
    os.close(held)
    sink.close()
    assert sink.number == 2
    assert sink.accepted == len(lines(tmp_path)) == 20 * WORKERS


@pytest.mark.parametrize("mode", ["memory", "process", "node", "disk"])
def test_what_threads_capture_is_linked_and_counted_in_every_mode(records, mode, tmp_path):
    import pllib

    pllib.configure(
        mode=mode,
        full="spill" if mode == "memory" else "drop_newest",
        url="http://127.0.0.1:1",
        spool=str(tmp_path / "s"),
        segment_bytes=5_000,
        exit_timeout=0.3,
        queue_records=300,
    )
    with pllib.workflow("w") as wf:

        def work(own: int) -> None:
            for number in range(40):
                used = {"x": own + number / 64} if number else {}
                with wf.task("t", used=used) as task:
                    task.generated(x=own + (number + 1) / 64)

        together(work)
    client = this_process.current()
    pllib.shutdown()
    folder = str(tmp_path / "s")
    found = [
        json.loads(frame.payload)
        for number in spool.segments(folder, client.producer)
        for frame in spool.read_segment(folder, client.producer, number)
        if frame.payload is not None
    ]
    assert client.stats()["dropped"] == {}
    assert client.stats()["accepted"] == len(found) == 3 + 2 * 40 * WORKERS
    assert sorted(record["n"] for record in found) == list(range(len(found)))
    generated = {record["generated"]["x"]: record["id"] for record in found if "generated" in record}
    begins = [record for record in found if record["op"] == "begin" and record["kind"] == "task"]
    used = {record["id"]: record.get("links") for record in begins}
    for own in range(WORKERS):
        for number in range(1, 40):
            user = generated[own + (number + 1) / 64]
            assert used[user] == {generated[own + number / 64]: ["x"]}


def test_what_is_computed_beside_it_does_not_wait_at_capture(tmp_path):
    """Capturing threads beside one that computes: it goes on, and so do they."""
    sink, stop, rounds = writer(tmp_path), threading.Event(), [0]

    def compute() -> None:
        while not stop.is_set():
            rounds[0] += 1

    computing = threading.Thread(target=compute, daemon=True)
    computing.start()
    began = time.monotonic()
    together(lambda own: [sink.offer(payload(own, number)) for number in range(50)] and None)
    assert time.monotonic() - began < SOON
    stop.set()
    computing.join(SOON)
    sink.close()
    assert rounds[0] > 0
    assert sink.accepted == 50 * WORKERS
