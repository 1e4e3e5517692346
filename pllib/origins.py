"""Which generated value a used one is: identity rules 2 and 3 (docs/reference/identity.md), inside one process.

Objects (arrays, frames, models, …) are known by identity, for as long as they live. Numbers, strings and structures are known by
(attribute, type, value) among what the workflow execution has generated so far.
"""

from __future__ import annotations

import weakref
from typing import Any, Callable, Dict, List, Mapping, Optional, Tuple, Union

from . import values as wire
from ._boundary import shielded
from .references import Data, Handle, Marked

Origin = Tuple[str, str]
Json = Any
Links = Dict[str, List[str]]
Table = Dict[Any, Union[str, List[str]]]
EncodeData = Callable[[Data, "Origins"], Json]

MAX_REMEMBERED = 50_000
MAX_CANDIDATES = 8
LONG_TEXT = 1000

_SCALARS = frozenset((str, float, int, bool))


class Structure:
    """Stands for the type of lists, dicts and the like, which are known by their text."""


class Origins:
    """What one workflow execution has generated in this process: the newest ``MAX_REMEMBERED`` values or so, of long texts fewer.

    Args:
        wf: wire id of the workflow execution.
        encode_data: makes the wire form of a data reference.
    """

    __slots__ = ("_by_object", "_by_type", "_encode_data", "_remembered", "wf")

    def __init__(self, wf: str, encode_data: EncodeData) -> None:
        self.wf = wf
        self._encode_data = encode_data
        # type -> attribute -> value -> origin: three lookups are faster than one with a tuple that has to be made
        self._by_type: Dict[type, Dict[str, Table]] = {str: {}, float: {}, int: {}, bool: {}, Structure: {}}
        self._by_object: Dict[int, Tuple[Any, str, str]] = {}
        self._remembered = 0

    def used(self, given: Mapping[str, Any]) -> Tuple[Dict[str, Json], Links]:
        """Wire form of used values, and apart from them those whose one origin is known by name and value.

        Returns:
            values by name; and for each execution that generated some, under the same names, these names.
        """
        by_type = self._by_type
        found: Dict[str, Json] = {}
        links: Links = {}
        for name, value in given.items():
            kind = type(value)
            if kind is float or (kind in _SCALARS and (kind is bool or _short(value))):
                table = by_type[kind].get(name)
                origin = None if table is None else table.get(value)
                if origin is None:
                    found[name] = value
                elif type(origin) is not str:
                    found[name] = _reference(name, wire.exact(value), origin)
                elif origin in links:
                    links[origin].append(name)
                else:
                    links[origin] = [name]
            elif value is None:
                found[name] = None
            else:
                found[name] = self._used_object(name, value)
        return found, links

    def generated(self, given: Mapping[str, Any], identifier: str) -> Dict[str, Json]:
        """Wire form of generated values, which are remembered as made by execution ``identifier``.

        What the workflow execution itself made (``""``) is not: a reference names a task.
        """
        if not identifier:
            return {name: self._whole(value) for name, value in given.items()}
        by_type = self._by_type
        found: Dict[str, Json] = {}
        for name, value in given.items():
            kind = type(value)
            if kind is float or (kind in _SCALARS and (kind is bool or _short(value))):
                found[name] = value
                if kind is str:
                    self._remembered += len(value) >> 6
                table = by_type[kind].get(name)
                if table is None:
                    table = by_type[kind][name] = {}
                if table.setdefault(value, identifier) is not identifier:
                    _add_candidate(table, value, identifier)
            elif value is None:
                found[name] = None
            else:
                found[name] = self._generated_object(name, value, identifier)
        self._remembered += len(given)
        if self._remembered > MAX_REMEMBERED:
            self._forget()
        return found

    @shielded(lambda self, value: wire.unreadable(value), always=True)
    def _whole(self, value: Any) -> Json:
        if isinstance(value, Handle):
            value = value.value
        return self.encode(value) if isinstance(value, (Marked, Data)) else self._path_or_value(value)

    def encode(self, value: Any) -> Json:
        """Wire form of a value with no regard to where it comes from."""
        if isinstance(value, Marked):
            return self._marked(value, self.encode(value.value))
        return self._encode_data(value, self) if isinstance(value, Data) else wire.exact(value)

    def facts(self, given: Mapping[str, Any]) -> Dict[str, Json]:
        return {wire.bounded_name(name): self.encode(value) for name, value in given.items()}

    @shielded(lambda self, name, value: wire.unreadable(value), always=True)
    def _used_object(self, name: str, value: Any) -> Json:
        if isinstance(value, Handle) and not value.id:
            return self._used_one(name, value.value)
        if isinstance(value, Handle):
            reference = {"$": "ref", "id": value.id, "name": value.name}
            return reference if value.wf == self.wf else {**reference, "wf": value.wf}
        if isinstance(value, Marked):
            return self._marked(value, self._used_one(name, value.value))
        if isinstance(value, Data):
            return self._encode_data(value, self)
        known = self._by_object.get(id(value))
        if known is not None and known[0]() is value:
            return {"$": "ref", "id": known[1], "name": known[2]}
        encoded = self._path_or_value(value)
        if _plain(encoded):  # numpy's numbers, enum members: the same as Python's
            return self._used_one(name, encoded)
        origin = self._by_type[Structure].get(name, {}).get(_key(encoded))
        return encoded if origin is None else _reference(name, encoded, origin)

    def _used_one(self, name: str, value: Any) -> Json:
        found, links = self.used({name: value})
        return found[name] if found else _reference(name, value, next(iter(links)))

    @shielded(lambda self, name, value, identifier: wire.unreadable(value), always=True)
    def _generated_object(self, name: str, value: Any, identifier: str) -> Json:
        if isinstance(value, Handle):
            value = value.value
        if isinstance(value, Marked):
            inner = self.generated({name: value.value}, identifier)[name]
            return self._marked(value, inner)
        if isinstance(value, Data):
            return self._encode_data(value, self)
        encoded = self._path_or_value(value)
        if encoded is None or _plain(encoded):
            return self.generated({name: encoded}, identifier)[name]
        if isinstance(encoded, dict) and encoded["$"] == "summary":
            self._remember_object(name, value, identifier)
        elif not (isinstance(encoded, dict) and encoded["$"] == "data"):
            key, table = _key(encoded), self._by_type[Structure].setdefault(name, {})
            if table.setdefault(key, identifier) is not identifier:
                _add_candidate(table, key, identifier)
        return encoded

    def _path_or_value(self, value: Any) -> Json:
        """Path objects are data references; everything else is a value."""
        if hasattr(value, "__fspath__") and not isinstance(value, type):
            return self._encode_data(Data(str(value.__fspath__()), None, None, None, None), self)
        return wire.exact(value)

    def _marked(self, marked: Marked, inner: Json) -> Json:
        if not isinstance(inner, dict):
            inner = wire.exact(inner)  # NaN, and text that UTF-8 has no form for
        found = dict(inner) if isinstance(inner, dict) else {"$": "value", "v": inner}
        found["as"] = marked.meaning
        if marked.facts:
            found["facts"] = self.facts(marked.facts)
        return found

    def _remember_object(self, name: str, value: Any, identifier: str) -> None:
        try:
            alive: Callable[[], Optional[Any]] = weakref.ref(value, self._forgetter(id(value)))
        except TypeError:
            return  # cannot be watched, so an address taken again could not be told apart
        objects = self._by_object
        objects[id(value)] = (alive, identifier, name)
        if len(objects) > MAX_REMEMBERED:
            for address in list(objects)[: MAX_REMEMBERED // 2]:
                objects.pop(address, None)

    def _forgetter(self, address: int) -> Callable[[Any], None]:
        objects = self._by_object

        def forget(reference: Any) -> None:
            known = objects.get(address)
            if known is not None and known[0] is reference:
                objects.pop(address, None)

        return forget

    def _forget(self) -> None:
        """Forgets the older half of what each attribute had."""
        self._remembered = 0
        for tables in self._by_type.values():
            for table in tables.values():
                for value in list(table)[: (len(table) + 1) // 2]:
                    del table[value]
                self._remembered += len(table)


def _add_candidate(table: Table, key: Any, identifier: str) -> None:
    known = table[key]
    candidates = [known] if isinstance(known, str) else known
    if identifier not in candidates and len(candidates) < MAX_CANDIDATES:
        table[key] = [*candidates, identifier]


def _reference(name: str, encoded: Json, origin: Union[str, List[str]]) -> Json:
    if isinstance(origin, str):
        return {"$": "ref", "id": origin, "name": name}
    return {"$": "among", "v": encoded, "of": [[identifier, name] for identifier in origin]}


def _key(encoded: Json) -> Union[str, Tuple[int, int]]:
    """What a structure is known by: its text, of a long one only hash and length, so that it takes no memory."""
    text = repr(encoded)
    return text if len(text) < 100 else (hash(text), len(text))


def _short(value: Union[int, str]) -> bool:
    """Whether a number or text can go on the wire, and be remembered, as it is."""
    return len(value) < LONG_TEXT if type(value) is str else -wire.INT64 <= value < wire.INT64  # type: ignore[operator]


def _plain(encoded: Json) -> bool:
    kind = type(encoded)
    return kind is float or kind is bool or (kind in (int, str) and _short(encoded))
