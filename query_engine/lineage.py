"""Lineage: which activities and values are behind a resource, or came of it. Pure; ``docs/reference/identity.md`` is its law.

:class:`Known` holds the statements of the graph that have been looked up, :func:`origin` says what one use may have
come from, and :class:`Walk` goes from activity to activity, level by level, and tells which it must know next.

Edges have PROV's direction (from what is later to what is earlier) whichever way the walk goes.
"""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Iterable, Iterator, Literal, NamedTuple, Optional

Direction = Literal["backward", "forward"]
Kind = Literal["activity", "entity"]

USED, GENERATED, INFORMED = "used", "wasGeneratedBy", "wasInformedBy"
DERIVED = "wasDerivedFrom"
SPECIALIZATION, PART, MEMBER = "specializationOf", "isPartOf", "hadMember"


class Ids(defaultdict[str, dict[str, None]]):
    """A relation: IRI to IRIs, each once, in the order they were added."""

    def __init__(self) -> None:
        super().__init__(dict)

    def add(self, subject: str, target: str) -> None:
        self[subject][target] = None

    def take(self, other: Ids) -> None:
        """Adds all of another relation, which is not used any more."""
        for subject, targets in other.items():
            if subject in self:
                self[subject].update(targets)
            else:
                self[subject] = targets

    def of(self, subject: str) -> Iterable[str]:
        """What ``subject`` is related to; nothing is added by asking."""
        return self.get(subject, _NONE)


MAX_CANDIDATES = 100
MAX_AMBIGUOUS = 1000

_NONE: dict[str, None] = {}


class Said:
    """What the graph says of resources themselves: their classes and facts, as cells of tables (:mod:`query_engine.tables`).

    Attributes:
        types: cells of the classes of each resource that was looked up, perhaps none.
        facts: property to resource to cell; of several the first in order of text, of ``LAST`` the last.
    """

    __slots__ = ("facts", "types")
    LAST = "ended"

    def __init__(self) -> None:
        self.types: dict[str, tuple[str, ...]] = {}
        self.facts: defaultdict[str, dict[str, str]] = defaultdict(dict)

    def is_a(self, resource: str, cell: str) -> None:
        """Adds a class."""
        types = self.types.get(resource, ())
        if cell not in types:
            self.types[resource] = (*types, cell)

    def add(self, property_: str, resource: str, cell: str) -> None:
        """Adds a fact."""
        known = self.facts[property_]
        before = known.get(resource)
        if before is None or (cell > before) == (property_ == self.LAST):
            known[resource] = cell

    def take(self, other: Said) -> None:
        """Adds what was said elsewhere, of any resource all of it."""
        self.types.update(other.types)
        for property_, cells in other.facts.items():
            self.facts[property_].update(cells)


@dataclass(slots=True)
class Known:
    """Statements about activities and entities, by full IRI; they only add up."""

    used: Ids = field(default_factory=Ids)
    users: Ids = field(default_factory=Ids)
    generators: Ids = field(default_factory=Ids)
    generated: Ids = field(default_factory=Ids)
    informants: Ids = field(default_factory=Ids)
    informed: Ids = field(default_factory=Ids)
    sources: Ids = field(default_factory=Ids)
    derived: Ids = field(default_factory=Ids)
    general: Ids = field(default_factory=Ids)
    special: Ids = field(default_factory=Ids)
    references: set[str] = field(default_factory=set)
    """Data references, not states: whoever uses or generates one has seen no state."""
    unseen: set[str] = field(default_factory=set)
    """States of data that somebody wrote and nobody saw; they have no version."""
    said: Said = field(default_factory=Said)
    """What was learnt of activities and entities by the way."""

    def add_use(self, activity: str, entity: str) -> None:
        self.used.add(activity, entity)
        self.users.add(entity, activity)

    def add_generation(self, entity: str, activity: str) -> None:
        self.generators.add(entity, activity)
        self.generated.add(activity, entity)

    def add_information(self, activity: str, informant: str) -> None:
        self.informants.add(activity, informant)
        self.informed.add(informant, activity)

    def add_derivation(self, entity: str, source: str) -> None:
        self.sources.add(entity, source)
        self.derived.add(source, entity)

    def add_specialization(self, special: str, general: str) -> None:
        self.general.add(special, general)
        self.special.add(general, special)

    def take(self, other: Known) -> None:
        """Adds what became known elsewhere, which is not used any more."""
        for relation in _RELATIONS:
            getattr(self, relation).take(getattr(other, relation))
        self.references |= other.references
        self.unseen |= other.unseen
        self.said.take(other.said)

    def only_generator(self, entity: str) -> Optional[str]:
        """The activity that generated a state of something, where there is but one: who used it used what that made."""
        generators = self.generators.get(entity, _NONE)
        if len(generators) != 1 or entity in self.references or entity in self.special:
            return None
        (generator,) = generators
        return generator


