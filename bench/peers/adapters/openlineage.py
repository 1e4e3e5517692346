"""OpenLineage's client. A task is a run with a START and a COMPLETE event, its values in a facet of each; a point is a RUNNING event.

Options: ``file`` (appended to one file), ``http`` (its default way: each event is posted before the call returns),
``async-http`` (posted by a thread of its own).
"""

from __future__ import annotations

import datetime
import os
import uuid
from collections.abc import Callable
from typing import Any

from workload import marks_in

IMPORTS = "openlineage.client"


def prepare(option: str, folder: str, server: str) -> None:
    os.chdir(folder)


class Client:
    def __init__(self, option: str, folder: str, server: str) -> None:
        import attr
        from openlineage.client import OpenLineageClient
        from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
        from openlineage.client.facet_v2 import RunFacet

        @attr.define
        class Values(RunFacet):
            values: dict[str, Any] = attr.field(factory=dict)

        place = (
            {"log_file_path": os.path.join(folder, "events"), "append": True} if option == "file" else {"url": server}
        )
        kind = option.replace("-", "_")
        self._client = OpenLineageClient(config={"transport": {"type": kind, **place}})
        self._event, self._run, self._state, self._values = RunEvent, Run, RunState, Values
        self._job, self._points = Job("bench", "step"), (Job("bench", "learn"), str(uuid.uuid4()))

    def task(self, used: dict[str, Any], work: Callable[[], dict[str, Any]]) -> None:
        number = str(uuid.uuid4())
        self._emit(self._state.START, self._job, number, "used", used)
        self._emit(self._state.COMPLETE, self._job, number, "generated", work())

    def metric(self, name: str, value: float, step: int) -> None:
        self._emit(self._state.RUNNING, *self._points, "metrics", {name: value, "step": step})

    def _emit(self, state: Any, job: Any, run: str, facet: str, values: dict[str, Any]) -> None:
        facets = {facet: self._values(values=values)}
        now = datetime.datetime.now(datetime.timezone.utc).isoformat()
        self._client.emit(
            self._event(eventType=state, eventTime=now, run=self._run(run, facets), job=job, producer="urn:bench")
        )

    def end(self) -> None:
        self._client.close(5)


def kept(option: str, folder: str) -> int:
    return marks_in(folder)
