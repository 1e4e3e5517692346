"""One capture record from bytes, checked on its own (docs/reference/capture-format.md).

A record that is returned here can be converted: nothing later refuses it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from .errors import RecordError
from .record_checks import MAX_NAME, check_activity, check_part, member
from .values import Meaning, Value
from .wire import MAX_POINTS, ActivityRecord, Add, Begin, End, Gap, Kind, Points, ProducerRecord, Record, Stage

__all__ = [
    "ActivityRecord",
    "Add",
    "Begin",
    "End",
    "Gap",
    "Kind",
    "Points",
    "ProducerRecord",
    "Record",
    "Stage",
    "decode_record",
]

MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_STRING_BYTES = 1_000_000


_record: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_anything = msgspec.json.Decoder()


def decode_record(raw: bytes) -> Record:
    """One record, checked in full.

    Raises:
        RecordError: it breaks the format or a limit; the message says how to make it right.
    """
    try:
        record = _record.decode(raw)
    except RecursionError as error:
        raise RecordError("$", f"nested deeper than {MAX_DEPTH}: flatten the value") from error
    except UnicodeDecodeError as error:
        raise RecordError("$", f"not UTF-8: {error.reason}; send JSON in UTF-8") from error
    except msgspec.ValidationError as error:
        raise _explained(raw, error) from error
    except msgspec.DecodeError as error:
        raise RecordError("$", f"no JSON: {error}; send text in valid UTF-8 and numbers that JSON has") from error
    _check_limits(raw)
    if isinstance(record, ActivityRecord):
        check_activity(record)
    elif isinstance(record, ProducerRecord):
        _check_producer(record)
    return record


def _check_limits(raw: bytes) -> None:
    """Depth, nodes and length of strings; walks the record only if its size alone does not rule the breach out."""
    if len(raw) <= MAX_NODES and raw.count(b"{") + raw.count(b"[") <= MAX_DEPTH:
        return
    nodes = 0
    stack: list[tuple[Any, int]] = [(_anything.decode(raw), 1)]
    while stack:
        value, depth = stack.pop()
        nodes += 1
        if type(value) is str:
            _check_string(value)
        elif type(value) in (dict, list):
            if depth > MAX_DEPTH:
                raise RecordError("$", f"nested deeper than {MAX_DEPTH}: flatten the value, or send a summary of it")
            children = value.values() if isinstance(value, dict) else value
            stack.extend((child, depth + 1) for child in children)
        if nodes > MAX_NODES:
            raise RecordError("$", f"more than {MAX_NODES} values: send a data reference or a summary instead")


def _check_string(value: str) -> None:
    if len(value) > MAX_STRING_BYTES // 4 and len(value.encode()) > MAX_STRING_BYTES:
        raise RecordError(
            "$", f"a text of more than {MAX_STRING_BYTES} bytes: send a data reference or a summary instead"
        )


def _check_producer(record: ProducerRecord) -> None:
    if record.user:
        check_part("$.user", record.user, MAX_NAME)
    for name, version in record.software.items():
        check_part("$.software", name, MAX_NAME)
        check_part("$.software", version, MAX_NAME)


_FIXES = {
    "op": "use producer, begin, add, points, end or gap",
    "n": "count the records of a producer from 0",
    "t": "give the wall clock in whole microseconds since 1970-01-01 UTC",
    "m": "give the monotonic clock in whole nanoseconds",
    "kind": "use workflow, task, section, cycle or iteration",
    "wf": "give {workflow}/{execution}, both percent-encoded",
    "id": "give {name}/{number}, both percent-encoded",
    "up": "give the id of the parent, {name}/{number}, both percent-encoded, or nothing for the workflow execution",
    "stage": "use " + ", ".join(Stage.__args__),  # type: ignore[attr-defined]
    "status": "use finished or failed",
    "as": "use " + ", ".join(Meaning.__args__),  # type: ignore[attr-defined]
    "$": "use value, float, int, datetime, bytes, json, summary, data, ref or among",
    "v": "see docs/reference/capture-format.md, Values",
    "session": "give a text of at most 200 characters that no other session has, {producer}-{n of the begin}",
    "rank": "give the number of the process in its job, from 0",
    "within": 'give {"wf": "{workflow}/{execution}", "id": "{name}/{number}"}, id for an activity in it',
    "series": "give the name of the series",
    "unit": "give the unit as a text, such as s or %",
    "first": "give how many points of this series the producer sent before",
    "steps": f"give 1 to {MAX_POINTS:,} integers, each less the one before it",
    "times": f"give 1 to {MAX_POINTS:,} integers: microseconds since 1970-01-01 UTC, each less the one before it",
    "values": f'give 1 to {MAX_POINTS:,} numbers, "NaN", "INF" or "-INF"; integers beyond 2^53 as floats',
}


def _explained(raw: bytes, error: msgspec.ValidationError) -> RecordError:
    message, path = split_message(error)
    path = _named(raw, path)
    last = path.rpartition(".")[2].partition("[")[0]
    missing = message.rpartition("`")[0].rpartition("`")[2] if "missing required field" in message else None
    if missing:
        path, last = f"{path}.{missing}", missing
    fix = _FIXES.get(last, "see docs/reference/capture-format.md")
    return RecordError(path, f"{message}: {fix}")


def split_message(error: msgspec.ValidationError) -> tuple[str, str]:
    """Message and JSON path of msgspec's text ``message - at `path``` (or ``at `key` in `path```)."""
    message, _, where = str(error).rpartition(" - at ")
    return message or where, "$" + where.rstrip("`").rpartition("`$")[2] if message else "$"


def _named(raw: bytes, path: str) -> str:
    """The path with the name of the value in place of msgspec's ``[...]``."""
    for group in ("used", "generated"):
        start = f"$.{group}[...]"
        if path.startswith(start):
            values = _anything.decode(raw)[group]
            bad = next((name for name, value in values.items() if not _is_value(value)), "")
            return member(f"$.{group}", bad) + path[len(start) :]
    return path


def _is_value(value: Any) -> bool:
    try:
        msgspec.convert(value, Value)
    except msgspec.ValidationError:
        return False
    return True
