"""yProv4ML. It has runs, not tasks: a task is the points of its values at the task's number; that leaves out its times.

Options: ``default``, and ``fewer-writes`` (a metric's points written by the hundred thousand).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from workload import marks_in

IMPORTS = "yprov4ml"


def prepare(option: str, folder: str, server: str) -> None:
    os.chdir(folder)


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        import yprov4ml

        few = {"save_after_n_logs": 100_000} if option == "fewer-writes" else {}
        yprov4ml.start_run("bench", "bench", provenance_save_dir=os.path.join(folder, "prov"), **few)
        self._yprov4ml = yprov4ml
        self._log = yprov4ml.log_metric
        self._number = 0

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        log, number = self._log, self._number
        self._number += 1
        for name, value in used.items():
            log(name, value, "used", step=number)
        for name, value in work().items():
            log(name, value, "generated", step=number)

    def metric(self, name: str, value: float, step: int) -> None:
        self._log(name, value, "training", step=step)

    def end(self) -> None:
        self._yprov4ml.end_run()


def kept(option: str, folder: str) -> int:
    return marks_in(folder)
