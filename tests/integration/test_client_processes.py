"""Children, pools, ranks and threads: each process has an identity and a file of its own, and nothing it accepted is missing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pllib import spool
from tests.unit.pllib.receiver import Receiver

ROOT = Path(__file__).parents[2]
HEAD = """
import concurrent.futures, json, multiprocessing, os, sys, threading, time
import pllib

def work(n):
    with pllib.workflow("w") as wf, wf.task("t", used={"n": n}):
        pass
    return pllib.stats()["producer"]
"""
METHODS = ["fork", "spawn", "forkserver"]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


def run(tmp_path: Path, code: str, url: str, **environ: str) -> str:
    """Runs a script; what it printed. Warnings are errors in it, but for those that threads and forks bring by themselves."""
    script = tmp_path / "script.py"
    script.write_text(HEAD + code)
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PLLIB_SPOOL": str(tmp_path / "spool"),
        "PLLIB_URL": url,
        "PLLIB_EXIT_TIMEOUT": "20",
        **environ,
    }
    command = [sys.executable, "-W", "error", "-W", "ignore::DeprecationWarning", str(script)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=45, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def on_disk(tmp_path: Path) -> list[tuple[str, int]]:
    """Identities of the records that are left, (producer, number)."""
    folder = str(tmp_path / "spool")
    if not os.path.isdir(folder):
        return []
    return [
        (producer, json.loads(frame.payload)["n"])
        for producer in spool.producers(folder)
        for number in spool.segments(folder, producer)
        for frame in spool.read_segment(folder, producer, number)
        if frame.payload is not None
    ]


def delivered(receiver: Receiver) -> list[tuple[str, int]]:
    return [(batch["producer"], record["n"]) for batch in receiver.batches for record in batch["records"]]


def tasks(receiver: Receiver) -> Counter[int]:
    """How often each ``n`` was used by a task that was delivered."""
    return Counter(record["used"]["n"] for record in receiver.records if record["op"] == "begin" and record.get("used"))


@pytest.mark.parametrize("method", METHODS)
def test_a_child_of_multiprocessing_sends_what_it_has_when_it_ends(tmp_path, receiver, method):
    code = f"""
if __name__ == "__main__":
    multiprocessing.set_start_method("{method}")
    work(0)
    children = [multiprocessing.Process(target=work, args=(n,)) for n in range(1, 4)]
    for child in children:
        child.start()
    for child in children:
        child.join()
"""
    run(tmp_path, code, receiver.url)
    assert tasks(receiver) == dict.fromkeys(range(4), 1)
    assert len({producer for producer, _ in delivered(receiver)}) == 4
    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("method", METHODS)
def test_an_executors_workers_send_what_they_have_when_they_end(tmp_path, receiver, method):
    code = f"""
if __name__ == "__main__":
    context = multiprocessing.get_context("{method}")
    with concurrent.futures.ProcessPoolExecutor(3, mp_context=context) as pool:
        print(len(set(pool.map(work, range(30)))))
"""
    run(tmp_path, code, receiver.url)
    assert tasks(receiver) == dict.fromkeys(range(30), 1)
    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("method", METHODS)
def test_a_pool_that_is_terminated_leaves_on_disk_what_it_had_not_sent(tmp_path, receiver, method):
    code = f"""
if __name__ == "__main__":
    with multiprocessing.get_context("{method}").Pool(3) as pool:
        print(len(set(pool.map(work, range(30)))))
"""
    run(tmp_path, code, receiver.url)
    everything = {*delivered(receiver), *on_disk(tmp_path)}
    by_producer = Counter(producer for producer, _ in everything)
    assert sum(by_producer.values()) == 30 * 4 + len(by_producer)
    assert all(
        set(range(count)) == {n for p, n in everything if p == producer} for producer, count in by_producer.items()
    )


@pytest.mark.parametrize("ending", ["os._exit(0)", "sys.exit(0)"])
def test_a_forked_child_keeps_or_sends_what_it_has(tmp_path, receiver, ending):
    code = f"""
work(0)
pid = os.fork()
if not pid:
    work(1)
    {ending}
os.waitpid(pid, 0)
"""
    run(tmp_path, code, receiver.url)
    everything = {*delivered(receiver), *on_disk(tmp_path)}
    assert len(everything) == 10
    assert len({producer for producer, _ in everything}) == 2
    if ending == "sys.exit(0)":
        assert on_disk(tmp_path) == []


def test_daemon_processes_and_forks_in_threads(tmp_path, receiver):
    code = """
def fork():
    pid = os.fork()
    if not pid:
        work(2)
        pllib.shutdown()
        os._exit(0)
    os.waitpid(pid, 0)

if __name__ == "__main__":
    work(0)
    child = multiprocessing.get_context("fork").Process(target=work, args=(1,), daemon=True)
    child.start()
    child.join()
    thread = threading.Thread(target=fork)
    thread.start()
    thread.join()
