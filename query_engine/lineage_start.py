"""What a lineage question is about: a resource by IRI, id or file path; and where the walk begins."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Optional

from pllib.provml import iris
from pllib.provml.vocabulary import PROV, RDF, SPARQL_PREFIXES
from query_engine.aliases import Aliases
from query_engine.binding import Iri, Literal
from query_engine.errors import BadParameter, BadTerm, NotFound
from query_engine.lineage import (
    GENERATED,
    MEMBER,
    PART,
    SPECIALIZATION,
    Ambiguity,
    Direction,
    Kind,
    Source,
    Walk,
)
from query_engine.lineage_walk import Surroundings
from query_engine.names import Names, short
from query_engine.store import StoreClient

MAX_PARTS = 20_000
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://|urn:")
_ACTIVITY = frozenset(
    PROV + name
    for name in ("startedAtTime", "endedAtTime", "used", "wasInformedBy", "wasInfluencedBy", "wasAssociatedWith")
)
_ENTITY = frozenset(PROV + name for name in ("value", "wasGeneratedBy", "specializationOf", "wasDerivedFrom"))

_ENTITY_TYPES = frozenset(("provlake:DataReference", "prov:Entity", "prov:Collection", "prov:Bundle", "prov:Plan"))
_ABOUT = """
SELECT DISTINCT ?p ?type WHERE {
  { VALUES ?x {} ?x ?p ?o OPTIONAL { ?x a ?type FILTER(?p = rdf:type) } }
  UNION { VALUES ?x {} ?u prov:used ?x BIND(prov:value AS ?p) }
  UNION { VALUES ?x {} ?e prov:wasGeneratedBy ?x BIND(prov:used AS ?p) }
  UNION { VALUES ?x {} ?e prov:wasDerivedFrom ?x . ?e a prov:Entity BIND(prov:value AS ?p) }
} LIMIT 200"""
_BY_PATH = """
SELECT DISTINCT ?data ?store WHERE {
  { VALUES ?key {} ?data provlake:key ?key }
  UNION { VALUES ?key {} ?state provlake:path ?key ; prov:specializationOf ?data }
  UNION { VALUES ?key {} ?data provlake:path ?key ; provlake:key ?own }
  OPTIONAL { ?data provlake:store/rdfs:label ?store }
} ORDER BY ?data LIMIT 100"""
_STATES = """
SELECT ?x ?g (MAX(?t) AS ?at) WHERE {
  { VALUES ?data {} ?x prov:specializationOf ?data } UNION { VALUES ?data {} ?data provlake:key ?key BIND(?data AS ?x) }
  { ?x prov:wasGeneratedBy ?g OPTIONAL { ?g prov:endedAtTime|prov:startedAtTime ?t } }
  UNION { ?u prov:used ?x OPTIONAL { ?u prov:startedAtTime ?t } }
} GROUP BY ?x ?g LIMIT 10000"""
_PARTS = "SELECT ?a WHERE { VALUES ?run {} ?a provlake:isPartOf ?run } LIMIT "
_WHOLES = "SELECT ?whole WHERE { VALUES ?fact {} ?whole prov:hadMember ?fact } LIMIT 100"


@dataclass(frozen=True, slots=True)
class Start:
    """A resource that lineage can be asked of."""

    iri: str
    kind: Kind


class Starts:
    """Finds what a question is about, and begins a walk there."""

    def __init__(self, store: StoreClient, names: Names, aliases: Aliases) -> None:
        self._store, self._names, self._aliases = store, names, aliases

    async def find(self, of: str, store: Optional[str]) -> Start:
        """The resource meant by ``of``: an IRI, an id, or the path or key of data (with ``store``: only the latter).

        Raises:
            NotFound: nothing of that name; the message says what was looked for.
            BadParameter: no IRI, a path that is in several stores, or a resource that has no lineage.
        """
        candidate, refusal = self._identifier(of) if store is None else (None, None)
        kind = await self._kind(candidate) if candidate is not None else None
        if candidate is not None and kind is not None:
            return Start(self._aliases.chosen(candidate), kind)
        data = await self._data(of, store)
        if data is not None:
            return Start(data, "entity")
        if refusal is not None:
            raise BadParameter(refusal.message, field="of", fix="Percent-encode what an IRI cannot hold.") from refusal
        where = f"in the store {store[:200]!r}" if store is not None else "in any store"
        also = "" if store is not None else "a resource with this IRI or id, and for "
        raise NotFound(
            f"nothing is known of {of[:500]!r}; looked for {also}data with this key or path {where}", field="of"
        )

    def _identifier(self, of: str) -> tuple[Optional[str], Optional[BadTerm]]:
        """The IRI that a text is, or is the id of; or why it is none though it looks like one."""
        if not _ABSOLUTE.match(of):
            return (self._names.iri(of).value, None) if iris.is_id(of) else (None, None)
        try:
            return Iri(of).value, None
        except BadTerm as error:
            return None, error

    async def _kind(self, iri: str) -> Optional[Kind]:
        """Whether a resource is an activity or an entity; ``None`` when nothing is said of it."""
        rows = await self._store.select(SPARQL_PREFIXES + _ABOUT, x=self._spellings(iri))
        if not rows:
            return None
        predicates = {row["p"].value for row in rows if "p" in row}
        if predicates & _ACTIVITY:
            return "activity"
        types = sorted(short(row["type"].value) for row in rows if "type" in row)
        if "prov:Activity" in types:
            return "activity"
        if predicates & _ENTITY or _ENTITY_TYPES.intersection(types):
            return "entity"
        if predicates == {RDF + "type"} and any(each.endswith(("Execution", "Iteration")) for each in types):
            return "activity"
        said = " and ".join(types) or "neither an activity nor a value"
        raise BadParameter(
            f"{self._names.id(iri)} is {said}: lineage is of executions, values and data",
            field="of",
            fix="Ask for an execution, a value or a data reference; see /v1/executions and /v1/data.",
        )

    async def _data(self, of: str, store: Optional[str]) -> Optional[str]:
        forms = _forms(of)
        rows = await self._store.select(SPARQL_PREFIXES + _BY_PATH, key=[Literal(form) for form in forms])
        found = {row["data"].value: row["store"].value if "store" in row else "" for row in rows}
        wanted = store if store is not None else _scheme_store(of)
        if wanted is not None:
            meant = self._aliases.stores(wanted)
            found = {data: name for data, name in found.items() if name in meant}
        found = {self._aliases.chosen(data): name for data, name in found.items()}
        if len(found) > 1:
            stores = ", ".join(sorted(repr(name) for name in found.values()))
            raise BadParameter(
                f"{of[:500]!r} may be {len(found)} data references, in the stores {stores}",
                field="store",
                fix="Say which with the parameter `store`, or give the IRI.",
            )
        return next(iter(found), None)

    # -- the beginning ------------------------------------------------------------------------------------------------

    async def begin(self, walk: Walk, around: Surroundings, start: Start, direction: Direction) -> None:
        """Sets a walk to its first activities."""
        if start.kind == "activity":
            await self._begin_activity(walk, start.iri)
            return
        await around.entity(walk.known, start.iri, direction)
        if start.iri in walk.known.references:
            await self._begin_data(walk, around, start.iri, direction)
            return
        walk.start_entity(start.iri)
        if not walk.known.generators.of(start.iri) and not walk.known.users.of(start.iri):
            await self._begin_fact(walk, around, start.iri, direction)

    async def _begin_activity(self, walk: Walk, activity: str) -> None:
        """An activity, and what is part of it: a workflow execution is what its tasks did."""
        walk.start_activity(activity)
        rows = await self._store.select(f"{SPARQL_PREFIXES}{_PARTS}{MAX_PARTS}", run=Iri(activity))
        walk.answer.truncated |= len(rows) >= MAX_PARTS
        for row in rows:
            walk.start_activity(row["a"].value)
            walk.answer.edge(row["a"].value, activity, PART)

    async def _begin_data(self, walk: Walk, around: Surroundings, data: str, direction: Direction) -> None:
        """A data reference stands for its newest state; the older ones are listed, since they are other data."""
        states = await self._states(data)
        newest = states[0] if states else Source(data, "")
        walk.answer.node(data, "entity", 0)
        if newest.entity != data:
            await around.entity(walk.known, newest.entity, direction)
            walk.answer.edge(newest.entity, data, SPECIALIZATION)
            walk.start_entity(newest.entity)
        elif newest.activity and direction == "backward":
            walk.start_source(newest, certain=False)
        if direction == "forward":
            walk.start_entity(data)
        others = tuple(each for each in states if each.entity != newest.entity or each.entity == data)
        left = tuple(each for each in others if (each.entity, each.activity, GENERATED) not in walk.answer.edges)
        if left and (direction == "backward" or any(each.entity != data for each in left)):
            walk.answer.ambiguous[(None, data)] = Ambiguity(data, None, left)

    async def _states(self, data: str) -> list[Source]:
        """Generations of a data reference and of its states, and states only used (no activity); newest first."""
        rows = await self._store.select(SPARQL_PREFIXES + _STATES, data=self._spellings(data))
        times = {
            Source(self._aliases.chosen(row["x"].value), row["g"].value if "g" in row else ""): row["at"].value
            if "at" in row
            else ""
            for row in rows
        }
        generated = {source.entity for source in times if source.activity}
        plain = [source for source in times if source.activity or source.entity not in generated | {data}]
        return sorted(plain, key=lambda source: (times[source], source), reverse=True)

    async def _begin_fact(self, walk: Walk, around: Surroundings, fact: str, direction: Direction) -> None:
        """What is only said of some data has that data's lineage."""
        rows = await self._store.select(SPARQL_PREFIXES + _WHOLES, fact=self._spellings(fact))
        for row in rows:
            whole = self._aliases.chosen(row["whole"].value)
            await around.entity(walk.known, whole, direction)
            walk.start_entity(whole)
            walk.answer.edge(whole, fact, MEMBER)

    def _spellings(self, iri: str) -> list[Iri]:
        return [Iri(each) for each in self._aliases.spellings(iri)]


def _forms(path: str) -> list[str]:
    """Keys that data with this path may have."""
    scheme, mark, rest = path.partition("://")
    key = rest if scheme == "file" and mark else rest.partition("/")[2] if mark else path
    return list(dict.fromkeys([path, posixpath.normpath(path), key, posixpath.normpath(key)]))


def _scheme_store(path: str) -> Optional[str]:
    """The store that an address such as ``s3://bucket/key`` names by itself."""
    scheme, mark, rest = path.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}" if mark and scheme != "file" else None
