"""Documents drawn as SVG, with nothing but the standard library.

Time goes from left to right, so arrows, which are PROV's, point to the left. Entities are yellow and round, activities blue boxes, agents
orange houses, what failed has a red line; tooltips tell the rest. The file holds no script and refers to nothing outside.
"""

from __future__ import annotations

from typing import Iterator, List, Mapping, TextIO, Tuple

from .errors import DocumentError
from .layout import Layout, Point, lay_out
from .model import Bundle, Document
from .names import Names
from .scene import Node, Scene, grouped, scene_of

READABLE = 150
"""Things beyond which those of one kind are drawn as one."""
MAX_NODES, MAX_EDGES = 400, 4000
"""More nobody can read."""
_MARGIN, _TITLE, _LEGEND = 20.0, 26.0, 34.0
_HEIGHT, _PAD, _ROOF = 24.0, 12.0, 8.0
_FONT = 'font-family="Helvetica,Arial,sans-serif"'
_COLOURS: Mapping[str, Tuple[str, str]] = {
    "entity": ("#fffc87", "#808080"),
    "activity": ("#9fb1fc", "#3949ab"),
    "agent": ("#fed37f", "#a86400"),
    "": ("#f3f4f6", "#808080"),
}
_WIDTHS = {**dict.fromkeys("iljt.,:;'|!I[]()f/\\ -", 4.0), **dict.fromkeys("mwMW@%…×", 10.0), "r": 4.5}
_MOST_NAMED = 100
_GREY, _ORANGE, _LIGHT = "#6b7280", "#c98a2b", "#a3a3a3"
_LINES: Mapping[str, str] = {
    **dict.fromkeys(("used", "wasGeneratedBy"), _GREY),
    **dict.fromkeys(("wasAssociatedWith", "wasAttributedTo", "actedOnBehalfOf"), _ORANGE),
    **dict.fromkeys(("wasInformedBy", "specializationOf", "hadMember"), _LIGHT),
}
"""The commonest relations are told by what they join, and their colour; others by name."""


def write(document: Document, out: TextIO) -> None:
    """Writes a drawing of a document.

    Raises:
        DocumentError: it would be too large to be read, also with what is of one kind drawn as one.
    """
    names = Names(document.namespaces)
    bundles: List[Tuple[Bundle, Names]] = [(document, names)]
    bundles += [(each, Names(each.namespaces, names)) for each in document.bundles]
    scenes = [scene for scene in (scene_of(*each) for each in bundles) if scene.nodes]
    out.writelines(_drawing(_readable(scenes)))


def _readable(scenes: List[Scene]) -> List[Scene]:
    if _things(scenes) > READABLE:
        scenes = [grouped(each) for each in scenes]
    if _things(scenes) > MAX_NODES or sum(len(each.edges) for each in scenes) > MAX_EDGES:
        told = f"the drawing would have {_things(scenes):,} things; at most {MAX_NODES:,} can be read"
        raise DocumentError(f"{told}: draw a part of the document, or take dot")
    return scenes


def _things(scenes: List[Scene]) -> int:
    return sum(len(each.nodes) for each in scenes)


def _drawing(scenes: List[Scene]) -> Iterator[str]:
    laid = [(scene, _laid_out(scene)) for scene in scenes]
    width = max([layout.width for _, layout in laid] + [360.0]) + 2 * _MARGIN
    height = _MARGIN + sum(layout.height + _above(scene) + _MARGIN for scene, layout in laid) + _LEGEND
    yield f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
    yield f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" {_FONT} font-size="11">\n'
    yield "<title>Provenance</title>\n"
    yield '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
    yield '<path d="M0 0.8 L8 4 L0 7.2" fill="none" stroke="#6b7280"/></marker></defs>\n'
    yield f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>\n'
    top = _MARGIN
    for scene, layout in laid:
        if scene.title:
            yield f'<text x="{_MARGIN:.0f}" y="{top + 12:.1f}" font-weight="bold" fill="#374151">{escaped(scene.title)}</text>\n'
        top += _above(scene)
        yield f'<g transform="translate({_MARGIN:.0f} {top:.1f})">\n'
        yield from _scene(scene, layout)
        yield "</g>\n"
        top += layout.height + _MARGIN
    yield from _legend(height - _LEGEND + 4)
    yield "</svg>\n"


def _above(scene: Scene) -> float:
    return _TITLE if scene.title else 0.0


def _laid_out(scene: Scene) -> Layout:
    index = {iri: place for place, iri in enumerate(scene.nodes)}
    sizes = [
        (width_of(node.label) + 2 * _PAD, _HEIGHT + (_ROOF if node.kind == "agent" else 0))
        for node in scene.nodes.values()
    ]
    return lay_out(sizes, [(index[each.start], index[each.end]) for each in scene.edges])


