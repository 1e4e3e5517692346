"""What the store is asked about activities, all at once, and how its rows become known. Pure.

A row says one thing: ``?n`` is the number of the activity, ``?e`` an entity that it used (or generated), ``?p`` and ``?o`` a
property of that entity and its object, or of the activity where there is no entity. All properties of a resource are
beside each other in a store's index, so this is one place to go to for each resource, where a pattern for each property
is as many. IRIs must be found, sent and read, so as few as can be are said: properties go by a digit (:data:`_CODES`), and
an activity that is asked about goes by its number, also as what generated (``?m``) or used (``?o``) an entity. So most
entities are one row, which says their IRI and their value.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from query_engine.lineage import Direction, Known
from query_engine.tables import iri

WIDTH = 5
_CODES = {
    "prov:value": "1",
    "prov:wasGeneratedBy": "2",
    "rdf:type": "3",
    "prov:specializationOf": "4",
    "provlake:key": "5",
    "prov:startedAtTime": "6",
    "prov:endedAtTime": "7",
    "provlake:duration": "8",
    "provlake:status": "9",
    "prov:wasInformedBy": "10",
}
_VALUE, _GENERATED, _TYPE, _GENERAL, _KEY = (_CODES[each] for each in list(_CODES)[:5])
_INFORMED_BY, _USED, _INFORMED = _CODES["prov:wasInformedBy"], "11", "12"
_FACTS = {
    _VALUE: "value",
    _CODES["prov:startedAtTime"]: "started",
    _CODES["prov:endedAtTime"]: "ended",
    _CODES["provlake:duration"]: "seconds",
    _CODES["provlake:status"]: "status",
}
_OF_ENTITY = ("prov:value", "rdf:type", "prov:specializationOf", "provlake:key")
_OF_ACTIVITY = (
    *("prov:wasInformedBy", "rdf:type", "prov:startedAtTime", "prov:endedAtTime"),
    *("provlake:duration", "provlake:status"),
)


def _any_of(*properties: str) -> str:
    return " || ".join(f"sameTerm(?q, {each})" for each in properties)


def _coded(*properties: str) -> str:
    """Binds ``?p`` to the digit of the property ``?q``, which is one of these; of an unbound one, to nothing."""
    told = _CODES[properties[-1]]
    for each in reversed(properties[:-1]):
        told = f"IF(sameTerm(?q, {each}), {_CODES[each]}, {told})"
    return f"BIND({told} AS ?p)"


def _entity(generated: str) -> str:
    """What is said of an entity ``?e``, of its generations only those that meet a condition on their activity ``?o``."""
    wanted = f"{_any_of(*_OF_ENTITY)} || (sameTerm(?q, prov:wasGeneratedBy) && {generated})"
    coded = _coded("prov:value", "prov:wasGeneratedBy", *_OF_ENTITY[1:])
    return f"OPTIONAL {{ ?e ?q ?o FILTER({wanted}) }} {coded}"


# Of what most activities have ten times it is known first that it is not wanted.
_ABOUT_ACTIVITIES = f"""
  UNION {{ VALUES (?a ?n) {{}} ?a ?q ?o
    FILTER(!sameTerm(?q, prov:used) && ({_any_of(*_OF_ACTIVITY)})) {_coded(*_OF_ACTIVITY)} }}"""
# The sub-queries are joined by their results, which is less than going to each entity or activity once more.
AROUND: dict[Direction, str] = {
    "backward": f"""
SELECT ?n ?e ?m ?p ?o WHERE {{
  {{ VALUES (?a ?n) {{}} ?a prov:used ?e
    OPTIONAL {{ SELECT ?e ?g ?m WHERE {{ VALUES (?g ?m) {{}} ?e prov:wasGeneratedBy ?g }} }}
    {_entity("(!BOUND(?g) || !sameTerm(?o, ?g))")} }}{_ABOUT_ACTIVITIES}
}}""",
    "forward": f"""
SELECT ?n ?e ?m ?p ?o WHERE {{
  {{ VALUES (?a ?n) {{}} ?e prov:wasGeneratedBy ?a {_entity("!sameTerm(?o, ?a)")} }}
  UNION {{ VALUES (?a ?n) {{}} ?e prov:wasGeneratedBy ?a . ?u prov:used ?e
    OPTIONAL {{ SELECT ?u ?v WHERE {{ VALUES (?u ?v) {{}} }} }} BIND({_USED} AS ?p) BIND(IF(BOUND(?v), ?v, ?u) AS ?o) }}
  UNION {{ VALUES (?a ?n) {{}} ?o prov:wasInformedBy ?a BIND({_INFORMED} AS ?p) }}{_ABOUT_ACTIVITIES}
}}""",
}
PARAMETERS: dict[Direction, tuple[str, ...]] = {"backward": ("a", "g"), "forward": ("a", "u")}
"""Names that the activities are bound to."""
KEYS = "SELECT ?e WHERE { VALUES ?e {} ?e provlake:key ?key }"
"""Which of some entities are data references."""


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
        self.keyed: set[str] = set()
        self._around: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._known = known
        self._take(activities, rows)
        self.met = {entity: None for entities in self._around.values() for entity in entities}
        types = known.said.types
        for asked in (self.met, activities):
            for each in asked:
                if each not in types:
                    types[each] = ()

    def _take(self, activities: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
        iris, generators = _Iris(), self._known.generators
        facts = {property_: self._known.said.facts[name] for property_, name in _FACTS.items()}
        numbered = {str(number): activity for number, activity in enumerate(activities)}
        asked, before, subject, entities = "", "", "", dict[str, None]()
        for number, about, maker, property_, target in rows:
            if number != asked or about != before:  # else one more statement about the same
                if number != asked:
                    entities = self._around[numbered[number]]
                asked, before, subject = number, about, numbered[number]
                if about:
                    subject = iri(about)
                    entities[subject] = None
            if maker:
                if subject in generators:
                    generators[subject][numbered[maker]] = None
                else:
                    generators[subject] = {numbered[maker]: None}
            fact = facts.get(property_)
            if fact is not None:
                if fact.setdefault(subject, target) is not target:
                    self._known.said.add(_FACTS[property_], subject, target)
            elif property_:
                self._relate(subject, property_, numbered.get(target) or iris[target])

    def _relate(self, subject: str, property_: str, target: str) -> None:
        known = self._known
        if property_ == _TYPE:
            known.said.is_a(subject, f"<{target}>")
        elif property_ == _GENERATED:
            known.add_generation(subject, target)
        elif property_ == _USED:
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
        for activity, entities in self._around.items():
            known.used[activity].update(entities)
            for entity in entities:
                generators = known.generators.get(entity)
                if not generators or activity in generators or entity in known.references:
                    unclear[entity] = None
        return list(unclear)

    def generated(self) -> list[str]:
        """Of entities that the activities generated, makes that known; those that are used in other forms, or may be."""
        known, forms = self._known, dict[str, None]()
        for activity, entities in self._around.items():
            for entity in entities:
                known.add_generation(entity, activity)
                general = known.general.of(entity)
                known.references.update([entity] if entity in self.keyed and not general else ())
                forms.update(dict.fromkeys(general or ([entity] if entity in self.keyed else ())))
        return list(forms)
