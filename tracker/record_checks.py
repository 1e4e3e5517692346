"""What the types of a record's fields cannot say: lengths of what becomes part of ids, sums, integers in structures."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from itertools import accumulate
from typing import Any

from pllib.provml import iris

from .errors import RecordError
from .identity import INT64, canonical
from .values import Among, Data, Reference, Tagged, Value
from .wire import EARLIEST, LATEST, MOST, ActivityRecord, Add, Begin, End, Points, ValuesRecord

# Lengths of percent-encoded parts, so that no id gets longer than the manager takes (16,384).
MAX_NAME = 4096
MAX_FACT_NAME = 2000
MAX_STORE = 1000
MAX_KEY = 8000


def _check_structure(path: str, structure: Any) -> None:
    """No bare integer beyond 64 bit, which JSON literals of the graph cannot hold."""
    stack = [structure]
    while stack:
        value = stack.pop()
        if type(value) is int and not -INT64 <= value < INT64:
            raise RecordError(path, f'{str(value)[:40]} is beyond 64 bit: send {{"$": "int", "v": "its digits"}}')
        if type(value) is dict:
            stack.extend(value.values())
        elif type(value) is list:
            stack.extend(value)


def check_activity(record: ActivityRecord) -> None:
    """Checks a record about an activity.

    Raises:
        RecordError: it breaks a limit, or its fields do not go together.
    """
    if record.id is None and record.kind != "workflow":
        raise RecordError("$.id", f"a {record.kind} needs `id`: add {{name}}/{{number}}, both percent-encoded")
    if isinstance(record, Points):
        _check_points(record)
    elif isinstance(record, ValuesRecord):
        _check_what_is_said(record)


def _check_what_is_said(record: ValuesRecord) -> None:
    if record.meta:
        _check_structure("$.meta", record.meta)
    if record.used:
        _check_values("$.used", record.used, MAX_NAME)
    for names in record.links.values():
        _check_names("$.links", names, MAX_NAME)
    if isinstance(record, (End, Add)) and record.generated:
        _check_generated(record.generated)
    if isinstance(record, Begin):
        _check_begin(record)


def _check_begin(record: Begin) -> None:
    for path, text in (("$.study", record.study), ("$.person", record.person)):
        if text is not None:
            check_part(path, text, MAX_NAME)
    if record.resumes and record.session is None:
        raise RecordError("$.session", "what `resumes` needs `session`: add a text of its own, {producer}-{n}")
    if record.kind != "workflow":
        if record.within is not None:
            raise RecordError("$.within", f"a {record.kind} is within its own workflow execution: give `up` instead")
    elif record.stage not in (None, "learning"):
        raise RecordError(
            "$.stage", f"a workflow is no {record.stage}: give `learning`, or give the stage to a task in it"
        )
    elif record.within is not None and canonical(record.within.wf) == canonical(record.wf):
        raise RecordError("$.within", "a workflow execution is not within itself: name an activity of another one")


def _check_points(record: Points) -> None:
    check_part("$.series", record.series, MAX_NAME)
    if not len(record.steps) == len(record.times) == len(record.values):
        told = f"{len(record.steps)} steps, {len(record.times)} times and {len(record.values)} values"
        raise RecordError("$.values", f"{told}: give one of each for every point")
    steps = [*accumulate(record.steps)]
    if not (min(steps) > -MOST and max(steps) < MOST):
        raise RecordError(
            "$.steps", "a step beyond 2^53: give each step less the one before it, and the first as it is"
        )
    times = [*accumulate(record.times)]
    if not (min(times) >= EARLIEST and max(times) <= LATEST):
        told = "a time beyond the years 1 to 9999: give microseconds since 1970-01-01 UTC, each less the one before it"
        raise RecordError("$.times", told)


def _check_generated(generated: Mapping[str, Value]) -> None:
    _check_values("$.generated", generated, MAX_NAME)
    for name, value in generated.items():
        if isinstance(value, (Reference, Among)):
            raise RecordError(
                member("$.generated", name),
                "what another execution generated cannot be generated again: put it under `used`",
            )


def _check_values(path: str, values: Mapping[str, Value], limit: int) -> None:
    _check_names(path, values, limit)
    for name, value in values.items():
        if isinstance(value, Tagged):
            _check_tagged(member(path, name), value)
        elif type(value) is list:
            _check_structure(member(path, name), value)


def _check_tagged(path: str, value: Tagged) -> None:
    """The parts of a value that become parts of ids."""
    if value.facts:
        _check_facts(f"{path}.facts", value.facts)
    if isinstance(value, Data):
        check_part(f"{path}.store", value.store, MAX_STORE)
        check_part(f"{path}.key", value.key, MAX_KEY)
        check_part(f"{path}.version", value.version or "-", MAX_STORE)
    elif isinstance(value, Reference):
        check_part(f"{path}.name", value.name, MAX_NAME)
    elif isinstance(value, Among):
        _check_names(f"{path}.of", [name for _, name in value.of], MAX_NAME)
    inner = getattr(value, "v", None)
    if isinstance(inner, Tagged):
        _check_tagged(f"{path}.v", inner)
    elif isinstance(inner, (dict, list)):
        _check_structure(f"{path}.v", inner)


def _check_facts(path: str, facts: Mapping[str, Value]) -> None:
    _check_values(path, facts, MAX_FACT_NAME)
    for name, value in facts.items():
        if isinstance(value, Tagged) and value.facts and not isinstance(value, Data):
            raise RecordError(member(path, name), "a fact about a fact: give it to the value itself")


def _check_names(path: str, names: Collection[str], limit: int) -> None:
    lengths = [*map(len, names)]
    if lengths and min(lengths) == 0:
        raise RecordError(path, "a value has an empty name: give it a name")
    if lengths and max(lengths) * 12 > limit:
        for name in names:
            check_part(path, name, limit)


def check_part(path: str, text: str, limit: int) -> None:
    if len(text) * 12 > limit and len(iris.encode(text)) > limit:
        raise RecordError(path, f"longer than {limit} characters when percent-encoded: shorten it")


def member(path: str, name: str) -> str:
    """The JSON path of a member."""
    return f"{path}.{name[:200]}" if name.isidentifier() else f"{path}[{json.dumps(name[:200])}]"
