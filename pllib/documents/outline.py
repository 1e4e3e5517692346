"""A workflow execution in one line: when it began and ended, how, and how much there is of it."""

from __future__ import annotations

from typing import Any, Dict, List, Mapping, NamedTuple, Optional

from ..provml.settled import Session, outcome

Json = Any


class Execution(NamedTuple):
    """A workflow execution that a folder knows of; times in microseconds since 1970 UTC.

    Attributes:
        id: ``{workflow}/{execution}``, as in its IRI.
        status: ``finished``, ``failed``, or ``running``, which is also what a process leaves that was killed.
        activities: how many tasks and the like have begun in it.
    """

    id: str
    started: Optional[int]
    ended: Optional[int]
    status: str
    activities: int


class Outline:
    """What records say of an execution, as far as one line tells."""

    def __init__(self) -> None:
        self._activities = 0
        self._begun: List[int] = []
        self._ended: List[int] = []
        self._status: Optional[str] = None
        self._sessions: Dict[str, Session] = {}

    def add(self, record: Mapping[str, Json]) -> None:
        """Takes what one record says."""
        op = record["op"]
        if record["kind"] != "workflow":
            self._activities += op == "begin"
        elif op in ("begin", "end"):
            time = int(record["t"])
            if record.get("session") is not None:
                self._add_session(record, op, time)
            elif op == "begin":
                self._begun = [min([time, *self._begun])]
            else:
                self._ended, self._status = [max([time, *self._ended])], str(record["status"])

    def _add_session(self, record: Mapping[str, Json], op: str, time: int) -> None:
        name = str(record["session"])
        known = self._sessions.get(name, Session(name))
        if op == "begin":
            known = known._replace(started=time, rank=record.get("rank"), resumes=bool(record.get("resumes")))
        else:
            known = known._replace(ended=time, status=str(record["status"]))
        self._sessions[name] = known

    def execution(self, wf: str) -> Execution:
        """The line."""
        if self._sessions:
            found = outcome(self._sessions.values(), self._begun)
            return Execution(wf, found.started, found.ended, found.status or "running", self._activities)
        started, ended = min(self._begun, default=None), max(self._ended, default=None)
        return Execution(wf, started, ended, self._status or "running", self._activities)
