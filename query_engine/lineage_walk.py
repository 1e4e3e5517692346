"""Walking through the store: what lineage must know is looked up level by level, so that cost follows the answer.

A lineage that goes deep (a thousand tasks in a chain) would take as many round trips. So when it has not ended after
:data:`PATIENCE` levels, one property path gathers all activities that lie behind the start by exact links, and their
surroundings are looked up at once; if it still goes on, a second path takes in what uses may mean, too. That is too
much where links are ambiguous, and harmless: a path only tells what to look up early, the walk decides what belongs to
the answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Collection, Iterable, NamedTuple, Sequence

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import lineage_derivations
from query_engine.aliases import Aliases
from query_engine.binding import Iri, slices
from query_engine.errors import QueryTimeout
from query_engine.lineage import Direction, Known, Walk
from query_engine.store import StoreClient
from query_engine.tables import iri, table, value

PATIENCE = 4
CHUNK = 250
"""Activities a query: bounded, and small enough that the store's cores share the work."""
ENTITIES = 1000
"""Entities a query."""
PARALLEL = 4
MAX_ROWS = 200_000
MAX_PATH = 20_000
_ENTITY, _KEY, _TYPE = 2, 4, 6  # columns of _BACKWARD and _FORWARD

_BACKWARD = """
SELECT ?a ?b ?e ?r ?key ?g ?type ?value WHERE {
  { VALUES ?a {} ?a prov:used ?e
    OPTIONAL { ?e prov:wasGeneratedBy ?g } OPTIONAL { ?e prov:specializationOf ?r } OPTIONAL { ?e provlake:key ?key }
    OPTIONAL { ?e a ?type } OPTIONAL { ?e prov:value ?value } }
  UNION { VALUES ?a {} ?a prov:wasInformedBy ?b }
}"""
_FORWARD = """
SELECT ?a ?b ?e ?r ?key ?u ?type ?value WHERE {
  { VALUES ?a {} ?e prov:wasGeneratedBy ?a
    OPTIONAL { ?u prov:used ?e } OPTIONAL { ?e prov:specializationOf ?r }
    BIND(COALESCE(?r, ?e) AS ?whole) OPTIONAL { ?whole provlake:key ?key }
    OPTIONAL { ?e a ?type } OPTIONAL { ?e prov:value ?value } }
  UNION { VALUES ?a {} ?b prov:wasInformedBy ?a }
}"""
# Generations of the special forms of an entity that has no generation of its own, or no state.
_SPECIAL = """
SELECT ?e ?x ?u ?g ?unseen WHERE { VALUES ?e {} ?x prov:specializationOf ?e . ?x prov:wasGeneratedBy ?g }"""
# What a state that nobody generated may be: what was written of the same data when nobody saw its state.
_UNSEEN = """
SELECT ?e ?x ?u ?g ?unseen WHERE {
  { VALUES ?e {} ?e provlake:key ?key ; prov:wasGeneratedBy ?g }
  UNION { VALUES ?e {} ?e provlake:key ?key . ?x prov:specializationOf ?e ; prov:wasGeneratedBy ?g
    FILTER NOT EXISTS { ?x provlake:version ?version } BIND(true AS ?unseen) }
}"""
# Who generated a state under any of the names of its store.
_GENERATIONS = "SELECT ?e ?x ?u ?g ?unseen WHERE { VALUES ?e {} ?e prov:wasGeneratedBy ?g }"
# Who used an equal-value entity, and all that these uses may mean.
_VALUE_USES = """
SELECT ?e ?x ?u ?g ?unseen WHERE {
  { VALUES ?e {} ?u prov:used ?e } UNION { VALUES ?e {} ?x prov:specializationOf ?e ; prov:wasGeneratedBy ?g }
}"""
# Who used a data reference, or a state of it that nobody else generated, and all that these uses may mean.
_DATA_USES = """
SELECT ?e ?x ?u ?g ?unseen WHERE {
  { VALUES ?e {} ?u prov:used ?e }
  UNION { VALUES ?e {} ?e prov:wasGeneratedBy ?g }
  UNION { VALUES ?e {} ?x prov:specializationOf ?e ; prov:wasGeneratedBy ?g
    BIND(NOT EXISTS { ?x provlake:version ?version } AS ?unseen) }
  UNION { VALUES ?e {} ?x prov:specializationOf ?e . ?u prov:used ?x
    FILTER NOT EXISTS { ?x prov:wasGeneratedBy ?other FILTER(?other != ?u) } }
}"""
_PATH = """
SELECT ?a WHERE {
  { SELECT DISTINCT ?a WHERE { VALUES ?start {} ?start (%s)* ?a } }
  ?a prov:startedAtTime ?t
} LIMIT """
# The second path of each direction takes in what uses may mean, too. It halts at what was used, since longer steps are
# made again from each activity: where a thousand used a value that a thousand generated, that is a million steps.
_PATHS: dict[Direction, tuple[str, str]] = {
    "backward": (
        _PATH % "prov:wasInformedBy|prov:wasGeneratedBy|prov:used/prov:wasGeneratedBy"
        "|prov:used/prov:specializationOf/prov:wasGeneratedBy",
        _PATH % "prov:wasInformedBy|prov:used|prov:wasGeneratedBy|^prov:specializationOf/prov:wasGeneratedBy"
        "|prov:used/prov:specializationOf/prov:wasGeneratedBy",
    ),
    "forward": (
        _PATH % "^prov:wasInformedBy|^prov:used|^prov:wasGeneratedBy/^prov:used",
        _PATH % "^prov:wasInformedBy|^prov:used|^prov:wasGeneratedBy/^prov:used|prov:specializationOf"
        "|^prov:wasGeneratedBy/prov:specializationOf|^prov:wasGeneratedBy/^prov:specializationOf/^prov:used",
    ),
}


