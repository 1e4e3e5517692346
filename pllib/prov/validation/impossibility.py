"""What no instance may say (PROV-CONSTRAINTS 51 to 56), with the types that statements imply (50)."""

from __future__ import annotations

from typing import Dict, Iterator, List, Optional, Tuple

from ...provml.vocabulary import PROV
from ..model import KINDS, Ref, Statement
from .components import components
from .constraints import Violation
from .unification import Instance

_EMPTY = (PROV + "type", Ref(PROV + "EmptyCollection"))
_DISJOINT = frozenset(
    (
        "used",
        "wasGeneratedBy",
        "wasInvalidatedBy",
        "wasStartedBy",
        "wasEndedBy",
        "wasInformedBy",
        "wasAttributedTo",
        "wasAssociatedWith",
        "actedOnBehalfOf",
    )
)
"""No two of these may share an identifier. An influence may: it says the same of a relation in general."""
_ROLES: Dict[str, Tuple[Optional[str], ...]] = {
    "wasGeneratedBy": ("entity", "activity", None),
    "used": ("activity", "entity", None),
    "wasInformedBy": ("activity", "activity"),
    "wasStartedBy": ("activity", "entity", "activity", None),
    "wasEndedBy": ("activity", "entity", "activity", None),
    "wasInvalidatedBy": ("entity", "activity", None),
    "wasDerivedFrom": ("entity", "entity", "activity", None, None),
    "wasAttributedTo": ("entity", None),
    "wasAssociatedWith": ("activity", None, "entity"),
    "actedOnBehalfOf": (None, None, "activity"),
    "specializationOf": ("entity", "entity"),
    "alternateOf": ("entity", "entity"),
    "hadMember": ("entity", "entity"),
    "mentionOf": ("entity", "entity", None),
}
"""What the arguments are (50), as far as it can clash: an agent may be an entity or an activity as well."""


def impossible(instance: Instance) -> Iterator[Violation]:
    """All violations of 51 to 56."""
    given = list(dict.fromkeys(fact.origin for fact in instance.facts))
    yield from _derivations(given)
    yield from _specialisations(given)
    yield from _shared_identifiers(given)
    yield from _clashing_types(given)
    yield from _empty_collections(given)


def _derivations(given: List[Statement]) -> Iterator[Violation]:
    for each in given:
        if each.kind == "wasDerivedFrom" and each.arguments[2] is None and any(each.arguments[3:]):
            text = "a derivation names a generation or usage, but no activity that they belong to"
            yield Violation(51, text, (each,))


def _specialisations(given: List[Statement]) -> Iterator[Violation]:
    """Entities that, specialisation being transitive (19), specialise themselves; one violation a knot."""
    numbers: Dict[Optional[str], int] = {}
    edges: List[Tuple[int, int, Statement]] = []
    for each in given:
        if each.kind in ("specializationOf", "mentionOf"):
            one, other = (numbers.setdefault(name, len(numbers)) for name in each.arguments[:2])
            edges.append((one, other, each))
    successors: List[List[int]] = [[] for _ in numbers]
    for one, other, _ in edges:
        successors[one].append(other)
    found = components(successors)
    knots: Dict[int, List[Statement]] = {}
    for one, other, each in edges:
        if found[one] == found[other]:
            knots.setdefault(found[one], []).append(each)
    for statements in knots.values():
        text = f"{statements[0].arguments[0]} specialises itself"
        yield Violation(52, text, tuple(statements[:20]))


def _shared_identifiers(given: List[Statement]) -> Iterator[Violation]:
    by_id: Dict[str, Dict[str, Statement]] = {}
    for each in given:
        if each.id is not None:
            by_id.setdefault(each.id, {}).setdefault(each.kind, each)
    for identifier, kinds in by_id.items():
        if len(kinds) < 2:
            continue
        relations = [each for name, each in kinds.items() if not KINDS[name].element]
        elements = [each for name, each in kinds.items() if KINDS[name].element]
        disjoint = [each for each in relations if each.kind in _DISJOINT]
        if len(disjoint) > 1:
            names = " and ".join(each.kind for each in disjoint)
            yield Violation(53, f"{identifier} identifies both {names}", tuple(disjoint))
        if elements and relations:
            text = f"{identifier} identifies both {elements[0].kind} and {relations[0].kind}"
            yield Violation(54, text, (*elements, *relations))


def _clashing_types(given: List[Statement]) -> Iterator[Violation]:
    said: Dict[str, Dict[str, Statement]] = {"entity": {}, "activity": {}}
    for each in given:
        if each.kind in said and each.id is not None:
            said[each.kind].setdefault(each.id, each)
        for name, type_ in zip(each.arguments, _ROLES.get(each.kind, ())):
            if name is not None and type_ is not None:
                said[type_].setdefault(name, each)
    for name, entity in said["entity"].items():
        activity = said["activity"].get(name)
        if activity is not None:
            text = f"{name} is an entity and an activity"
            yield Violation(55, text, tuple(dict.fromkeys((entity, activity))))


def _empty_collections(given: List[Statement]) -> Iterator[Violation]:
    empty = {each.id: each for each in given if each.kind == "entity" and _EMPTY in each.attributes}
    told = set()
    for each in given:
        collection = each.arguments[0] if each.kind == "hadMember" else None
        if collection in empty and collection not in told:
            told.add(collection)
            yield Violation(56, f"{collection} is an empty collection that has a member", (empty[collection], each))
