"""A ProvLake record as a message: the same form for every dialect, each field checked.

What is said in several places or was said otherwise by older clients is looked for in all of them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from pllib.provml import iris

from ..errors import RecordError
from ..plain_values import check_size, clean_text

Json = Any

GLOBAL_WORKFLOW = "global_workflow"
GLOBAL_EXECUTION = "global"
"""What tasks belong to that no workflow was given for: ProvLake's own names."""

MAX_ID = 4000
"""Length of two percent-encoded parts of an id."""
MAX_OUTPUT = 100_000
"""Characters of stdout and stderr that are kept: the last ones."""

Kind = Literal["workflow", "task", "cycle"]
Moment = Literal["generate", "input", "output"]

_MOMENTS: dict[str, Moment] = {"generate": "generate", "input": "input", "output": "output"}
_STATUS = {"GENERATED": False, "RUNNING": False, "FINISHED": False, "ERRORED": True}
_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_799
"""Seconds of the years 1 and 9999."""


class Message(NamedTuple):
    """One record.

    Attributes:
        kind: what it is about.
        moment: when it was sent: as the task was handed in, as it began, as it ended.
        wf: id of the workflow execution, ``{workflow}/{execution}``, percent-encoded.
        scoped: whether a workflow was given at all.
        id: ``{transformation}/{number}``, percent-encoded; ``None`` for a workflow.
        transformation: name of the transformation or cycle; empty for a workflow.
        up: id of the iteration it belongs to.
        started, ended: microseconds since 1970.
        failed: whether it ended in error.
        values: what it used, or at the end what it generated.
        person, study, stdout, stderr: texts.
        metadata: the user's own.
        details: what else it says.
    """

    kind: Kind
    moment: Moment
    wf: str
    scoped: bool
    id: str | None
    transformation: str
    up: str | None
    started: int | None
    ended: int | None
    failed: bool
    values: Mapping[str, Json]
    person: str | None
    study: str | None
    stdout: str | None
    stderr: str | None
    metadata: Mapping[str, Json] | None
    details: Mapping[str, Json]


def read(record: Json) -> Message:
    """The message that a record is.

    Raises:
        RecordError: it is none; the message says how to make it right.
    """
    check_size(record, "$")
    record = _object(record, "$")
    kind = record.get("act_type")
    if kind not in ("workflow", "task", "cycle"):
        raise RecordError("$.act_type", f"{_shown(kind)}: use workflow, task or cycle")
    outer = _object(record.get("prov_obj"), "$.prov_obj")
    # A task and a cycle have an object of their own inside, a workflow has not.
    path = "$.prov_obj" if kind == "workflow" else f"$.prov_obj.{kind}"
    inner = outer if kind == "workflow" else _object(outer.get(kind), path)
    return _Reader(record, outer, inner, kind, path).message()


