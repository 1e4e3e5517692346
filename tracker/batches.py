"""A capture batch from bytes to the bytes of its records (docs/reference/capture-format.md).

It comes as JSON, or as lines: the batch as JSON without records, then a record a line, whose floats may be packed as in a spool
file (``pllib.packing``). A batch is refused as a whole only when it is no batch at all; a record that is wrong is one ``Refused``
and its neighbours are not touched.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, NamedTuple, Union

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from edge.errors import RequestError
from pllib.packing import unpacked

from .records import MAX_DEPTH, split_message

VERSION = 1
MAX_COMMAS = 1_000_000
"""Commas in a body: bounds the memory that a body of very many very small records takes."""


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


_floats = msgspec.json.Encoder()
_envelope = msgspec.json.Decoder(_Envelope)
_version = msgspec.json.Decoder(_Version)

_BATCH = 'send {"version": 1, "producer": 32 hex digits, "records": [...]} (docs/reference/capture-format.md)'


def decode_batch(body: bytes) -> Batch:
    """The records of a batch, not yet decoded.

    Raises:
        RequestError: 400 when ``body`` is no JSON or no batch, 409 when its version is another one, 413 when it
            holds too much.
    """
    _check_size(body)
    try:
        return _decode_strictly(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        return _decode_leniently(body, error)


def decode_lines(body: bytes) -> Batch:
    """The records of a batch of lines, not yet decoded, with their floats as text.

    Raises:
        RequestError: as for ``decode_batch``; what is wrong with a line is said of the record.
    """
    _check_size(body)
    head, *lines = body.split(b"\n")
    batch = decode_batch(head)
    return batch._replace(records=[*batch.records, *(unpacked(line, _texts) for line in lines)])


def _check_size(body: bytes) -> None:
    """Each value but the first has a comma before it, and a packed one takes a tab."""
    if max(body.count(b","), body.count(b"\t")) > MAX_COMMAS:
        raise RequestError(413, "too_many_nodes", "the batch holds too many values", fix="send fewer records at once")


def _texts(floats: tuple[float, ...]) -> list[bytes] | None:
    """Texts that are read as the same floats; ``None`` where JSON has none."""
    text = _floats.encode(floats)
    return None if b"null" in text else text[1:-1].split(b",")


def _decode_strictly(body: bytes) -> Batch:
    try:
        envelope = _envelope.decode(body)
    except RecursionError as error:
        raise RequestError(
            413, "too_deep", f"a record is nested deeper than {MAX_DEPTH}", fix="flatten the value"
        ) from error
    except msgspec.ValidationError as error:
        _check_version(body)
        message, path = split_message(error)
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
