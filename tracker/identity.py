"""Which values are the same: names, keys and literals, as pure functions (docs/reference/identity.md).

Everything here is cached where a script says the same thing again and again; the caches hold no state that matters.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import msgspec

from pllib.prov.literals import is_date_time
from pllib.provml import iris

from .values import Bytes, DateTime, Float, Integer, Structure, Summary, Tagged

Json = Any

INT64 = 2**63

_canonical_json = msgspec.json.Encoder(order="sorted")

encode: Callable[[str], str] = lru_cache(maxsize=16_384)(iris.encode)
canonical: Callable[[str], str] = lru_cache(maxsize=16_384)(iris.canonical)
first_part: Callable[[str], str] = lru_cache(maxsize=16_384)(iris.first_part)
_short_key: Callable[[str, str], str] = lru_cache(maxsize=16_384)(iris.value_key)


def key_of(value: Any) -> str:
    """Key of a plain value: type and canonical text, so that ``1``, ``1.0``, ``"1"`` and ``true`` differ.

    Args:
        value: a wire value that is no data reference, no reference and no ``among``.
    """
    kind = type(value)
    if kind is float:
        text = repr(value)
        return "f-" + text if "+" not in text else _short_key("f", text)
    if kind is str:
        return _short_key("s", value) if len(value) < 256 else iris.value_key("s", value)
    if kind is bool:
        return "b-true" if value else "b-false"
    if kind is int:
        return f"i-{value}" if -INT64 <= value < INT64 else iris.value_key("i", str(value))
    if value is None:
        return "n-null"
    return _key_of_structure(value)


def _key_of_structure(value: Any) -> str:
    if isinstance(value, Float):
        return "f-" + value.v
    if isinstance(value, Integer):
        return key_of(int(value.v))
    if isinstance(value, DateTime):
        return iris.value_key("t", value.v)
    if isinstance(value, Bytes):
        return iris.value_key("x", base64.b64encode(value.v).decode("ascii"))
    code = "m" if isinstance(value, Summary) else "j"
    content = value.v if isinstance(value, (Summary, Structure)) else value
    return iris.value_key(code, _canonical_json.encode(content).decode())


def literal_of(value: Any) -> Json:
    """The literal of a plain value in PROV-ML JSON: the JSON value, or ``{"type", "v"}``.

    Args:
        value: as for ``key_of``.
    """
    kind = type(value)
    if kind is float or kind is str or kind is bool:
        return value
    if kind is int:
        return value if -INT64 <= value < INT64 else {"type": "integer", "v": str(value)}
    if isinstance(value, Tagged):
        return _literal_of_tagged(value)
    return {"type": "json", "v": value}


def _literal_of_tagged(value: Tagged) -> Json:
    if isinstance(value, Float):
        return {"type": "double", "v": value.v}
    if isinstance(value, Integer):
        return literal_of(int(value.v))
    if isinstance(value, Bytes):
        return {"type": "base64Binary", "v": base64.b64encode(value.v).decode("ascii")}
    if isinstance(value, DateTime):
        if is_date_time(value.v):
            return {"type": "dateTime", "v": value.v}
        # Not a time that XML Schema can say (an offset with seconds, say): kept as it came.
        return {"type": "json", "v": {"$": "datetime", "v": value.v}}
    return {"type": "json", "v": cast("Structure | Summary", value).v}
