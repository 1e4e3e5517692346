"""PROV-ML documents to N-Triples text (docs/reference/rdf-model.md). Pure; no graph objects are built.

Text is made by formatting, since objects cost some ten times as much (docs/decisions/0002-triples-as-text.md), and several
lines at a time, since each piece of text costs more than its length. Every id is checked before it becomes part of an IRI and
every literal is escaped, so no input can break out of its place; in particular none has a raw line end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import chain
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from pllib.provml.iris import is_id
from pllib.provml.vocabulary import PROV, PROVLAKE, RDF, RDFS, expand

from .documents import Activity, Agent, Document, Entity, Plan, Store
from .errors import DocumentError, ManagerError
from .series import check_points, points_literal
from .statements import StatementWriter
from .terms import boolean_literal, double_literal, integer_literal, json_literal, literal, text_literal, time_literal

CACHE_SIZE = 20_000
MAX_ID = 16_384
_PLAIN_WITH_BLANKS = b" -./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz~"
_PLAIN = re.compile(r"[A-Za-z0-9\-._~/]+").fullmatch

_TYPE = f"<{RDF}type>"
_LABEL, _COMMENT = f"<{RDFS}label>", f"<{RDFS}comment>"


def _own(name: str) -> str:
    return f"<{PROVLAKE}{name}>"


def _prov(name: str) -> str:
    return f"<{PROV}{name}>"


_VALUE, _DERIVED, _GENERATED, _USED = _prov("value"), _prov("wasDerivedFrom"), _prov("wasGeneratedBy"), _prov("used")
_INFORMED, _ASSOCIATED, _INFLUENCED = _prov("wasInformedBy"), _prov("wasAssociatedWith"), _prov("wasInfluencedBy")
_DURATION = _own("duration")
_STARTED, _ENDED, _MEMBER = _prov("startedAtTime"), _prov("endedAtTime"), _prov("hadMember")
_SPECIAL, _ACTED_FOR = _prov("specializationOf"), _prov("actedOnBehalfOf")
_PART_OF, _STATUS, _POINTS = _own("isPartOf"), _own("status"), _own("points")


class _NoId(ManagerError):
    """The text is no id; where it stands is found out afterwards."""


class _Iris(dict[str, str]):
    """IRIs by id, checked when first seen: most ids are written two or three times."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def __missing__(self, identifier: str) -> str:
        # Most ids have nothing that is percent-encoded, and are known to be ids at a third of the cost.
        if not (_PLAIN(identifier) or is_id(identifier)) or len(identifier) > MAX_ID:
            raise _NoId(identifier)
        if len(self) >= CACHE_SIZE:
            self.clear()
        found = self[identifier] = f"<{self._base}{identifier}>"
        return found

    def learn(self, identifiers: Sequence[str]) -> None:
        """Checks many ids by one look at all of them; those of which some have to be looked at closely are left for later."""
        together = " ".join(identifiers)
        if together.count(" ") >= len(identifiers) or together.encode(errors="replace").translate(
            None, _PLAIN_WITH_BLANKS
        ):
            return
        if not all(identifiers) or max(map(len, identifiers)) > MAX_ID:
            return
        if len(self) >= CACHE_SIZE:
            self.clear()
        base = self._base
        self.update([(identifier, f"<{base}{identifier}>") for identifier in identifiers])


class Triples(list[str]):
    """N-Triples of documents: lines, and in ``blocks`` several lines as one text, by what they have in common.

    The lines of one key are under no other key and not among the single ones, so that a triple that is said twice is known
    as such without a look at every line.
    """

    def __init__(self, lines: Iterable[str] = ()) -> None:
        super().__init__(lines)
        self.blocks: dict[str, str] = {}

    def several(self, key: str, block: str) -> None:
        """Adds lines that are one text. Blocks of one key that differ become single lines, as does all that comes after."""
        there = self.blocks.setdefault(key, block)
        if there != block:
            self += f"{there}\n{block}".split("\n") if there else block.split("\n")
            self.blocks[key] = ""

    def _texts(self) -> list[str]:
        """All of it, without the last line end of each text; every line once."""
        return [*dict.fromkeys(self), *filter(None, self.blocks.values())]

    def lines(self) -> list[str]:
        """All of it, each line by itself."""
        texts = self._texts()
        return "\n".join(texts).split("\n") if texts else []

    def encoded(self) -> tuple[bytes, int]:
        """The text, and how many triples it is."""
        text = "\n".join([*self._texts(), ""]).encode()
        return text, text.count(b"\n")


