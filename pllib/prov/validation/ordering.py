"""The order of events (PROV-CONSTRAINTS 30 to 49): a graph in which no cycle may hold a strict edge.

All generations of an entity are at once (39), and so are its invalidations (40), the starts of an activity (31) and its
ends (32); so each is one node, and the graph is as large as the document. Times play no part: the Recommendation leaves
it to applications how clocks fit the order. Events that must be are those that inferences 7 to 13 and 21 say; of what
is nowhere said to be an entity or activity no event is inferred.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple

from ..model import Statement
from .components import components
from .constraints import Violation
from .unification import Fact, Instance, Term

Event = Tuple[str, Term]
"""What happens (``gen``, ``inv``, ``start``, ``end``, ``use``) and to what."""
STRICT = 42
_SHOWN = 20
"""Of longer cycles the first statements are reported."""


class Edge(NamedTuple):
    """``before`` precedes ``after``, by a constraint and a statement."""

    before: int
    after: int
    constraint: int
    statement: Statement


class Events:
    """The graph of events of one bundle."""

    def __init__(self, instance: Instance) -> None:
        self._instance = instance
        self._numbers: Dict[Event, int] = {}
        self._there: Set[Event] = set()
        self.edges: List[Edge] = []
        for fact in instance.facts:
            self._there.update(self._events(fact))
        self._infer_entities()
        for fact in instance.facts:
            for before, after, constraint in self._orders(fact):
                self._edge(before, after, constraint, fact.origin)

    @property
    def size(self) -> int:
        return len(self._numbers)

    def _edge(self, before: Event, after: Event, constraint: int, statement: Statement) -> None:
        # Specialisation is transitive, also by way of entities of which no event is said.
        if constraint in (45, 46) or (before in self._there and after in self._there):
            numbers = self._numbers
            start = numbers.setdefault(before, len(numbers))
            end = numbers.setdefault(after, len(numbers))
            self.edges.append(Edge(start, end, constraint, statement))

    def _events(self, fact: Fact) -> Iterator[Event]:
        """The events that a statement says or implies."""
        if fact.kind == "entity":
            yield from (("gen", fact.id), ("inv", fact.id))
        elif fact.kind == "activity":
            yield from (("start", fact.id), ("end", fact.id))
        elif fact.kind in ("wasGeneratedBy", "wasAttributedTo"):
            yield "gen", fact.arguments[0]
        elif fact.kind == "used":
            yield "use", self._instance.terms.value(fact.id)
        elif fact.kind in _ONE_EVENT:
            yield _ONE_EVENT[fact.kind], fact.arguments[0]

    def _infer_entities(self) -> None:
        """What specialises an entity is one (inference 21)."""
        below: Dict[Term, List[Term]] = {}
        for fact in self._instance.facts:
            if fact.kind in ("specializationOf", "mentionOf"):
                below.setdefault(fact.arguments[1], []).append(fact.arguments[0])
        entities = {fact.id for fact in self._instance.facts if fact.kind == "entity"} if below else set()
        waiting = deque(entities)
        while waiting:
            for each in below.get(waiting.popleft(), ()):
                if each not in entities:
                    entities.add(each)
                    waiting.append(each)
                    self._there.update((("gen", each), ("inv", each)))

    def _orders(self, fact: Fact) -> Iterator[Tuple[Event, Event, int]]:
        """What a statement says of the order of events; those that do not happen are sorted out by the caller."""
        one = fact.arguments[0] if fact.arguments else fact.id
        other = fact.arguments[1] if len(fact.arguments) > 1 else one
        kind = fact.kind
        if kind == "entity":
            yield ("gen", fact.id), ("inv", fact.id), 36
        elif kind == "activity":
            yield ("start", fact.id), ("end", fact.id), 30
        elif kind == "wasGeneratedBy":
            activity = self._instance.terms.value(other)
            yield from (
                (("start", activity), ("gen", one), 34),
                (("gen", one), ("end", activity), 34),
                (("gen", one), ("inv", one), 36),
            )
        elif kind == "used":
            yield from self._usage(fact)
        elif kind in _MORE:
            yield from _MORE[kind](fact, one, self._instance.terms.value(other))

    def _usage(self, fact: Fact) -> Iterator[Tuple[Event, Event, int]]:
        value = self._instance.terms.value
        use, activity, entity = ("use", value(fact.id)), value(fact.arguments[0]), value(fact.arguments[1])
        yield ("start", activity), use, 33
        yield use, ("end", activity), 33
        yield ("gen", entity), use, 37
        yield use, ("inv", entity), 38
        if fact.origin.kind == "wasDerivedFrom" and fact.origin.arguments[0] is not None:
            yield use, ("gen", fact.origin.arguments[0]), 41


Orders = Iterator[Tuple[Event, Event, int]]
_ONE_EVENT = {"wasInvalidatedBy": "inv", "wasStartedBy": "start", "wasEndedBy": "end"}


def _started(fact: Fact, activity: Term, trigger: Term) -> Orders:
    event, constraint = ("start", 43) if fact.kind == "wasStartedBy" else ("end", 44)
    yield ("gen", trigger), (event, activity), constraint
    yield (event, activity), ("inv", trigger), constraint
    yield ("start", activity), ("end", activity), 30


def _invalidated(fact: Fact, entity: Term, _: Term) -> Orders:
    yield ("gen", entity), ("inv", entity), 36


def _informed(fact: Fact, informed: Term, informant: Term) -> Orders:
    yield ("start", informant), ("end", informed), 35


def _derived(fact: Fact, generated: Term, used: Term) -> Orders:
    yield ("gen", used), ("gen", generated), STRICT


def _specialised(fact: Fact, specific: Term, general: Term) -> Orders:
    yield ("gen", general), ("gen", specific), 45
    yield ("inv", specific), ("inv", general), 46


def _associated(fact: Fact, activity: Term, agent: Term) -> Orders:
    yield ("start", activity), ("inv", agent), 47
    yield ("gen", agent), ("end", activity), 47
    yield ("start", activity), ("end", agent), 47
    yield ("start", agent), ("end", activity), 47


def _attributed(fact: Fact, entity: Term, agent: Term) -> Orders:
    yield ("gen", agent), ("gen", entity), 48
    yield ("start", agent), ("gen", entity), 48


def _delegated(fact: Fact, delegate: Term, responsible: Term) -> Orders:
    yield ("gen", responsible), ("inv", delegate), 49
    yield ("start", responsible), ("end", delegate), 49
    activity = fact.origin.arguments[2]
    if activity is not None:  # inference 14: both are associated with it
        yield from _associated(fact, activity, delegate)
        yield from _associated(fact, activity, responsible)


_MORE = {
    "wasStartedBy": _started,
    "wasEndedBy": _started,
    "wasInvalidatedBy": _invalidated,
    "wasInformedBy": _informed,
    "wasDerivedFrom": _derived,
    "specializationOf": _specialised,
    "mentionOf": _specialised,
    "wasAssociatedWith": _associated,
    "wasAttributedTo": _attributed,
    "actedOnBehalfOf": _delegated,
}


def order_violations(instance: Instance) -> List[Violation]:
    """One violation for each knot of events that would have to be before themselves."""
    events = Events(instance)
    strict = [each for each in events.edges if each.constraint == STRICT]
    if not strict:
        return []
    leaving: List[List[Edge]] = [[] for _ in range(events.size)]
    for edge in events.edges:
        leaving[edge.before].append(edge)
    found = components([[edge.after for edge in edges] for edges in leaving])
    knots = {found[each.before]: each for each in reversed(strict) if found[each.before] == found[each.after]}
    return [_cycle(edge, leaving, found) for edge in knots.values()]


def _cycle(strict: Edge, leaving: Sequence[Sequence[Edge]], found: Sequence[int]) -> Violation:
    """A shortest way back from the end of a strict edge to its beginning, as a violation."""
    came: Dict[int, Optional[Edge]] = {strict.after: None}
    waiting: Deque[int] = deque([strict.after])
    while waiting and strict.before not in came:
        for edge in leaving[waiting.popleft()]:
            if edge.after not in came and found[edge.after] == found[strict.before]:
                came[edge.after] = edge
                waiting.append(edge.after)
    way = [strict]
    step = came.get(strict.before)
    while step is not None:
        way.append(step)
        step = came[step.before]
    statements = tuple(dict.fromkeys(each.statement for each in way))
    by = ", ".join(map(str, sorted({each.constraint for each in way})))
    shown = f"; {_SHOWN} of {len(statements)} statements are shown" if len(statements) > _SHOWN else ""
    entity = strict.statement.arguments[0]
    text = f"{entity} would have to be generated before it was generated (a cycle by constraints {by}{shown})"
    return Violation(STRICT, text, statements[:_SHOWN])
