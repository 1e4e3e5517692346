"""What the store is asked about activities, all at once, and how its rows become known. Pure.

A row says one thing: ``?n`` is the number of the activity, ``?e`` an entity that it used (or generated), ``?p`` and ``?o`` a
property of that entity and its object, or of the activity where there is no entity. All properties of a resource are
beside each other in a store's index, so this is one place to go to for each resource, where a pattern for each property
is as many; and numbers are fewer bytes to find, send and read than IRIs.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pllib.provml.vocabulary import RDF, expand
from query_engine.lineage import Direction, Known
from query_engine.tables import iri

WIDTH = 4


def _any_of(variable: str, *properties: str) -> str:
    return " || ".join(f"sameTerm({variable}, {each})" for each in properties)


_OF_ACTIVITY = _any_of(
    "?p",
    *("rdf:type", "prov:startedAtTime", "prov:endedAtTime", "provlake:duration", "provlake:status"),
    "prov:wasInformedBy",
)
_OF_ENTITY = _any_of("?q", "rdf:type", "prov:value", "prov:specializationOf", "provlake:key", "prov:wasGeneratedBy")
# What most entities have goes by a digit.
_SHORT = "BIND(IF(sameTerm(?q, prov:value), 1, IF(sameTerm(?q, prov:wasGeneratedBy), 2, ?q)) AS ?p)"
AROUND: dict[Direction, str] = {
    "backward": f"""
SELECT ?n ?e ?p ?o WHERE {{
  {{ VALUES (?a ?n) {{}} ?a prov:used ?e OPTIONAL {{ ?e ?q ?o FILTER({_OF_ENTITY}) }} {_SHORT} }}
  UNION {{ VALUES (?a ?n) {{}} ?a ?p ?o FILTER({_OF_ACTIVITY}) }}
}}""",
    "forward": f"""
SELECT ?n ?e ?p ?o WHERE {{
  {{ VALUES (?a ?n) {{}} ?e prov:wasGeneratedBy ?a OPTIONAL {{ ?e ?q ?o FILTER({_OF_ENTITY}) }} {_SHORT} }}
  UNION {{ VALUES (?a ?n) {{}} ?e prov:wasGeneratedBy ?a . ?o prov:used ?e BIND(prov:used AS ?p) }}
  UNION {{ VALUES (?a ?n) {{}} ?o prov:wasInformedBy ?a BIND(prov:informed AS ?p) }}
  UNION {{ VALUES (?a ?n) {{}} ?a ?p ?o FILTER({_OF_ACTIVITY}) }}
}}""",
}
KEYS = "SELECT ?e WHERE { VALUES ?e {} ?e provlake:key ?key }"
"""Which of some entities are data references."""


def _cell(curie: str) -> str:
    return f"<{expand(curie)}>"


_TYPE, _KEY, _GENERAL = f"<{RDF}type>", _cell("provlake:key"), _cell("prov:specializationOf")
_VALUE, _GENERATED = "1", "2"
_USED = _cell("prov:used")
_INFORMED_BY, _INFORMED = _cell("prov:wasInformedBy"), _cell("prov:informed")
_FACTS = {
    _VALUE: "value",
    _cell("prov:startedAtTime"): "started",
    _cell("prov:endedAtTime"): "ended",
    _cell("provlake:duration"): "seconds",
    _cell("provlake:status"): "status",
}


class _Iris(dict[str, str]):
    """The IRI in each cell; one text for each, however many rows it stands in."""

    def __missing__(self, cell: str) -> str:
        self[cell] = found = iri(cell)
        return found


class Learnt:
    """What rows said.

    Attributes:
        met: the entities, in order.
        keyed: those with a key.
    """

    def __init__(self, known: Known, activities: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        self.met: dict[str, None] = {}
        self.keyed: set[str] = set()
        self._pairs: dict[tuple[str, str], None] = {}
        self._known = known
        self._take(activities, rows)
        self.met.update((entity, None) for _, entity in self._pairs)
        for asked in (self.met, activities):
            for each in asked:
                known.said.types.setdefault(each, ())

    def _take(self, activities: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        iris, known = _Iris(), self._known
        facts = {property_: (name, known.said.facts[name]) for property_, name in _FACTS.items()}
        numbered = {str(number): activity for number, activity in enumerate(activities)}
        before, subject = ("", ""), ""
        for number, about, property_, target in rows:
            if (number, about) != before:  # else one more statement about the same
                before, activity = (number, about), numbered[number]
                subject = activity
                if about:
                    subject = iris[about]
                    self._pairs[activity, subject] = None
            fact = facts.get(property_)
            if fact is not None:
                name, cells = fact
                if cells.setdefault(subject, target) != target:
                    known.said.add(name, subject, target)
            elif property_ == _GENERATED:
                known.add_generation(subject, iris[target])
            elif property_ == _TYPE:
                known.said.is_a(subject, target)
            elif property_:
                self._relate(subject, property_, iris[target])

    def _relate(self, subject: str, property_: str, target: str) -> None:
        known = self._known
        if property_ == _USED:
            known.add_use(target, subject)
        elif property_ == _INFORMED_BY:
            known.add_information(subject, target)
        elif property_ == _INFORMED:
            known.add_information(target, subject)
        elif property_ == _GENERAL:
            known.add_specialization(subject, target)
        elif property_ == _KEY:
            self.keyed.add(subject)

    def used(self) -> list[str]:
        """Of entities that the activities used, makes that known; those whose origin is not yet clear."""
        known, unclear = self._known, dict[str, None]()
        known.references.update(each for each in self.keyed if not known.general.of(each))
        for activity, entity in self._pairs:
            known.add_use(activity, entity)
            generators = known.generators.of(entity)
            if not generators or activity in generators or entity in known.references:
                unclear[entity] = None
        return list(unclear)

    def generated(self) -> list[str]:
        """Of entities that the activities generated, makes that known; those that are used in other forms, or may be."""
        known, forms = self._known, dict[str, None]()
        for activity, entity in self._pairs:
            known.add_generation(entity, activity)
            general = known.general.of(entity)
            known.references.update([entity] if entity in self.keyed and not general else ())
            forms.update(dict.fromkeys(general or ([entity] if entity in self.keyed else ())))
        return list(forms)