class Writer:
    """Makes the triples of documents under one base. Keeps what repeats between documents: IRIs and class names.

    Args:
        base: beginning of all IRIs.
        classes: CURIEs of the classes that there are (``ontology.classes()``).
    """

    def __init__(self, base: str, classes: frozenset[str]) -> None:
        self._iris = _Iris(base)
        self._statements = StatementWriter(base)
        self._types = {name: f" {_TYPE} <{expand(name)}> ." for name in classes}

    def lines(self, document: Document) -> list[str]:
        """N-Triples lines, without line ends, each once. Raises as ``write``."""
        found = Triples()
        self.write(document, found)
        return found.lines()

    def write(self, document: Document, found: Triples) -> None:
        """Adds what a document says.

        Raises:
            DocumentError: an id, a class or a literal is none; the field says which.
        """
        self._iris.learn([each.id for each in document.entities])
        parts: tuple[tuple[str, Iterable[Any], Callable[[Any, Triples], None]], ...] = (
            ("activities", document.activities, self._activity),
            ("entities", document.entities, self._entity),
            ("agents", document.agents, self._agent),
            ("plans", document.plans, self._plan),
            ("stores", document.stores, self._store),
            ("statements", document.statements, self._statements.write),
        )
        for name, items, write in parts:
            for index, item in enumerate(items):
                try:
                    write(item, found)
                except DocumentError as error:
                    raise DocumentError(f"{name}[{index}].{error.field}", error.message, error.fix) from error
                except _NoId as error:
                    told = f"{error.args[0][:100]!r} is no identifier"
                    field = f"{name}[{index}].{_field_of(item, error.args[0])}"
                    raise DocumentError(field, told, "percent-encode each of its parts") from error

    def _start(self, item: Any, found: Triples) -> str:
        """The subject of an item, after its types are written."""
        subject = self._iris[item.id]
        for name in item.types:
            if name not in self._types:
                told = f"{name[:60]!r} is no class of the vocabulary"
                raise DocumentError("types", told, "use a class of GET /ontology, as provml:Model")
            found.append(subject + self._types[name])
        return subject

    def _links(self, begin: str, targets: Sequence[str], found: Triples) -> None:
        if targets:
            between = f" .\n{begin} "
            found.several(begin, f"{begin} {between.join(map(self._iris.__getitem__, dict.fromkeys(targets)))} .")

    def _activity(self, item: Activity, found: Triples) -> None:
        subject = self._start(item, found)
        iris = self._iris
        if item.plan is not UNSET:
            found.append(f"{subject} {_INFLUENCED} {iris[item.plan]} .")
        if item.partOf is not UNSET:
            found.append(f"{subject} {_PART_OF} {iris[item.partOf]} .")
        if item.started is not UNSET:
            found.append(f"{subject} {_STARTED} {time_literal(item.started, 'started')} .")
        if item.ended is not UNSET:
            found.append(f"{subject} {_ENDED} {time_literal(item.ended, 'ended')} .")
        if item.duration is not UNSET:
            found.append(f"{subject} {_DURATION} {double_literal(item.duration)} .")
        if item.status is not UNSET:
            found.append(f'{subject} {_STATUS} "{item.status}" .')
        self._links(f"{subject} {_INFORMED}", item.informedBy, found)
        self._links(f"{subject} {_ASSOCIATED}", item.agents, found)
        self._links(f"{subject} {_USED}", item.used, found)
        if item.generated:
            ending = f" {_GENERATED} {subject} ."
            found.several(ending, f"{ending}\n".join(map(iris.__getitem__, dict.fromkeys(item.generated))) + ending)
        if item.sessionOf is not UNSET or item.within is not UNSET or item.rank is not UNSET:
            self._session(subject, item, found)
        if item.error is not UNSET:
            _texts(subject, {"errorType": item.error.type, "errorMessage": item.error.message}, found)
        _texts(subject, {"stdout": item.stdout, "stderr": item.stderr}, found)
        _objects(subject, {"metadata": item.metadata}, found)

    def _session(self, subject: str, item: Activity, found: Triples) -> None:
        """What few activities have: a part in another one, a place in a job, a run around them."""
        if item.sessionOf is not UNSET:
            found.append(f"{subject} {_own('sessionOf')} {self._iris[item.sessionOf]} .")
        if item.within is not UNSET:
            found.append(f"{subject} {_own('within')} {self._iris[item.within]} .")
        if item.rank is not UNSET:
            found.append(f"{subject} {_own('rank')} {integer_literal(item.rank)} .")
        if item.resumes is True:
            found.append(f"{subject} {_own('resumes')} {boolean_literal(True)} .")

    def _entity(self, item: Entity, found: Triples) -> None:
        # By far the most numerous, and most are slim: value and attribute.
        subject = self._start(item, found) if item.types else self._iris[item.id]
        of = dict.fromkeys(item.attributes)
        derived = " .\n".join([f"{subject} {_DERIVED} {self._iris[attribute]}" for attribute in of])
        if item.value is UNSET:
            if derived:
                found.several(subject, f"{derived} .")
        elif derived:
            found.several(subject, f"{subject} {_VALUE} {literal(item.value)} .\n{derived} .")
        else:
            found.several(subject, f"{subject} {_VALUE} {literal(item.value)} .")
        if item.metadata is not UNSET:
            _objects(subject, {"metadata": item.metadata}, found)
        if item.specializationOf is not UNSET:
            found.append(f"{subject} {_SPECIAL} {self._iris[item.specializationOf]} .")
        self._links(f"{subject} {_MEMBER}", item.members, found)
        if item.store is not UNSET:
            found.append(f"{subject} {_own('store')} {self._iris[item.store]} .")
        if item.key is not UNSET or item.version is not UNSET or item.path is not UNSET:
            _texts(subject, {"key": item.key, "version": item.version, "path": item.path}, found)
        if item.size is not UNSET:
            found.append(f"{subject} {_own('size')} {integer_literal(item.size)} .")
        if item.points or item.unit is not UNSET:
            self._series(subject, item, found)

    def _series(self, subject: str, item: Entity, found: Triples) -> None:
        """A series: one triple for all points that were sent together (docs/reference/rdf-model.md)."""
        _texts(subject, {"unit": item.unit}, found)
        for index, points in enumerate(item.points):
            check_points(points, f"points[{index}]")
            found.append(f"{subject} {_POINTS} {points_literal(points)} .")

    def _agent(self, item: Agent, found: Triples) -> None:
        subject = self._start(item, found)
        _label(subject, item.label, found)
        self._links(f"{subject} {_ACTED_FOR}", item.actedFor, found)
        self._links(f"{subject} {_own('ran')}", item.ran, found)
        _texts(subject, {"host": item.host, "command": item.command, "version": item.version}, found)
        if item.pid is not UNSET:
            found.append(f"{subject} {_own('pid')} {integer_literal(item.pid)} .")
        _objects(subject, {"environment": item.environment, "lost": item.lost}, found)

    def _plan(self, item: Plan, found: Triples) -> None:
        subject = self._start(item, found)
        _label(subject, item.label, found)
        if item.description is not UNSET:
            found.append(f"{subject} {_COMMENT} {text_literal(item.description)} .")
        self._links(f"{subject} {_own('hasPart')}", item.parts, found)
        self._links(f"{subject} {_own('hasInput')}", item.inputs, found)
        self._links(f"{subject} {_own('hasOutput')}", item.outputs, found)
        _texts(subject, {"storeType": item.kind}, found)
        self._links(f"{subject} {_own('hasDataSchema')}", item.dataSchemas, found)
        self._links(f"{subject} {_own('hasDatabaseSchema')}", item.databaseSchemas, found)
        self._links(f"{subject} {_own('hasDatabase')}", item.databases, found)
        self._links(f"{subject} {_own('hasDataStore')}", item.dataStores, found)
        _objects(subject, {"metadata": item.metadata}, found)

    def _store(self, item: Store, found: Triples) -> None:
        subject = self._start(item, found)
        _label(subject, item.label, found)
        if item.plan is not UNSET:
            found.append(f"{subject} {_DERIVED} {self._iris[item.plan]} .")
        _texts(subject, {"host": item.host, "storeType": item.kind}, found)
        self._links(f"{subject} {_MEMBER}", item.members, found)
        self._links(f"{subject} {_own('sameStoreAs')}", item.sameAs, found)


