"""A capture batch from bytes to records, each checked on its own (docs/reference/capture-format.md).

A batch is refused as a whole only when it is no batch at all; a record that is wrong is one ``Refused`` and its
neighbours are not touched. A record that is returned here can be converted: nothing later refuses it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, NamedTuple, Optional, Union

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from edge.errors import RequestError
from pllib.provml import iris

from .errors import RecordError
from .identity import INT64
from .values import Among, Data, Identifier, Meaning, Reference, Tagged, Text, Value

VERSION = 1
MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_STRING_BYTES = 1_000_000
MAX_COMMAS = 1_000_000
"""Commas in a body: bounds the memory that a body of very many very small records takes."""

# Lengths of percent-encoded parts, so that no id gets longer than the manager takes (16,384).
MAX_NAME = 4096
MAX_FACT_NAME = 2000
MAX_STORE = 1000
MAX_KEY = 8000

Kind = Literal["workflow", "task", "section", "cycle", "iteration"]
Stage = Literal["learning", "training", "validation", "evaluation", "feature_extraction"]
Count = Annotated[int, Meta(ge=0)]
Micros = Annotated[int, Meta(ge=-62_135_596_800_000_000, le=253_402_300_799_999_999)]
"""Microseconds since 1970-01-01 UTC, within the years 1 to 9999."""


class _Record(Struct, tag_field="op", kw_only=True, gc=False):
    n: Count
    t: Micros
    m: int


class ProducerRecord(_Record, tag="producer", kw_only=True):
    """What process the records come from."""

    host: Optional[str] = None
    pid: Optional[int] = None
    user: Optional[str] = None
    command: Optional[str] = None
    python: Optional[str] = None
    pllib: Optional[str] = None
    software: dict[str, str] = {}
    env: dict[str, str] = {}


class _Activity(_Record, kw_only=True):
    timed: ClassVar[bool] = True
    """Whether ``t`` is when it began or ended; another format may not say when."""

    kind: Kind
    wf: Identifier
    id: Optional[Identifier] = None
    match: bool = False
    used: dict[str, Value] = {}
    links: dict[Identifier, list[Text]] = {}
    meta: Optional[dict[str, Any]] = None


class Begin(_Activity, tag="begin", kw_only=True):
    up: Optional[Identifier] = None
    stage: Optional[Stage] = None
    study: Optional[Text] = None
    person: Optional[Text] = None


class ErrorFacts(Struct, gc=False):
    type: str
    message: Optional[str] = None


class End(_Activity, tag="end", kw_only=True):
    status: Literal["finished", "failed"]
    elapsed: Optional[Annotated[int, Meta(ge=0)]] = None
    generated: dict[str, Value] = {}
    error: Optional[ErrorFacts] = None
    stdout: Optional[str] = None
    stderr: Optional[str] = None


class Gap(_Record, tag="gap", kw_only=True):
    """Records that were dropped between two times."""

    count: Annotated[int, Meta(ge=1)]
    reason: str
    since: Optional[int] = field(default=None, name="from")
    to: Optional[int] = None


Record = Union[ProducerRecord, Begin, End, Gap]


class Batch(NamedTuple):
    """A batch whose records are still bytes, as is what the producer says of all its records (``producers.decode``)."""

    producer: str
    records: Sequence[bytes]
    accounting: bytes | None = None


class _Envelope(Struct):
    version: int
    producer: Annotated[str, Meta(pattern=r"\A[0-9a-f]{32}\Z")]
    records: list[msgspec.Raw]
    accounting: Union[msgspec.Raw, UnsetType] = UNSET


class _Version(Struct):
    version: Union[int, UnsetType] = UNSET


_envelope = msgspec.json.Decoder(_Envelope)
_version = msgspec.json.Decoder(_Version)
_record: msgspec.json.Decoder[Record] = msgspec.json.Decoder(Record)
_anything = msgspec.json.Decoder()

_BATCH = 'send {"version": 1, "producer": 32 hex digits, "records": [...]} (docs/reference/capture-format.md)'


def decode_batch(body: bytes) -> Batch:
    """The records of a batch, not yet decoded.

    Raises:
        RequestError: 400 when ``body`` is no JSON or no batch, 409 when its version is another one, 413 when it
            holds too much.
    """
    if body.count(b",") > MAX_COMMAS:
        raise RequestError(413, "too_many_nodes", "the batch holds too many values", fix="send fewer records at once")
    try:
        return _decode_strictly(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _decode_leniently(body, error)


def _decode_strictly(body: bytes) -> Batch:
    try:
        envelope = _envelope.decode(body)
    except RecursionError as error:
        raise RequestError(
            413, "too_deep", f"a record is nested deeper than {MAX_DEPTH}", fix="flatten the value"
        ) from error
    except msgspec.ValidationError as error:
        _check_version(body)
        message, path = _split(error)
        raise RequestError(400, "no_batch", message, field=path, fix=_BATCH) from error
    if envelope.version != VERSION:
        raise _unknown_version(envelope.version)
    accounting = None if envelope.accounting is UNSET else bytes(envelope.accounting)
    return Batch(envelope.producer, [bytes(raw) for raw in envelope.records], accounting)


def _check_version(body: bytes) -> None:
    try:
        version = _version.decode(body).version
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if version is not UNSET and version != VERSION:
        raise _unknown_version(version)


def _unknown_version(version: object) -> RequestError:
    return RequestError(
        409,
        "unknown_version",
        f"this tracker speaks version {VERSION} of the capture format, the batch says {version}",
        field="$.version",
        fix=f"send version {VERSION}, or update the tracker",
    )


def _decode_leniently(body: bytes, cause: Exception) -> Batch:
    """The batch read by a parser that takes more (lone surrogates, NaN), so that only the record that has it suffers."""
    refusal = RequestError(400, "no_json", f"the body is no JSON: {cause}", fix=_BATCH)
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise refusal from cause
    records = found.get("records") if isinstance(found, dict) else None
    if not isinstance(records, list):
        raise refusal from cause
    bare = {name: found[name] for name in ("version", "producer") if name in found}
    try:
        batch = _decode_strictly(json.dumps({**bare, "records": []}).encode())
    except msgspec.DecodeError:
        raise refusal from cause
    return batch._replace(records=[json.dumps(record).encode() for record in records])


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
    if isinstance(record, (Begin, End)):
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


def check_activity(record: Begin | End) -> None:
    """Checks what the types of the fields cannot say: lengths of what becomes part of ids, integers in structures.

    Raises:
        RecordError: it breaks a limit.
    """
    if record.id is None and record.kind != "workflow":
        raise RecordError("$.id", f"a {record.kind} needs `id`: add {{name}}/{{number}}, both percent-encoded")
    if record.meta:
        _check_structure("$.meta", record.meta)
    if record.used:
        _check_values("$.used", record.used, MAX_NAME)
    for names in record.links.values():
        _check_names("$.links", names, MAX_NAME)
    if isinstance(record, Begin):
        for path, text in (("$.study", record.study), ("$.person", record.person)):
            if text is not None:
                _check_part(path, text, MAX_NAME)
    elif record.generated:
        _check_generated(record.generated)


def _check_generated(generated: Mapping[str, Value]) -> None:
    _check_values("$.generated", generated, MAX_NAME)
    for name, value in generated.items():
        if isinstance(value, (Reference, Among)):
            raise RecordError(
                _member("$.generated", name),
                "what another execution generated cannot be generated again: put it under `used`",
            )


def _check_producer(record: ProducerRecord) -> None:
    if record.user:
        _check_part("$.user", record.user, MAX_NAME)
    for name, version in record.software.items():
        _check_part("$.software", name, MAX_NAME)
        _check_part("$.software", version, MAX_NAME)


def _check_values(path: str, values: Mapping[str, Value], limit: int) -> None:
    _check_names(path, values, limit)
    for name, value in values.items():
        if isinstance(value, Tagged):
            _check_tagged(_member(path, name), value)
        elif type(value) is list:
            _check_structure(_member(path, name), value)


def _check_tagged(path: str, value: Tagged) -> None:
    """The parts of a value that become parts of ids."""
    if value.facts:
        _check_facts(f"{path}.facts", value.facts)
    if isinstance(value, Data):
        _check_part(f"{path}.store", value.store, MAX_STORE)
        _check_part(f"{path}.key", value.key, MAX_KEY)
        _check_part(f"{path}.version", value.version or "-", MAX_STORE)
    elif isinstance(value, Reference):
        _check_part(f"{path}.name", value.name, MAX_NAME)
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
            raise RecordError(_member(path, name), "a fact about a fact: give it to the value itself")


def _check_names(path: str, names: Collection[str], limit: int) -> None:
    lengths = [*map(len, names)]
    if lengths and min(lengths) == 0:
        raise RecordError(path, "a value has an empty name: give it a name")
    if lengths and max(lengths) * 12 > limit:
        for name in names:
            _check_part(path, name, limit)


def _check_part(path: str, text: str, limit: int) -> None:
    if len(text) * 12 > limit and len(iris.encode(text)) > limit:
        raise RecordError(path, f"longer than {limit} characters when percent-encoded: shorten it")


_FIXES = {
    "op": "use producer, begin, end or gap",
    "n": "count the records of a producer from 0",
    "t": "give the wall clock in whole microseconds since 1970-01-01 UTC",
    "m": "give the monotonic clock in whole nanoseconds",
    "kind": "use workflow, task, section, cycle or iteration",
    "wf": "give {workflow}/{execution}, both percent-encoded",
    "id": "give {name}/{number}, both percent-encoded",
    "up": "give the id of the parent, {name}/{number}, both percent-encoded",
    "stage": "use " + ", ".join(Stage.__args__),  # type: ignore[attr-defined]
    "status": "use finished or failed",
    "as": "use " + ", ".join(Meaning.__args__),  # type: ignore[attr-defined]
    "$": "use value, float, int, datetime, bytes, json, summary, data, ref or among",
    "v": "see docs/reference/capture-format.md, Values",
}


def _explained(raw: bytes, error: msgspec.ValidationError) -> RecordError:
    message, path = _split(error)
    path = _named(raw, path)
    last = path.rpartition(".")[2]
    missing = message.rpartition("`")[0].rpartition("`")[2] if "missing required field" in message else None
    if missing:
        path, last = f"{path}.{missing}", missing
    fix = _FIXES.get(last, "see docs/reference/capture-format.md")
    return RecordError(path, f"{message}: {fix}")


def _split(error: msgspec.ValidationError) -> tuple[str, str]:
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
            return _member(f"$.{group}", bad) + path[len(start) :]
    return path


def _is_value(value: Any) -> bool:
    try:
        msgspec.convert(value, Value)
    except msgspec.ValidationError:
        return False
    return True


def _member(path: str, name: str) -> str:
    return f"{path}.{name[:200]}" if name.isidentifier() else f"{path}[{json.dumps(name[:200])}]"
