"""What of a document is drawn, and how it is called: nodes and edges, before any layout.

Of documents of captured executions, what a reader knows anyway is left out or folded into what it is said of: plans and attributes
become names, facts and the data that a state is a state of become tooltips. Other documents are drawn as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Dict, Iterable, Iterator, List, Mapping, NamedTuple, Optional, Set, Tuple
from urllib.parse import unquote

from ..provml.vocabulary import PROV, PROVLAKE, SEMANTICS, expand
from .model import KINDS, XSD_STRING, Bundle, Literal, Ref, Statement
from .names import Names

KINDS_OF: Mapping[str, str] = {
    **dict.fromkeys(
        ("entity", "trigger", "generatedEntity", "usedEntity", "plan", "specificEntity", "generalEntity"), "entity"
    ),
    **dict.fromkeys(("alternate1", "alternate2", "collection"), "entity"),
    **dict.fromkeys(("activity", "informed", "informant", "starter", "ender"), "activity"),
    **dict.fromkeys(("agent", "delegate", "responsible"), "agent"),
}
"""What an argument is, by its name; influences may be between anything."""
NOT_DRAWN = frozenset(("generation", "usage", "bundle"))
"""Arguments that name relations or bundles, not things."""
_ATTRIBUTES = frozenset(expand(each.attribute) for each in SEMANTICS.values()) | {PROVLAKE + "Attribute"}
_PART_OF = PROVLAKE + "isPartOf"
_LONGEST = 34
_FOLDED = frozenset(("hadMember", "specializationOf"))
_MOST_TOLD = 20


@dataclass(frozen=True)
class Node:
    """One thing.

    Attributes:
        kind: ``entity``, ``activity``, ``agent``, or nothing where a document does not tell.
        told: the lines of its tooltip.
        said: whether the document has a statement about it, not only of its relations.
        group: things of one group may be drawn as one.
        count: how many things this stands for.
    """

    kind: str
    label: str
    told: Tuple[str, ...] = ()
    said: bool = True
    failed: bool = False
    group: Optional[Tuple[str, ...]] = None
    count: int = 1


class Edge(NamedTuple):
    """From what was later to what was before; one that is not ``main`` is to a further argument of a relation."""

    start: str
    end: str
    label: str
    main: bool = True


@dataclass
class Scene:
    """What is drawn of one bundle, by IRI."""

    title: str = ""
    nodes: Dict[str, Node] = field(default_factory=dict)
    edges: List[Edge] = field(default_factory=list)


def scene_of(bundle: Bundle, names: Names) -> Scene:
    """The scene of a bundle, whose statements are read once."""
    told = _Told(bundle.statements)
    scene = Scene(names.short(bundle.id) if bundle.id else "")
    for iri, kind in told.kinds.items():
        if iri not in told.folded:
            scene.nodes[iri] = told.node(iri, kind, names)
    edges = (Edge(*each) for each in told.edges() if each[0] in scene.nodes and each[1] in scene.nodes)
    scene.edges = list(dict.fromkeys(edges))
    return scene


def things(each: Statement) -> Iterator[Tuple[str, str]]:
    """Arguments that are drawn: name and IRI."""
    kind = KINDS[each.kind]
    for index, (name, value) in enumerate(zip(kind.arguments, each.arguments)):
        if value is not None and index not in kind.times and name not in NOT_DRAWN:
            yield name, value


def shortened(text: str, longest: int = _LONGEST) -> str:
    return text if len(text) <= longest else f"{text[: longest - 9]}…{text[-8:]}"


class _Told:
    """What a bundle tells of each thing."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self.kinds: Dict[str, str] = {}
        self._said: Dict[str, Statement] = {}
        self._relations: List[Statement] = []
        for each in statements:
            if KINDS[each.kind].element:
                self._said.setdefault(each.id or "", each)
                self.kinds[each.id or ""] = each.kind
            else:
                self._relations.append(each)
        for each in self._relations:
            for name, value in things(each):
                self.kinds[value] = self.kinds.get(value) or KINDS_OF.get(name, "")
        self._classes = {iri: _classes(each) for iri, each in self._said.items()}
        self._plan_of: Dict[str, str] = {}
        self._about: Dict[str, List[str]] = {}
        self.folded = self._fold()

    def _fold(self) -> Set[str]:
        """What is not drawn by itself: the prospective side, facts, and data whose states are drawn."""
        plans = {iri for iri, classes in self._classes.items() if PROV + "Plan" in classes and self._label(iri)}
        attributes = {iri for iri, classes in self._classes.items() if classes & _ATTRIBUTES and self._label(iri)}
        named = {"wasInfluencedBy": plans, "wasDerivedFrom": attributes}
        active: Set[str] = set()
        aside: Dict[str, str] = {}
        for each in self._relations:
            subject, target = each.arguments[0] or "", each.arguments[1] or ""
            if target in named.get(each.kind, ()):
                self._plan_of[subject] = min(target, self._plan_of.get(subject, target))
            elif each.kind in _FOLDED and PROVLAKE + "DataReference" in self._classes.get(subject, ()):
                aside[target] = subject
            elif each.kind not in _FOLDED:
                active.update((subject, target))
        folded = {target for target in aside if target not in active and target in self._said}
        for target in folded:
            self._about.setdefault(aside[target], []).append(self._fact(target))
        return (plans | attributes) - active | folded

    def edges(self) -> Iterator[Tuple[str, str, str, bool]]:
        """Start, end, label, and whether it is the main one of its relation; what is said of a whole is not drawn of its parts."""
        of_wholes = {each.arguments[:2] for each in self._relations if each.kind == "wasAssociatedWith"}
        for each in self._relations:
            if each.kind == "wasAssociatedWith" and (self._whole(each.arguments[0]), each.arguments[1]) in of_wholes:
                continue
            (first, start), *others = [*things(each)] or [("", "")]
            if first != KINDS[each.kind].arguments[0]:
                continue
            for name, value in others:
                main = name == KINDS[each.kind].arguments[1]
                yield start, value, each.kind if main else name, main

    def node(self, iri: str, kind: str, names: Names) -> Node:
        said = self._said.get(iri)
        plan = self._plan_of.get(iri)
        name = self._label(plan) if plan is not None else None
        value = _attribute(said, PROV + "value")
        label = (
            self._label(iri) or self._data_name(said) or (name and name + _shown(value)) or _path_end(names.short(iri))
        )
        classes = sorted(names.short(each) for each in self._classes.get(iri, ()))
        told = [iri, " ".join(classes), *self._times(said), *self._facts_of(said, names), *self._about.get(iri, ())]
        failed = _text(_attribute(said, PROVLAKE + "status")) == "failed"
        group = None if name is None else (kind, name, "failed" if failed else "")
        return Node(kind, shortened(label), tuple(filter(None, told)), said is not None, failed, group)

    def _whole(self, iri: Optional[str]) -> Optional[str]:
        """The execution that a task is part of."""
        given = self._said[iri].attributes if iri in self._said else ()
        return next((value.iri for name, value in given if name == _PART_OF and isinstance(value, Ref)), None)

    def _label(self, iri: str) -> Optional[str]:
        return _text(_attribute(self._said.get(iri), PROV + "label"))

    def _data_name(self, said: Optional[Statement]) -> Optional[str]:
        """The last two parts of the key of data: enough to know a file by."""
        if said is None or PROVLAKE + "DataReference" not in self._classes[said.id or ""]:
            return None
        key = _text(_attribute(said, PROV + "value"))
        return "/".join(key.rstrip("/").split("/")[-2:]) if key else None

    def _fact(self, iri: str) -> str:
        plan = self._plan_of.get(iri)
        name = (self._label(plan) if plan is not None else None) or unquote(iri.rpartition("/")[2])
        return name + _shown(_attribute(self._said.get(iri), PROV + "value"))

    def _times(self, said: Optional[Statement]) -> List[str]:
        return [time for time in said.arguments if time] if said is not None else []

    def _facts_of(self, said: Optional[Statement], names: Names) -> Iterator[str]:
        given = said.attributes if said is not None else ()
        for name, value in given[:_MOST_TOLD]:
            if name not in (PROV + "type", PROV + "label"):
                yield f"{names.short(name)} = {shortened(value[0], 200)}"


