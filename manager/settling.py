"""The few statements that change while others add up: what follows from sessions and from points (docs/reference/rdf-model.md).

An execution that has sessions has one begin, at most one end, one duration and one status; a series has one latest value,
one minimum and one maximum. After a group is committed, what the store then holds is read, what should be there is
reckoned from it (``pllib.provml.settled``), and the difference is made good by one update, until a reading finds none.

Several managers may do so at once, on stores whose updates do not see each other: who writes last reads after it, so the
last reading sees all. For sessions everything is reckoned anew from what is never taken away. For series the latest
point is one literal, and nothing of a series is taken away but for what was seen to be greater or less: so no
manager undoes what another has just written.
"""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from msgspec import UNSET

from pllib.provml.settled import Extent, Latest, Outcome, Session, merged, outcome
from pllib.provml.vocabulary import PROV, PROVLAKE, SPARQL_PREFIXES, XSD

from .documents import Document
from .series import extent_of
from .store import Term, TripleStore, for_queries
from .terms import double_literal, integer_literal, json_literal_of_plain, microseconds, text_literal, time_literal

log = logging.getLogger("manager")

MOST_ROUNDS = 20
"""Readings after which a manager leaves it to those that it competes with."""

_STARTED, _ENDED, _VALUE = PROV + "startedAtTime", PROV + "endedAtTime", PROV + "value"
_DURATION, _STATUS, _RANK, _RESUMES = (PROVLAKE + name for name in ("duration", "status", "rank", "resumes"))
_ERROR = (PROVLAKE + "errorType", PROVLAKE + "errorMessage")
_LATEST, _LAST_STEP, _LAST_TIME, _MINIMUM, _MAXIMUM = (
    PROVLAKE + name for name in ("latest", "lastStep", "lastTime", "minimum", "maximum")
)
_SESSIONS = f"""{SPARQL_PREFIXES}SELECT ?x ?s ?p ?o WHERE {{
  {{ VALUES ?x {{ %s }} ?s provlake:sessionOf ?x . ?s ?p ?o . FILTER(?p IN (prov:startedAtTime, prov:endedAtTime,
    provlake:status, provlake:rank, provlake:resumes, provlake:errorType, provlake:errorMessage)) }}
  UNION {{ VALUES ?x {{ %s }} VALUES ?p {{ prov:startedAtTime prov:endedAtTime provlake:duration provlake:status
    provlake:errorType provlake:errorMessage }} ?x ?p ?o }} }}"""
_SERIES = f"""{SPARQL_PREFIXES}SELECT ?s ?p ?o WHERE {{ VALUES ?s {{ %s }}
  VALUES ?p {{ prov:value provlake:latest provlake:lastStep provlake:lastTime provlake:minimum provlake:maximum }} ?s ?p ?o }}"""

Facts = dict[str, dict[str, str]]
"""Of one subject: property to literals, canonical text to the text that the store has."""


@dataclass
class Change:
    """What is to be taken out of the store and put in, as lines of N-Triples, and further operations of SPARQL UPDATE."""

    removed: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    operations: list[str] = field(default_factory=list)

    def make(self, subject: str, present: Mapping[str, Mapping[str, str]], expected: Mapping[str, str | None]) -> None:
        """Adds what makes the literals of a subject's properties as expected, each one or none."""
        for name, literal in expected.items():
            there = present.get(name, {})
            self.removed += [f"<{subject}> <{name}> {found} ." for text, found in there.items() if text != literal]
            if literal is not None and literal not in there:
                self.added.append(f"<{subject}> <{name}> {literal} .")

    def update(self) -> str:
        """As one request of SPARQL UPDATE; empty when there is nothing to change."""
        parts = [("DELETE DATA", self.removed), ("INSERT DATA", self.added)]
        data = [f"{operation} {{\n" + "\n".join(lines) + "\n}" for operation, lines in parts if lines]
        return " ;\n".join([*data, *self.operations])


async def settle(store: TripleStore, base: str, documents: Iterable[Document]) -> int:
    """Makes good what follows from these documents, which were committed; how many triples were added.

    Raises as ``TripleStore.load``: then the same documents are to be sent again.
    """
    executions, extents = _concerned(base, documents)
    added = 0
    for _ in range(MOST_ROUNDS if executions or extents else 0):
        change = Change()
        for some in for_queries(executions):
            rows = await store.terms(_SESSIONS % (" ".join(some), " ".join(some)))
            _settle_sessions(rows, change)
        for some in for_queries([f"<{series}>" for series in extents]):
            _settle_series(await store.terms(_SERIES % " ".join(some)), some, extents, change)
        update = change.update()
        if not update:
            return added
        await store.update(update)
        added += len(change.added)
    if executions or extents:
        log.warning("left to others after %d rounds: %s …", MOST_ROUNDS, [*executions, *extents][:1])
    return added


def _concerned(base: str, documents: Iterable[Document]) -> tuple[list[str], dict[str, Extent]]:
    """Executions that have sessions or may have, in angle brackets, and what the points of each series come to."""
    executions: dict[str, None] = {}
    extents: dict[str, Extent] = {}
    for document in documents:
        for activity in document.activities:
            if activity.sessionOf is not UNSET:
                executions[f"<{base}{activity.sessionOf}>"] = None
            elif (activity.started is not UNSET or activity.ended is not UNSET) and activity.id.count("/") == 2:
                executions[f"<{base}{activity.id}>"] = None  # others may share it, of which each has a session
        for entity in document.entities:
            for points in entity.points:
                found = extent_of(points)
                known = extents.get(base + entity.id)
                extents[base + entity.id] = merged(known, found) if known else found
    return list(executions), extents