class _Reader(NamedTuple):
    record: Mapping[str, Json]
    outer: Mapping[str, Json]
    inner: Mapping[str, Json]
    kind: Kind
    path: str

    def message(self) -> Message:
        inner = self.inner
        times = {name: self._time(name) for name in ("generatedTime", "startTime", "endTime")}
        moment = self._moment(times)
        name, identifier = self._identity()
        workflow = _optional_text(self.record.get("dataflow_name"), "$.dataflow_name")
        execution = self._part(_first("wf_execution", inner, self.outer), "wf_execution")
        values = self.outer.get("values")
        return Message(
            kind=self.kind,
            moment=moment,
            wf=_joined(workflow or GLOBAL_WORKFLOW, execution or GLOBAL_EXECUTION, self.path),
            scoped=workflow is not None or execution is not None,
            id=identifier,
            transformation=name,
            up=self._up(),
            started=times["startTime"],
            # A clock that was set back does not make an execution end before it began.
            ended=_latest(times["startTime"], times["endTime"]),
            failed=self._failed(),
            values=_object(values, "$.prov_obj.values") if values else {},
            person=_optional_text(_first("person", self.outer, self.record), "$.prov_obj.person"),
            study=_optional_text(self.record.get("context"), "$.context"),
            stdout=_output(inner.get("stdout")),
            stderr=_output(inner.get("stderr")),
            metadata=self._metadata(),
            details=self._details(),
        )

    def _moment(self, times: Mapping[str, int | None]) -> Moment:
        """What the record's type says; for a workflow, which has none, what its times say."""
        given = None if self.kind == "workflow" else self.outer.get("type")
        if given is None:
            return (
                "output" if times["endTime"] is not None else "input" if times["startTime"] is not None else "generate"
            )
        found = _MOMENTS.get(given.lower()) if isinstance(given, str) else None
        if found is None:
            raise RecordError("$.prov_obj.type", f"{_shown(given)}: use Generate, Input or Output")
        return found

    def _identity(self) -> tuple[str, str | None]:
        if self.kind == "workflow":
            return "", None
        name_field, id_field = ("dt", "id") if self.kind == "task" else ("cycle_name", "iteration_id")
        name = _text(self.outer.get(name_field), f"$.prov_obj.{name_field}")
        number = self._part(self.inner.get(id_field), id_field)
        if number is None:
            raise RecordError(f"{self.path}.{id_field}", f"a {self.kind} needs `{id_field}`: a number or a text")
        return name, _joined(name, number, self.path)

    def _part(self, value: Json, name: str) -> str | None:
        """A number or text that tells one execution from the others, as text: ``1`` and ``"1"`` are the same."""
        if value is None or (isinstance(value, str) and value):
            return None if value is None else clean_text(value)
        if type(value) is float and math.isfinite(value):
            return repr(value + 0.0)  # there is one zero
        if type(value) is int:
            return str(value)
        raise RecordError(f"{self.path}.{name}", f"{_shown(value)}: use a finite number or a text")

    def _up(self) -> str | None:
        """The iteration it belongs to. The client never sends the number 0, so none is 0."""
        name = _optional_text(self.inner.get("parent_cycle_name"), f"{self.path}.parent_cycle_name")
        if name is None:
            return None
        number = self._part(self.inner.get("parent_cycle_iteration"), "parent_cycle_iteration")
        return _joined(name, "0" if number is None else number, self.path)

    def _time(self, name: str) -> int | None:
        """Microseconds; the client never sends a time of zero."""
        value: Any = self.inner.get(name)
        if value is None or value == 0:
            return None
        if type(value) not in (int, float) or not _EARLIEST <= value <= _LATEST:
            told = f"{_shown(value)}: give seconds since 1970-01-01 UTC, within the years 1 to 9999"
            raise RecordError(f"{self.path}.{name}", told)
        micros: int = round(value * 1_000_000)
        return micros

    def _failed(self) -> bool:
        status = self.inner.get("status")
        if status is None:
            return False
        if not isinstance(status, str) or status not in _STATUS:
            raise RecordError(f"{self.path}.status", f"{_shown(status)}: use {', '.join(_STATUS)}")
        return _STATUS[status]

    def _metadata(self) -> Mapping[str, Json] | None:
        found = self.record.get("custom_metadata")
        if not found:
            return None
        return found if isinstance(found, dict) else {"custom_metadata": found}

    def _details(self) -> Mapping[str, Json]:
        """What has no place of its own in the graph and is not said by an id."""
        inner = self.inner
        details = {
            "generatedTime": inner.get("generatedTime") if inner.get("generatedTime") != inner.get("id") else None,
            "attribute_associations": inner.get("attribute_associations"),
        }
        if not inner.get("parent_cycle_name"):
            details["parent_cycle_iteration"] = inner.get("parent_cycle_iteration")
        return {name: value for name, value in details.items() if value}


def _joined(name: str, number: str, path: str) -> str:
    found = f"{iris.encode(name)}/{iris.encode(number)}"
    if len(found) > MAX_ID:
        raise RecordError(path, f"name and id are longer than {MAX_ID} characters when percent-encoded: shorten them")
    return found


def _first(name: str, *objects: Mapping[str, Json]) -> Json:
    return next((found[name] for found in objects if found.get(name) is not None), None)


def _latest(started: int | None, ended: int | None) -> int | None:
    return ended if started is None or ended is None else max(started, ended)


def _object(value: Json, path: str) -> Mapping[str, Json]:
    if not isinstance(value, dict):
        raise RecordError(path, f"{_shown(value)}: give an object")
    return value


def _text(value: Json, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise RecordError(path, f"{_shown(value)}: give a text that is not empty")
    return clean_text(value)


def _optional_text(value: Json, path: str) -> str | None:
    return None if value is None else _text(value, path)


def _output(value: Json) -> str | None:
    if not value:
        return None
    text = clean_text(value if isinstance(value, str) else str(value))
    return text if len(text) <= MAX_OUTPUT else "…" + text[-MAX_OUTPUT:]


def _shown(value: Json) -> str:
    text = "nothing" if value is None else str(value)
    return clean_text(text[:100])
