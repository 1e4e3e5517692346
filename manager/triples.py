"""PROV-ML documents to N-Triples text (docs/reference/rdf-model.md). Pure; no graph objects are built.

Text is made by formatting, since objects cost some ten times as much (docs/decisions/0002-triples-as-text.md). Every
id is checked before it becomes part of an IRI and every literal is escaped, so no input can break out of its place.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

import orjson
from msgspec import UNSET

from pllib.provml.iris import is_id
from pllib.provml.vocabulary import PROV, PROVLAKE, PROVML, RDF, RDFS, XSD

from .documents import Activity, Agent, Document, Entity, Plan, Store, TypedLiteral, Value
from .errors import DocumentError

CACHE_SIZE = 100_000
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_LONGEST = 253_402_300_799_999_999  # microseconds until the end of the year 9999
_CLASS = re.compile(r"(prov|provlake|provml):[A-Za-z]+")
_NAMESPACES = {"prov": PROV, "provlake": PROVLAKE, "provml": PROVML}
_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f\ufffe\uffff]')
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_LEXICAL = {
    "integer": re.compile(r"[+-]?[0-9]+"),
    "double": re.compile(r"NaN|-?INF|[+-]?[0-9.]+([eE][+-]?[0-9]+)?"),
    "dateTime": re.compile(r"-?[0-9]{4,}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)?"),
    "base64Binary": re.compile(r"[A-Za-z0-9+/= ]*"),
}

_TYPE = f"<{RDF}type>"
_LABEL = f"<{RDFS}label>"
_JSON = f"<{RDF}JSON>"


def _own(name: str) -> str:
    return f"<{PROVLAKE}{name}>"


def _prov(name: str) -> str:
    return f"<{PROV}{name}>"


_VALUE, _DERIVED, _GENERATED, _USED = _prov("value"), _prov("wasDerivedFrom"), _prov("wasGeneratedBy"), _prov("used")
_INFORMED, _ASSOCIATED, _INFLUENCED = _prov("wasInformedBy"), _prov("wasAssociatedWith"), _prov("wasInfluencedBy")
_STARTED, _ENDED, _MEMBER, _SPECIAL = (
    _prov("startedAtTime"),
    _prov("endedAtTime"),
    _prov("hadMember"),
    _prov("specializationOf"),
)
_PART_OF, _STATUS = _own("isPartOf"), _own("status")


def text_literal(text: str) -> str:
    """A plain string literal; characters that N-Triples cannot hold raw are escaped, nothing is changed."""
    if _ESCAPED.search(text):
        text = _ESCAPED.sub(lambda found: _ESCAPES.get(found[0]) or f"\\u{ord(found[0]):04X}", text)
    return f'"{text}"'


def double_literal(value: float) -> str:
    """An ``xsd:double`` whose text reads back as the very same number."""
    if math.isfinite(value):
        text = repr(value)
        return f'"{text if "e" in text else text + "e0"}"^^<{XSD}double>'
    return f'"{"NaN" if value != value else "INF" if value > 0 else "-INF"}"^^<{XSD}double>'


def time_literal(microseconds: int) -> str:
    """An ``xsd:dateTime`` in UTC.

    Raises:
        DocumentError: a time beyond the years 1 to 9999.
    """
    if not -62_135_596_800_000_000 <= microseconds <= _LONGEST:
        raise DocumentError(
            "time", f"{microseconds} is no time between the years 1 and 9999", "give microseconds since 1970"
        )
    text = (_EPOCH + timedelta(microseconds=microseconds)).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f'"{text}Z"^^<{XSD}dateTime>'


def json_literal(value: Any) -> str:
    """An ``rdf:JSON`` literal with sorted keys, so that equal values have equal text."""
    return f"{text_literal(orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode())}^^{_JSON}"


def literal(value: Value) -> str:
    """The literal of a value.

    Raises:
        DocumentError: its text is none of its type.
    """
    kind = type(value)
    if kind is str:
        return text_literal(value)  # type: ignore[arg-type]
    if kind is float:
        return double_literal(value)  # type: ignore[arg-type]
    if kind is bool:
        return f'"{"true" if value else "false"}"^^<{XSD}boolean>'
    if kind is int:
        return f'"{value}"^^<{XSD}integer>'
    return _typed(value)  # type: ignore[arg-type]


def _typed(value: TypedLiteral) -> str:
    if value.type == "json":
        return json_literal(value.v)
    pattern = _LEXICAL.get(value.type)
    if pattern is None:
        raise DocumentError(
            "value.type", f"no literal type is called {value.type!r}", f"use {', '.join([*_LEXICAL, 'json'])}"
        )
    if isinstance(value.v, float) and value.type == "double":
        return double_literal(value.v)
    text = str(value.v) if isinstance(value.v, (str, int)) and not isinstance(value.v, bool) else ""
    if not pattern.fullmatch(text):
        raise DocumentError(
            "value.v", f"{str(value.v)[:60]!r} is no {value.type}", f"give the text of an xsd:{value.type}"
        )
    return f'"{text}"^^<{XSD}{value.type}>'


class Writer:
    """Makes the triples of documents under one base. Keeps what repeats between documents: IRIs and class names.

    Args:
        base: beginning of all IRIs.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._iris: dict[str, str] = {}
        self._classes: dict[str, str] = {}

    def lines(self, document: Document) -> list[str]:
        """N-Triples lines, without line ends; some may stand more than once.

        Raises:
            DocumentError: an id, a class or a literal is none; the field says which.
        """
        found: list[str] = []
        parts: tuple[tuple[str, Iterable[Any], Callable[[Any, list[str]], None]], ...] = (
            ("activities", document.activities, self._activity),
            ("entities", document.entities, self._entity),
            ("agents", document.agents, self._agent),
            ("plans", document.plans, self._plan),
            ("stores", document.stores, self._store),
        )
        for name, items, write in parts:
            for index, item in enumerate(items):
                try:
                    write(item, found)
                except DocumentError as error:
                    raise DocumentError(f"{name}[{index}].{error.field}", error.message, error.fix) from error
        return found

    def _iri(self, identifier: str, field: str) -> str:
        found = self._iris.get(identifier)
        if found is None:
            if not is_id(identifier):
                raise DocumentError(field, f"{identifier[:100]!r} is no identifier", "mint it with pllib.provml.iris")
            if len(self._iris) >= CACHE_SIZE:
                self._iris.clear()
            found = self._iris[identifier] = f"<{self._base}{identifier}>"
        return found

    def _types(self, subject: str, types: list[str], found: list[str]) -> None:
        for name in types:
            known = self._classes.get(name)
            if known is None:
                if not _CLASS.fullmatch(name):
                    told = f"{name[:60]!r} is no class of the vocabulary"
                    raise DocumentError("types", told, "write prov:Name, provlake:Name or provml:Name")
                prefix, _, local = name.partition(":")
                known = self._classes[name] = f"{_TYPE} <{_NAMESPACES[prefix]}{local}> ."
            found.append(f"{subject} {known}")

    def _links(self, subject: str, predicate: str, targets: list[str], field: str, found: list[str]) -> None:
        if targets:
            found.extend([f"{subject} {predicate} {self._iri(target, field)} ." for target in targets])

    def _activity(self, item: Activity, found: list[str]) -> None:
        subject = self._iri(item.id, "id")
        self._types(subject, item.types, found)
        if item.plan is not None:
            found.append(f"{subject} {_INFLUENCED} {self._iri(item.plan, 'plan')} .")
        if item.partOf is not None:
            found.append(f"{subject} {_PART_OF} {self._iri(item.partOf, 'partOf')} .")
        if item.started is not None:
            found.append(f"{subject} {_STARTED} {time_literal(item.started)} .")
        if item.ended is not None:
            found.append(f"{subject} {_ENDED} {time_literal(item.ended)} .")
        if item.status is not None:
            found.append(f'{subject} {_STATUS} "{item.status}" .')
        self._links(subject, _INFORMED, item.informedBy, "informedBy", found)
        self._links(subject, _ASSOCIATED, item.agents, "agents", found)
        self._links(subject, _USED, item.used, "used", found)
        found.extend([f"{self._iri(entity, 'generated')} {_GENERATED} {subject} ." for entity in item.generated])
        if item.error is not None:
            found.append(f"{subject} {_own('errorType')} {text_literal(item.error.type)} .")
            found.append(f"{subject} {_own('errorMessage')} {text_literal(item.error.message)} .")
        _texts(subject, {"stdout": item.stdout, "stderr": item.stderr}, found)
        if item.metadata is not None:
            found.append(f"{subject} {_own('metadata')} {json_literal(item.metadata)} .")

    def _entity(self, item: Entity, found: list[str]) -> None:
        subject = self._iri(item.id, "id")
        self._types(subject, item.types, found)
        if item.value is not UNSET:
            found.append(f"{subject} {_VALUE} {literal(item.value)} .")
        self._links(subject, _DERIVED, item.attributes, "attributes", found)
        if item.specializationOf is not None:
            found.append(f"{subject} {_SPECIAL} {self._iri(item.specializationOf, 'specializationOf')} .")
        self._links(subject, _MEMBER, item.members, "members", found)
        if item.store is not None:
            found.append(f"{subject} {_own('store')} {self._iri(item.store, 'store')} .")
        if item.key is not None or item.version is not None or item.path is not None:
            _texts(subject, {"key": item.key, "version": item.version, "path": item.path}, found)
        if item.size is not None:
            found.append(f'{subject} {_own("size")} "{item.size}"^^<{XSD}integer> .')

    def _agent(self, item: Agent, found: list[str]) -> None:
        subject = self._iri(item.id, "id")
        self._types(subject, item.types, found)
        _label(subject, item.label, found)
        self._links(subject, _prov("actedOnBehalfOf"), item.actedFor, "actedFor", found)
        self._links(subject, _own("ran"), item.ran, "ran", found)
        _texts(subject, {"host": item.host, "command": item.command, "version": item.version}, found)
        if item.pid is not None:
            found.append(f'{subject} {_own("pid")} "{item.pid}"^^<{XSD}integer> .')
        for name, facts in (("environment", item.environment), ("lost", item.lost)):
            if facts is not None:
                found.append(f"{subject} {_own(name)} {json_literal(facts)} .")

    def _plan(self, item: Plan, found: list[str]) -> None:
        subject = self._iri(item.id, "id")
        self._types(subject, item.types, found)
        _label(subject, item.label, found)
        if item.description is not None:
            found.append(f"{subject} <{RDFS}comment> {text_literal(item.description)} .")
        self._links(subject, _own("hasPart"), item.parts, "parts", found)
        self._links(subject, _own("hasInput"), item.inputs, "inputs", found)
        self._links(subject, _own("hasOutput"), item.outputs, "outputs", found)

    def _store(self, item: Store, found: list[str]) -> None:
        subject = self._iri(item.id, "id")
        self._types(subject, item.types, found)
        _label(subject, item.label, found)
        _texts(subject, {"host": item.host, "storeType": item.kind}, found)
        self._links(subject, _MEMBER, item.members, "members", found)


def _label(subject: str, label: str | None, found: list[str]) -> None:
    if label is not None:
        found.append(f"{subject} {_LABEL} {text_literal(label)} .")


def _texts(subject: str, texts: dict[str, str | None], found: list[str]) -> None:
    for name, text in texts.items():
        if text is not None:
            found.append(f"{subject} {_own(name)} {text_literal(text)} .")


def join(groups: Iterable[list[str]]) -> tuple[bytes, int]:
    """N-Triples of several documents, each triple once, and how many there are."""
    lines = dict.fromkeys(line for group in groups for line in group)
    return ("\n".join(lines) + "\n").encode() if lines else b"", len(lines)
