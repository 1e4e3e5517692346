"""MLflow. It has runs, not tasks: a task is one batch of metrics at the task's number; that leaves out its times.

Options: ``file``, ``sqlite`` and ``server``: the fluent calls of the documentation into such a store; ``server-async``: the
same without waiting, by ``synchronous=False``, with points gathered for half a second.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

IMPORTS = "mlflow"


def prepare(option: str, folder: str, server: str) -> None:
    os.chdir(folder)
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet"}
    quiet["MLFLOW_ALLOW_FILE_STORE"] = "true"
    os.environ.update(quiet)
    if option == "server-async":
        os.environ["MLFLOW_ASYNC_LOGGING_BUFFERING_SECONDS"] = "1"


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        import mlflow

        mlflow.set_tracking_uri(server or f"file:{folder}/mlruns")
        mlflow.set_experiment("bench")
        mlflow.start_run()
        self._mlflow = mlflow
        self._how = {"synchronous": False} if option == "server-async" else {}
        self._number = 0

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        generated = work()
        values = {f"used.{name}": value for name, value in used.items()}
        values.update(generated or {"done": 1.0})
        self._mlflow.log_metrics(values, step=self._number, **self._how)
        self._number += 1

    def metric(self, name: str, value: float, step: int) -> None:
        self._mlflow.log_metric(name, value, step=step, **self._how)

    def end(self) -> None:
        if self._how:
            self._mlflow.flush_async_logging()
        self._mlflow.end_run()


def kept(option: str, folder: str) -> int:
    if option == "file":
        return sum(len(path.read_text().splitlines()) for path in Path(folder).glob("mlruns/*/*/metrics/mark"))
    database = Path(folder) / "server.db"
    if not database.exists():
        return 0
    with closing(sqlite3.connect(database)) as opened:
        return int(opened.execute("SELECT count(DISTINCT step) FROM metrics WHERE key = 'mark'").fetchone()[0])
