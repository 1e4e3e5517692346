"""JSON values of other clients as values of the capture format: special numbers, texts that are no UTF-8, what is too large."""

from __future__ import annotations

import math
from typing import Any

from .errors import RecordError
from .identity import INT64
from .lenient_json import HugeInteger
from .values import Float, Integer, Structure, Summary, Tagged, Value

Json = Any

MAX_TEXT_BYTES = 1_000_000
"""Bytes of a text that is kept; a longer one is described."""
MAX_DEPTH = 70
"""Of a record, whose values are a few levels down."""
MAX_NODES = 100_000


def check_size(found: Json, path: str, most: int = MAX_NODES) -> None:
    """Checks what came from a client, before anything goes through it in depth.

    Args:
        most: values that it may hold.

    Raises:
        RecordError: there is too much of it, or it is nested too deep.
    """
    nodes = 0
    stack: list[tuple[Json, int]] = [(found, 1)]
    while stack:
        value, depth = stack.pop()
        nodes += 1
        if nodes > most:
            raise RecordError(path, f"more than {most} values: send less, or a data reference instead")
        if depth > MAX_DEPTH:
            raise RecordError(path, f"nested deeper than {MAX_DEPTH}: flatten the value, or send a summary of it")
        stack.extend((child, depth + 1) for child in children(value))


def children(value: Json) -> list[Json]:
    """The values right inside a structure; none of anything else."""
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def leaf(value: Json) -> Value:
    """A JSON value as it is, or as a summary that says so."""
    kind = type(value)
    if kind is str:
        return _text(value)
    if kind is float:
        return value if math.isfinite(value) else Float(v=_special(value))
    if kind is int:
        return value if -INT64 <= value < INT64 else Integer(v=str(value))
    if kind is dict:
        return Structure(v=pure(value))
    if kind is list:
        return [pure(item) for item in value]
    if isinstance(value, HugeInteger):
        return Summary(v={"type": "builtins.int", "digits": len(value.lstrip("-"))})
    plain: Value = value
    return plain


def _text(value: str) -> Value:
    if not value.isascii():
        clean = clean_text(value)
        if clean != value:
            return Summary(v={"type": "builtins.str", "escaped": clean[:MAX_TEXT_BYTES]})
    if len(value) > MAX_TEXT_BYTES // 4 and len(value.encode()) > MAX_TEXT_BYTES:
        return Summary(v={"type": "builtins.str", "length": len(value), "start": value[:200]})
    return value


def clean_text(text: str) -> str:
    """The text with what UTF-8 cannot say (undecodable bytes) as visible escapes."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode("utf-8")


def pure(value: Json) -> Json:
    """A structure that JSON can say: special numbers and texts inside are the tagged objects of the capture format."""
    if isinstance(value, dict):
        return {clean_text(key): pure(item) for key, item in value.items()}
    if isinstance(value, list):
        return [pure(item) for item in value]
    found = leaf(value)
    if isinstance(found, (Float, Integer, Summary)):
        return {"$": _TAGS[type(found)], "v": found.v}
    return found


_TAGS: dict[type[Tagged], str] = {Float: "float", Integer: "int", Summary: "summary"}


def _special(value: float) -> Any:
    return "NaN" if value != value else "INF" if value > 0 else "-INF"
