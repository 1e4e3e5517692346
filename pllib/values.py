"""Any Python value to its form on the wire (docs/reference/capture-format.md): exact, or summarised with a mark.

Nothing here imports numpy, pandas or a learning framework; their objects are known by what they can do.
"""

from __future__ import annotations

import binascii
import math
import os
from typing import Any, Callable, Dict, List, Mapping, Optional, Set

from ._boundary import shielded

Json = Any

PLAIN = frozenset((str, float, int, bool, type(None)))
MAX_TEXT = 100_000
MAX_BYTES = 1024
MAX_NAME = 500
MAX_DEPTH = 32
MAX_NODES = 20_000
SUMMARY_NODES = 5
"""What a summary counts for."""
INT64 = 2**63


def tagged(kind: str, value: Json) -> Json:
    return {"$": kind, "v": value}


def summary(value: Any, **facts: Json) -> Json:
    """A description in place of the value: its type and what else is said of it."""
    return tagged("summary", {"type": _type_name(type(value)), **facts})


@shielded(lambda kind: "(its type has no name)", always=True)
def _type_name(kind: type) -> str:
    return _utf8(f"{kind.__module__}.{kind.__qualname__}"[:500])


def _text(value: str) -> Json:
    if len(value) > MAX_TEXT:
        return summary(value, length=len(value), start=_utf8(value[:200]))
    clean = _utf8(value)
    return value if clean == value else summary(value, escaped=clean)


def _utf8(value: str) -> str:
    """The text with what UTF-8 cannot say (lone surrogates) as visible escapes."""
    return value.encode("utf-8", "backslashreplace").decode("utf-8")


def _float(value: float) -> Json:
    if math.isfinite(value):
        return float(value)
    return tagged("float", "NaN" if value != value else "INF" if value > 0 else "-INF")


def _int(value: int) -> Json:
    if -INT64 <= value < INT64:
        return int(value)
    if value.bit_length() > 10_000:
        return summary(value, bits=value.bit_length())
    return tagged("int", str(value))


def _bytes(value: bytes) -> Json:
    if len(value) <= MAX_BYTES:
        return tagged("bytes", binascii.b2a_base64(value, newline=False).decode("ascii"))
    from hashlib import sha256

    digest = sha256(value).hexdigest() if len(value) <= 1_000_000 else None
    return summary(value, length=len(value), **({"sha256": digest} if digest else {}))


EXACT: Dict[type, Callable[[Any], Json]] = {
    str: _text,
    float: _float,
    int: _int,
    bool: lambda value: value,
    type(None): lambda value: value,
    bytes: _bytes,
    bytearray: lambda value: _bytes(bytes(value)),
}


class _Walk:
    """One walk through a structure: how deep, how many nodes, which containers are open."""

    __slots__ = ("left", "open")

    def __init__(self) -> None:
        self.left = MAX_NODES
        self.open: Set[int] = set()

    def structure(self, value: Any, depth: int) -> Json:
        """A container as pure JSON; what JSON cannot hold inside it becomes a tagged object."""
        self.left -= 1
        if type(value) in EXACT:
            return EXACT[type(value)](value)
        if isinstance(value, (Mapping, list, tuple, set, frozenset)) and not hasattr(value, "_fields"):
            reason = self._cut(value, depth)
            if reason:
                self.left -= SUMMARY_NODES
                return summary(value, cut=reason)
            self.open.add(id(value))
            try:
                return self._children(value, depth + 1)
            finally:
                self.open.discard(id(value))
        return self.thing(value, depth)

    def _cut(self, value: Any, depth: int) -> Optional[str]:
        """Why a container is not gone into, if it is not."""
        if id(value) in self.open:
            return "circular"
        if depth >= MAX_DEPTH:
            return "deep"
        large = self.left <= 0 or (isinstance(value, (set, frozenset)) and len(value) > MAX_NODES)
        return "large" if large else None

    def _children(self, value: Any, depth: int) -> Json:
        if isinstance(value, Mapping):
            found: Dict[str, Json] = {}
            for key, item in value.items():
                found[self._key(key, found)] = self.structure(item, depth)
                if self.left <= 0:
                    found["…"] = summary(value, cut="large", length=len(value))
                    break
            return found
        members = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        items: List[Json] = []
        for item in members:
            items.append(self.structure(item, depth))
            if self.left <= 0:
                items.append(summary(value, cut="large", length=len(value)))
                break
        return items

    @staticmethod
    def _key(key: Any, taken: Mapping[str, Json]) -> str:
        """A key as text, kept apart from another key with the same text (1 and "1")."""
        text = _utf8(key) if isinstance(key, str) else f"{type(key).__name__}:{_shown(key)}"
        if text in taken:
            text += "'"
        return text if text not in taken else f"{text}{len(taken)}"

    def thing(self, value: Any, depth: int) -> Json:
        """An object that is neither plain nor a container."""
        for convert in (_scalar_subclass, _time, _array_scalar, _record):
            found = convert(value)
            if found is not _UNKNOWN:
                plain = type(found) in EXACT or (isinstance(found, dict) and "$" in found)
                return found if plain else self.structure(found, depth + 1)
        self.left -= SUMMARY_NODES
        return _described(value)


