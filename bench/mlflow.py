"""What recording adds to an event of MLflow: calls of a store that does nothing, in turn with the same calls recorded.

``python bench/mlflow.py`` prints a table; with ``--import PYTHON``, an interpreter that has MLflow, what the plugin adds to
``import mlflow`` and to the first store too. It is no part of ``make bench``, since that has no MLflow.

The median is of the clock; where others use the machine too, only CPU time tells of the rest: that of the calling thread in
the worst hundredth of the calls, and what all threads of the process take for an event on average.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(CHECKOUT))

EVENTS = 20_000
WARM_UP = 500
IMPORTS = 9
STEPS = {
    "import mlflow": "import mlflow; mlflow.tracking.fluent",
    "import mlflow, and the first store": "import mlflow.tracking._tracking_service.utils as utils; utils._get_store('STORE')",
}


class NullStore:
    """Takes everything and keeps nothing."""

    def get_experiment(self, identifier: str) -> Any:
        return SimpleNamespace(experiment_id=identifier, name="bench")

    def get_run(self, run_id: str) -> Any:
        info = SimpleNamespace(run_id=run_id, experiment_id="1", start_time=1, end_time=None, status="RUNNING")
        return SimpleNamespace(info=info)

    def log_metric(self, run_id: str, metric: Any) -> None:
        pass

    def log_param(self, run_id: str, param: Any) -> None:
        pass

    def set_tag(self, run_id: str, tag: Any) -> None:
        pass

    def log_batch(self, run_id: str, metrics: Any, params: Any, tags: Any) -> None:
        pass


class RecordedStore(NullStore):
    """The same, recorded."""


Call = Callable[[NullStore, int], None]


def metric(number: int) -> Any:
    return SimpleNamespace(key="loss", value=1.0 / (number + 1), step=number, timestamp=1_785_000_000_000 + number)


def events() -> dict[str, tuple[int, Call]]:
    """Name of an event to how many it is at once and a call that is one."""
    return {
        "metric": (1, lambda store, number: store.log_metric("run", metric(number))),
        "parameter": (1, lambda store, number: store.log_param("run", SimpleNamespace(key=f"p{number}", value="0.1"))),
        "tag": (1, lambda store, number: store.set_tag("run", SimpleNamespace(key=f"t{number % 50}", value="text"))),
        "metric in a batch of 10": (
            10,
            lambda store, number: store.log_batch("run", [metric(10 * number + one) for one in range(10)], (), ()),
        ),
    }


def measure() -> dict[str, tuple[float, float, float]]:
    """By event: what recording adds, in microseconds: p50, p99 of the thread's CPU time, mean of the process's."""
    import pllib
    from pllib.mlflow import calls

    pllib.configure(spool=tempfile.mkdtemp(prefix="pllib-bench-"), url="http://127.0.0.1:9", exit_timeout=0.2)
    calls.wrap(RecordedStore, calls.handlers())
    found = {}
    for name, (size, call) in events().items():
        middle, high = _each(size, call)
        found[name] = middle, high, _together(size, call)
    return found


def _each(size: int, call: Call) -> tuple[float, float]:
    """Calls of both stores in turn: p50 by the clock, p99 by the thread's CPU time, less the median of the store that does nothing."""
    null, recorded = NullStore(), RecordedStore()
    times: dict[str, list[float]] = {"bare": [], "bare CPU": [], "with us": [], "with us CPU": []}
    for number in range(EVENTS // size):
        for store, name in ((null, "bare"), (recorded, "with us")):
            cpu, clock = time.thread_time_ns(), time.perf_counter_ns()
            call(store, number)
            times[name].append((time.perf_counter_ns() - clock) / size / 1000)
            times[f"{name} CPU"].append((time.thread_time_ns() - cpu) / size / 1000)
    ordered = {name: sorted(found[WARM_UP:]) for name, found in times.items()}
    high = ordered["with us CPU"][int(len(ordered["with us CPU"]) * 0.99)]
    return (
        statistics.median(ordered["with us"]) - statistics.median(ordered["bare"]),
        high - statistics.median(ordered["bare CPU"]),
    )


def _together(size: int, call: Call) -> float:
    """CPU time of the whole process for an event, what threads of ours do meanwhile and a second afterwards included."""
    used = []
    for store in (NullStore(), RecordedStore()):
        start = time.process_time()
        for number in range(EVENTS, EVENTS + EVENTS // size):
            call(store, number)
        time.sleep(1)
        used.append((time.process_time() - start) / EVENTS * 1e6)
    return used[1] - used[0]


def imports(python: str) -> dict[str, tuple[float, float]]:
    """CPU seconds of each step without the plugin, and the median of what it adds in the run beside."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        installed = Path(folder)
        for name in ("pllib", "pllib_mlflow.py"):
            (installed / name).symlink_to(CHECKOUT / name)
        about = installed / "pllib-0.dist-info"
        about.mkdir()
        groups = ("tracking_store", "model_registry_store", "artifact_repository")
        lines = [f"[mlflow.{group}]\nfile = pllib_mlflow:file\n" for group in groups]
        header = "[mlflow.request_header_provider]\npllib = pllib_mlflow:CapturedHeader\n"
        (about / "METADATA").write_text("Metadata-Version: 2.1\nName: pllib\nVersion: 0\n")
        (about / "entry_points.txt").write_text("".join(lines) + header)
        ours = {"PYTHONPATH": folder, "PLLIB_MLFLOW": "1", "PLLIB_MODE": "disk", "PLLIB_SPOOL": f"{folder}/spool"}
        for name, text in STEPS.items():
            program = text.replace("STORE", f"sqlite:///{folder}/mlflow.db")
            _taken(python, program, {})  # tables are made, modules are compiled
            pairs = [(_taken(python, program, {}), _taken(python, program, ours)) for _ in range(IMPORTS)]
            found[name] = (
                statistics.median(bare for bare, _ in pairs),
                statistics.median(with_us - bare for bare, with_us in pairs),
            )
    return found


def _taken(python: str, program: str, variables: dict[str, str]) -> float:
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "PLLIB"))}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([python, "-c", program], env={**environ, **variables}, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--import", dest="python", metavar="PYTHON", help="an interpreter that has MLflow")
    chosen = parser.parse_args()
    print(
        "| recording adds to an event | p50 µs | p99 µs CPU | mean µs CPU, all threads | aim |\n|---|---|---|---|---|"
    )
    for name, (middle, high, mean) in measure().items():
        print(f"| {name} | {middle:.1f} | {high:.1f} | {mean:.1f} | ≤ 15 µs |")
    if chosen.python:
        for step, (bare, more) in imports(chosen.python).items():
            print(f"\n{step}: {bare:.2f} s CPU, with the plugin {more * 1000:+.0f} ms (aim ≤ 50 ms)")


if __name__ == "__main__":
    main()
