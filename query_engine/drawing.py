"""Drawings of a lineage: DOT text, and SVG laid out by Graphviz. Shapes and colours are PROV's.

Time goes from left to right, so arrows, which are PROV's, point to the left: to what was before.
"""

from __future__ import annotations

import asyncio
import html
import posixpath
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Iterable, Mapping, Optional

from fastapi import Request

from pllib.prov.scene import shortened
from query_engine.errors import NotAcceptable, TooLarge
from query_engine.lineage import GENERATED, INFORMED, SPECIALIZATION, USED

MAX_NODES = 400
"""More nobody can read, and laying them out takes minutes."""
SECONDS = 30.0
_LAYOUT = Path(__file__).with_name("layout.py")

Node = Mapping[str, Any]
Attributes = Mapping[str, str]

_FONT = "Helvetica,Arial,sans-serif"
GRAPH = {
    "rankdir": "RL",
    "newrank": "true",  # across clusters: what one run made of the other stands after it
    "fontname": _FONT,
    "fontsize": "11",
    "fontcolor": "#374151",
    "bgcolor": "white",
    "pad": "0.3",
    "nodesep": "0.16",
    "ranksep": "0.55",
    "labelloc": "b",
    "outputorder": "edgesfirst",
}
NODE = {"fontname": _FONT, "fontsize": "10", "style": "filled", "penwidth": "1", "margin": "0.1,0.04", "height": "0.3"}
EDGE = {"color": "#6b7280", "penwidth": "0.9", "arrowsize": "0.6", "arrowhead": "vee"}
CLUSTER = {"style": "rounded,filled", "color": "#cbd5e1", "fillcolor": "#f8fafc", "margin": "12", "labelloc": "t"}
ENTITY = {"shape": "ellipse", "fillcolor": "#fffc87", "color": "#808080"}
DATA = {"shape": "ellipse", "fillcolor": "#ffe066", "color": "#7a6a00", "penwidth": "1.3"}
ACTIVITY = {"shape": "box", "fillcolor": "#9fb1fc", "color": "#3949ab"}
_FAILED = {"color": "#c62828", "fontcolor": "#8e0000", "penwidth": "2"}
_START = {"penwidth": "2.6", "color": "#111827"}


def check_size(nodes: int) -> None:
    """Refuses drawings that nobody could read.

    Raises:
        TooLarge: more than :data:`MAX_NODES`.
    """
    if nodes > MAX_NODES:
        raise TooLarge(
            f"the lineage has {nodes} nodes; at most {MAX_NODES} are drawn",
            field="depth",
            fix="Give a smaller `depth`, or `grain=task`, or take it as JSON or DOT.",
        )


async def draw_svg(found: Mapping[str, Any], turn: asyncio.Semaphore, form: str = "svg") -> bytes:
    """The drawing of a lineage, laid out.

    Args:
        found: the JSON answer of ``/v1/lineage``.

    Raises:
        TooLarge, NotAcceptable: as :func:`lay_out` does.
    """
    return await lay_out(to_dot(found), turn, form)


def turn_of(request: Request) -> asyncio.Semaphore:
    """Drawings are laid out one at a time, whatever else the server does."""
    state = request.app.state
    if not hasattr(state, "drawing"):
        state.drawing = asyncio.Semaphore(1)
    turn: asyncio.Semaphore = state.drawing
    return turn


async def lay_out(dot: str, turn: asyncio.Semaphore, form: str = "svg") -> bytes:
    """A drawing of DOT text.

    Args:
        turn: how many may be laid out at a time.
        form: ``svg`` or another format of Graphviz.

    Raises:
        TooLarge: the layout takes more than :data:`SECONDS`.
        NotAcceptable: Graphviz is not installed or fails.
    """
    async with turn:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", str(_LAYOUT), form),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            drawn, said = await asyncio.wait_for(process.communicate(dot.encode()), SECONDS)
        except TimeoutError as error:
            raise TooLarge(
                f"laying out the drawing takes more than {SECONDS:g} s",
                field="depth",
                fix="Give a smaller `depth`, or `grain=task`, or take it as DOT.",
            ) from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    if process.returncode != 0 or not drawn:
        reason = said.decode(errors="replace").strip().rpartition("\n")[2][:300]
        raise NotAcceptable(f"no drawing here: {reason}", field="format", fix="Take it as JSON or DOT.")
    return drawn


