"""The ProvLake client. A task is a ``ProvTask``; a point, of which it has none, is a task of one value.

Options: ``http`` (its defaults: each record is posted and written to a file before the call returns), ``http-bag`` (records
posted by the hundred), ``file`` (no service), ``memory`` (nothing leaves the process before its end).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from workload import marks_in

IMPORTS = "provlake"
BAGS = {"http": 1, "http-bag": 100, "file": 1, "memory": 10**9}


def prepare(option: str, folder: str, server: str) -> None:
    os.chdir(folder)


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        from provlake import ProvLake
        from provlake.capture import ProvTask, ProvWorkflow

        self._persister = ProvLake.get_persister(
            log_file_path=os.path.join(folder, "prov.log"),
            context="bench",
            db_name="bench",
            bag_size=BAGS[option],
            service_url=server or None,
        )
        self._task = ProvTask
        self._workflow = ProvWorkflow(self._persister, "bench").begin()

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        with self._task(self._persister, "step", self._workflow, used) as task:
            task.end(work())

    def metric(self, name: str, value: float, step: int) -> None:
        with self._task(self._persister, "log", self._workflow, {"step": step}) as task:
            task.end({name: value})

    def end(self) -> None:
        self._workflow.end()


def kept(option: str, folder: str) -> int:
    return marks_in(folder)
