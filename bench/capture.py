"""What a capture costs on the caller's thread, and an import; no server is asked.

Floor: the same 10 + 10 values encoded as JSON twice, framed, and appended to a file by two writes; in ``memory`` mode
the two encodings alone.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from zlib import crc32

from bench.measures import Measure, measure

TASKS = 4000
WARM_UP = 500
ROUNDS = 5
ENCODE = json.JSONEncoder(separators=(",", ":")).encode


def capture(mode: str, codec: str = "standard library") -> Measure:
    """Cost of ``with wf.task(used=10 values) as t: t.generated(10 values)``, each task using what the last one made.

    Args:
        codec: what encodes; ``pllib[fast]``, or the standard library also where that is installed.
    """
    command = [sys.executable, "-m", "bench.capture", mode, codec]
    samples: list[float] = []
    floors: list[float] = []
    for _ in range(ROUNDS):
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        found = json.loads(done.stdout)
        samples.append(found["task"])
        floors.append(found["floor"])
    aims = {"memory": "≤ 12 µs", "process": "≤ 30 µs", "disk": "≤ 30 µs"}
    floor_is = "JSON encoding alone" if mode == "memory" else "JSON, frame, write"
    return measure(
        f"capture of a task, 10 + 10 values, both ends, `{mode}`, {codec}", samples, "µs", aims[mode], floor_is, floors
    )


def import_time() -> Measure:
    """Time of ``import pllib`` in a fresh interpreter, beside importing ``json`` and ``typing``, which it needs."""

    environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environ["PYTHONPYCACHEPREFIX"] = tempfile.mkdtemp(prefix="pllib-bench-")  # compiled, as what is installed is

    def once(modules: str) -> float:
        code = f"import time; t = time.perf_counter(); import {modules}; print(time.perf_counter() - t)"
        command = [sys.executable, "-c", code]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=True, timeout=60)
        return float(done.stdout) * 1000

    once("pllib")
    pairs = [(once("pllib"), once("json, typing, threading")) for _ in range(9)]
    return measure(
        "`import pllib`",
        [p[0] for p in pairs],
        "ms",
        "≤ 60 ms",
        "import json, typing, threading",
        [p[1] for p in pairs],
    )


def _floor(file: int | None, *mappings: dict[str, float]) -> None:
    for mapping in mappings:
        payload = ENCODE({"n": 1, "op": "begin", "used": mapping}).encode()
        if file is not None:
            os.write(file, b"%x %08x %b\n" % (len(payload), crc32(payload), payload))


def _one_process(mode: str, codec: str) -> dict[str, float]:
    import pllib
    from pllib import encoding, this_process

    folder = tempfile.mkdtemp(prefix="pllib-bench-")
    pllib.configure(mode=mode, spool=folder, url="http://127.0.0.1:9", queue_records=10**6, exit_timeout=0.2)
    this_process.current()  # which looks for the codec
    if codec == "standard library":
        encoding._quickly = None
    elif encoding._quickly is None:
        raise AssertionError("pllib[fast] is not installed")
    file = None if mode == "memory" else os.open(os.path.join(folder, "floor"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    generator = random.Random(1)
    values = [{f"x{number}": generator.random() for number in range(10)} for _ in range(TASKS + 1)]
    tasks, floors = [], []
    with pllib.workflow("bench") as wf:
        for used, generated in zip(values, values[1:]):
            start = time.perf_counter_ns()
            with wf.task("step", used=used) as task:
                task.generated(generated)
            middle = time.perf_counter_ns()
            _floor(file, used, generated)
            floors.append(time.perf_counter_ns() - middle)
            tasks.append(middle - start)
    tasks, floors = sorted(tasks[WARM_UP:]), sorted(floors[WARM_UP:])
    return {"task": tasks[len(tasks) // 2] / 1000, "floor": floors[len(floors) // 2] / 1000}


if __name__ == "__main__":
    print(json.dumps(_one_process(*sys.argv[1:3])))