def to_dot(found: Mapping[str, Any]) -> str:
    """DOT text of a lineage (the JSON answer of ``/v1/lineage``): a cluster for each workflow execution."""
    found = _folded(found)
    names = {node["id"]: f"n{number}" for number, node in enumerate(found["nodes"])}
    lines = ["digraph lineage {", statement("graph", {**GRAPH, "tooltip": _title(found)}, _legend(found))]
    lines += [statement("node", NODE), statement("edge", EDGE)]
    for number, (run, nodes) in enumerate(_runs(found["nodes"]).items()):
        drawn = [_draw_node(names[node["id"]], node, found["of"]) for node in nodes]
        lines += drawn if run is None else _cluster(number, run, drawn)
    shown = [edge for edge in _without_repeats(found["edges"]) if edge["from"] in names and edge["to"] in names]
    generated = {edge["from"] for edge in shown if edge["relation"] == GENERATED}
    lines += [_draw_edge(names, edge, edge["from"] in generated) for edge in shown]
    return "\n".join([*lines, "}", ""])


def _folded(found: Mapping[str, Any]) -> Mapping[str, Any]:
    """The lineage of a file as that of the state of it that was followed, so that it is drawn once."""
    start = found["of"]
    touching = [edge for edge in found["edges"] if start in (edge["from"], edge["to"])]
    if len(touching) != 1 or touching[0]["relation"] != SPECIALIZATION or touching[0]["to"] != start:
        return found
    nodes = [node for node in found["nodes"] if node["id"] != start]
    edges = [edge for edge in found["edges"] if edge is not touching[0]]
    return {**found, "of": touching[0]["from"], "nodes": nodes, "edges": edges}


def _runs(nodes: Iterable[Node]) -> dict[Optional[tuple[str, str]], list[Node]]:
    """Nodes by workflow execution; data stands outside, since it joins them."""
    found: dict[Optional[tuple[str, str]], list[Node]] = defaultdict(list)
    for node in nodes:
        found[(node["workflow"], node["execution"]) if node["workflow"] else None].append(node)
    return found


def _cluster(number: int, run: tuple[str, str], drawn: list[str]) -> list[str]:
    workflow, execution = run
    attributes = {
        **CLUSTER,
        "label": f"{shortened(workflow)}  ·  {shortened(execution, 14)}",
        "tooltip": f"{workflow}/{execution}",
    }
    return [f"subgraph cluster_{number} {{", statement("graph", attributes), *drawn, "}"]


def _draw_node(name: str, node: Node, start: str) -> str:
    if node["kind"] == "activity":
        style = {**ACTIVITY, **(_FAILED if node.get("status") == "failed" else {})}
        label = "\n".join(filter(None, [shortened(node["label"]), _duration(node)]))
    elif node.get("store") is not None:
        style, label = DATA, shortened(_file_name(node["label"]))
    else:
        style, label = ENTITY, shortened(node["label"] + _value(node.get("value")))
    if node["id"] == start:
        style = {**style, **_START}
    kind = f" ({node['type']})" if node.get("type") else ""
    link = {"URL": node["iri"]} if node["iri"].startswith(("http://", "https://")) else {}
    return statement(name, {**style, **link, "label": label, "tooltip": f"{node['id']}{kind}"})


def _draw_edge(names: Mapping[str, str], edge: Mapping[str, Any], generated: bool) -> str:
    start, end = names[edge["from"]], names[edge["to"]]
    about = {"tooltip": edge["relation"], "style": "solid" if edge["certain"] else "dashed"}
    if edge["relation"] not in (USED, GENERATED):
        about |= {"color": "#a3a3a3", "arrowhead": "empty"}
    if edge["relation"] == SPECIALIZATION and generated:  # what was generated stands before what was used
        start, end, about = end, start, {**about, "dir": "back", "arrowtail": "empty"}
    return statement(f"{start} -> {end}", about)


