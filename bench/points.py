"""What a point of a series costs on the caller's thread and in bytes, beside the same points as ordinary records.

Floor: ``os.write`` of the very bytes that the points file gets, one call a point, in turn with the points.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zlib
from pathlib import Path
from typing import Any

from bench.measures import Measure, measure

POINTS = 60_000
RECORDS = 6_000
WARM_UP = 2_000
ROUNDS = 5
PARTS = {"p50": 0.5, "p99": 0.99}
AIMS = {"p50": "≤ 5 µs", "p99": "–"}


def points(mode: str) -> list[Measure]:
    """p50 and p99 of ``Series.log`` in a mode, and of one ordinary record a point."""
    found = [_run(mode) for _ in range(ROUNDS)]
    floor = "os.write of the same bytes"
    measures = [
        measure(
            f"point of a series, `{mode}`, {part}",
            [one["point"][part] for one in found],
            "µs",
            AIMS[part],
            floor,
            [one["floor"][part] for one in found],
        )
        for part in PARTS
    ]
    measures.append(
        measure(
            f"the same as an ordinary record a point, `{mode}`, p50",
            [one["record"]["p50"] for one in found],
            "µs",
            "–",
            floor,
            [one["floor"]["p50"] for one in found],
        )
    )
    return measures


def bytes_of_points() -> list[Measure]:
    """Bytes of a point in records of a thousand, as spooled and as sent to another host, beside one ordinary record a point."""
    one = _run("disk")["bytes"]
    return [
        measure(f"bytes of a point, {how}", [one["point"][how]], "B", "–", "an ordinary record", [one["record"][how]])
        for how in ("spooled", "sent")
    ]


def _run(mode: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bench.points", mode]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _parts(taken: list[int]) -> dict[str, float]:
    ordered = sorted(taken[WARM_UP:])
    return {name: ordered[int(len(ordered) * part)] / 1000 for name, part in PARTS.items()}


def _one_process(mode: str) -> dict[str, Any]:
    import pllib
    from pllib.series import Series

    folder = tempfile.mkdtemp(prefix="pllib-bench-")
    spool = os.path.join(folder, "points")
    pllib.configure(mode=mode, spool=spool, url="http://127.0.0.1:9", exit_timeout=0.2)
    file = os.open(os.path.join(folder, "floor"), os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    line = b"2d7c3116 0 123456 123456 1785000000000000 0.12345678901234567\n"
    chance = random.Random(1)
    values = [chance.random() for _ in range(POINTS)]
    clock = time.perf_counter_ns
    taken, floors, records = [], [], []
    with pllib.workflow("bench") as wf, wf.task("training", stage="training") as task:
        loss = Series(task, "loss")
        for step, value in enumerate(values):
            start = clock()
            loss.log(value, step)
            middle = clock()
            os.write(file, line)
            floors.append(clock() - middle)
            taken.append(middle - start)
    sizes = {"point": _sizes(spool, b'"op":"points"', POINTS)}
    pllib.configure(spool=os.path.join(folder, "records"))
    with pllib.workflow("bench") as wf, wf.task("training", stage="training") as task:
        for step, value in enumerate(values[:RECORDS]):
            start = clock()
            task.add(generated={f"loss {step}": pllib.evaluation(value)})
            records.append(clock() - start)
    sizes["record"] = _sizes(os.path.join(folder, "records"), b'"op":"add"', RECORDS)
    return {"point": _parts(taken), "floor": _parts(floors), "record": _parts(records), "bytes": sizes}


def _sizes(spool: str, mark: bytes, count: int) -> dict[str, float]:
    """Bytes of each of so many points in spool files, and compressed as they are sent to another host."""
    lines = [line for path in Path(spool).rglob("*.frames") for line in path.read_bytes().splitlines() if mark in line]
    sent = zlib.compress(b",".join(line.split(b" ", 2)[-1] for line in lines), 1)
    return {"spooled": sum(len(line) + 1 for line in lines) / count, "sent": len(sent) / count}


if __name__ == "__main__":
    print(json.dumps(_one_process(sys.argv[1])))
