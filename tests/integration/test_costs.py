"""What capturing costs, as counts that no load of the machine changes: bytes, requests, system calls, memory held.

The bounds are a little above what is so today; whoever makes them larger should know why.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pllib.packing import LINES
from tests.unit.pllib.receiver import Receiver

ROOT = Path(__file__).parents[2]
TASKS = 1000
SCRIPT = """
import json, os, sys, time, tracemalloc
import pllib
from pllib.series import Series

def figures():
    with open("/proc/self/io") as file:
        return int(dict(line.split(": ") for line in file)["syscw"])

chance = __import__("random").Random(1)
values = [{f"x{n}": chance.random() for n in range(10)} for _ in range(TASKS + 1)]
with pllib.workflow("costs") as wf:
    def tasks(begin, end):
        for used, generated in zip(values[begin:end], values[begin + 1 : end + 1]):
            with wf.task("step", used=used) as task:
                task.generated(generated)
            if "paced" in sys.argv:
                time.sleep(0.0005)
    tasks(0, 10)
    if "trace" in sys.argv:
        tracemalloc.start()
    writes = figures()
    tasks(10, TASKS)
    writes = figures() - writes
    held = tracemalloc.get_traced_memory()[0]
    with pllib.task("training") as training:
        loss = Series(training, "loss")
        loss.log(0.5, 0)
        points = figures()
        for step in range(1, 101):
            loss.log(step / 7, step)
        points = figures() - points
print(json.dumps({"writes": writes, "held": held, "points": points, "flushed": "flush" in sys.argv and pllib.flush(20)}))
""".replace("TASKS", str(TASKS))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


def run(folder: Path, *arguments: str, **chosen: str) -> dict[str, Any]:
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "PLLIB_SPOOL": str(folder), "PLLIB_EXIT_TIMEOUT": "20"}
    environ.update({f"PLLIB_{name.upper()}": value for name, value in chosen.items()})
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def lines(folder: Path) -> list[bytes]:
    found = [line for path in folder.rglob("*.frames") for line in path.read_bytes().splitlines(keepends=True)]
    return [line for line in found if b'"id":"step/' in line]


def test_bytes_of_a_task_on_disk(tmp_path):
    run(tmp_path, mode="disk")
    written = lines(tmp_path)
    assert len(written) == 2 * TASKS
    assert sum(map(len, written)) / TASKS <= 700


@pytest.mark.skipif(not Path("/proc/self/io").exists(), reason="system calls are counted by Linux")
@pytest.mark.parametrize("mode", ["process", "disk", "memory"])
def test_a_record_is_one_write_and_none_in_memory(tmp_path, mode):
    found = run(tmp_path, mode=mode, url="http://127.0.0.1:9", exit_timeout="0.1", interval="60")
    records = 2 * (TASKS - 10)
    assert found["writes"] <= (0 if mode == "memory" else records) + 5
    assert found["points"] <= (0 if mode == "memory" else 100) + 5


@pytest.mark.parametrize("pace", ["at full speed", "paced"])
def test_bytes_on_the_wire_and_requests_of_a_thousand_tasks(tmp_path, receiver, pace):
    """The requests are what a second of looking takes; where each exchange brought the next there were hundreds."""
    receiver.says_lines = True
    found = run(tmp_path, "flush", pace, mode="process", url=receiver.url)
    assert found["flushed"]
    records = [record for record in receiver.records if record.get("id", "").startswith("step/")]
    assert len(records) == 2 * TASKS
    assert sum(map(len, receiver.bodies)) / TASKS <= 680
    assert [headers["Content-Type"] for headers in receiver.headers[1:]] == [LINES] * (len(receiver.headers) - 1)
    assert len(receiver.batches) <= 40


def test_memory_held_for_a_task(tmp_path):
    """With nobody to take them: what the queue holds of 990 tasks of 10 + 10 values, of which none is the script's own."""
    found = run(tmp_path, "trace", mode="memory", url="http://127.0.0.1:9", exit_timeout="0.1")
    assert found["held"] / (TASKS - 10) <= 2500
