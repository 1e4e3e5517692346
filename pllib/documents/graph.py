"""What records say, gathered in a temporary database, and the part of it that goes into the document of an execution.

The database is SQLite's own kind of temporary one: in memory while it is small, then in a file that is gone with the process. So a
spool of any size takes the same memory.
"""

from __future__ import annotations

import sqlite3
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Tuple

from ..prov.model import KINDS, Attribute, Literal, Ref, Statement, Value
from ..provml.settled import Extent, merged
from ..provml.vocabulary import PROV, expand
from . import settling
from .conversion import CLASS, OWN, Fact

_CACHE_KIB = 65_536
_MANY = 20_000
_SCHEMA = """
CREATE TABLE fact (s TEXT, p TEXT, d TEXT, o TEXT, PRIMARY KEY (s, p, d, o)) WITHOUT ROWID;
CREATE INDEX made ON fact (o) WHERE p = 'prov:wasGeneratedBy';
CREATE INDEX session ON fact (o) WHERE p = 'provlake:sessionOf';
CREATE TABLE part (s TEXT PRIMARY KEY, part INTEGER) WITHOUT ROWID;
"""
_ACTIVITY, _ENTITY, _AGENT, _PLAN, _ATTRIBUTE = range(5)
_KINDS = ("activity", "entity", "agent", "entity", "entity")
"""What PROV calls a part."""
_PLAN_TYPE: Tuple[Attribute, ...] = ((PROV + "type", Ref(PROV + "Plan")),)
_TIMES = frozenset(("prov:startedAtTime", "prov:endedAtTime"))
_INSIDE = "SELECT s FROM fact WHERE p = 'provlake:isPartOf' AND s > :whole || '/' AND s < :whole || '0'"
_LINKED = "SELECT o FROM part JOIN fact USING (s) WHERE part = {} AND p = '{}' AND d = ''"
_LINKING = "SELECT f.s FROM part JOIN fact f ON f.o = part.s AND f.p = '{1}' WHERE part = {0}"
_STEPS = (
    # As query_engine.exports gathers an execution, in the same order: the first part that something plays is its part.
    (_ACTIVITY, _LINKING.format(_ACTIVITY, "provlake:sessionOf")),
    (_AGENT, _LINKED.format(_ACTIVITY, "prov:wasAssociatedWith")),
    (_AGENT, _LINKED.format(_AGENT, "prov:actedOnBehalfOf")),
    (_PLAN, _LINKED.format(_ACTIVITY, "prov:wasInfluencedBy")),
    (_ENTITY, _LINKING.format(_ACTIVITY, "prov:wasGeneratedBy")),
    (_ENTITY, _LINKED.format(_ACTIVITY, "prov:used")),
    (_ENTITY, _LINKED.format(_ENTITY, "prov:hadMember")),
    (_ENTITY, _LINKED.format(_ENTITY, "prov:specializationOf")),
    (_ATTRIBUTE, _LINKED.format(_ENTITY, "prov:wasDerivedFrom")),
)
_NAMED_ONLY = " AND p IN ('rdf:type', 'rdfs:label')"
Row = Tuple[str, str, str, str]


