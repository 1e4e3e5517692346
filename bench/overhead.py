"""What capturing adds to a loop of tasks that compute: CPU and wall time of the whole process, beside the same loop without it.

Online: a tracker takes what is sent while the loop runs. Three processes do a block of tasks by turns, so that whatever else the
machine does hits all of them: without capture; as a bare script would write it down (the same values as JSON, appended to a
file), which is the floor; and captured. In the figures is the shipper's thread, which shares the interpreter with the script,
and what is left to ship at the end of a block. The work of a task is a count of additions that takes so long.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from bench.measures import Measure, measure
from bench.servers import CHECKOUT, server

ROUNDS = 11
SECONDS = 1.0
"""Of computing in a block."""
AIMS = {10: 1.0, 1: 5.0}
WAYS = ("off", "floor", "captured")

Values = dict[str, float]
Block = Callable[[list[Values], int], None]


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
    found: dict[str, list[dict[str, float]]] = {"floor": [], "captured": []}
    with ExitStack() as stack:
        loops = {way: stack.enter_context(_Loop(way, mode, url, turns, tasks)) for way in WAYS}
        for number in range(ROUNDS + 1):
            took = {way: loop.block() for way, loop in loops.items()}
            for way in found if number else ():  # the first warms up
                found[way].append({part: 100 * (took[way][part] / took["off"][part] - 1) for part in took["off"]})
    words = f"capture of tasks of {milliseconds} ms, online, `{mode}`, overhead of"
    cpu, wall = (
        measure(
            f"{words} {part} time",
            [one[part] for one in found["captured"]],
            "%",
            f"≤ {AIMS[milliseconds]} %",
            "JSON, appended",
            [one[part] for one in found["floor"]],
        )
        for part in ("CPU", "wall")
    )
    return [cpu, wall._replace(reach=f"overhead-{milliseconds}ms", reached=wall.value <= AIMS[milliseconds])]


def measures() -> list[Measure]:
    """Tasks of each length."""
    return [one for length in AIMS for one in overhead(length)]


class _Loop:
    """A process that does a block of tasks whenever it is told to, and says what that took."""

    def __init__(self, way: str, mode: str, url: str, turns: int, tasks: int) -> None:
        command = [sys.executable, "-m", "bench.overhead", way, mode, url, str(turns), str(tasks)]
        self._process = subprocess.Popen(
            command, cwd=CHECKOUT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def __enter__(self) -> _Loop:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate(timeout=60)

    def block(self) -> dict[str, float]:
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._process.stdin.write("\n")
        found: dict[str, float] = json.loads(self._process.stdout.readline())
        return found


def _process(way: str, mode: str, url: str, turns: int, tasks: int) -> None:
    with tempfile.TemporaryDirectory(prefix="pllib-bench-") as folder:
        chance = random.Random(1)
        block = {"off": _bare, "floor": _floor, "captured": _captured}[way](folder, mode, url)
        for _ in sys.stdin:
            values = [{f"x{number}": chance.random() for number in range(10)} for _ in range(tasks + 1)]
            cpu, wall = time.process_time(), time.perf_counter()
            waited = block(values, turns) or 0.0
            print(
                json.dumps({"CPU": time.process_time() - cpu, "wall": time.perf_counter() - wall - waited}), flush=True
            )


def _bare(*_: str) -> Any:
    def block(values: list[Values], turns: int) -> None:
        for _, _ in zip(values, values[1:]):
            _work(turns)

    return block


def _floor(folder: str, *_: str) -> Any:
    file = os.open(os.path.join(folder, "floor"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    encode = json.JSONEncoder(separators=(",", ":")).encode

    def block(values: list[Values], turns: int) -> None:
        for used, generated in zip(values, values[1:]):
            os.write(file, encode(used).encode() + b"\n")
            _work(turns)
            os.write(file, encode(generated).encode() + b"\n")

    return block


def _captured(folder: str, mode: str, url: str) -> Any:
    import pllib

    pllib.configure(spool=folder, url=url, exit_timeout=5, mode=mode)
    wf = pllib.workflow("bench").__enter__()

    def block(values: list[Values], turns: int) -> float:
        for used, generated in zip(values, values[1:]):
            with wf.task("step", used=used) as task:
                _work(turns)
                task.generated(generated)
        wall, cpu = time.perf_counter(), time.process_time()
        if not pllib.flush(30):
            raise AssertionError("not all was taken")
        # What the flush waits for is no time that the script computes, but what it computes is.
        return time.perf_counter() - wall - (time.process_time() - cpu)

    return block


if __name__ == "__main__":
    if sys.argv[1] == "measure":
        from bench.measures import table

        print(table(measures()))
    else:
        _process(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