"""
    run(tmp_path, code, receiver.url)
    assert tasks(receiver) == {0: 1, 1: 1, 2: 1}
    assert on_disk(tmp_path) == []


@pytest.mark.parametrize("mode", ["process", "memory", "node"])
def test_a_child_never_waits_for_a_lock_that_another_thread_held(tmp_path, receiver, mode):
    code = """
going = True

def capture():
    n = 1000
    while going:
        n += 1
        work(n)
        pllib.stats()

threads = [threading.Thread(target=capture) for _ in range(3)]
for thread in threads:
    thread.start()
for n in range(40):
    pid = os.fork()
    if not pid:
        work(n)
        pllib.stats()
        pllib.flush(5)
        pllib.shutdown()
        os._exit(0)
    until = time.monotonic() + 15
    while os.waitpid(pid, os.WNOHANG) == (0, 0):
        assert time.monotonic() < until, "the child hangs"
        time.sleep(0.002)
going = False
for thread in threads:
    thread.join()
print(pllib.stats()["producer"])
"""
    parent = run(tmp_path, code, receiver.url, PLLIB_MODE=mode).strip()
    found = tasks(receiver)
    assert [found[n] for n in range(40)] == [1] * 40
    producers = {batch["producer"] for batch in receiver.batches}
    assert len(producers) == 41
    assert parent in producers
    identities = Counter(delivered(receiver))
    assert set(identities.values()) == {1}
    assert on_disk(tmp_path) == []


def test_a_child_does_not_hold_the_parents_files_and_sockets(tmp_path, receiver):
    code = """
def held():
    found = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink("/proc/self/fd/" + fd))
        except OSError:
            pass
    return sorted({name.partition(":")[0] for name in found if name.startswith("socket") or ".frames" in name})

work(0)
pllib.flush(10)
print(len(held()), flush=True)
pid = os.fork()
if not pid:
    print(held(), flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert run(tmp_path, code, receiver.url).split("\n")[:2] == ["2", "[]"]


def test_ranks_that_start_in_the_same_second_are_told_apart(tmp_path, receiver):
    script = tmp_path / "rank.py"
    script.write_text(
        HEAD
        + "with pllib.workflow('job') as wf, wf.task('t', used={'n': int(os.environ['OMPI_COMM_WORLD_RANK'])}): pass"
    )
    ranks = [
        subprocess.Popen(
            [sys.executable, str(script)],
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "PLLIB_SPOOL": str(tmp_path / "spool"),
                "PLLIB_URL": receiver.url,
                "PLLIB_EXIT_TIMEOUT": "30",
                "PLLIB_EXECUTION": "4711",
                "OMPI_COMM_WORLD_RANK": str(rank),
                "OMPI_COMM_WORLD_SIZE": "8",
            },
        )
        for rank in range(8)
    ]
    assert [rank.wait(120) for rank in ranks] == [0] * 8
    assert tasks(receiver) == dict.fromkeys(range(8), 1)
    producers = [record for record in receiver.records if record["op"] == "producer"]
    assert len(producers) == len({producer for producer, _ in delivered(receiver)}) == 8
    assert sorted(record["env"]["OMPI_COMM_WORLD_RANK"] for record in producers) == [str(n) for n in range(8)]
    begins = [record for record in receiver.records if record["op"] == "begin"]
    assert {record["wf"] for record in begins} == {"job/4711"}
    assert len({record["id"] for record in begins if "id" in record}) == 8


def test_threads_share_one_producer_and_lose_nothing(tmp_path, receiver):
    code = """
threads = [threading.Thread(target=lambda k=k: [work(k * 1000 + n) for n in range(200)]) for k in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(pllib.stats()))
"""
    figures: dict[str, Any] = json.loads(run(tmp_path, code, receiver.url))
    assert figures["accepted"] == figures["delivered"] + figures["waiting"] == 8 * 200 * 4 + 1
    numbers = Counter(number for _, number in delivered(receiver))
    assert numbers == dict.fromkeys(range(8 * 200 * 4 + 1), 1)


def test_capturing_in_a_signals_handler_and_a_finaliser_does_not_hang(tmp_path, receiver):
    code = """
import gc, signal

class Final:
    def __init__(self):
        self.me = self
    def __del__(self):
        work(-1)

signal.signal(signal.SIGALRM, lambda *_: work(-2))
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
for n in range(1500):
    work(n)
    if n % 10 == 0:
        Final()
signal.setitimer(signal.ITIMER_REAL, 0)
"""
    run(tmp_path, code, receiver.url)
    found = tasks(receiver)
    assert [n for n in range(1500) if found[n] != 1] == []
    assert found[-2] > 0
    left = {producer for producer, _ in on_disk(tmp_path)}  # of the finaliser that runs when all else has ended
    assert not left & {producer for producer, _ in delivered(receiver)}
