"""Records to JSON: quickly as long as JSON has a form for everything in them, else slowly and with marks. Pure functions."""

from __future__ import annotations

import json
import re
from typing import Any, Callable, Dict, Iterable, Optional

from . import packing

Json = Any
MAX_RECORD = 4_000_000
"""Bytes of a record; the values of a larger one are replaced by what they are."""
MAX_NODES = 100_000
"""Values in a record, of values too, likewise; a tracker takes no more."""
SURROGATE_PAIR = re.compile(r"\\ud[89ab]..\\ud[c-f]..")

UNENCODABLE = (ValueError, TypeError, ArithmeticError, AttributeError, LookupError, RecursionError, MemoryError)
"""What encoding raises for parts that cannot be had as JSON."""


class Oversized(ValueError):
    """The record is too large for a tracker, also without its values."""


def _make_chunks() -> Callable[[Any, int], Iterable[str]]:
    """Makes the chunks of compact JSON; CPython's C encoder is kept between calls, which saves a third of the time."""
    plain = json.JSONEncoder(separators=(",", ":"), allow_nan=False)

    def slowly(value: Any, _: int) -> Iterable[str]:
        return (plain.encode(value),)

    sample = {"a": [1, 0.5, None, "é"]}
    try:
        make = json.encoder.c_make_encoder  # type: ignore[attr-defined]
        quickly: Callable[[Any, int], Iterable[str]] = make(
            None, plain.default, json.encoder.encode_basestring_ascii, None, ":", ",", False, False, False
        )
        return quickly if "".join(quickly(sample, 0)) == plain.encode(sample) else slowly
    except (AttributeError, TypeError, ValueError):
        return slowly


_chunks = _make_chunks()


_quickly: Optional[Callable[[str, Dict[str, Json]], Optional[bytes]]] = None


def accelerate() -> None:
    """Takes the codec of ``pllib[fast]`` from now on, if it is there; records are the same to the last byte."""
    global _quickly
    from .codec import fast_encoder, fast_float_texts

    _quickly = fast_encoder()
    packing.accelerate(None if _quickly is None else fast_float_texts())


quoted = json.encoder.encode_basestring_ascii
"""JSON of a text."""


def dumps(value: Any) -> str:
    """Compact ASCII JSON. Raises ``ValueError`` for what JSON has no form for."""
    return "".join(_chunks(value, 0))


def payload(head: str, parts: Dict[str, Json]) -> bytes:
    """A record's JSON: ``head`` is an open object without its brace, ``parts`` the fields that need encoding."""
    encoded = None if _quickly is None else _quickly(head, parts)
    return standard_payload(head, parts) if encoded is None else encoded


def standard_payload(head: str, parts: Dict[str, Json]) -> bytes:
    """The same by the standard library. The slow way is taken for what strict JSON has no form for: NaN, lone surrogates."""
    try:
        text = head
        for name, value in parts.items():
            text += f',"{name}":{"".join(_chunks(value, 0))}'
        if "\\ud" in text and "\\ud" in SURROGATE_PAIR.sub("", text):
            json.dumps(json.loads(text + "}"), ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        text = _marked(head, parts)
    return (text + "}").encode("ascii")


def _marked(head: str, parts: Dict[str, Json]) -> str:
    from .values import bounded_name, exact

    text = head
    for name, value in parts.items():
        if isinstance(value, dict):
            clean = {
                bounded_name(key): item if isinstance(item, dict) and "$" in item else exact(item)
                for key, item in value.items()
            }
        else:
            clean = exact(value)
        text += f',"{name}":{dumps(clean)}'
    return text


def fits(encoded: bytes) -> bool:
    """Whether a record is within the bounds of a tracker."""
    if len(encoded) <= MAX_NODES:
        return True
    if len(encoded) > MAX_RECORD:
        return False
    most = encoded.count(b",") + encoded.count(b"[") + encoded.count(b"{") + 1
    return most <= MAX_NODES or _nodes(json.loads(encoded)) <= MAX_NODES


def _nodes(value: Json) -> int:
    count, stack = 0, [value]
    while stack:
        found = stack.pop()
        count += 1
        if type(found) is dict:
            stack.extend(found.values())
        elif type(found) is list:
            stack.extend(found)
    return count


def shortened(head: str, parts: Dict[str, Json]) -> bytes:
    """The record with its values replaced by what they are.

    Raises:
        Oversized: it is still too large.
    """
    from .values import summary

    less = {
        name: {key: summary(item, cut="record too large") for key, item in list(value.items())[:1000]}
        if isinstance(value, dict)
        else value
        for name, value in parts.items()
    }
    encoded = payload(head, less)
    if not fits(encoded):
        raise Oversized(f"a record of {len(encoded)} bytes")
    return encoded


_LIGHT = frozenset((int, float, bool, type(None)))


def weight(head: str, parts: Dict[str, Json]) -> int:
    """About how many bytes of memory the record takes before it is encoded; rather more than less."""
    total = 500 + len(head)
    for name, value in parts.items():
        if name == "links":  # lists of names that others hold too
            total += 300 + 200 * len(value) + 10 * sum(map(len, value.values()))
        elif type(value) is dict and _LIGHT.issuperset(map(type, value.values())):
            total += 250 + 100 * len(value)
        else:
            total += _weight(value)
    return total


def _weight(value: Json) -> int:
    kind = type(value)
    if kind is dict:
        total = 250 + 100 * len(value)
        inside = value.values()
    elif kind is list:
        total = 100 + 50 * len(value)
        inside = value
    else:
        return 80 + len(value) * (1 if value.isascii() else 4) if kind is str else 80
    if not _LIGHT.issuperset(map(type, inside)):
        for item in inside:
            total += _weight(item)
    return total