def _label(subject: str, label: str | UnsetType, found: list[str]) -> None:
    if label is not UNSET:
        found.append(f"{subject} {_LABEL} {text_literal(label)} .")


def _texts(subject: str, texts: dict[str, str | UnsetType], found: list[str]) -> None:
    for name, text in texts.items():
        if text is not UNSET:
            found.append(f"{subject} {_own(name)} {text_literal(text)} .")


def _objects(subject: str, objects: dict[str, dict[str, Any] | UnsetType], found: list[str]) -> None:
    for name, facts in objects.items():
        if facts is not UNSET:
            found.append(f"{subject} {_own(name)} {json_literal(facts, name)} .")


def _field_of(item: msgspec.Struct, identifier: str) -> str:
    """Where an id stands in an item; a text that is no id may only stand where ids do."""
    for field in _FIELDS_OF_IDS:
        value = getattr(item, field, UNSET)
        if value == identifier:
            return field
        if isinstance(value, tuple) and identifier in value:
            return f"{field}[{value.index(identifier)}]"
    return "id"


_FIELDS_OF_IDS = (
    *("id", "plan", "partOf", "informedBy", "agents", "used", "generated", "attributes", "specializationOf", "members"),
    *("sessionOf", "within", "store", "actedFor", "ran", "parts", "inputs", "outputs", "sameAs"),
    *("dataSchemas", "databaseSchemas", "databases", "dataStores"),
)


def join(groups: Iterable[Iterable[str]]) -> tuple[bytes, int]:
    """N-Triples of several documents given as lines, each triple once, and how many there are."""
    return Triples(chain.from_iterable(groups)).encoded()
