"""Walking through the store: what lineage must know is looked up level by level, so that cost follows the answer.

A lineage that goes deep (a thousand tasks in a chain) would take as many round trips. So one property path gathers first
all activities that lie behind the start by what tasks handed on to each other, which costs little and is all of it lineage;
their surroundings are looked up at once. When the walk has gone on for :data:`PATIENCE` levels beyond them, a second path
takes in all exact links, and a third what uses may mean, too. That is too much where links are ambiguous, and harmless: a
path only tells what to look up early, the walk decides what belongs to the answer.
"""

from __future__ import annotations

import asyncio
import time
from typing import Callable, Collection, NamedTuple, Sequence

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import lineage_derivations
from query_engine.aliases import Aliases
from query_engine.binding import Iri, slices
from query_engine.errors import QueryTimeout
from query_engine.lineage import Direction, Known, Walk
from query_engine.lineage_learning import AROUND, KEYS, PARAMETERS, WIDTH, Learnt
from query_engine.store import StoreClient
from query_engine.tables import iri, table, value

PATIENCE = 4
CHUNK = 250
"""Activities a query: bounded, and few enough that the walk begins with the first while the store looks for the others."""
ENTITIES = 1000
"""Entities a query."""
PARALLEL = 2
"""Queries at once: the store and whoever reads its answers are both busy, and none waits for many that are not needed yet."""
MAX_ROWS = 200_000
MAX_STATEMENTS = 600_000
"""Rows about the activities of one query and what they used or generated, a row a property."""
MAX_PATH = 20_000
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
  { SELECT DISTINCT ?a WHERE { VALUES ?start {} ?start %s ?a } }
  ?a prov:startedAtTime ?t
} ORDER BY ?t LIMIT """
# The first path of each direction follows what was handed on, task by task: a step costs a tenth of one through values.
# The third takes in what uses may mean, too. It halts at what was used, since longer steps are
# made again from each activity: where a thousand used a value that a thousand generated, that is a million steps.
_PATHS: dict[Direction, tuple[str, str, str]] = {
    "backward": (
        _PATH % "prov:wasGeneratedBy?/prov:wasInformedBy*",
        _PATH % "(prov:wasInformedBy|prov:wasGeneratedBy|prov:used/prov:wasGeneratedBy"
        "|prov:used/prov:specializationOf/prov:wasGeneratedBy)*",
        _PATH % "(prov:wasInformedBy|prov:used|prov:wasGeneratedBy|^prov:specializationOf/prov:wasGeneratedBy"
        "|prov:used/prov:specializationOf/prov:wasGeneratedBy)*",
    ),
    "forward": (
        _PATH % "(^prov:used)?/(^prov:wasInformedBy)*",
        _PATH % "(^prov:wasInformedBy|^prov:used|^prov:wasGeneratedBy/^prov:used)*",
        _PATH % "(^prov:wasInformedBy|^prov:used|^prov:wasGeneratedBy/^prov:used|prov:specializationOf"
        "|^prov:wasGeneratedBy/prov:specializationOf|^prov:wasGeneratedBy/^prov:specializationOf/^prov:used)*",
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

    async def complete(
        self, walk: Walk, start: str, direction: Direction, shallow: bool, meanwhile: Callable[[], None]
    ) -> None:
        """Goes with a walk until its end.

        Args:
            start: what the walk began at, for the path.
            shallow: the walk has a small depth, and needs no path.
            meanwhile: called whenever the store must be waited for; what it does is best done in some milliseconds.
        """
        coming: dict[str, asyncio.Task[_Group]] = {}
        taken: set[asyncio.Task[_Group]] = set()
        waited, paths = 0, [] if shallow else list(_PATHS[direction])
        try:
            if walk.frontier and paths:
                ahead = await self._path(paths.pop(0), coming, start, direction)
                self._begin(coming, list(dict.fromkeys([*walk.frontier, *ahead])), direction)
            while walk.frontier:
                if self._clock() > self._until:
                    walk.answer.truncated = True
                    return
                missing = [each for each in walk.frontier if each not in coming]
                waited += bool(missing)
                if waited > PATIENCE and paths:
                    waited = 0
                    missing = await self._ahead(paths, coming, start, missing, direction)
                self._begin(coming, missing, direction)
                for task in {coming[each]: None for each in walk.frontier if coming[each] not in taken}:
                    if not task.done():
                        meanwhile()
                    group = await task
                    taken.add(task)
                    walk.known.take(group.known)
                    walk.answer.truncated |= group.cut
                walk.advance()
        finally:  # a walk may end before all is there that was looked up ahead
            for task in coming.values():
                task.cancel()
            await asyncio.gather(*coming.values(), return_exceptions=True)

    async def _ahead(
        self, paths: list[str], coming: Collection[str], start: str, missing: list[str], direction: Direction
    ) -> list[str]:
        """What is missing, and what lies beyond it by the first of the paths that leads on; takes the paths that were asked."""
        found = dict.fromkeys(missing)
        while paths and len(found) == len(missing):
            found |= dict.fromkeys(await self._path(paths.pop(0), coming, start, direction))
        return list(found)

    def _begin(self, coming: dict[str, asyncio.Task[_Group]], activities: Sequence[str], direction: Direction) -> None:
        """Begins to look up what is around activities, some at a time."""
        for chunk in slices(activities, CHUNK):
            coming |= dict.fromkeys(chunk, asyncio.create_task(self._load(chunk, direction)))

    async def _load(self, activities: Sequence[str], direction: Direction) -> _Group:
        async with self._turns:
            query = f"{SPARQL_PREFIXES}{AROUND[direction]} LIMIT {MAX_STATEMENTS}"
            asked = [Iri(each) for each in activities]
            bindings = dict.fromkeys(PARAMETERS[direction], asked)
            rows = self._aliases.rows(await table(self._store, query, WIDTH, **bindings))
        known = Known()
        learnt = Learnt(known, activities, rows)
        unclear = learnt.used() if direction == "backward" else learnt.generated()
        if direction == "forward":
            await self._references(known, unclear)
        cut = await self.entities(known, unclear, direction)
        cut |= await self._derivations(known, list(learnt.met), direction)
        return _Group(known, cut or len(rows) >= MAX_STATEMENTS)

    async def _references(self, known: Known, entities: Sequence[str]) -> None:
        """Makes known which entities are data references."""
        for chunk in slices([each for each in entities if each not in known.references], ENTITIES):
            known.references.update(iri(row[0]) for row in await self._ask(KEYS, 1, "e", chunk))

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

    async def _path(self, query: str, coming: Collection[str], start: str, direction: Direction) -> list[str]:
        """Activities that may lie on the way and are not coming; none when there are too many to be of use.

        In the order in which a walk comes by, as far as times tell: so it can go on while the last ones are looked up,
        and activities that are looked up together generated what the others used.
        """
        try:
            rows = await self._table(f"{SPARQL_PREFIXES}{query}{MAX_PATH}", 1, "start", [start])
        except QueryTimeout:
            return []
        found = [iri(row[0]) for row in (rows if direction == "forward" else reversed(rows))]
        return [] if len(found) >= MAX_PATH else [each for each in found if each not in coming]

    async def _ask(self, query: str, width: int, name: str, iris: Sequence[str]) -> list[Sequence[str]]:
        async with self._turns:
            return await self._table(f"{SPARQL_PREFIXES}{query} LIMIT {MAX_ROWS}", width, name, iris)

    async def _table(self, query: str, width: int, name: str, iris: Sequence[str]) -> list[Sequence[str]]:
        """What is said of resources under all names of theirs, told under one."""
        terms = [Iri(spelling) for each in iris for spelling in self._aliases.spellings(each)]
        return self._aliases.rows(await table(self._store, query, width, **{name: terms}))


class _Group(NamedTuple):
    """What was looked up for some activities, and whether there was more than may be.

    It is known to a walk when the walk comes by, so that an answer does not depend on which group was there first.
    """

    known: Known
    cut: bool


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
