"""What one capture call of 1 KB costs the script's thread in every state a tracker can be in, and the memory that an hour's records take.

A call is a task's begin or end: one record of about 1 KB. ``at full speed`` the calls follow each other with nothing between; ``paced`` the
script computes for about half a millisecond between two, as scripts do. Floor: the same calls in mode ``disk``, where nothing is shipped.
"""

from __future__ import annotations

import itertools
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from typing import Any

from bench.measures import Measure, measure
from bench.servers import server

STATES = ("up", "slow", "hung", "down", "flapping")
CALLS = {"full": 30_000, "paced": 4_000}
WARM_UP = 200
PARTS = {"p50": 0.5, "p99": 0.99, "p99.9": 0.999}
HOUR = 1_000_000
"""Records of an hour, at some 280 a second."""
ROUNDS = 3
MEMORY_MODES = ("memory", "spill", "process", "node")


def _spin(seconds: float) -> None:
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        pass


def one_process(mode: str, url: str, pace: str) -> dict[str, float]:
    """Percentiles of the calls of one process, in microseconds."""
    import pllib

    folder = tempfile.mkdtemp(prefix="pllib-bench-")
    pllib.configure(mode=mode, spool=folder, url=url, exit_timeout=0.2)
    taken: list[int] = []
    values = (
        {**{f"x{n}": call + n / 8 for n in range(8)}, "text": f"{call} " + "t" * 640} for call in itertools.count()
    )
    clock = time.perf_counter_ns
    with pllib.workflow("bench") as wf:
        for _ in range(CALLS[pace] // 2):
            task = wf.task("step", used=next(values))
            start = clock()
            task.begin()
            taken.append(clock() - start)
            if pace == "paced":
                _spin(0.0005)
            task.generated(next(values))
            start = clock()
            task.end()
            taken.append(clock() - start)
            if pace == "paced":
                _spin(0.0005)
    taken = sorted(taken[WARM_UP:])
    return {name: taken[int(len(taken) * part)] / 1000 for name, part in PARTS.items()}


def _run(mode: str, url: str, pace: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.latency", mode, url, pace]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def latency(state: str, pace: str) -> list[Measure]:
    """The call's p50 and p99 with a tracker in that state, each beside the floor measured in turn."""
    samples, floors = [], []
    with server(state) as url:
        for _ in range(ROUNDS):
            floors.append(_run("disk", url, pace))
            samples.append(_run("process", url, pace))
    words = "at full speed" if pace == "full" else pace
    return [
        measure(
            f"call of 1 KB, tracker {state}, {words}, {name}",
            [one[name] for one in samples],
            "µs",
            aim,
            "mode disk",
            [one[name] for one in floors],
        )
        for name, aim in (("p50", "≤ 10 µs"), ("p99", "≤ 100 µs"))
    ]


def one_memory(mode: str, url: str, records: int) -> float:
    """Growth of the process's memory by so many records of some 300 bytes with nobody there to take them, in MB."""
    import pllib

    folder = tempfile.mkdtemp(prefix="pllib-bench-")
    full = {"full": "spill"} if mode == "spill" else {}
    mode = "memory" if mode == "spill" else mode
    pllib.configure(mode=mode, spool=folder, url=url, exit_timeout=0.2, **full)
    with pllib.workflow("bench") as wf:
        for call in range(2000):
            _task(wf, -call)
        before = _resident()
        for call in range(records // 2):
            _task(wf, call)
        grown = _resident() - before
        if not pllib.stats()["accepted"]:
            raise AssertionError("nothing was captured")
    shutil.rmtree(folder)
    return grown


def _task(wf: Any, call: int) -> None:
    with wf.task("step", used={"call": call, "rate": call / 7, "name": f"step {call}"}) as task:
        task.generated(loss=call / 3, path=f"/scratch/run/{call}.npz")


def _resident() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e6


def memory(mode: str) -> Measure:
    """Memory that the client takes for an hour's records with no tracker; the floor is mode ``disk``."""

    def once(which: str) -> float:
        command = [sys.executable, "-m", "bench.latency", "memory", which, "http://127.0.0.1:1"]
        return float(subprocess.run(command, capture_output=True, text=True, check=True, timeout=600).stdout)

    return measure(
        f"memory for {HOUR:,} records, tracker down, `{mode}`",
        [once(mode)],
        "MB",
        "≤ 64 MB",
        "mode disk",
        [once("disk")],
    )


if __name__ == "__main__":
    if sys.argv[1] == "memory":
        print(one_memory(sys.argv[2], sys.argv[3], HOUR))
    else:
        print(json.dumps(one_process(*sys.argv[1:4])))
