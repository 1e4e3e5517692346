"""Literals of PROV-ML JSON as N-Triples (https://www.w3.org/TR/n-triples/), one spelling a value.

Every value is said so that reading the literal gives it back: doubles by the shortest text that does, texts with
control characters escaped, JSON with sorted keys.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from pllib.provml.vocabulary import RDF, XSD

from .errors import LiteralError

Json = Any

_canonical_json = msgspec.json.Encoder(order="sorted")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MIN_MICROSECONDS: Final = -62_135_596_800_000_000
"""Start of the year 1."""
MAX_MICROSECONDS: Final = 253_402_300_799_999_999
"""End of the year 9999."""

_BOOLEAN = f'"^^<{XSD}boolean>'
_INTEGER = f'"^^<{XSD}integer>'
_DOUBLE = f'"^^<{XSD}double>'
_DATE_TIME = f'"^^<{XSD}dateTime>'
_BASE64 = f'"^^<{XSD}base64Binary>'
_JSON = f'"^^<{RDF}JSON>'

_ESCAPES: dict[int, str] = {code: f"\\u{code:04X}" for code in (*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029)}
_ESCAPES |= {
    ord(char): escape
    for char, escape in zip('\t\b\n\r\f"\\', ("\\t", "\\b", "\\n", "\\r", "\\f", '\\"', "\\\\"), strict=True)
}

_DIGITS = re.compile(r"[+-]?[0-9]{1,4000}")
_NUMBER = re.compile(r"[+-]?(?:[0-9]{1,400}(?:\.[0-9]{0,400})?|\.[0-9]{1,400})(?:[eE][+-]?[0-9]{1,5})?")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.\d{1,30})?(Z|[+-]\d\d:\d\d)?", re.ASCII)
_NOT_FINITE = {"NaN": "NaN", "INF": "INF", "-INF": "-INF"}


def text(value: str) -> str:
    """A text as ``xsd:string``."""
    return f'"{value.translate(_ESCAPES)}"'


def number(value: float) -> str:
    """A number with a fraction as ``xsd:double``."""
    if -math.inf < value < math.inf:
        digits = repr(value)
        return f'"{digits}{_DOUBLE}' if "e" in digits else f'"{digits}E0{_DOUBLE}'
    return f'"{"NaN" if value != value else "INF" if value > 0 else "-INF"}{_DOUBLE}'


def integer(value: int) -> str:
    """A whole number as ``xsd:integer``."""
    return f'"{value}{_INTEGER}'


def boolean(value: bool) -> str:
    """A truth value as ``xsd:boolean``."""
    return f'"{"true" if value else "false"}{_BOOLEAN}'


def json(value: Json) -> str:
    """A JSON value as ``rdf:JSON``, keys sorted."""
    return f'"{_canonical_json.encode(value).decode().translate(_ESCAPES)}{_JSON}'


def microseconds(value: int) -> str:
    """A point in time as ``xsd:dateTime`` in UTC with six digits of the second.

    Args:
        value: microseconds since 1970-01-01 UTC, of the years 1 to 9999.
    """
    seconds, rest = divmod(value, 1_000_000)
    return f'"{_to_the_second(seconds)}.{rest:06d}Z{_DATE_TIME}'


@lru_cache(maxsize=4096)
def _to_the_second(seconds: int) -> str:
    return (_EPOCH + timedelta(seconds=seconds)).replace(tzinfo=None).isoformat()


def plain(value: bool | int | float | str) -> str:
    """The literal of a plain JSON value."""
    return _PLAIN[type(value)](value)


_PLAIN: Mapping[type, Callable[[Any], str]] = {float: number, str: text, int: integer, bool: boolean}


def typed(kind: str, value: Json) -> str:
    """The literal of ``{"type": kind, "v": value}``.

    Raises:
        LiteralError: ``value`` is none of that type, or too deeply nested.
    """
    try:
        return _TYPED[kind](value)
    except RecursionError as error:
        raise LiteralError("the structure is nested too deeply") from error


def _double(value: Json) -> str:
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return f'"{value}{_DOUBLE}'
        if _NUMBER.fullmatch(value):
            return number(float(value))
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return number(float(value))
        except OverflowError as error:
            raise LiteralError("the number is beyond the range of a double") from error
    raise LiteralError("no double: give a number, or one of NaN, INF, -INF")


def _integer(value: Json) -> str:
    if isinstance(value, str) and _DIGITS.fullmatch(value):
        return integer(int(value))
    if isinstance(value, int) and not isinstance(value, bool):
        return integer(value)
    raise LiteralError("no integer: give at most 4000 decimal digits as text")


def _date_time(value: Json) -> str:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise LiteralError("no dateTime: give YYYY-MM-DDThh:mm:ss with optional fraction and offset")
    try:
        datetime.fromisoformat(match[1] + (match[2] or ""))
    except ValueError as error:
        raise LiteralError(f"no dateTime: {error}") from error
    return f'"{value}{_DATE_TIME}'


def _base64(value: Json) -> str:
    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise LiteralError(f"no base64: {error}") from error
    return f'"{base64.b64encode(content).decode("ascii")}{_BASE64}'


_TYPED: Mapping[str, Callable[[Json], str]] = {
    "double": _double,
    "integer": _integer,
    "dateTime": _date_time,
    "base64Binary": _base64,
    "json": json,
}