class Graph:
    """Facts on their way to statements.

    Args:
        base: beginning of all IRIs.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        # Statements may be read by another thread than gathered them, one at a time.
        self._database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode = OFF")
        self._database.execute("PRAGMA synchronous = OFF")
        self._database.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._database.executescript(_SCHEMA)
        self._new: List[Fact] = []
        self._extents: Dict[str, Extent] = {}

    def add(self, facts: Iterable[Fact], extents: Iterable[Tuple[str, Extent]] = ()) -> None:
        """Adds facts, and what points come to; the same one twice is one."""
        self._new.extend(facts)
        for series, extent in extents:
            known = self._extents.get(series)
            self._extents[series] = merged(known, extent) if known else extent
        if len(self._new) >= _MANY:
            self.flush()

    def flush(self) -> None:
        """Brings what was added last to where it can be asked for."""
        self._database.execute("BEGIN")
        self._database.executemany("INSERT OR IGNORE INTO fact VALUES (?, ?, ?, ?)", self._new)
        self._database.execute("COMMIT")
        self._new.clear()

    def rows(self, query: str, *parameters: str) -> Iterator[Tuple[str, ...]]:
        """The rows of a query over the table ``fact`` (s, p, d, o)."""
        self.flush()
        return iter(self._database.execute(query, parameters))

    def choose(self, executions: Iterable[str]) -> None:
        """Chooses what belongs to workflow executions, by their ids: their activities, and what those lead to."""
        self._settle()
        self._database.execute("DELETE FROM part")
        for whole in executions:
            self._play(_ACTIVITY, "SELECT :whole AS s", whole)
            self._play(_ACTIVITY, _INSIDE, whole)
        for part, query in _STEPS:
            self._play(part, query, "")

    def _settle(self) -> None:
        """Adds what follows from points and from sessions, once all of them are known."""
        for series, extent in self._extents.items():
            self.add(settling.of_series(series, extent))
        self._extents.clear()
        told = self.rows("SELECT w.o, f.* FROM fact w JOIN fact f ON f.s = w.s WHERE w.p = 'provlake:sessionOf'")
        shared: Dict[str, List[Fact]] = {}
        for execution, *fact in told:
            shared.setdefault(execution, []).append(Fact(*fact))
        for execution, facts in shared.items():
            rows = self.rows("SELECT o FROM fact WHERE s = ? AND p = 'prov:startedAtTime'", execution)
            settled = settling.of_sessions(execution, facts, [text for (text,) in rows])
            for name in settling.SETTLED:
                self._database.execute("DELETE FROM fact WHERE s = ? AND p = ?", (execution, name))
            self.add(settled)
        self.flush()

    def _play(self, part: int, query: str, whole: str) -> None:
        self._database.execute(f"INSERT OR IGNORE INTO part SELECT *, {part} FROM ({query})", {"whole": whole})  # noqa: S608 - ours

    def statements(self) -> Iterator[Statement]:
        """The statements of what was chosen: activities first, then entities, agents, plans; relations after their subjects."""
        for part, kind in enumerate(_KINDS):
            only = _NAMED_ONLY if part in (_PLAN, _ATTRIBUTE) else ""
            query = f"SELECT part.s, p, d, o FROM part LEFT JOIN fact ON fact.s = part.s{only} WHERE part = ? ORDER BY part.s"  # noqa: S608
            for subject, rows in groupby(self._database.execute(query, (part,)), key=itemgetter(0)):
                yield from self._said(kind, self._base + subject, rows, _PLAN_TYPE if part == _PLAN else ())

    def _said(self, kind: str, iri: str, rows: Iterable[Row], attributes: Tuple[Attribute, ...]) -> Iterator[Statement]:
        """The statements about one subject: itself with its attributes, then its relations."""
        times: Dict[str, str] = {}
        given: List[Attribute] = [*attributes]
        relations: List[Statement] = []
        for _, property, datatype, text in rows:
            relation = _RELATIONS.get(property)
            if relation is not None:
                relations.append(Statement(relation.name, None, (iri, self._base + text, *relation.rest)))
            elif property in _TIMES:
                times[property] = text
            elif property is not None:
                given.append((_named(property), self._value(datatype, text)))
        arguments = (times.get("prov:startedAtTime"), times.get("prov:endedAtTime")) if kind == "activity" else ()
        yield Statement(kind, iri, arguments, tuple(given))
        yield from relations

    def _value(self, datatype: str, text: str) -> Value:
        if datatype == OWN:
            return Ref(self._base + text)
        return Ref(_expanded(text)) if datatype == CLASS else Literal(text, datatype)


class _Relation(NamedTuple):
    """A kind of statement, and as many arguments after the second as it has."""

    name: str
    rest: Tuple[None, ...]


_RELATIONS = {
    f"prov:{each.direct}": _Relation(each.name, (None,) * (len(each.arguments) - 2))
    for each in KINDS.values()
    if not each.element
}
_expanded: Callable[[str], str] = lru_cache(maxsize=1024)(expand)


@lru_cache(maxsize=1024)
def _named(property: str) -> str:
    """The name of the attribute that a property is."""
    return {"rdf:type": PROV + "type", "rdfs:label": PROV + "label"}.get(property) or expand(property)