def _path_end(name: str) -> str:
    """A name, or of one that is a long path the last two parts."""
    parts = name.split("/")
    return unquote("/".join(parts[-2:])) if len(parts) > 3 else name


def _classes(each: Statement) -> Set[str]:
    return {value.iri for name, value in each.attributes if name == PROV + "type" and isinstance(value, Ref)}


def _attribute(said: Optional[Statement], name: str) -> Optional[Literal]:
    given = said.attributes if said is not None else ()
    return next((value for each, value in given if each == name and isinstance(value, Literal)), None)


def _text(value: Optional[Literal]) -> Optional[str]:
    return value.text if value is not None and value.datatype == XSD_STRING else None


def _shown(value: Optional[Literal]) -> str:
    """What to add to the name of a value: scalars, of numbers five digits."""
    if value is None or value.text[:1] in ("{", "["):
        return ""
    try:
        return f" = {float(value.text):.5g}" if value.datatype.endswith("#double") else f" = {value.text}"
    except ValueError:
        return f" = {value.text}"


def grouped(scene: Scene) -> Scene:
    """The scene with the things of each group as one: many tasks of one kind, many values of one name."""
    places: Dict[str, str] = {}
    nodes: Dict[str, Node] = {}
    for iri, node in scene.nodes.items():
        place = iri if node.group is None else "\n".join(node.group)
        places[iri] = place
        before = nodes.get(place)
        nodes[place] = node if before is None else replace(before, count=before.count + 1)
    many = {iri: node for iri, node in nodes.items() if node.count > 1 and node.group is not None}
    for iri, node in many.items():
        name = (node.group or ("", ""))[1]
        nodes[iri] = replace(node, label=f"{shortened(name)} × {node.count}", told=(f"{node.count} times {name}",))
    edges = (each._replace(start=places[each.start], end=places[each.end]) for each in scene.edges)
    return Scene(scene.title, nodes, list(dict.fromkeys(each for each in edges if each.start != each.end)))
