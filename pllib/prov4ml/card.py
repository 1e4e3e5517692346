"""A short account of a run for people, in Markdown, from its PROV-JSON document."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, Iterator, List, Set, Tuple
from urllib.parse import unquote

from ..whole_file import whole_file

Json = Any
Row = Tuple[str, ...]
MOST_ROWS = 200
"""Of a table."""
MOST_CHARACTERS = 200
"""Of a value."""
_RUN, _SERIES, _MODEL, _DATA = (
    "provml:LearningProcessExecution",
    "provlake:Series",
    "provml:Model",
    "provml:LearningDataset",
)
_PARAMETER, _FILE = "provml:LearningHyperparameterValue", "provlake:DataReference"


def write_card(document: str, path: str) -> None:
    """Writes the card of a document to a file.

    Raises:
        OSError: one of them cannot be read or written.
    """
    with open(document, encoding="utf-8") as file:
        text = "\n".join(_lines(json.load(file))) + "\n"
    with whole_file(path) as part, open(part, "w", encoding="utf-8") as file:
        file.write(text)


def _lines(document: Json) -> Iterator[str]:
    activities: Dict[str, Json] = document.get("activity", {})
    for name, run in activities.items():
        if _RUN in _types(run):
            parts = [unquote(each) for each in name.partition("execution/")[2].split("/")]
            yield f"# Run {_cell('/'.join(parts))}"
            yield ""
            facts = [(what, _value(run[key])) for what, key in _FACTS if key in run]
            yield from _table(
                ("", ""), [*facts, *((f"`{key}`", _text(value)) for key, value in _metadata(run).items())]
            )
    entities: Dict[str, Json] = document.get("entity", {})
    for title, kind, head, row in _TABLES:
        rows = [row(name, entity) for name, entity in entities.items() if kind in _types(entity)]
        if rows:
            yield from ("", f"## {title}", "")
            yield from _table(head, rows)


def _table(head: Row, rows: List[Row]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    yield from (f"| {' | '.join(map(_cell, row))} |" for row in rows[:MOST_ROWS])
    if len(rows) > MOST_ROWS:
        yield f"| and {len(rows) - MOST_ROWS} more |{' |' * (len(head) - 1)}"


def _types(element: Json) -> Set[str]:
    found = element.get("prov:type", [])
    return {
        each["$"] if isinstance(each, dict) else str(each) for each in (found if isinstance(found, list) else [found])
    }


def _value(value: Json) -> str:
    return str(value["$"] if isinstance(value, dict) else value)


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _metadata(run: Json) -> Dict[str, Json]:
    found = run.get("provlake:metadata")
    told = json.loads(_value(found)) if found is not None and not isinstance(found, list) else {}
    return told if isinstance(told, dict) else {}


def _cell(text: str) -> str:
    short = text if len(text) <= MOST_CHARACTERS else text[:MOST_CHARACTERS] + "…"
    return short.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _series(name: str, entity: Json) -> Row:
    *_, context, number, last = ["", "", *map(unquote, name.split("/"))]
    shown = ("prov:value", "provlake:unit", "provlake:minimum", "provlake:maximum", "provlake:lastStep")
    return (last, context if number == "0" else "", *(_value(entity.get(key, "")) for key in shown))


def _parameter(name: str, entity: Json) -> Row:
    return unquote(name.split("/")[-2]), _value(entity.get("prov:value", ""))


def _thing(name: str, entity: Json) -> Row:
    text = _value(entity.get("prov:value", ""))
    known = os.path.basename(text) if name.startswith("id:data/") else unquote(name.split("/")[-2])
    return known, text, _value(entity.get("provlake:size", ""))


_FACTS = (
    ("status", "provlake:status"),
    ("began", "prov:startTime"),
    ("ended", "prov:endTime"),
    ("seconds", "provlake:duration"),
    ("error", "provlake:errorMessage"),
)
_TABLES = (
    ("Parameters", _PARAMETER, ("parameter", "value"), _parameter),
    ("Metrics and measurements", _SERIES, ("name", "part", "last", "unit", "least", "most", "step"), _series),
    ("Models", _MODEL, ("model", "file or description", "bytes"), _thing),
    ("Data sets", _DATA, ("data set", "file or description", "bytes"), _thing),
)
