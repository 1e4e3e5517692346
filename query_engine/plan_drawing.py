"""Drawings of a workflow's plan: transformations, and the attributes that go from one to the other."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Mapping

from pllib.prov.scene import shortened
from query_engine.drawing import ACTIVITY, CLUSTER, DATA, EDGE, ENTITY, GRAPH, NODE, statement

_MEANS_DATA = frozenset(("dataset", "model", "feature_set"))
_ALONE = 12
"""Attributes of one transformation that no other has, shown one by one; more are told by their number."""


def to_dot(specification: Mapping[str, Any]) -> str:
    """DOT text of a prospective specification, from left to right in the order that data flows."""
    planned: Mapping[str, Any] = specification.get("transformations", {})
    names = {name: f"t{number}" for number, name in enumerate(planned)}
    shared = _shared(planned)
    attributes = {name: f"a{number}" for number, name in enumerate(shared)}
    lines = ["digraph plan {", statement("graph", {**GRAPH, "rankdir": "LR", "label": specification["workflow"]})]
    lines += [statement("node", NODE), statement("edge", EDGE)]
    for top in (name for name, about in planned.items() if about.get("part_of") not in planned):
        lines += _transformation(top, planned, names)
    for name, about in shared.items():
        style = DATA if about.get("as") in _MEANS_DATA else ENTITY
        lines.append(statement(attributes[name], {**style, "label": shortened(name), "tooltip": _told(about)}))
    for name, about in planned.items():
        lines += [
            statement(f"{attributes[each]} -> {names[name]}", {}) for each in about.get("inputs", {}) if each in shared
        ]
        lines += [
            statement(f"{names[name]} -> {attributes[each]}", {}) for each in about.get("outputs", {}) if each in shared
        ]
    return "\n".join([*lines, "}", ""])


def _shared(planned: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Attributes that stand as nodes of their own: those of several transformations, and data."""
    users: dict[str, set[str]] = defaultdict(set)
    found: dict[str, Mapping[str, Any]] = {}
    for name, about in planned.items():
        for attribute, said in (*about.get("inputs", {}).items(), *about.get("outputs", {}).items()):
            users[attribute].add(name)
            found.setdefault(attribute, said)
    return {each: said for each, said in found.items() if len(users[each]) > 1 or said.get("as") in _MEANS_DATA}


def _transformation(name: str, planned: Mapping[str, Any], names: Mapping[str, str]) -> list[str]:
    """A transformation as a box; one with parts as a frame around their boxes."""
    about = planned[name]
    kind = about.get("stage") or about.get("kind") or "task"
    own = [
        _told({**said, "name": each})
        for each, said in (*about.get("inputs", {}).items(), *about.get("outputs", {}).items())
    ]
    more = f"\n… and {len(own) - _ALONE} more" if len(own) > _ALONE else ""
    tooltip = "\n".join([about.get("description", name), *own[:_ALONE]]) + more
    box = statement(names[name], {**ACTIVITY, "label": f"{shortened(name)}\n{kind}", "tooltip": tooltip})
    parts = [part for part, inner in planned.items() if inner.get("part_of") == name and part != name]
    if not parts:
        return [box]
    inside = [line for part in parts for line in _transformation(part, planned, names)]
    frame = statement("graph", {**CLUSTER, "label": shortened(name), "tooltip": tooltip})
    return [f"subgraph cluster_{names[name]} {{", frame, box, *inside, "}"]


def _told(about: Mapping[str, Any]) -> str:
    words = (about.get("name"), about.get("as"), about.get("dtype"), about.get("description"))
    return " · ".join(str(word) for word in words if word) or "attribute"
