"""What capturing adds to a loop of tasks that compute: CPU and wall time of the whole process, beside the same loop without it.

Online: a tracker takes what is sent while the loop runs. In the figures is the shipper's thread, which shares the interpreter with the
script, and the flush at the end, but not the start of the client. The work of a task is a count of additions that takes so long.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time

from bench.measures import Measure, measure
from bench.servers import server

ROUNDS = 5
SECONDS = 1.5
AIMS = {10: 1.0, 1: 5.0}


def additions_a_millisecond() -> int:
    """How many turns of the loop of ``_work`` take a millisecond."""
    best = 1.0
    for _ in range(20):
        start = time.perf_counter()
        _work(20_000)
        best = min(best, time.perf_counter() - start)
    return int(20 / best)


def _work(turns: int) -> float:
    found = 0.0
    for turn in range(turns):
        found += turn
    return found


def overhead(milliseconds: int, mode: str = "process", url: str | None = None) -> list[Measure]:
    """Overhead of capture in % of CPU and of wall time, on a loop of tasks of that length with 10 + 10 values each.

    Args:
        url: of a tracker; else a small server that takes everything.
    """
    if url is None:
        with server("up") as taking:
            return overhead(milliseconds, mode, taking)
    turns, tasks = milliseconds * additions_a_millisecond(), int(SECONDS * 1000 / milliseconds)
    pairs = []
    for _ in range(ROUNDS):
        without, captured = (_run(what, url, turns, tasks) for what in ("off", mode))
        pairs.append({part: 100 * (captured[part] / without[part] - 1) for part in without})
    words = f"capture of tasks of {milliseconds} ms, online, `{mode}`, overhead of"
    cpu, wall = (
        measure(f"{words} {part} time", [pair[part] for pair in pairs], "%", f"≤ {AIMS[milliseconds]} %")
        for part in ("CPU", "wall")
    )
    return [cpu, wall._replace(reach=f"overhead-{milliseconds}ms", reached=wall.value <= AIMS[milliseconds])]


def measures() -> list[Measure]:
    """Tasks of each length."""
    return [one for length in AIMS for one in overhead(length)]


def _run(mode: str, url: str, turns: int, tasks: int) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.overhead", mode, url, str(turns), str(tasks)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _one_process(mode: str, url: str, turns: int, tasks: int) -> dict[str, float]:
    import pllib

    folder = tempfile.mkdtemp(prefix="pllib-bench-")
    enabled = {"enabled": False} if mode == "off" else {"mode": mode}
    pllib.configure(spool=folder, url=url, exit_timeout=5, **enabled)
    chance = random.Random(1)
    values = [{f"x{number}": chance.random() for number in range(10)} for _ in range(tasks + 1)]
    with pllib.workflow("warm up"):
        pllib.flush(30)
    cpu, wall = time.process_time(), time.perf_counter()
    if mode == "off":
        for _ in range(tasks):
            _work(turns)
    else:
        with pllib.workflow("bench") as wf:
            for used, generated in zip(values, values[1:]):
                with wf.task("step", used=used) as task:
                    _work(turns)
                    task.generated(generated)
        wall_of_flush = time.perf_counter()
        if not pllib.flush(30):
            raise AssertionError("not all was taken")
        wall += time.perf_counter() - wall_of_flush  # it waits, and costs nothing but CPU time
    return {"CPU": time.process_time() - cpu, "wall": time.perf_counter() - wall}


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        from bench.measures import table

        print(table(measures()))
    else:
        print(json.dumps(_one_process(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))))
