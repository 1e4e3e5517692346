"""What a crate asks of the document of an execution: its activities, what each took and gave, who was behind it, and the plan."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, NamedTuple, Optional, Set, Tuple
from urllib.parse import unquote

from ..provml.vocabulary import PROV, PROVLAKE, SEMANTICS, expand
from .errors import DocumentError
from .model import Literal, Ref, Statement

Json = Any

MAX_ENTITIES = 200_000
_ATTRIBUTES = frozenset(expand(each.attribute) for each in SEMANTICS.values()) | {PROVLAKE + "Attribute"}
SESSION = PROVLAKE + "Session"


class DataFile(NamedTuple):
    """Data outside that an execution used or generated.

    Attributes:
        iri: of the state of it.
        store, key: where it is, as it was captured.
        path: as the script said it, where that is another text.
        version: its state then, where it was seen.
        generated: whether the execution made it.
    """

    iri: str
    store: str
    key: str
    path: Optional[str]
    version: Optional[str]
    size: Optional[int]
    sha256: Optional[str]
    generated: bool


@dataclass
class Thing:
    """What the document says of one thing."""

    kind: str
    times: Tuple[Optional[str], ...] = ()
    attributes: Dict[str, List[Json]] = field(default_factory=dict)
    classes: Set[str] = field(default_factory=set)

    def text(self, name: str) -> Optional[str]:
        return next((value.text for value in self.attributes.get(name, ()) if isinstance(value, Literal)), None)


class Run:
    """The document by what a crate asks of it."""

    def __init__(self, statements: Iterable[Statement], execution: str) -> None:
        self.execution = execution
        self.things: Dict[str, Thing] = {}
        self._related: Dict[str, Dict[str, List[str]]] = {}
        for each in statements:
            if each.kind in ("entity", "activity", "agent"):
                self.things[each.id or ""] = thing_of(each)
            elif each.arguments[0] and each.arguments[1]:
                self._related.setdefault(each.kind, {}).setdefault(each.arguments[0], []).append(each.arguments[1])
        if len(self.things) > MAX_ENTITIES:
            raise DocumentError(
                f"a crate of {len(self.things):,} things is more than any reader takes ({MAX_ENTITIES:,})"
            )
        if execution not in self.things:
            raise DocumentError(f"the document tells nothing of {execution[:300]}")
        self.activities = [
            iri for iri, each in self.things.items() if each.kind == "activity" and SESSION not in each.classes
        ]
        self.activities.sort(key=lambda iri: (iri != execution, self.things[iri].times[0] or "~", iri))
        makers = self._related.get("wasGeneratedBy", {})
        inside = set(self.activities)
        self.made: Dict[str, List[str]] = {}
        for entity, activities in makers.items():
            for activity in activities:
                if activity in inside:
                    self.made.setdefault(activity, []).append(entity)
        self.workflow = self.plan_of(execution) or execution
        self.name = self.label(self.workflow)
        self.title = f"{self.name} ({unquote(execution.rpartition('/')[2])})"

    def related(self, kind: str, subject: str) -> List[str]:
        return self._related.get(kind, {}).get(subject, [])

    def plan_of(self, activity: str) -> Optional[str]:
        plans = (iri for iri in self.related("wasInfluencedBy", activity) if self._is(iri, PROV + "Plan"))
        return next(plans, None)

    def attribute_of(self, entity: str) -> Optional[str]:
        """What an entity is a value of; of data that several workflows have names for, the name in this one."""
        found = (iri for iri in self.related("wasDerivedFrom", entity) if iri in self.things)
        attributes = (iri for iri in found if self.things[iri].classes & _ATTRIBUTES)
        return min(attributes, key=lambda iri: (not iri.startswith(self.workflow + "/"), iri), default=None)

    def label(self, iri: str) -> str:
        thing = self.things.get(iri)
        return (thing.text(PROV + "label") if thing else None) or unquote(iri.rpartition("/")[2])

    def _is(self, iri: str, name: str) -> bool:
        return iri in self.things and name in self.things[iri].classes

    def is_data(self, iri: str) -> bool:
        return self._is(iri, PROVLAKE + "DataReference")

    def is_tool(self, activity: str) -> bool:
        return activity != self.execution and self.plan_of(activity) is not None

    def tools(self) -> List[str]:
        """Plans of the transformations, in the order in which they first began."""
        return list(dict.fromkeys(filter(None, (self.plan_of(each) for each in self.activities if self.is_tool(each)))))

    def taken(self, activity: str) -> List[str]:
        return self.related("used", activity)

    def outer(self) -> Tuple[List[str], List[str]]:
        """What the whole execution took and gave: what came in, and what no part of it took further."""
        used = dict.fromkeys(entity for each in self.activities for entity in self.taken(each))
        made = dict.fromkeys(entity for each in self.activities for entity in self.made.get(each, ()))
        own = set(self.made.get(self.execution, ()))
        results = [each for each in made if each not in used or self.is_data(each) or each in own]
        return [each for each in used if each not in made], results

    def person(self, activity: str) -> Optional[str]:
        """Who is responsible for it."""
        agents = self.related("wasAssociatedWith", activity) or self.related("wasAssociatedWith", self.execution)
        behind = [person for agent in agents for person in self.related("actedOnBehalfOf", agent)]
        return next((iri for iri in (*agents, *behind) if self._is(iri, PROV + "Person")), None)

    def processes(self) -> List[str]:
        agents = (agent for each in self.activities for agent in self.related("wasAssociatedWith", each))
        return [iri for iri in dict.fromkeys(agents) if self._is(iri, PROV + "SoftwareAgent")]

    def command(self) -> Optional[str]:
        found = (self.things[iri].text(PROVLAKE + "command") for iri in self.processes())
        return next(filter(None, found), None)

    def files(self) -> List[DataFile]:
        generated = {entity for entities in self.made.values() for entity in entities}
        used = (entity for each in self.activities for entity in self.taken(each))
        return [
            self._file(iri, iri in generated) for iri in dict.fromkeys((*used, *sorted(generated))) if self.is_data(iri)
        ]

    def _file(self, iri: str, generated: bool) -> DataFile:
        thing = self.things[iri]
        whole = next((one for one in self.related("specializationOf", iri) if one in self.things), iri)
        stores = [
            value.iri for value in self.things[whole].attributes.get(PROVLAKE + "store", ()) if isinstance(value, Ref)
        ]
        store = unquote(stores[0].rpartition("/")[2]) if stores else ""
        size = thing.text(PROVLAKE + "size")
        facts = {
            self.fact_name(each): self.things[each] for each in self.related("hadMember", iri) if each in self.things
        }
        sha256 = facts["sha256"].text(PROV + "value") if "sha256" in facts else None
        key, path, version = thing.text(PROV + "value"), thing.text(PROVLAKE + "path"), thing.text(PROVLAKE + "version")
        return DataFile(iri, store, key or "", path, version, int(size) if size else None, sha256, generated)

    def fact_name(self, iri: str) -> str:
        attribute = self.attribute_of(iri)
        return self.label(attribute) if attribute is not None else unquote(iri.rpartition("/")[2])

    def parameters(self, entities: Iterable[str]) -> List[str]:
        """The attributes that entities are values of."""
        return list(dict.fromkeys(filter(None, map(self.attribute_of, entities))))

    def inputs_of(self, tool: str) -> Tuple[List[str], List[str]]:
        """Attributes of what a transformation took and gave."""
        mine = [each for each in self.activities if self.plan_of(each) == tool]
        taken = self.parameters(entity for each in mine for entity in self.taken(each))
        return taken, self.parameters(entity for each in mine for entity in self.made.get(each, ()))

    def plan(self) -> Json:
        steps = []
        for tool in self.tools():
            taken, given = self.inputs_of(tool)
            about = {"id": tool, "name": self.label(tool), "types": sorted(self.things[tool].classes)}
            steps.append({**about, "inputs": [*map(self.label, taken)], "outputs": [*map(self.label, given)]})
        return {"id": self.workflow, "name": self.name, "transformations": steps}


def thing_of(each: Statement) -> Thing:
    found = Thing(each.kind, each.arguments)
    for name, value in each.attributes:
        found.attributes.setdefault(name, []).append(value)
        if name == PROV + "type" and isinstance(value, Ref):
            found.classes.add(value.iri)
    return found
