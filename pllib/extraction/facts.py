"""Facts as PROV statements: what is said of one thing together, then its relations."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, Optional, Set, Tuple

from ..documents.conversion import CLASS, OWN, Fact
from ..prov.model import KINDS, Attribute, Literal, Ref, Statement, Value
from ..provml.iris import encode
from ..provml.vocabulary import PROV, expand

_NAMES = {"rdf:type": PROV + "type", "rdfs:label": PROV + "label"}
_TIMES = ("prov:startedAtTime", "prov:endedAtTime")
_REMEMBERED = 50_000
_RELATIONS = {f"prov:{kind.direct}": kind for kind in KINDS.values() if not kind.element}


def commit(repository: str, sha: str) -> str:
    """Id of a commit."""
    return f"commit/{encode(repository)}/{encode(sha)}"


def deletion(of: str) -> str:
    """Id of the deletion of what has an id."""
    return f"deletion/{of}"


def kind_of(identifier: str) -> str:
    """Whether a resource of ours is an activity, an agent or an entity, by its id."""
    parts = identifier.split("/")
    if parts[0] == "execution":
        return "activity" if len(parts) in (3, 5) else "entity"
    if parts[0] in ("commit", "deletion", "session"):
        return "activity"
    return "agent" if parts[0] == "agent" else "entity"


class Gathered:
    """Facts about several things, said once each.

    Args:
        base: beginning of the IRIs.
    """

    def __init__(self, base: str) -> None:
        self._base = base
        self._facts: Dict[str, Dict[Fact, None]] = {}
        self._timed: List[Statement] = []

    def add(self, facts: Iterable[Fact]) -> None:
        for fact in facts:
            self._facts.setdefault(fact.subject, {})[fact] = None

    def link(self, subject: str, property: str, target: str) -> None:
        self.add((Fact(subject, property, OWN, target),))

    def classes(self, subject: str, *names: str) -> None:
        self.add(Fact(subject, "rdf:type", CLASS, name) for name in names)

    def text(self, subject: str, property: str, text: Optional[str], datatype: str = Literal("").datatype) -> None:
        if text is not None:
            self.add((Fact(subject, property, datatype, text),))

    def relation(
        self, kind: str, subject: str, target: str, time: Optional[str] = None, role: Optional[str] = None
    ) -> None:
        """A relation with a time or a role."""
        about = KINDS[kind]
        arguments: List[Optional[str]] = [
            self._base + subject,
            self._base + target,
            *[None] * (len(about.arguments) - 2),
        ]
        if time is not None and about.times:
            arguments[about.times[0]] = time
        attributes = ((PROV + "role", Literal(role)),) if role else ()
        self._timed.append(Statement(kind, None, tuple(arguments), attributes))

    def statements(self, said: Set[Fact]) -> Iterator[Statement]:
        """The statements; afterwards there are none.

        Args:
            said: what was said lately, which is not said again; it grows up to a limit.
        """
        for subject, facts in self._facts.items():
            fresh = [fact for fact in facts if fact not in said]
            if fresh:
                if len(said) > _REMEMBERED:
                    said.clear()
                said.update(fresh)
                yield from self._about(subject, fresh)
        yield from self._timed
        self._facts.clear()
        self._timed.clear()

    def _about(self, subject: str, facts: Iterable[Fact]) -> Iterator[Statement]:
        kind = kind_of(subject)
        iri = self._base + subject
        times: Dict[str, str] = {}
        attributes: List[Attribute] = []
        relations: List[Statement] = []
        for fact in facts:
            relation = _RELATIONS.get(fact.property)
            if relation is not None:
                rest = (None,) * (len(relation.arguments) - 2)
                relations.append(Statement(relation.name, None, (iri, self._base + fact.text, *rest)))
            elif fact.property in _TIMES:
                times[fact.property] = fact.text
            else:
                attributes.append((_NAMES.get(fact.property) or expand(fact.property), self._value(fact)))
        if attributes and subject.startswith("workflow/") and "/attribute/" not in subject:
            attributes.insert(0, (PROV + "type", Ref(PROV + "Plan")))
        arguments: Tuple[Optional[str], ...] = tuple(times.get(name) for name in _TIMES) if kind == "activity" else ()
        if attributes or any(arguments) or not relations:
            yield Statement(kind, iri, arguments, tuple(attributes))
        yield from relations

    def _value(self, fact: Fact) -> Value:
        if fact.datatype == OWN:
            return Ref(self._base + fact.text)
        return Ref(expand(fact.text)) if fact.datatype == CLASS else Literal(fact.text, fact.datatype)
