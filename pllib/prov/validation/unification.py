"""Merging of statements by the key and uniqueness constraints (PROV-CONSTRAINTS 22 to 29), with the inferences that feed them.

An argument that is left out stands for something unknown (a variable) where it may be expanded, and for nothing at all
where it may not: the plan of an association, and the activity of a derivation (table 3). A variable may be unified with
anything, nothing only with nothing. Each statement is looked at again only when a variable in it was bound, so that the
whole takes little more than one look each.
"""

from __future__ import annotations

from collections import deque
from typing import Deque, Dict, Iterator, List, NamedTuple, Optional, Sequence, Set, Tuple, Union

from ..model import KINDS, Statement
from ..times import instant
from .constraints import Violation

NOTHING = "-"
"""The placeholder where it means that there is none; no IRI and no time looks like it."""
Term = Union[str, int]
"""A constant, or the number of a variable."""
UNIQUE = {
    "wasGeneratedBy": (24, 0, 1),
    "wasInvalidatedBy": (25, 0, 1),
    "wasStartedBy": (26, 0, 2),
    "wasEndedBy": (27, 0, 2),
}
"""Relations of which there is one for each pair of the arguments at two places: number of the constraint, the places."""
_ACTIVITY_TIMES = {"wasStartedBy": (28, 0, "starts"), "wasEndedBy": (29, 1, "ends")}


class Fact(NamedTuple):
    """A statement, given or inferred, with terms for its arguments; ``origin`` is the one it comes from."""

    kind: str
    id: Term
    arguments: Tuple[Term, ...]
    origin: Statement


class Terms:
    """Which variables are the same, and what they stand for."""

    def __init__(self) -> None:
        self._parents: List[int] = []
        self._values: Dict[int, str] = {}
        self._uses: Dict[int, List[int]] = {}
        self.changed: Deque[int] = deque()
        """Users of variables that have since been bound or joined."""

    def variable(self) -> int:
        self._parents.append(len(self._parents))
        return len(self._parents) - 1

    def use(self, term: Term, user: int) -> None:
        if isinstance(term, int):
            self._uses.setdefault(self._root(term), []).append(user)

    def value(self, term: Term) -> Term:
        """What a term stands for: a constant, or the one variable of those that are the same."""
        if isinstance(term, str):
            return term
        root = self._root(term)
        return self._values.get(root, root)

    def unify(self, left: Term, right: Term) -> bool:
        """Makes two terms the same; ``False`` when they are not."""
        left, right = self.value(left), self.value(right)
        if left == right:
            return True
        if isinstance(left, int):
            self._bind(left, right)
        elif isinstance(right, int):
            self._bind(right, left)
        else:
            return False
        return True

    def _bind(self, root: int, to: Term) -> None:
        if isinstance(to, int) and len(self._uses.get(root, ())) > len(self._uses.get(to, ())):
            root, to = to, root
        users = self._uses.pop(root, [])
        self.changed.extend(users)
        if isinstance(to, int):
            self._parents[root] = to
            self._uses.setdefault(to, []).extend(users)
        else:
            self._values[root] = to

    def _root(self, variable: int) -> int:
        parents = self._parents
        while parents[variable] != variable:
            parents[variable] = parents[parents[variable]]
            variable = parents[variable]
        return variable