# -- what is in the store


_CANONICAL: dict[str, Callable[[str], str]] = {
    XSD + "double": lambda text: double_literal(float(text)),
    XSD + "integer": lambda text: integer_literal(int(text)),
    XSD + "dateTime": lambda text: time_literal(microseconds(text)),
}


def _literals(term: Term) -> tuple[str, str]:
    """A literal in our spelling, and in the store's."""
    plain = not term.datatype or term.datatype == XSD + "string"
    theirs = text_literal(term.text) + ("" if plain else f"^^<{term.datatype}>")
    canonical = _CANONICAL.get(term.datatype)
    try:
        return canonical(term.text) if canonical else theirs, theirs
    except (ValueError, OverflowError):
        return theirs, theirs


def _gathered(rows: Iterable[Mapping[str, Term]], subject: str) -> dict[str, Facts]:
    found: dict[str, Facts] = defaultdict(lambda: defaultdict(dict))
    for row in rows:
        ours, theirs = _literals(row["o"])
        found[row[subject].text][row["p"].text][ours] = theirs
    return found


# -- sessions


def _settle_sessions(rows: list[dict[str, Term]], change: Change) -> None:
    """Adds what makes executions as their sessions say; those without a session stay as they are."""
    present = _gathered((row for row in rows if "s" not in row), "x")
    texts: dict[str, dict[str, dict[str, list[str]]]] = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        if "s" in row:
            texts[row["x"].text][row["s"].text][row["p"].text].append(row["o"].text)
    for execution, sessions in texts.items():
        facts = present.get(execution, {})
        begun = [time for literal in facts.get(_STARTED, ()) for time in _times([_text(literal)])]
        found = outcome((_session(name, said) for name, said in sessions.items()), begun)
        change.make(execution, facts, _expected_of_execution(found))
        said = sessions[found.failed] if found.failed else {}
        _settle_error(execution, found.failed, facts, said, change)


def _expected_of_execution(found: Outcome) -> dict[str, str | None]:
    return {
        _STARTED: None if found.started is None else time_literal(found.started),
        _ENDED: None if found.ended is None else time_literal(found.ended),
        _DURATION: None if found.duration is None else double_literal(found.duration),
        _STATUS: None if found.status is None else text_literal(found.status),
    }


def _settle_error(
    execution: str, failed: str | None, present: Facts, said: Mapping[str, list[str]], change: Change
) -> None:
    """The error of the session that failed first, copied in the store, so that no text has to pass through SPARQL."""
    for name in _ERROR:
        if present.get(name, {}).keys() != {text_literal(text) for text in said.get(name, ())}:
            change.operations.append(f"DELETE {{ <{execution}> <{name}> ?o }} WHERE {{ <{execution}> <{name}> ?o }}")
            if failed is not None:
                copied = f"INSERT {{ <{execution}> <{name}> ?o }} WHERE {{ <{failed}> <{name}> ?o }}"
                change.operations.append(copied)


def _session(name: str, said: Mapping[str, list[str]]) -> Session:
    ranks = [int(text) for text in said.get(_RANK, ())]
    return Session(
        name,
        min(_times(said.get(_STARTED, ())), default=None),
        max(_times(said.get(_ENDED, ())), default=None),
        min(said.get(_STATUS, ()), default=None),  # "failed" before "finished"
        min(ranks, default=None),
        "true" in said.get(_RESUMES, ()),
    )


def _text(literal: str) -> str:
    return literal[1:].partition('"')[0]


def _times(texts: Iterable[str]) -> list[int]:
    found = []
    for text in texts:
        with suppress(ValueError, OverflowError):  # what others put into the store
            found.append(microseconds(text))
    return found


# -- series


def _settle_series(
    rows: list[dict[str, Term]], names: Iterable[str], extents: Mapping[str, Extent], change: Change
) -> None:
    """Adds what makes series the extent of what was there and of the points in these documents."""
    present = _gathered(rows, "s")
    latest: dict[str, list[Latest]] = defaultdict(list)
    for row in rows:
        if row["p"].text == _LATEST:
            with suppress(ValueError, TypeError):  # what others put into the store
                latest[row["s"].text].append(Latest(**json.loads(row["o"].text)))
    for name in names:
        series = name[1:-1]
        facts = present.get(series, {})
        least = [float(_text(literal)) for literal in facts.get(_MINIMUM, ())]
        most = [float(_text(literal)) for literal in facts.get(_MAXIMUM, ())]
        found = extents[series]
        for point in latest[series]:
            found = merged(found, Extent(point, None, None))
        found = merged(found, Extent(found.latest, min(least, default=None), max(most, default=None)))
        change.make(series, facts, _expected_of_series(found))


def _expected_of_series(found: Extent) -> dict[str, str | None]:
    return {
        _LATEST: json_literal_of_plain(found.latest.as_json()),
        _VALUE: double_literal(float(found.latest.value)),
        _LAST_STEP: integer_literal(found.latest.step),
        _LAST_TIME: time_literal(found.latest.time),
        _MINIMUM: None if found.minimum is None else double_literal(found.minimum),
        _MAXIMUM: None if found.maximum is None else double_literal(found.maximum),
    }
