"""ProvLake messages to capture records. Pure; what a message says does not depend on any other.

Every message says all that it holds: a task is known, with its place, its person and its begin, by any one of its three.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from hashlib import blake2b
from typing import Any, ClassVar, NamedTuple

from ..identity import first_part
from ..plain_values import pure
from ..record_checks import check_activity
from ..records import Begin, End, Kind, ProducerRecord
from ..specifications import Direction, Specification
from ..values import Value
from . import values
from .messages import Message


class UntimedBegin(Begin, tag="untimed-begin", kw_only=True):
    """An activity that is known and has not said when it began."""

    timed: ClassVar[bool] = False


class UntimedEnd(End, tag="untimed-end", kw_only=True):
    """An activity that has ended and has not said when."""

    timed: ClassVar[bool] = False


class Converted(NamedTuple):
    """What one ProvLake record says.

    Attributes:
        wf: id of the workflow execution.
        producer: 32 hex digits.
        records: capture records.
        elements: names of values that are elements of another value of the record.
        complete: the record that has all inputs, or all outputs, of an execution; ``None`` where none has.
    """

    wf: str
    producer: str
    records: list[Begin | End]
    elements: Collection[str]
    complete: Begin | End | None


def producer_of(wf: str) -> str:
    """The producer of a workflow execution's records, which say nothing of the process they come from: 32 hex digits."""
    return blake2b(f"provlake/{wf}".encode(), digest_size=16).hexdigest()


def process() -> ProducerRecord:
    """What is known of the process that the records come from."""
    return ProducerRecord(n=0, t=0, m=0, env={"client": "provlake"})


def workflow_of(message: Message) -> str:
    """The name of a message's workflow, whose specification ``convert`` needs."""
    return first_part(message.wf)


def convert(message: Message, specification: Specification) -> Converted:
    """The capture records that a message is.

    Args:
        specification: the one in force for its workflow.

    Raises:
        RecordError: a value is one that the graph cannot hold.
    """
    return _Conversion(message, specification).converted()


class _Conversion:
    def __init__(self, message: Message, specification: Specification) -> None:
        self._message = message
        self._specification = specification
        self._base: dict[str, Any] = {"n": 0, "m": 0, "kind": self._kind(), "wf": message.wf, "id": message.id}
        # Without a workflow, all scripts there are share one execution; equal numbers of theirs mean nothing.
        self._base["match"] = message.scoped

    def _kind(self) -> Kind:
        if self._message.kind != "cycle":
            return self._message.kind
        # An iteration that is planned as a section of learning (an epoch, say) is one.
        return "section" if self._stage() not in (None, "feature_extraction") else "iteration"

    def _stage(self) -> str | None:
        return self._specification.stages.get(self._message.transformation)

    def converted(self) -> Converted:
        message = self._message
        direction: Direction = "outputs" if message.moment == "output" else "inputs"
        found, elements = self._values(direction)
        begin = self._begin({} if direction == "outputs" else found)
        end = self._end(found) if direction == "outputs" else None
        records: list[Begin | End] = [*self._around(), begin, *([end] if end is not None else [])]
        # Not all messages of a task have all details, so each is a statement of its own.
        for name, detail in message.details.items():
            records.append(UntimedBegin(t=0, up=message.up, meta={name: pure(detail)}, **self._base))
        for record in records:
            check_activity(record)
        return Converted(message.wf, producer_of(message.wf), records, elements, self._complete(begin, end))

    def _complete(self, begin: Begin, end: End | None) -> Begin | End | None:
        """Inputs come with the first message, or with the second from older clients; what failed has no outputs to miss."""
        if end is not None:
            return None if self._message.failed else end
        return begin if self._message.moment == "generate" or self._message.values else None

    def _values(self, direction: Direction) -> tuple[dict[str, Value], Collection[str]]:
        name = self._message.transformation
        return values.converted(
            self._message.values, lambda attribute: self._specification.attribute(name, direction, attribute)
        )

    def _around(self) -> list[Begin]:
        """The workflow execution that tasks without one belong to; nothing else will ever say that it is there."""
        message = self._message
        if message.scoped or message.id is None:
            return []
        return [UntimedBegin(n=0, m=0, t=0, kind="workflow", wf=message.wf, study=message.study)]

    def _begin(self, used: Mapping[str, Value]) -> Begin:
        message = self._message
        kind = UntimedBegin if message.started is None else Begin
        return kind(
            t=message.started or 0,
            up=message.up,
            used=dict(used),
            person=message.person,
            study=message.study if message.kind == "workflow" else None,
            meta=pure(message.metadata) if message.metadata else None,
            **self._base,
        )

    def _end(self, generated: Mapping[str, Value]) -> End:
        message = self._message
        kind = UntimedEnd if message.ended is None else End
        timed = message.started is not None and message.ended is not None
        return kind(
            t=message.ended or 0,
            status="failed" if message.failed else "finished",
            elapsed=message.ended - message.started if timed else None,  # type: ignore[operator]
            generated=dict(generated),
            stdout=message.stdout,
            stderr=message.stderr,
            **self._base,
        )