def _without_repeats(edges: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Edges but those from activity to activity that a value on the way says, too."""
    edges = list(edges)
    makers: dict[str, set[str]] = defaultdict(set)
    for edge in edges:
        if edge["relation"] == GENERATED:
            makers[edge["from"]].add(edge["to"])
    said = {(edge["from"], maker) for edge in edges if edge["relation"] == USED for maker in makers[edge["to"]]}
    return [edge for edge in edges if edge["relation"] != INFORMED or (edge["from"], edge["to"]) not in said]


def _title(found: Mapping[str, Any]) -> str:
    way = "What is behind" if found["direction"] == "backward" else "What came of"
    start = next((node for node in found["nodes"] if node["id"] == found["of"]), None)
    return f"{way} {start['label'] if start else found['of']}"


def _legend(found: Mapping[str, Any]) -> str:
    """The line under the drawing, as an HTML-like label: what shapes and dashes mean, and what is not shown."""
    cells = [
        '<TD BGCOLOR="#9fb1fc"> execution </TD><TD BGCOLOR="#fffc87"> value </TD><TD BGCOLOR="#ffe066"> data </TD>',
        "<TD> arrows point to what was before </TD>",
    ]
    if any(not edge["certain"] for edge in found["edges"]):
        cells.append("<TD> <B>- - -</B> dashed: the only possible origin, but nobody said so </TD>")
    left_out = sum(each["used_by"] is not None for each in found["ambiguous"])
    if left_out:
        cells.append(f"<TD> left out, since they may mean several things: {left_out} link{'s'[: left_out - 1]} </TD>")
    if left_out < len(found["ambiguous"]):
        cells.append("<TD> other states of the file are left out </TD>")
    if found["truncated"]:
        cells.append("<TD> <B>there is more than is shown</B> </TD>")
    title = html.escape(shortened(_clean(_title(found)), 110), quote=True)
    row = f"<TR>{''.join(cells)}</TR>"
    table = f'<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="5" CELLPADDING="2">{row}</TABLE>'
    return f'<<TABLE BORDER="0" CELLSPACING="0"><TR><TD ALIGN="LEFT"><B>{title}</B></TD></TR><TR><TD>{table}</TD></TR></TABLE>>'


def _duration(node: Node) -> str:
    if node.get("status") == "failed":
        return "failed"
    seconds = node.get("seconds")
    if seconds is None:
        return "" if node.get("ended") or not node.get("started") else "running"
    return (
        f"{seconds * 1000:.0f} ms"
        if seconds < 1
        else f"{seconds:.1f} s"
        if seconds < 120
        else f"{seconds / 60:.0f} min"
    )


def _value(value: Any) -> str:
    """What to add to the name of a value: scalars whole, of arrays the shape."""
    if isinstance(value, dict) and isinstance(value.get("shape"), list):
        return f" [{' × '.join(map(str, value['shape']))}]"
    if isinstance(value, (dict, list)) or value is None:
        return ""
    return f" = {value:.5g}" if isinstance(value, float) else f" = {value}"


def _file_name(key: str) -> str:
    """The last two parts of a path: enough to know a file by."""
    return posixpath.join(*key.rstrip("/").split("/")[-2:]) or key


def statement(name: str, attributes: Attributes, label: Optional[str] = None) -> str:
    """A DOT statement; ``label`` is an HTML-like one."""
    said = [f"{key}={_quote(text)}" for key, text in attributes.items()]
    return f"{name} [{', '.join([*said, f'label={label}'] if label else said)}];"


def _quote(text: str) -> str:
    """A DOT string that means ``text`` and nothing else; a line break is one."""
    escaped = _clean(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def _clean(text: str) -> str:
    """Text without what XML cannot hold."""
    return "".join(each if each >= " " or each == "\n" else "\N{REPLACEMENT CHARACTER}" for each in text)