_RELATIONS = tuple(each.name for each in fields(Known) if each.default_factory is Ids)


class Source(NamedTuple):
    """A generation that a use may mean: the entity and the activity that generated it."""

    entity: str
    activity: str


class Origin(NamedTuple):
    """What is known of where a used entity came from.

    Attributes:
        sources: the generations to follow.
        certain: whether that is what the graph says, rather than the only thing it can mean.
        candidates: several generations of which one was meant, nobody knows which; none is followed. At most
            :data:`MAX_CANDIDATES`.
    """

    sources: tuple[Source, ...] = ()
    certain: bool = True
    candidates: tuple[Source, ...] = ()


def origin(known: Known, user: Optional[str], entity: str) -> Origin:
    """Where an entity that ``user`` used came from (identity rules 2, 5 and 7).

    What an activity generates itself cannot be what it used, so ``user`` is never among the answers.
    """
    own = tuple([Source(entity, each) for each in known.generators.of(entity) if each != user][:MAX_CANDIDATES])
    stateless = entity in known.references or entity in known.special
    if own and not stateless:
        return Origin(own)
    others = known.special.of(entity) if stateless else _unseen(known, entity)
    loose = (*own, *islice(_sources(known, others, user), MAX_CANDIDATES - len(own)))
    if len({source.activity for source in loose}) > 1:
        return Origin(candidates=loose)
    return Origin(loose, certain=False)


def _unseen(known: Known, state: str) -> Iterator[str]:
    """The forms of the same data that may be a state, though nobody saw it: the reference itself, and unseen states."""
    for reference in known.general.of(state):
        yield reference
        yield from (other for other in known.special.of(reference) if other in known.unseen and other != state)


def _sources(known: Known, entities: Iterable[str], user: Optional[str]) -> Iterator[Source]:
    return (Source(e, a) for e in entities for a in known.generators.of(e) if a != user)


Edge = tuple[str, str, str]
"""A PROV statement between two resources of the answer: where it starts and ends, and the relation."""


@dataclass(frozen=True, slots=True)
class Ambiguity:
    """A link that was not followed, since it may mean any of the candidates."""

    entity: str
    user: Optional[str]
    candidates: tuple[Source, ...]


@dataclass(slots=True)
class Lineage:
    """The answer.

    Attributes:
        depths: every resource, with its number of steps from the start; an activity counts as one step, and what it
            used (backward) or generated (forward) is one step further.
        kinds: whether it is an activity or an entity.
        edges: each with whether it is certain.
        ambiguous: links not followed.
        truncated: whether there is more than the limits let through.
    """

    depths: dict[str, int] = field(default_factory=dict)
    kinds: dict[str, Kind] = field(default_factory=dict)
    edges: dict[Edge, bool] = field(default_factory=dict)
    ambiguous: dict[tuple[Optional[str], str], Ambiguity] = field(default_factory=dict)
    truncated: bool = False

    def node(self, iri: str, kind: Kind, depth: int) -> bool:
        """Adds a resource; whether it is new. The first depth is the least, since the walk goes level by level."""
        if iri in self.depths:
            return False
        self.depths[iri], self.kinds[iri] = depth, kind
        return True

    def edge(self, start: str, end: str, relation: str, certain: bool = True) -> None:
        """Adds an edge; one that is certain for any reason is certain."""
        edge = start, end, relation
        if not self.edges.setdefault(edge, certain) and certain:
            self.edges[edge] = True