_UNKNOWN = object()


def _scalar_subclass(value: Any) -> Any:
    """Enum members and subclasses of plain types, as the plain value."""
    if hasattr(type(value), "__members__") and hasattr(value, "name") and hasattr(value, "value"):
        return value.value if type(value.value) in PLAIN else value.name
    for kind in (bool, int, float, str, bytes):
        if isinstance(value, kind):
            return EXACT[kind](kind(value))  # type: ignore[arg-type]
    return str(os.fspath(value)) if isinstance(value, os.PathLike) else _UNKNOWN


def _time(value: Any) -> Any:
    module = type(value).__module__
    if module not in ("datetime", "pandas._libs.tslibs.timestamps") or not hasattr(value, "isoformat"):
        if module == "datetime" and hasattr(value, "total_seconds"):
            return summary(value, seconds=value.total_seconds())
        return _UNKNOWN
    if hasattr(value, "hour") and hasattr(value, "year"):
        return tagged("datetime", value.isoformat())
    return value.isoformat()


def _array_scalar(value: Any) -> Any:
    """numpy's scalars and zero-dimensional tensors as Python's, where nothing is lost."""
    if getattr(value, "shape", None) != () or not hasattr(value, "item"):
        return _UNKNOWN
    kind = str(getattr(value, "dtype", ""))
    if hasattr(value, "mask"):
        return _UNKNOWN  # of a masked value there is nothing to be had
    item = value.item()
    if kind.startswith(("datetime64", "timedelta64")) and (item is None or type(item) is int):
        return summary(value, dtype=kind, text=str(value))  # not a time, or finer than Python's times
    if type(item) in EXACT:
        return EXACT[type(item)](item)
    return _time(item) if type(item).__module__ == "datetime" else _UNKNOWN


def _record(value: Any) -> Any:
    """Dataclasses and named tuples as a structure of their fields."""
    fields = getattr(value, "__dataclass_fields__", None)
    if fields is not None and not isinstance(value, type):
        return {name: getattr(value, name, None) for name in fields}
    names = getattr(value, "_fields", None)
    if isinstance(value, tuple) and names is not None:
        return dict(zip(names, value))
    return _UNKNOWN


def _fact(name: str, fact: Any) -> Json:
    if name == "shape" and isinstance(fact, tuple):
        return [int(size) if hasattr(size, "__index__") else None for size in fact]
    return fact if type(fact) is int else str(fact)[:100]


def _described(value: Any) -> Json:
    """Arrays, frames, tensors, models and everything else: what they are like, not what they hold."""
    facts: Dict[str, Json] = {}
    for name in ("shape", "dtype", "nbytes", "device"):
        fact = getattr(value, name, None)
        if fact is not None and not callable(fact):
            facts[name] = _fact(name, fact)
    if isinstance(value, type) or callable(value):
        facts["name"] = f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', '')}".strip(".")
    elif "shape" not in facts:
        facts["text"] = _shown(value)
    return summary(value, **facts)


@shielded(lambda value: "(its text could not be made)", always=True)
def _shown(value: Any) -> str:
    return _utf8(repr(value)[:200])


def exact(value: Any) -> Json:
    """The wire form of one value.

    Returns:
        a JSON value: plain, or an object with the key ``$``. A structure is ``{"$":"json"}``, a list of plain
        values an array.
    """
    kind = type(value)
    convert = EXACT.get(kind)
    if convert is not None:
        return convert(value)
    if kind in (list, tuple) and len(value) <= MAX_NODES and PLAIN.issuperset(map(type, value)):
        items = [EXACT[type(item)](item) for item in value]
        return items if PLAIN.issuperset(map(type, items)) else tagged("json", items)
    found = _encode(value)
    bare = isinstance(found, dict) and "$" not in found
    return tagged("json", found) if bare or isinstance(found, list) or _user_dollar(value) else found


def _user_dollar(value: Any) -> bool:
    return isinstance(value, Mapping) and "$" in value


def unreadable(value: Any) -> Json:
    """The summary of a value that cannot be looked at without an error."""
    return summary(value, cut="unreadable")


@shielded(unreadable, always=True)
def _encode(value: Any) -> Json:
    return _Walk().structure(value, 0)


def bounded_name(name: Any) -> str:
    """An attribute's name as text of 1 to ``MAX_NAME`` characters."""
    text = _utf8(name if isinstance(name, str) else _shown(name))
    return (text if len(text) <= MAX_NAME else text[: MAX_NAME - 1] + "…") or "_"


def optional_text(value: Any) -> Optional[str]:
    """Text for an optional field: ``None`` stays ``None``, else at most ``MAX_TEXT`` characters."""
    return None if value is None else _utf8(str(value))[-MAX_TEXT:]
