"""ProvLake's values as values of the capture format.

A structure that the client marked (``get_dict``, ``get_list``, ``get_dataset``) is one value, and each of its elements is one
more: ``params`` and ``params.lr``, ``tiles`` and ``tiles[0]``. What is not marked stays one value, as JSON.
"""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping
from typing import Any

from ..errors import RecordError
from ..plain_values import children, clean_text, leaf
from ..specifications import AttributeForm
from ..values import Data, Structure, Summary, Tagged, Value, Valued

Json = Any
Planned = Callable[[str], "AttributeForm | None"]
"""What the specification in force says of an attribute of the record, by name."""

UNNAMED_STORE = "unnamed"
"""Where references lie that name no store, neither by ``data_store_id`` nor by being a URL."""
MAX_WHOLE = 1000
"""Elements of a structure that is kept whole beside them; a larger one is described."""

_REFERENCES = ("data_reference", "kg_reference")
_LISTS = ("list", "dataset")
_TYPES = frozenset((*_REFERENCES, *_LISTS, "attribute_value", "dict", "dataset_item"))


def converted(
    values: Mapping[str, Json], planned: Planned, path: str = "$.prov_obj.values"
) -> tuple[dict[str, Value], set[str]]:
    """The values of a record by name, and which of the names are of elements.

    Args:
        planned: what is known of the attributes.
        path: of the values in the record, for errors.

    Raises:
        RecordError: two values come to one name.
    """
    found = _Values(path)
    for name, value in values.items():
        if not name:
            raise RecordError(path, "a value has an empty name: give it a name")
        about = planned(name)
        if about is not None and about.reference and isinstance(value, str) and value:
            value = {
                "prov_attr_type": "data_reference",
                "values": value,
                "data_store_id": next(iter(about.stores), None),
            }
        found.put(clean_text(name), value, {})
    return found.values, found.elements


class _Values:
    """Collects values."""

    def __init__(self, path: str) -> None:
        self.values: dict[str, Value] = {}
        self.elements: set[str] = set()
        self._path = path

    def put(self, name: str, value: Json, facts: dict[str, Value]) -> None:
        kind, inner = _typed(value)
        if kind is None and any(_typed(child)[0] for child in children(value)):
            # What holds marked values is meant to be looked into.
            kind, inner = "dict" if isinstance(value, dict) else "list", value
            value = {"prov_attr_type": kind, "values": value}
        if kind is None:
            self._add(name, leaf(value), facts)
        elif kind == "attribute_value":
            self.put(name, inner, {**_facts(value.get("custom_metadata")), **facts})
        elif kind in _REFERENCES:
            self._put_reference(name, inner, value, facts)
        else:
            self._put_structure(name, kind, inner, value, facts)

    def _put_reference(self, name: str, inner: Json, wrapper: Mapping[str, Json], facts: dict[str, Value]) -> None:
        if isinstance(inner, list):
            self._add(name, _whole(wrapper), facts)
            for index, item in enumerate(inner):
                self._put_element(f"{name}[{index}]", {**wrapper, "values": item})
            return
        if isinstance(inner, dict) or inner is None or inner == "":
            self._add(name, leaf(inner), facts)
            return
        store, key = _place(clean_text(inner if isinstance(inner, str) else str(inner)), wrapper)
        self._add(name, Data(store=store, key=key), facts)

    def _put_structure(
        self, name: str, kind: str, inner: Json, wrapper: Mapping[str, Json], facts: dict[str, Value]
    ) -> None:
        about = {key: wrapper.get(key) for key in ("dataset_schema_id", "dataset_id", "order")}
        facts = {**_facts({key: fact for key, fact in about.items() if fact is not None}), **facts}
        self._add(name, _whole(wrapper), facts)
        # The values of an item are mostly a marked dict; its members are the item's.
        while kind == "dataset_item" and _typed(inner)[0] in ("dict", *_LISTS):
            kind, inner = str(_typed(inner)[0]), _typed(inner)[1]
        if kind in _LISTS and isinstance(inner, list):
            for index, item in enumerate(inner):
                self._put_element(f"{name}[{index}]", item)
        elif kind != "dataset_item" and isinstance(inner, dict):
            for key, item in inner.items():
                self._put_element(f"{name}.{clean_text(key)}", item)

    def _put_element(self, name: str, value: Json) -> None:
        self.elements.add(name)
        self.put(name, value, {})

    def _add(self, name: str, value: Value, facts: dict[str, Value]) -> None:
        if name in self.values:
            raise RecordError(self._path, f"two values come to the name {name[:200]!r}: rename one of them")
        if facts:
            value = _with_facts(value, facts)
        self.values[name] = value


def _typed(value: Json) -> tuple[str | None, Json]:
    """The mark of a value and what it holds; ``None`` for a value without one. Older clients called the key ``type``."""
    if not isinstance(value, dict) or "values" not in value:
        return None, value
    kind = value.get("prov_attr_type", value.get("type"))
    if not isinstance(kind, str) or kind not in _TYPES:
        return None, value
    return kind, value["values"]


def _place(text: str, wrapper: Mapping[str, Json]) -> tuple[str, str]:
    """Store and key, by the rules of our own client (identity rule 6)."""
    given = wrapper.get("data_store_id")
    store = clean_text(given if isinstance(given, str) else str(given)) if given not in (None, "") else None
    kind, _ = _typed(wrapper)
    if "://" in text:
        scheme, _, rest = text.partition("://")
        if scheme == "file":
            text = rest
        elif store is None:
            authority, _, key = rest.partition("/")
            return f"{scheme}://{authority}", key or "/"
        else:
            return store, text
    if kind == "data_reference":
        text = posixpath.normpath(text)
    return store or UNNAMED_STORE, text


def _with_facts(value: Value, facts: dict[str, Value]) -> Value:
    if isinstance(value, list):
        return Structure(v=value, facts=facts)
    if not isinstance(value, Tagged):
        return Valued(v=value, facts=facts)
    value.facts = {**facts, **(value.facts or {})}
    return value


def _facts(given: Json) -> dict[str, Value]:
    if not given:
        return {}
    if not isinstance(given, dict):
        return {"custom_metadata": leaf(given)}
    return {clean_text(name) or "_": leaf(fact) for name, fact in given.items()}


def _whole(wrapper: Mapping[str, Json]) -> Value:
    """A marked structure as plain JSON, or as a description when it is large."""
    kind, inner = _typed(wrapper)
    if _count(inner) > MAX_WHOLE:
        return Summary(v={"type": kind or "", "length": len(inner)})
    return leaf(_unmarked(inner))


def _unmarked(value: Json) -> Json:
    kind, inner = _typed(value)
    if kind is not None:
        return _unmarked(inner)
    if isinstance(value, dict):
        return {key: _unmarked(item) for key, item in value.items()}
    return [_unmarked(item) for item in value] if isinstance(value, list) else value


def _count(value: Json) -> int:
    """Nodes of a structure, as far as ``MAX_WHOLE`` needs to know."""
    nodes, stack = 0, [value]
    while stack and nodes <= MAX_WHOLE:
        nodes += 1
        stack.extend(children(stack.pop()))
    return nodes