class Walk:
    """Goes through the graph in one direction, a level of activities at a time.

    While :attr:`frontier` is not empty, make known what is around each of it (:attr:`known`) and call :meth:`advance`.

    Args:
        depth: resources further away than so many steps are left out; ``None`` goes to the end.
        limit: edges after which the walk stops, with ``truncated`` set.
    """

    def __init__(self, direction: Direction, depth: Optional[int] = None, limit: int = 200_000) -> None:
        self.known = Known()
        self.answer = Lineage()
        self.frontier: list[str] = []
        self._next: list[str] = []
        self._direction, self._depth, self._limit = direction, depth, limit

    def start_activity(self, activity: str, depth: int = 0) -> None:
        """Begins at an activity."""
        if self._within(depth) and self.answer.node(activity, "activity", depth):
            self.frontier.append(activity)

    def start_source(self, source: Source, certain: bool = True) -> None:
        """Begins, backward, at the activity that generated a start entity."""
        if self._within(1):
            self.start_activity(source.activity, 1)
            self.answer.edge(source.entity, source.activity, GENERATED, certain)

    def start_entity(self, entity: str) -> None:
        """Begins at an entity: backward at its generation, forward at its uses; its surroundings must be known."""
        self.answer.node(entity, "entity", 0)
        before = len(self.frontier)
        if self._direction == "backward":
            self._follow(None, entity, 1)
        else:
            self._follow_uses(None, entity, 1)
        self.frontier[before:], self._next = self._next, []

    def advance(self) -> None:
        """Takes the frontier in, and makes what it leads to the new frontier."""
        frontier, self._next = self.frontier, []
        step = self._backward if self._direction == "backward" else self._forward
        for activity in frontier:
            if len(self.answer.edges) >= self._limit:
                self.answer.truncated = True
                self._next = []
                break
            step(activity, self.answer.depths[activity] + 1)
        self.frontier = self._next

    # -- one activity -------------------------------------------------------------------------------------------------

    def _backward(self, activity: str, depth: int) -> None:
        if not self._within(depth):
            return
        known, answer, edges = self.known, self.answer, self.answer.edges
        for entity in known.used.of(activity):
            answer.node(entity, "entity", depth)
            edges[activity, entity, USED] = True
            generator = known.only_generator(entity)
            if generator is None or generator == activity or entity in known.sources:
                self._follow(activity, entity, depth)
            else:  # what origin() says of most values, in a fourth of the time
                edges[entity, generator, GENERATED] = True
                if generator not in answer.depths:
                    self._reach(generator, depth)
        for informant in self.known.informants.of(activity):
            self._reach(informant, depth)
            self.answer.edge(activity, informant, INFORMED)

    def _forward(self, activity: str, depth: int) -> None:
        if not self._within(depth):
            return
        for entity in self.known.generated.of(activity):
            self.answer.node(entity, "entity", depth)
            self.answer.edge(entity, activity, GENERATED, entity not in self.known.references)
            self._follow_uses(activity, entity, depth)
        for informed in self.known.informed.of(activity):
            self._reach(informed, depth)
            self.answer.edge(informed, activity, INFORMED)

    # -- one entity ---------------------------------------------------------------------------------------------------

    def _follow(self, user: Optional[str], entity: str, depth: int) -> None:
        """From a used entity to the activity that generated it, and to what it was derived from."""
        self._follow_generation(user, entity, depth)
        if entity in self.known.sources:
            for source, steps in self._derivations(entity, self.known.sources):
                self._follow_generation(None, source, steps)

    def _derivations(self, entity: str, related: Ids) -> Iterator[tuple[str, int]]:
        """Entities that derivations lead to, each once, with its depth; a derivation is one step."""
        waiting = deque([entity])
        while waiting:
            current = waiting.popleft()
            depth = self.answer.depths[current] + 1
            if not self._within(depth):
                continue
            if len(self.answer.edges) >= self._limit:
                self.answer.truncated = True
                return
            for other in related.of(current):
                later, earlier = (current, other) if related is self.known.sources else (other, current)
                self.answer.edge(later, earlier, DERIVED)
                if self.answer.node(other, "entity", depth):
                    waiting.append(other)
                    yield other, depth

    def _follow_generation(self, user: Optional[str], entity: str, depth: int) -> None:
        found = origin(self.known, user, entity)
        if found.candidates:
            self._note(user, entity, found)
        if not self._within(depth):
            return
        for source in found.sources:
            if source.entity != entity:
                self._join(entity, source.entity, depth, found.certain)
            self._reach(source.activity, depth)
            self.answer.edge(source.entity, source.activity, GENERATED, found.certain)

    def _follow_uses(self, activity: Optional[str], entity: str, depth: int) -> None:
        """From an entity that ``activity`` generated (``None``: a start) to what used it, and used what derived from it."""
        self._follow_own_uses(activity, entity, depth)
        if entity in self.known.derived:
            for derived, steps in self._derivations(entity, self.known.derived):
                self._follow_own_uses(None, derived, steps)

    def _follow_own_uses(self, activity: Optional[str], entity: str, depth: int) -> None:
        for used in self._usable(entity):
            for user in self.known.users.of(used):
                if user != activity:
                    self._follow_use(user, used, Source(entity, activity) if activity else None, entity, depth)

    def _usable(self, entity: str) -> Iterable[str]:
        """What may be used in place of an entity: itself, what it is a special case of, states where itself is unseen."""
        general = self.known.general.of(entity)
        yield from (entity, *general)
        if entity in self.known.references:
            yield from self.known.special.of(entity)
        elif entity in self.known.unseen:
            yield from (state for each in general for state in self.known.special.of(each) if state != entity)

    def _follow_use(self, user: str, used: str, source: Optional[Source], entity: str, depth: int) -> None:
        found = origin(self.known, user, used)
        if source is None:  # a start that is used is used, whoever generated it; its other forms only if they mean it
            certain = used == entity
            meant = certain or any(each.entity == entity for each in found.sources)
        else:
            meant, certain = source in found.sources, found.certain
        if not meant:
            self._note(user, used, found)
        if meant and self._within(depth):
            self._join(used, entity, depth, certain)
            self._reach(user, depth)
            self.answer.edge(user, used, USED)

    def _join(self, used: str, generated: str, depth: int, certain: bool) -> None:
        """The edge between what was used and what was generated, where these are two nodes."""
        if used == generated:
            return
        for entity in (used, generated):
            self.answer.node(entity, "entity", depth)
        special, general = (used, generated) if generated in self.known.general.of(used) else (generated, used)
        self.answer.edge(special, general, SPECIALIZATION, certain)

    def _note(self, user: Optional[str], entity: str, found: Origin) -> None:
        if not found.candidates:
            return
        if len(self.answer.ambiguous) >= MAX_AMBIGUOUS:
            self.answer.truncated = True
        else:
            self.answer.ambiguous.setdefault((user, entity), Ambiguity(entity, user, found.candidates))

    def _reach(self, activity: str, depth: int) -> None:
        if self.answer.node(activity, "activity", depth):
            self._next.append(activity)

    def _within(self, depth: int) -> bool:
        return self._depth is None or depth <= self._depth
