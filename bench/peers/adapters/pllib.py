"""PLLib. A task is a task; a point is a point of a series. Options are the modes."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from workload import marks_in

IMPORTS = "pllib"


def prepare(option: str, folder: str, server: str) -> None:
    pass


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        import pllib
        from pllib.series import Series

        many = {"queue_records": 10**6, "queue_bytes": 10**9} if option == "memory" else {}
        url = server or "http://127.0.0.1:1"
        pllib.configure(mode=option, spool=os.path.join(folder, "spool"), url=url, **many)
        self._pllib = pllib
        self._workflow = pllib.workflow("bench").__enter__()
        self._open = self._workflow.task("learn").__enter__()
        self._loss = Series(self._open, "loss")

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        with self._workflow.task("step", used=used) as task:
            task.generated(work())

    def metric(self, name: str, value: float, step: int) -> None:
        self._loss.log(value, step)

    def end(self) -> None:
        self._open.__exit__(None, None, None)
        self._workflow.__exit__(None, None, None)
        self._pllib.shutdown()


def kept(option: str, folder: str) -> int:
    return marks_in(folder)
