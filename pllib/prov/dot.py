"""Documents drawn: DOT text for Graphviz, with PROV's usual shapes and colours, and bundles as clusters.

Entities are yellow ellipses, activities blue boxes, agents orange houses; arrows point to what was before. What is
named only in relations is drawn by its place in them, dashed.
"""

from __future__ import annotations

from itertools import count
from typing import Dict, Iterator, List, Mapping, TextIO

from ..provml.vocabulary import PROV
from .errors import DocumentError
from .model import KINDS, Bundle, Document, Literal, Statement
from .names import Names
from .scene import KINDS_OF, shortened, things

MAX_NODES = 5000
"""More nobody can read, and no layout ends."""
_LONGEST = 40
_FONT = "Helvetica,Arial,sans-serif"
_GRAPH = {"rankdir": "BT", "fontname": _FONT, "fontsize": "11", "bgcolor": "white", "nodesep": "0.25", "ranksep": "0.5"}
_NODE = {"fontname": _FONT, "fontsize": "10", "style": "filled", "margin": "0.1,0.04", "height": "0.3"}
_EDGE = {"fontname": _FONT, "fontsize": "8", "color": "#6b7280", "fontcolor": "#6b7280", "arrowsize": "0.6"}
_CLUSTER = {"style": "rounded,filled", "color": "#cbd5e1", "fillcolor": "#f8fafc"}
_SHAPES: Dict[str, Mapping[str, str]] = {
    "entity": {"shape": "ellipse", "fillcolor": "#fffc87", "color": "#808080"},
    "activity": {"shape": "box", "fillcolor": "#9fb1fc", "color": "#3949ab"},
    "agent": {"shape": "house", "fillcolor": "#fed37f", "color": "#a86400"},
    "": {"shape": "ellipse", "fillcolor": "#f3f4f6", "color": "#808080"},
}
_POINT = {"shape": "point", "width": "0.05", "height": "0.05", "label": "", "color": "#6b7280"}


def write(document: Document, out: TextIO) -> None:
    """Writes a drawing of a document.

    Raises:
        DocumentError: it would have more than ``MAX_NODES`` nodes.
    """
    names = Names(document.namespaces)
    numbers = count()
    out.write("digraph provenance {\n")
    for name, attributes in (("graph", _GRAPH), ("node", _NODE), ("edge", _EDGE)):
        out.write(_line(name, attributes))
    for line in _Drawing(document, names, numbers).lines():
        out.write(line)
    for index, bundle in enumerate(document.bundles):
        inner = Names(bundle.namespaces, names)
        out.write(f"subgraph cluster_{index} {{\n")
        out.write(_line("graph", {**_CLUSTER, "label": shortened(inner.short(bundle.id or ""), _LONGEST)}))
        for line in _Drawing(bundle, inner, numbers).lines():
            out.write(line)
        out.write("}\n")
    out.write("}\n")


class _Drawing:
    """The nodes and edges of one bundle; a thing that several bundles tell of is drawn in each."""

    def __init__(self, bundle: Bundle, names: Names, numbers: Iterator[int]) -> None:
        self._names, self._numbers = names, numbers
        self._nodes: Dict[str, str] = {}
        self._kinds: Dict[str, str] = {}
        self._said: Dict[str, List[Statement]] = {}
        self._relations: List[Statement] = []
        for each in bundle.statements:
            if KINDS[each.kind].element:
                self._said.setdefault(each.id or "", []).append(each)
                self._node(each.id or "", each.kind)
            else:
                self._relations.append(each)
                for name, value in things(each):
                    self._node(value, KINDS_OF.get(name, ""))

    def _node(self, iri: str, kind: str) -> None:
        if iri not in self._nodes:
            self._nodes[iri] = self._next()
            self._kinds[iri] = kind
        elif not self._kinds[iri]:
            self._kinds[iri] = kind

    def _next(self) -> str:
        number = next(self._numbers)
        if number >= MAX_NODES:
            raise DocumentError(f"the drawing would have more than {MAX_NODES:,} nodes; draw a part of the document")
        return f"n{number}"

    def lines(self) -> Iterator[str]:
        for iri, node in self._nodes.items():
            said = self._said.get(iri)
            style = dict(_SHAPES[said[0].kind if said else self._kinds[iri]])
            if not said:
                style["style"] = "filled,dashed"
            yield _line(
                node, {**style, "label": self._label(iri, said or []), "tooltip": self._tooltip(iri, said or [])}
            )
        for each in self._relations:
            yield from self._relation(each)

    def _relation(self, each: Statement) -> Iterator[str]:
        (first, start), *others = [*things(each)] or [("", "")]
        if not others or first != KINDS[each.kind].arguments[0]:
            return  # with one end there is nothing to draw
        tooltip = " ".join(filter(None, [each.kind, self._details(each)]))
        about = {"label": each.kind, "tooltip": tooltip}
        if len(others) == 1:
            yield _line(f"{self._nodes[start]} -> {self._nodes[others[0][1]]}", about)
            return
        point = self._next()
        yield _line(point, _POINT)
        yield _line(f"{self._nodes[start]} -> {point}", {"arrowhead": "none", "tooltip": tooltip})
        for name, value in others:
            main = name == KINDS[each.kind].arguments[1]
            more = about if main else {"label": name, "style": "dashed", "tooltip": name}
            yield _line(f"{point} -> {self._nodes[value]}", more)

    def _label(self, iri: str, said: List[Statement]) -> str:
        for each in said:
            for name, value in each.attributes:
                if name == PROV + "label" and isinstance(value, Literal):
                    return shortened(value.text, _LONGEST)
        return shortened(self._names.short(iri), _LONGEST)

    def _tooltip(self, iri: str, said: List[Statement]) -> str:
        return "\n".join(filter(None, [iri, *map(self._details, said)]))

    def _details(self, each: Statement) -> str:
        times = [each.arguments[index] or "" for index in KINDS[each.kind].times]
        told = [f"{self._names.short(name)} = {shortened(value[0], 200)}" for name, value in each.attributes[:20]]
        return "\n".join(filter(None, [*times, *told]))


def _line(name: str, attributes: Mapping[str, str]) -> str:
    said = ", ".join(f"{key}={_quote(text)}" for key, text in attributes.items())
    return f"{name} [{said}];\n"


def _quote(text: str) -> str:
    """A DOT string that means ``text`` and nothing else."""
    clean = "".join(each if each >= " " or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
