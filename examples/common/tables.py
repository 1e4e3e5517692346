"""Answers as tables in a terminal."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pllib.query import Client

TIME = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)(?:\.\d+)?Z")
Row = dict[str, Any]


class Question(NamedTuple):
    """A named analysis, what it means in this example, and its parameters."""

    analysis: str
    text: str
    parameters: dict[str, Any]


def show(console: Console, client: Client, question: Question, most: int = 8) -> list[Row]:
    """Runs an analysis and prints its answer as a table of at most ``most`` rows; all rows."""
    answer = client.analysis(question.analysis, **question.parameters)
    rows: list[Row] = answer["rows"]
    names = [column["name"] for column in answer["columns"]]
    show_rows(console, question.analysis, question.text, rows, names, most)
    return rows


def show_rows(console: Console, title: str, text: str, rows: list[Row], names: list[str], most: int = 8) -> None:
    """Prints rows as a table; columns that are empty in all of them are left out."""
    names = [name for name in names if any(row.get(name) is not None for row in rows)]
    console.print(f"[bold cyan]{title.upper()}[/bold cyan]  [bold]{text}[/bold]")
    console.print(_upright(names, rows) if len(names) > 6 and len(rows) <= 6 else _flat(names, rows[:most]))
    if len(rows) > most:
        console.print(f"[dim]and {len(rows) - most} more rows[/dim]")
    console.print()


def _flat(names: list[str], rows: list[Row]) -> Table:
    """A row a row."""
    table = Table(box=SIMPLE_HEAD)
    for name in names:
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    return table


def _upright(names: list[str], rows: list[Row]) -> Table:
    """A column a row, for few rows of many columns."""
    table = Table(box=SIMPLE_HEAD, show_header=False)
    for name in names:
        table.add_row(f"[dim]{name.replace('_', ' ')}[/dim]", *(_cell(row.get(name)) for row in rows))
    return table


def _cell(value: Any) -> str:
    """Short text: of an IRI the last two parts, of a time the clock, of a number five digits."""
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    if text.startswith("http") and "/id/" in text:
        return unquote("/".join(text.split("/")[-2:]))
    moment = TIME.fullmatch(text)
    return moment[1] if moment else text
