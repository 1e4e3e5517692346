"""What the services are loaded with: a script that is captured by a real client, and its records in small batches.

Run as ``python workload.py NUMBER TASKS``: the script. But for times and process numbers, its records depend on these alone.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from pllib import spool
from pllib.packing import unpacked
from pllib.spool_reader import SpoolReader

CHECKOUT = Path(__file__).resolve().parents[3]
PRODUCERS = 4
EXECUTIONS = 2
VALUES = 10
BATCH_RECORDS = 5
SECONDS = 60


class Batch(NamedTuple):
    """Records of one producer, as a client posts them."""

    producer: str
    payloads: list[bytes]


def script(number: int, tasks: int) -> None:
    """Chained tasks that hand on ten values each, files, sections, a failure, and workflows that read each other's files."""
    import pllib

    Path("shared.txt").write_text("the same for all", encoding="utf-8")
    for execution in range(EXECUTIONS):
        with pllib.workflow(f"train-{number}", execution=f"{number}-{execution}", study="faults") as wf:
            handed: dict[str, Any] = {"raw": pllib.dataset("shared.txt", store="scratch")}
            for step in range(tasks):
                with wf.task("step", used={**handed, "rate": pllib.hyperparameter(1 / (1 + step % 3))}) as task:
                    values = {f"out{index}": step * 10 + index + number / 7 for index in range(VALUES)}
                    task.generated(**values)
                handed = values
                if step % 10 == 0:
                    with task.section("epoch") as epoch:
                        epoch.generated(loss=pllib.evaluation(1 / (step + 1)))
            _write_model(wf, number, execution)


def _write_model(wf: Any, number: int, execution: int) -> None:
    import pllib

    name = f"model-{number}-{execution}.txt"
    Path(name).write_text("weights" * (1 + number), encoding="utf-8")
    with wf.task("save", stage="training") as save:
        save.generated(model=pllib.model(name, store="scratch", hyperparameters={"layers": 1 + number}))
    try:
        with wf.task("broken"):
            raise ValueError("not this time")
    except ValueError:
        return


def capture(folder: Path, tasks: int) -> list[Batch]:
    """What several processes recorded that ran the script at once, with a client that only writes to disk.

    Args:
        tasks: in each of the eight workflow executions; each is some 2.2 records.
    """
    own = {name: text for name, text in os.environ.items() if not name.startswith("PLLIB_") or "TEST" in name}
    environment = {**own, "PYTHONPATH": str(CHECKOUT), "PLLIB_SPOOL": str(folder / "spool"), "PLLIB_MODE": "disk"}
    running = [
        subprocess.Popen([sys.executable, __file__, str(number), str(tasks)], cwd=folder, env=environment)
        for number in range(PRODUCERS)
    ]
    try:
        assert [process.wait(SECONDS) for process in running] == [0] * PRODUCERS
    finally:
        for process in running:
            process.kill()
            process.wait()
    return _mixed([list(_batches(str(folder / "spool"), one)) for one in spool.producers(str(folder / "spool"))])


def _batches(folder: str, producer: str) -> Iterator[Batch]:
    reader = SpoolReader(folder, producer)
    while (found := reader.take(BATCH_RECORDS, 1_000_000)) is not None:
        yield Batch(producer, [unpacked(payload) for payload in found.payloads])
        reader.done(found)


def _mixed(columns: list[list[Batch]]) -> list[Batch]:
    """Batches of all producers in turn, so that all of them are at work all the time."""
    longest = max(len(column) for column in columns)
    return [column[row] for row in range(longest) for column in columns if row < len(column)]


def records(batch: Batch) -> list[dict[str, Any]]:
    """The records of a batch, decoded."""
    return [msgspec.json.decode(payload) for payload in batch.payloads]


if __name__ == "__main__":
    script(int(sys.argv[1]), int(sys.argv[2]))
