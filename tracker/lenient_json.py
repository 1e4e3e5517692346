"""A body of records of other clients from bytes to JSON values, one item a record.

Python clients write what JSON has no form for: ``NaN``, ``Infinity``, lone surrogates of undecodable file names. So what
a strict parser refuses is read by a lenient one; every text and number that comes out is one that ``plain_values`` knows.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import msgspec

from edge.errors import RequestError

from .batches import MAX_COMMAS

Json = Any

MAX_DIGITS = 4000
"""Digits of an integer that is kept as a number."""

_strict = msgspec.json.Decoder(list[msgspec.Raw])
_anything = msgspec.json.Decoder()

_FIX = "send valid JSON in UTF-8"


class Item(NamedTuple):
    """One record: as it came, and as a JSON value."""

    raw: bytes
    record: Json


class HugeInteger(str):
    """The digits of an integer of more than ``MAX_DIGITS`` digits."""

    __slots__ = ()


def decode(body: bytes, fix: str) -> list[Item]:
    """The records of a body; a single object is one record.

    Args:
        fix: what to do where it holds none.

    Raises:
        RequestError: 400 when it is no JSON or no array of records, 413 when it holds too much.
    """
    if body.count(b",") > MAX_COMMAS:
        raise RequestError(413, "too_many_nodes", "the body holds too many values", fix="send fewer records at once")
    try:
        return [Item(bytes(raw), _anything.decode(raw)) for raw in _strict.decode(body)]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        pass
    found = parse(body, fix)
    records = [found] if isinstance(found, dict) else found
    if not isinstance(records, list):
        raise RequestError(400, "no_batch", "the body is no array of records", field="$", fix=fix)
    try:
        return [Item(json.dumps(record).encode("ascii"), record) for record in records]
    except RecursionError as error:
        raise _too_deep() from error


def parse(body: bytes, fix: str = _FIX, **options: Any) -> Json:
    """Any JSON, read leniently; bytes that are no UTF-8 become lone surrogates.

    Args:
        fix: what to do where it is no JSON.
        options: of ``json.loads``.

    Raises:
        RequestError: 400 when it is no JSON, 413 when it is nested too deep.
    """
    try:
        return json.loads(body.decode("utf-8-sig", "surrogateescape"), parse_int=_integer, **options)
    except ValueError as error:
        raise RequestError(400, "no_json", f"the body is no JSON: {error}", fix=fix) from error
    except RecursionError as error:
        raise _too_deep() from error


def _too_deep() -> RequestError:
    return RequestError(413, "too_deep", "the body is nested too deep", fix="flatten the values")


def _integer(digits: str) -> int | HugeInteger:
    return int(digits) if len(digits) <= MAX_DIGITS else HugeInteger(digits)
