"""What a retrospective graph says against PROV-CONSTRAINTS (https://www.w3.org/TR/prov-constraints/), named by its numbers.

Checked: 28 and 29 (one begin, one end), 30 (begin before end), 33 with 34 and 37 (nothing is used before the activity that
generates it began), 34 (a generation's time), 35 (communication), 39 (one generation), 42 (derivation goes one way), 45
(what is general is there before what is specific), 50 (typing; plans are no activities), 52 (specialization) and 55 (no
entity is an activity). Uses and generations have no times of their own in the graph, so an ordering is violated where no
times inside their activities would satisfy it.

Two generations are stricter here than in the Recommendation, which allows them at one instant. Only a reference to data whose state
nobody saw may have several: what is found on those are warnings.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from typing import NamedTuple

import pyoxigraph
from rdflib import OWL, RDFS, Graph
from rdflib import RDF as RDF_NS

from manager.ontology import graph as vocabulary
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PROV, PROVLAKE, RDF

Links = dict[str, list[str]]

ENTITY, ACTIVITY, AGENT, PLAN = "entity", "activity", "agent", "plan"
_BOTH = {ENTITY, ACTIVITY}
_ENDS = {
    "used": (ACTIVITY, ENTITY),
    "wasGeneratedBy": (ENTITY, ACTIVITY),
    "wasInformedBy": (ACTIVITY, ACTIVITY),
    "wasAssociatedWith": (ACTIVITY, AGENT),
    "wasDerivedFrom": (ENTITY, ENTITY),
    "specializationOf": (ENTITY, ENTITY),
    "hadMember": (ENTITY, ENTITY),
    "startedAtTime": (ACTIVITY, ""),
    "endedAtTime": (ACTIVITY, ""),
}
"""Typing that relations imply (constraint 50): of the subject and of the object."""
_OF_WHAT_HAPPENED = ("used", "wasGeneratedBy", "wasInformedBy", "wasAssociatedWith")
_BUILT_IN = {
    PROV + "Entity": {ENTITY}, PROV + "Collection": {ENTITY}, PROV + "Plan": {ENTITY, PLAN}, PROV + "Activity": {ACTIVITY},
    PROV + "Agent": {AGENT}, PROV + "Person": {AGENT}, PROV + "SoftwareAgent": {AGENT}, PROV + "Organization": {AGENT},
    PROVLAKE + "Attribute": {ENTITY, PLAN},
}  # fmt: skip


class Findings(NamedTuple):
    """What is wrong, and what only may be."""

    violations: list[str]
    warnings: list[str]


def violations(graph: Graph | Iterable[str], base: str = DEFAULT_BASE) -> list[str]:
    """One line a violation, beginning with the number of the constraint and naming the nodes; none for a good graph.

    Args:
        graph: an rdflib graph, or lines of N-Triples.
        base: beginning of the IRIs of plans.
    """
    return check(graph, base).violations


def warnings(graph: Graph | Iterable[str], base: str = DEFAULT_BASE) -> list[str]:
    """The same of what concerns references to data whose state is unknown, which may have several generations."""
    return check(graph, base).warnings


def check(graph: Graph | Iterable[str], base: str = DEFAULT_BASE) -> Findings:
    """Both; in time linear in the size of the graph."""
    facts = _Facts(graph)
    found = Findings([*_typing(facts, base), *_intervals(facts), *_uses(facts), *_communication(facts)], [])
    found.violations.extend(_cycles(facts.links["wasDerivedFrom"], "42", "is derived from itself"))
    found.violations.extend(_cycles(facts.links["specializationOf"], "52", "is a specialization of itself"))
    for node, told in (*_generations(facts), *_specializations(facts)):
        (found.warnings if facts.is_bare_reference(node) else found.violations).append(told)
    return found


class _Facts:
    """The graph by relation, and what can be looked up of a node."""

    def __init__(self, graph: Graph | Iterable[str]) -> None:
        self.links: dict[str, Links] = defaultdict(lambda: defaultdict(list))
        self.types: Links = defaultdict(list)
        self.versioned: set[str] = set()
        for subject, predicate, value in _triples(graph):
            if predicate.startswith(PROV):
                timed = predicate.endswith("AtTime")
                self.links[predicate[len(PROV) :]][subject].append(_six_digits(value) if timed else value)
            elif predicate == RDF + "type":
                self.types[subject].append(value)
            elif predicate == PROVLAKE + "version":
                self.versioned.add(subject)

    def is_bare_reference(self, node: str) -> bool:
        return PROVLAKE + "DataReference" in self.types.get(node, ()) and node not in self.versioned

    def begin(self, activity: str) -> str:
        return min(self.links["startedAtTime"].get(activity, ()), default="")

    def end(self, activity: str) -> str:
        return max(self.links["endedAtTime"].get(activity, ()), default="")


def _triples(graph: Graph | Iterable[str]) -> Iterator[tuple[str, str, str]]:
    if isinstance(graph, Graph):
        yield from ((str(subject), str(predicate), str(value)) for subject, predicate, value in graph)
        return
    text = "\n".join(line.rstrip("\n") for line in graph)
    for quad in pyoxigraph.parse(text, pyoxigraph.RdfFormat.N_TRIPLES):
        value = quad.object
        yield str(quad.subject)[1:-1], quad.predicate.value, getattr(value, "value", str(value))


def _six_digits(time: str) -> str:
    """A time in UTC with all its microseconds, so that times compare as text; stores leave out zeros at the end."""
    whole, _, fraction = time.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<6}Z" if time.endswith("Z") else time


def _after(earlier: str, later: str) -> bool:
    """Whether a time is after one that it must not be after."""
    return bool(earlier and later) and earlier > later


# -- typing


@cache
def _kinds() -> dict[str, set[str]]:
    """Every class of the vocabulary, to what its instances are by PROV-O."""
    ontology = vocabulary("ontology")
    kinds = {name: set(found) for name, found in _BUILT_IN.items()}
    for subject in ontology.subjects(RDF_NS.type, OWL.Class):
        above = ontology.transitive_objects(subject, RDFS.subClassOf)
        kinds[str(subject)] = {kind for one in above for kind in _BUILT_IN.get(str(one), ())}
    return kinds


def _kinds_of_nodes(facts: _Facts) -> dict[str, set[str]]:
    kinds: dict[str, set[str]] = defaultdict(set)
    for node, classes in facts.types.items():
        for name in classes:
            kinds[node] |= _kinds().get(name, set())
    for relation, (of_subject, of_object) in _ENDS.items():
        for subject, values in facts.links[relation].items():
            kinds[subject].add(of_subject)
            for value in values if of_object else ():
                kinds[value].add(of_object)
    return kinds


def _typing(facts: _Facts, base: str) -> Iterator[str]:
    kinds = _kinds_of_nodes(facts)
    yield from (f"55 entity-activity-disjoint: {node} is both" for node, found in kinds.items() if found >= _BOTH)
    planned = {node for node, found in kinds.items() if PLAN in found}
    planned |= {node for node in kinds if node.startswith((base + "workflow/", base + "study/"))}
    for relation in _OF_WHAT_HAPPENED:
        for subject, values in facts.links[relation].items():
            for node in planned.intersection((subject, *values)):
                yield f"50 typing: {node} was planned, so prov:{relation} says nothing of it ({subject})"


# -- times


def _intervals(facts: _Facts) -> Iterator[str]:
    for number, relation, word in (("28", "startedAtTime", "begins"), ("29", "endedAtTime", "ends")):
        for activity, times in facts.links[relation].items():
            if len(set(times)) > 1:
                yield f"{number} unique-{relation}: {activity} {word} at {' and '.join(sorted(set(times)))}"
    for activity in facts.links["startedAtTime"]:
        if _after(facts.begin(activity), facts.end(activity)):
            yield f"30 start-precedes-end: {activity} begins {facts.begin(activity)}, ends {facts.end(activity)}"


def _uses(facts: _Facts) -> Iterator[str]:
    generated = facts.links["wasGeneratedBy"]
    for activity, entities in facts.links["used"].items():
        for entity in entities:
            makers = generated.get(entity, [])
            # With several generations any of them may be the one that was before the use.
            if makers and all(_after(facts.begin(maker), facts.end(activity)) for maker in makers):
                yield f"37 generation-precedes-usage: {activity} used {entity} before {makers[0]} began"
    for entity, times in facts.links["generatedAtTime"].items():
        for maker in generated.get(entity, []):
            if any(_after(facts.begin(maker), time) or _after(time, facts.end(maker)) for time in times):
                yield f"34 generation-within-activity: {entity} was generated outside of {maker}"


def _communication(facts: _Facts) -> Iterator[str]:
    for informed, informants in facts.links["wasInformedBy"].items():
        for informant in informants:
            if _after(facts.begin(informant), facts.end(informed)):
                yield f"35 wasInformedBy-ordering: {informed} ended before {informant} began"


# -- entities


def _generations(facts: _Facts) -> Iterator[tuple[str, str]]:
    for entity, makers in facts.links["wasGeneratedBy"].items():
        if len(set(makers)) > 1:
            yield entity, f"39 generation-generation-ordering: {entity} by {' and '.join(sorted(set(makers)))}"


def _specializations(facts: _Facts) -> Iterator[tuple[str, str]]:
    """Breaches of 45, with the general entity."""
    generated = facts.links["wasGeneratedBy"]
    for specific, generals in facts.links["specializationOf"].items():
        latest = max((facts.end(maker) for maker in generated.get(specific, ())), default="")
        for general in generals:
            if any(_after(facts.begin(maker), latest) for maker in generated.get(general, ())):
                yield general, f"45 specialization-generation-ordering: {specific} is older than {general}"


def _cycles(links: Links, number: str, what: str) -> list[str]:
    """Nodes that lead back to themselves: what is left when nodes that lead nowhere are taken away again and again."""
    waiting = {node: len(set(values)) for node, values in links.items()}
    back: Links = defaultdict(list)
    for node, values in links.items():
        for value in set(values):
            back[value].append(node)
    ready = [value for value in back if value not in waiting]
    while ready:
        for node in back.get(ready.pop(), ()):
            waiting[node] -= 1
            if not waiting[node]:
                ready.append(node)
    # Nodes that only lead to a cycle are left as well; those of the cycle itself are enough to find it.
    left = {node for node, count in waiting.items() if count}
    return [f"{number} irreflexivity: {node} {what}" for node in sorted(left) if left.intersection(back.get(node, ()))]
