"""What recording adds to an event of MLflow: calls of a store that does nothing, in turn with the same calls recorded.

``python bench/mlflow.py`` prints a table; with ``--import PYTHON``, an interpreter that has MLflow, what the plugin adds to
``import mlflow`` and to the first store too. It is no part of ``make bench``, since that has no MLflow.
"""

from __future__ import annotations

import argparse
import os
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
IMPORTS = 7
IMPORT = "import time; start = time.perf_counter(); import mlflow; mlflow.tracking.fluent; print(time.perf_counter() - start)"


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


def metric(number: int) -> Any:
    return SimpleNamespace(key="loss", value=1.0 / (number + 1), step=number, timestamp=1_785_000_000_000 + number)


def events() -> dict[str, tuple[int, Callable[[NullStore, int], None]]]:
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


def measure() -> dict[str, tuple[float, float]]:
    """By event: what recording adds, in microseconds, p50 and p99."""
    import pllib
    from pllib.mlflow import calls

    pllib.configure(spool=tempfile.mkdtemp(prefix="pllib-bench-"), url="http://127.0.0.1:9", exit_timeout=0.2)
    calls.wrap(RecordedStore, calls.handlers())
    null, recorded = NullStore(), RecordedStore()
    clock = time.perf_counter_ns
    found = {}
    for name, (size, call) in events().items():
        bare, with_us = [], []
        for number in range(EVENTS // size):
            start = clock()
            call(null, number)
            middle = clock()
            call(recorded, number)
            with_us.append((clock() - middle) / size / 1000)
            bare.append((middle - start) / size / 1000)
        floor = statistics.median(bare[WARM_UP:])
        ordered = sorted(with_us[WARM_UP:])
        found[name] = (statistics.median(ordered) - floor, ordered[int(len(ordered) * 0.99)] - floor)
    return found


def imports(python: str) -> tuple[float, float]:
    """Seconds that ``import mlflow`` takes without the plugin and with it, in turn."""
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
        bare, with_us = [], []
        for _ in range(IMPORTS):
            bare.append(_imported(python, {}))
            with_us.append(_imported(python, {"PYTHONPATH": folder, "PLLIB_MLFLOW": "1"}))
    return statistics.median(bare), statistics.median(with_us)


def _imported(python: str, variables: dict[str, str]) -> float:
    environ = {name: text for name, text in os.environ.items() if not name.startswith(("PYTHON", "PLLIB"))}
    command = [python, "-c", IMPORT]
    done = subprocess.run(command, env={**environ, **variables}, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--import", dest="python", metavar="PYTHON", help="an interpreter that has MLflow")
    chosen = parser.parse_args()
    print("| recording adds to an event | p50 µs | p99 µs | aim |\n|---|---|---|---|")
    for name, (middle, high) in measure().items():
        print(f"| {name} | {middle:.1f} | {high:.1f} | ≤ 15 µs |")
    if chosen.python:
        bare, with_us = imports(chosen.python)
        print(f"\nimport mlflow: {bare:.2f} s, with the plugin {(with_us - bare) * 1000:+.0f} ms (aim ≤ 50 ms)")


if __name__ == "__main__":
    main()
