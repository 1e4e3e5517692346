"""Records as producers send them, and what a set of batches says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tracker.conversion import Document
from tracker.names import Specifications
from tracker.plans import Fresh, Known
from tracker.records import decode_record

PRODUCER = "0123456789abcdef" * 2
T = 1_700_000_000_000_000

Json = Any
Converted = dict[str, list[Json]]
Convert = Callable[..., Converted]


def begin(name: str = "fit/1", wf: str = "train/9f-1", kind: str = "task", **more: Json) -> Json:
    record = {"n": 0, "op": "begin", "t": T, "m": 1, "kind": kind, "wf": wf, "id": name, **more}
    return {key: value for key, value in record.items() if value is not None}


def end(name: str = "fit/1", wf: str = "train/9f-1", kind: str = "task", **more: Json) -> Json:
    record = {"n": 1, "op": "end", "t": T + 5, "m": 6, "kind": kind, "wf": wf, "id": name, "status": "finished", **more}
    return {key: value for key, value in record.items() if value is not None}


def convert(
    records: Iterable[Json],
    specifications: Specifications | None = None,
    known: Known | None = None,
    producer: str = PRODUCER,
) -> Converted:
    """One batch's records as one document."""
    fresh = Fresh(known or Known())
    document = Document(producer, specifications or Specifications(), fresh)
    for record in records:
        document.add(decode_record(json.dumps(record).encode()))
    if known is not None:
        known.add(fresh.statements)
    return json.loads(document.encoded())


def statements(documents: Iterable[Converted]) -> set[tuple[str, str, str, str]]:
    """All single statements: (section, id, key, value)."""
    found = set()
    for document in documents:
        for section, objects in document.items():
            for one in objects:
                for key, value in one.items():
                    for item in value if isinstance(value, list) else [value]:
                        found.add((section, one["id"], key, json.dumps(item, sort_keys=True)))
    return found


def only(document: Converted, section: str, identifier: str) -> Json:
    """All that a document says of one thing, lists joined."""
    found: Json = {}
    for one in document.get(section, []):
        if one["id"] == identifier:
            for key, value in one.items():
                found[key] = [*found.get(key, []), *value] if isinstance(value, list) else value
    assert found, f"nothing about {identifier} in {section}: {[one['id'] for one in document.get(section, [])]}"
    return found


@pytest.fixture(scope="session")
def say() -> Any:
    """The functions of this module."""
    import types

    return types.SimpleNamespace(begin=begin, end=end, convert=convert, statements=statements, only=only, T=T)
