"""What capturing adds to a loop of tasks that compute, in % of what they compute.

Online: a tracker takes what is sent while the loop runs. It is the time that the script's thread spends in capture calls, and
the processor time of the shipper's thread until all is sent, for which the script waits, since both share the interpreter. The
floor is what a bare script would do, the same values as JSON, appended to a file. Loops with and without capture are not set
beside each other: the same loop takes some percent more or less from one second to the next here. The tasks themselves take no
longer between captures, as far as that can be seen. Their work is a count of additions that takes so long.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from bench.measures import Measure, measure
from bench.servers import CHECKOUT, server

if TYPE_CHECKING:
    from pllib import Workflow

ROUNDS = 7
SECONDS = {"captured": 2.0, "floor": 1.0}
"""Of computing in a round."""
AIMS = {10: 1.0, 1: 5.0}

Values = dict[str, float]
Took = dict[str, float]


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
    """Overhead of capture in %, on a loop of tasks of that length with 10 + 10 values each.

    Args:
        url: of a tracker; else a small server that takes everything.
    """
    if url is None:
        with server("up") as taking:
            return overhead(milliseconds, mode, taking)
    command = [sys.executable, "-m", "bench.overhead", mode, url, str(milliseconds)]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True, timeout=300)
    rounds: list[Took] = json.loads(done.stdout)
    aim = AIMS[milliseconds]
    words = f"capture of tasks of {milliseconds} ms, online, `{mode}`"
    floors = [one["floor"] for one in rounds]
    whole = [one["calls"] + one["shipper"] for one in rounds]
    found = measure(f"{words}, overhead", whole, "%", f"≤ {aim} %", "JSON, appended", floors)
    return [
        found._replace(reach=f"overhead-{milliseconds}ms", reached=found.value <= aim),
        measure(f"{words}, of which the calls", [one["calls"] for one in rounds], "%", "–", "JSON, appended", floors),
    ]


def measures() -> list[Measure]:
    """Tasks of each length."""
    return [one for length in AIMS for one in overhead(length)]


def _process(mode: str, url: str, milliseconds: int) -> list[Took]:
    import pllib

    turns = milliseconds * additions_a_millisecond()
    chance = random.Random(1)
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        pllib.configure(spool=folder, url=url, exit_timeout=5, mode=mode)
        found: list[Took] = []
        with pllib.workflow("bench") as wf:
            loops = {"captured": _captured(wf), "floor": _floor(folder)}
            for _ in range(ROUNDS + 1):
                before, took = _shipper(), {}
                for kind, loop in loops.items():
                    tasks = int(SECONDS[kind] * 1000 / milliseconds)
                    values = [{f"x{name}": chance.random() for name in range(10)} for _ in range(tasks + 1)]
                    start = time.perf_counter()
                    body = loop(values, turns)
                    took[kind] = 100 * ((time.perf_counter() - start) / body - 1)
                    if kind == "captured":
                        if not pllib.flush(30):
                            raise AssertionError("not all was taken")
                        took["shipper"] = 100 * (_shipper() - before) / body
                found.append({"calls": took["captured"], "shipper": took["shipper"], "floor": took["floor"]})
        pllib.shutdown()
        return found[1:]  # the first warms up


def _shipper() -> float:
    """Seconds of processor time of the shipper's thread so far."""
    found = [thread for thread in threading.enumerate() if thread.name == "pllib-shipper"]
    if not found or found[0].native_id is None:
        return 0.0
    return int(Path(f"/proc/self/task/{found[0].native_id}/schedstat").read_text().split()[0]) / 1e9


def _floor(folder: str) -> Callable[[list[Values], int], float]:
    file = os.open(os.path.join(folder, "floor"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    encode = json.JSONEncoder(separators=(",", ":")).encode

    def loop(values: list[Values], turns: int) -> float:
        body = 0.0
        for used, generated in zip(values, values[1:]):
            os.write(file, encode(used).encode() + b"\n")
            start = time.perf_counter()
            _work(turns)
            body += time.perf_counter() - start
            os.write(file, encode(generated).encode() + b"\n")
        return body

    return loop


def _captured(wf: Workflow) -> Callable[[list[Values], int], float]:
    def loop(values: list[Values], turns: int) -> float:
        body = 0.0
        for used, generated in zip(values, values[1:]):
            with wf.task("step", used=used) as task:
                start = time.perf_counter()
                _work(turns)
                body += time.perf_counter() - start
                task.generated(generated)
        return body

    return loop


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        from bench.measures import table

        print(table(measures()))
    else:
        print(json.dumps(_process(sys.argv[1], sys.argv[2], int(sys.argv[3]))))