class Surroundings:
    """Looks up what is around activities and entities.

    Args:
        seconds: after which :meth:`complete` stops; the answer is then truncated.
        aliases: names of stores that are one.
        base: beginning of our IRIs, where derivations are to be followed; empty where they are not.
        clock: monotonic seconds.
    """

    def __init__(
        self,
        store: StoreClient,
        seconds: float,
        aliases: Aliases,
        base: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store, self._aliases, self._base, self._clock = store, aliases, base, clock
        self._until = clock() + seconds
        self._turns = asyncio.Semaphore(PARALLEL)

    async def complete(self, walk: Walk, start: str, direction: Direction, shallow: bool) -> None:
        """Goes with a walk until its end.

        Args:
            start: what the walk began at, for the path.
            shallow: the walk has a small depth, and needs no path.
        """
        waited, paths = 0, [] if shallow else list(_PATHS[direction])
        while walk.frontier:
            if self._clock() > self._until:
                walk.answer.truncated = True
                return
            missing = [each for each in walk.frontier if each not in walk.known.loaded]
            waited += bool(missing)
            if waited > PATIENCE and paths:
                waited = 0
                path = paths.pop(0)
                missing = list(dict.fromkeys([*missing, *await self._path(path, walk.known, start)]))
            walk.answer.truncated |= await self.load(walk.known, missing, direction)
            walk.advance()

    async def load(self, known: Known, activities: Sequence[str], direction: Direction) -> bool:
        """Makes activities known; whether there was more than may be looked up."""
        cuts = await asyncio.gather(*(self._load(known, chunk, direction) for chunk in slices(activities, CHUNK)))
        known.loaded.update(activities)
        return any(cuts)

    async def _load(self, known: Known, activities: Sequence[str], direction: Direction) -> bool:
        query, learn = (_BACKWARD, _learn_backward) if direction == "backward" else (_FORWARD, _learn_forward)
        rows = await self._ask(query, 8, "a", activities)
        cut = await self.entities(known, learn(known, rows), direction)
        met = dict.fromkeys(iri(row[_ENTITY]) for row in rows if row[_ENTITY])
        return await self._derivations(known, list(met), direction) or cut or len(rows) >= MAX_ROWS

    async def _derivations(self, known: Known, entities: Sequence[str], direction: Direction) -> bool:
        """Makes known what derivations lead to, and what is around that; whether there was more."""
        if not self._base:
            return False
        cut = False
        for chunk in slices(entities, ENTITIES):
            async with self._turns:
                found, more = await lineage_derivations.load(self._store, self._base, known, chunk, direction)
            cut |= more
            if direction == "backward":
                found = [each for each in found if not known.generators.of(each)]
            cut |= await self.entities(known, found, direction)
        return cut

    async def entities(self, known: Known, entities: Collection[str], direction: Direction) -> bool:
        """Makes known what entities may stand for; whether there was more."""
        if direction == "forward":
            data = [each for each in entities if each in known.references]
            asked = [(_DATA_USES, data), (_VALUE_USES, [each for each in entities if each not in known.references])]
        else:
            general = list({reference: None for each in entities for reference in known.general.of(each)})
            asked = [(_UNSEEN, general), (_SPECIAL, [each for each in entities if not known.general.of(each)])]
            asked += [(_GENERATIONS, [each for each in entities if len(self._aliases.spellings(each)) > 1])]
        chunks = [(query, chunk) for query, iris in asked for chunk in slices(iris, ENTITIES)]
        answers = await asyncio.gather(*(self._ask(query, 5, "e", chunk) for query, chunk in chunks))
        for rows in answers:
            for row in rows:
                _learn_entity(known, _Found(iri(row[0]), iri(row[1]), iri(row[2]), iri(row[3]), value(row[4]) is True))
        return any(len(rows) >= MAX_ROWS for rows in answers)

    async def entity(self, known: Known, entity: str, direction: Direction) -> None:
        """Makes a start entity known."""
        query = f"""{SPARQL_PREFIXES}SELECT ?e ?u ?g ?r ?key WHERE {{
          {{ VALUES ?e {{}} ?e prov:wasGeneratedBy ?g }} UNION {{ VALUES ?e {{}} ?u prov:used ?e }}
          UNION {{ VALUES ?e {{}} ?e provlake:key ?key }}
          UNION {{ VALUES ?e {{}} ?e prov:specializationOf ?r OPTIONAL {{ ?r provlake:key ?key }} }}
        }} LIMIT {MAX_ROWS}"""
        own_key = False
        for _, user, generator, reference, key in await self._table(query, 5, "e", [entity]):
            _learn_entity(known, _Found(entity, "", iri(user), iri(generator)))
            if reference:
                known.add_specialization(entity, iri(reference))
                known.references.update([iri(reference)] if key else [])
            own_key |= bool(key)
        general = known.general.of(entity)
        if own_key and not general:
            known.references.add(entity)
        forms: Collection[str] = [entity] if direction == "backward" or entity in known.references else list(general)
        await self.entities(known, forms, direction)
        await self._derivations(known, [entity], direction)

    async def _path(self, query: str, known: Known, start: str) -> list[str]:
        """Activities that may lie on the way and are not known; none when there are too many to be of use."""
        try:
            rows = await self._table(f"{SPARQL_PREFIXES}{query}{MAX_PATH}", 1, "start", [start])
        except QueryTimeout:
            return []
        found = [iri(row[0]) for row in rows]
        return [] if len(found) >= MAX_PATH else [each for each in found if each not in known.loaded]

    async def _ask(self, query: str, width: int, name: str, iris: Sequence[str]) -> list[Sequence[str]]:
        async with self._turns:
            return await self._table(f"{SPARQL_PREFIXES}{query} LIMIT {MAX_ROWS}", width, name, iris)

    async def _table(self, query: str, width: int, name: str, iris: Sequence[str]) -> list[Sequence[str]]:
        """What is said of resources under all names of theirs, told under one."""
        terms = [Iri(spelling) for each in iris for spelling in self._aliases.spellings(each)]
        return self._aliases.rows(await table(self._store, query, width, **{name: terms}))


def _learn_backward(known: Known, rows: Iterable[Sequence[str]]) -> list[str]:
    """Takes in rows; the used entities whose origin is not yet clear."""
    unclear: dict[str, None] = {}
    for row in rows:
        activity, informant, entity, general, _, generator, *_ = map(iri, row)
        if informant:
            known.add_information(activity, informant)
            continue
        known.add_use(activity, entity)
        known.add_value(entity, *row[_TYPE:])
        if generator:
            known.add_generation(entity, generator)
        if general:
            known.add_specialization(entity, general)
        if row[_KEY] and not general:
            known.references.add(entity)
        if entity in known.references or not generator or generator == activity:
            unclear[entity] = None
    return list(unclear)


def _learn_forward(known: Known, rows: Iterable[Sequence[str]]) -> list[str]:
    """Takes in rows; the entities that uses of other forms must be looked up for."""
    forms: dict[str, None] = {}
    for row in rows:
        activity, informed, entity, general, _, user, *_ = map(iri, row)
        if informed:
            known.add_information(informed, activity)
            continue
        known.add_generation(entity, activity)
        known.add_value(entity, *row[_TYPE:])
        if user:
            known.add_use(user, entity)
        if general:
            known.add_specialization(entity, general)
        if row[_KEY]:
            known.references.add(general or entity)
        if general or row[_KEY]:
            forms[general or entity] = None
    return list(forms)


class _Found(NamedTuple):
    """What was looked up of an entity, or of a special form of it: who used or generated that."""

    entity: str
    special: str
    user: str
    generator: str
    unseen: bool = False


def _learn_entity(known: Known, found: _Found) -> None:
    if found.special:
        known.add_specialization(found.special, found.entity)
    about = found.special or found.entity
    if found.generator:
        known.add_generation(about, found.generator)
    if found.user:
        known.add_use(found.user, about)
    if found.unseen:
        known.unseen.add(about)
