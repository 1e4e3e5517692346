"""Values as literals of N-Triples, and back again without a difference. Pure functions.

Every text is escaped, so no value can break out of its place; doubles are written by the shortest text that reads back as
the very same number, structures with sorted keys, so that equal values have equal text.
"""

from __future__ import annotations

import base64
import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

import msgspec
import orjson

from pllib.provml.vocabulary import RDF, XSD

from .documents import TypedLiteral, Value
from .errors import DocumentError

_EPOCH = datetime(1970, 1, 1)  # in UTC; a zone would cost time
_MICROSECOND = timedelta(microseconds=1)
_EARLIEST = -62_135_596_800_000_000
_LATEST = 253_402_300_799_999_999
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f\ufffe\uffff]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_DOUBLE = f'"^^<{XSD}double>'
_INTEGER = f'"^^<{XSD}integer>'
_BOOLEAN = f'"^^<{XSD}boolean>'
_TIME = f'"^^<{XSD}dateTime>'
_JSON = f"^^<{RDF}JSON>"
_NO_JSON = "give JSON with integers of 64 bit, at most some 200 levels deep"


def text_literal(text: str) -> str:
    """A plain string; characters that N-Triples cannot hold raw are escaped, nothing is changed."""
    if _ESCAPED.search(text):
        text = _ESCAPED.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04X}", text)
    return f'"{text}"'


_number = msgspec.json.Encoder().encode


def double_literal(value: float) -> str:
    """An ``xsd:double``."""
    if 1e-4 <= value < 1e16 or -1e16 < value <= -1e-4:
        return f'"{_number(value).decode()}e0{_DOUBLE}'  # what `repr` gives, at an eighth of the cost
    if math.isfinite(value):
        text = repr(value)
        return f'"{text}{_DOUBLE}' if "e" in text else f'"{text}e0{_DOUBLE}'
    return f'"{"NaN" if value != value else "INF" if value > 0 else "-INF"}{_DOUBLE}'


def integer_literal(value: int) -> str:
    """An ``xsd:integer``."""
    return f'"{value}{_INTEGER}'


def boolean_literal(value: bool) -> str:
    """An ``xsd:boolean``."""
    return f'"{"true" if value else "false"}{_BOOLEAN}'


def time_literal(microseconds: int, field: str = "time") -> str:
    """An ``xsd:dateTime`` in UTC, with six digits of the second.

    Args:
        microseconds: since 1970-01-01 UTC.
        field: what to call it when it cannot be said.

    Raises:
        DocumentError: a time beyond the years 1 to 9999.
    """
    if not _EARLIEST <= microseconds <= _LATEST:
        told = f"{str(microseconds)[:40]} is no time between the years 1 and 9999"
        raise DocumentError(field, told, "give microseconds since 1970-01-01 UTC")
    seconds, fraction = divmod(microseconds, 1_000_000)
    return f'"{_second(seconds)}.{fraction:06d}Z{_TIME}'


@lru_cache(maxsize=1_024)
def _second(seconds: int) -> str:
    """A second since 1970 as a date and time: those of a group lie close together."""
    return (_EPOCH + timedelta(seconds=seconds)).isoformat()


def microseconds(text: str) -> int:
    """Microseconds since 1970-01-01 UTC of an ``xsd:dateTime`` with a zone, as a store gives it back.

    Raises:
        ValueError: it is none.
    """
    # Stores leave out zeros at the end of a second, which older Pythons need.
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return (moment.replace(tzinfo=None) - (moment.utcoffset() or timedelta()) - _EPOCH) // _MICROSECOND


def json_literal(value: Any, field: str = "value") -> str:
    """An ``rdf:JSON`` literal.

    Raises:
        DocumentError: too deep, or with integers that JSON readers would not agree on.
    """
    try:
        return text_literal(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()) + _JSON
    except orjson.JSONEncodeError as error:
        raise DocumentError(field, f"no JSON that can be kept: {error}", _NO_JSON) from error


def json_literal_of_plain(text: str) -> str:
    """An ``rdf:JSON`` literal of JSON text with no backslash and no control character in it."""
    return '"' + text.replace('"', '\\"') + '"' + _JSON


def literal(value: Value) -> str:
    """The literal of a value.

    Raises:
        DocumentError: its text is none of its type.
    """
    kind = type(value)
    if kind is float:
        return double_literal(value)  # type: ignore[arg-type]
    if kind is str:
        return text_literal(value)  # type: ignore[arg-type]
    if kind is bool:
        return boolean_literal(bool(value))
    if kind is int:
        return f'"{value}{_INTEGER}'
    return _typed(value)  # type: ignore[arg-type]


def _typed(value: TypedLiteral) -> str:
    if value.type == "json":
        return json_literal(value.v, "value.v")
    if value.type not in TYPES:
        told = f"no literal type is called {value.type[:60]!r}"
        raise DocumentError("value.type", told, f"use {', '.join([*TYPES, 'json'])}")
    if type(value.v) is float and value.type == "double":
        return double_literal(value.v)
    text = str(value.v) if type(value.v) in (str, int) else None
    if text is None or not TYPES[value.type](text):
        told = f"{str(value.v)[:60]!r} is no {value.type}"
        raise DocumentError("value.v", told, f"give the text of an xsd:{value.type}")
    return f'"{text}"^^<{XSD}{value.type}>'


_INTEGER_TEXT = re.compile(r"[+-]?[0-9]{1,4300}")
_DOUBLE_TEXT = re.compile(r"NaN|-?INF|[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_TIME_TEXT = re.compile(r"[0-9]{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


def _is_time(text: str) -> bool:
    try:
        datetime.fromisoformat(re.sub(r"\.\d+", "", text).replace("Z", "+00:00"))
    except ValueError:
        return False
    return _TIME_TEXT.fullmatch(text) is not None


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except ValueError:
        return False
    return True


TYPES: dict[str, Callable[[str], object]] = {
    "integer": _INTEGER_TEXT.fullmatch,
    "double": _DOUBLE_TEXT.fullmatch,
    "dateTime": _is_time,
    "base64Binary": _is_base64,
}
"""Literal types beside ``json``, with what tells whether a text is one."""