class Instance:
    """The statements of one bundle, merged.

    Attributes:
        facts: given and inferred statements.
        terms: what their terms stand for.
        violations: of 4 and 22 to 29.
    """

    def __init__(self, statements: Sequence[Statement]) -> None:
        self.terms = Terms()
        self.facts: List[Fact] = []
        self.violations: List[Violation] = []
        self._told: Set[Tuple[int, Term]] = set()
        self._keys: Dict[Tuple[object, ...], int] = {}
        for each in statements:
            self._add(each)
        self._infer_influences()
        self._merge()

    # -- facts

    def _add(self, each: Statement) -> None:
        missing = _missing(each)
        if missing:
            text = f"{each.kind} needs its {missing}: only arguments that are optional may be left out"
            self.violations.append(Violation(4, text, (each,)))
            return
        fact = Fact(each.kind, self._or_unknown(each.id), tuple(self._arguments(each)), each)
        self.facts.append(fact)
        self.facts.extend(self._inferred(fact))

    def _or_unknown(self, value: Optional[str]) -> Term:
        return self.terms.variable() if value is None else value

    def _arguments(self, each: Statement) -> Iterator[Term]:
        kind = KINDS[each.kind]
        for index, (name, value) in enumerate(zip(kind.arguments, each.arguments)):
            if value is None:
                yield NOTHING if _is_nothing(each, name) else self.terms.variable()
            else:
                yield instant(value) if index in kind.times else value

    def _inferred(self, fact: Fact) -> Iterator[Fact]:
        """What inferences 9 to 11 say."""
        if fact.kind in ("wasStartedBy", "wasEndedBy") and isinstance(fact.arguments[1], str):
            arguments = (fact.arguments[1], fact.arguments[2], self.terms.variable())
            yield Fact("wasGeneratedBy", self.terms.variable(), arguments, fact.origin)
        if fact.kind == "wasDerivedFrom" and fact.arguments[2] != NOTHING:
            generated, used, activity, generation, usage = fact.arguments
            yield Fact("wasGeneratedBy", generation, (generated, activity, self.terms.variable()), fact.origin)
            yield Fact("used", usage, (activity, used, self.terms.variable()), fact.origin)

    def _infer_influences(self) -> None:
        """Inference 15 where it can matter: derivations and influences may share identifiers with other relations (53)."""
        relations = [each for each in self.facts if not KINDS[each.kind].element and isinstance(each.id, str)]
        general = {each.id for each in relations if each.kind in ("wasDerivedFrom", "wasInfluencedBy")}
        for each in relations:
            if each.id in general and each.kind != "wasInfluencedBy":
                self.facts.append(Fact("wasInfluencedBy", each.id, each.arguments[:2], each.origin))

    # -- merging

    def _merge(self) -> None:
        for index, fact in enumerate(self.facts):
            for term in (fact.id, *fact.arguments):
                self.terms.use(term, index)
        self._unify_times()
        queue = deque(range(len(self.facts)))
        while queue:
            self._look(queue.popleft())
            queue.extend(self.terms.changed)
            self.terms.changed.clear()

    def _unify_times(self) -> None:
        activities: Dict[Term, Fact] = {}
        for fact in self.facts:
            if fact.kind == "activity":
                first = activities.setdefault(fact.id, fact)
                if first is not fact:
                    self._unify_arguments(first, fact, 22)
        for fact in self.facts:
            number, place, does = _ACTIVITY_TIMES.get(fact.kind, (0, 0, ""))
            activity = activities.get(fact.arguments[0]) if number else None
            if activity is not None and not self.terms.unify(activity.arguments[place], fact.arguments[3]):
                text = f"two times are given at which {fact.arguments[0]} {does}"
                self._violation(number, fact.arguments[0], text, activity, fact)

    def _look(self, index: int) -> None:
        """Merges a fact with those that must be the same."""
        fact, value = self.facts[index], self.terms.value
        identifier = value(fact.id)
        if not KINDS[fact.kind].element:
            other = self._keys.setdefault((fact.kind, identifier), index)
            if other != index:
                self._unify_arguments(self.facts[other], fact, 23)
        if fact.kind in UNIQUE:
            number, first, second = UNIQUE[fact.kind]
            key = (number, value(fact.arguments[first]), value(fact.arguments[second]))
            other = self._keys.setdefault(key, index)
            if other != index and not self.terms.unify(self.facts[other].id, fact.id):
                text = f"{fact.kind} is said twice, by different identifiers, of {key[1]} and {key[2]}"
                self._violation(number, key[1], text, self.facts[other], fact)

    def _unify_arguments(self, first: Fact, fact: Fact, number: int) -> None:
        kind = KINDS[fact.kind]
        for name, left, right in zip(kind.arguments, first.arguments, fact.arguments):
            if not self.terms.unify(left, right):
                identifier = self.terms.value(fact.id)
                same = f"one {kind.name}" + (f", {identifier}," if isinstance(identifier, str) else "")
                text = f"{same} has two values of {name}: {self.terms.value(left)} and {self.terms.value(right)}"
                self._violation(number, identifier, text, first, fact)

    def _violation(self, number: int, about: Term, text: str, *facts: Fact) -> None:
        if (number, about) not in self._told:
            self._told.add((number, about))
            found = tuple(dict.fromkeys(each.origin for each in facts))
            self.violations.append(Violation(number, text, found))


def _missing(each: Statement) -> Optional[str]:
    """The name of an argument that must be given and is not."""
    kind = KINDS[each.kind]
    if kind.element:
        return None if each.id is not None else "identifier"
    given = zip(kind.arguments[: kind.required], each.arguments)
    return next((name for name, value in given if value is None), None)


def _is_nothing(each: Statement, name: str) -> bool:
    """Whether a missing argument means that there is none, rather than one that is not known."""
    if each.kind == "wasAssociatedWith":
        return name == "plan"
    return each.kind == "wasDerivedFrom" and (name == "activity" or each.arguments[2] is None)