def width_of(text: str) -> float:
    """About how wide a text is; rather too much than too little."""
    return sum(_WIDTHS.get(each) or (7.0 if each < "\u0500" else 12.0) for each in text)


def _scene(scene: Scene, layout: Layout) -> Iterator[str]:
    for edge, points in zip(scene.edges, layout.paths):
        dashes = "" if edge.main else ' stroke-dasharray="4 3"'
        line = _LINES.get(edge.label, _GREY)
        yield f'<path d="{_curve(points)}" fill="none" stroke="{line}" stroke-width="0.9"{dashes} marker-end="url(#arrow)">'
        yield f"<title>{escaped(edge.label)}</title></path>\n"
        if edge.label not in _LINES and len(scene.edges) <= _MOST_NAMED:
            yield _edge_label(edge.label, points)
    for node, box in zip(scene.nodes.values(), layout.boxes):
        yield from _node(node, *box)


def _edge_label(label: str, points: List[Point]) -> str:
    (x, y), (to_x, to_y) = points[-2:]
    x, y = (x + to_x) / 2, (y + to_y) / 2 - 2
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="7" text-anchor="middle" fill="#6b7280">{escaped(label)}</text>\n'


def _curve(points: List[Point]) -> str:
    """A path through points, level at each of them; from a box to itself a loop."""
    (x, y), *rest = points
    if len(rest) == 1 and rest[0][0] > x and rest[0][1] == y:
        end = rest[0][0]
        return f"M{x:.1f} {y:.1f} C{x - 30:.1f} {y + 40:.1f} {end + 30:.1f} {y + 40:.1f} {end:.1f} {y:.1f}"
    parts = [f"M{x:.1f} {y:.1f}"]
    for to_x, to_y in rest:
        middle = (x + to_x) / 2
        parts.append(f"C{middle:.1f} {y:.1f} {middle:.1f} {to_y:.1f} {to_x:.1f} {to_y:.1f}")
        x, y = to_x, to_y
    return " ".join(parts)


def _node(node: Node, left: float, top: float, width: float, height: float) -> Iterator[str]:
    fill, line = _COLOURS[node.kind]
    style = f'fill="{fill}" stroke="{"#c62828" if node.failed else line}"'
    style += ' stroke-width="2"' if node.failed or node.count > 1 else ""
    style += "" if node.said else ' stroke-dasharray="4 2"'
    yield "<g>"
    yield f"<title>{escaped(chr(10).join(node.told))}</title>"
    yield _shape(node.kind, left, top, width, height, style)
    middle = top + height / 2 + (4 + _ROOF / 2 if node.kind == "agent" else 4)
    colour = ' fill="#8e0000"' if node.failed else ""
    yield f'<text x="{left + width / 2:.1f}" y="{middle:.1f}" text-anchor="middle"{colour}>{escaped(node.label)}</text></g>\n'


def _shape(kind: str, left: float, top: float, width: float, height: float, style: str) -> str:
    if kind == "agent":
        eaves, right, bottom = top + _ROOF, left + width, top + height
        points = [(left, bottom), (left, eaves), (left + width / 2, top), (right, eaves), (right, bottom)]
        return f'<polygon points="{" ".join(f"{x:.1f},{y:.1f}" for x, y in points)}" {style}/>'
    radius = 2 if kind == "activity" else height / 2
    return f'<rect x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="{radius:g}" {style}/>'


def _legend(top: float) -> Iterator[str]:
    left = _MARGIN
    yield '<g font-size="9">\n'
    for kind in ("activity", "entity", "agent"):
        yield _shape(
            kind, left, top, width_of(kind) + 12, 18, f'fill="{_COLOURS[kind][0]}" stroke="{_COLOURS[kind][1]}"'
        )
        yield f'<text x="{left + (width_of(kind) + 12) / 2:.1f}" y="{top + 13:.1f}" text-anchor="middle">{kind}</text>\n'
        left += width_of(kind) + 22
    yield f'<text x="{left:.1f}" y="{top + 13:.1f}" fill="#374151">arrows point to what was before</text>\n</g>\n'


def escaped(text: str) -> str:
    """A text as XML holds it, without what it cannot hold."""
    clean = "".join(each if _is_xml(each) else "\N{REPLACEMENT CHARACTER}" for each in text)
    return clean.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace('"', "&quot;")


def _is_xml(each: str) -> bool:
    return each in "\t\n\r" or (each >= " " and not "\ud800" <= each <= "\udfff" and each not in "\ufffe\uffff")
