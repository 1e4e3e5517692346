"""The papers' seven questions, carried over to handwritten digits, and the tables that answer them."""

from __future__ import annotations

import re
from typing import Any, NamedTuple
from urllib.parse import unquote

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from pllib.query import Client

TIME = re.compile(r"\d{4}-\d\d-\d\dT(\d\d:\d\d:\d\d)(?:\.\d+)?Z")


class Question(NamedTuple):
    """A named analysis, what it means here, and its parameters."""

    analysis: str
    text: str
    parameters: dict[str, Any]


def questions(best: dict[str, Any]) -> list[Question]:
    """The seven questions about the best of what ``train.py`` says it has learnt."""
    image_range = best["image_range"]
    model = {"model": best["model"], "store": "digits"}
    dataset = {"dataset": f"{image_range}/train.npz", "store": "digits"}
    prepared = {"attribute": "image_range", "value": image_range}
    return [
        Question(
            "q1", "Where do the images come from that the best model was trained on, and what do they show?", model
        ),
        Question("q2", "With which parameters was its training set prepared?", model),
        Question(
            "q3",
            "Which hyperparameters and evaluations has the model with the least loss on this training set?",
            dataset,
        ),
        Question("q4", "How long did a batch take in each epoch of the models trained on it?", dataset),
        Question(
            "q5",
            f"And of all models on the images {image_range}: batch time an epoch, and how good are they?",
            prepared,
        ),
        Question("q6", "Which source file are those sets made of, and what does it hold?", prepared),
        Question(
            "q7",
            f"The models on the images {image_range}, by their least batch loss, with settings and scores?",
            prepared,
        ),
    ]


def show(console: Console, client: Client, question: Question, most: int = 8) -> list[dict[str, Any]]:
    """Runs an analysis and prints its answer as a table of at most ``most`` rows; all rows."""
    answer = client.analysis(question.analysis, **question.parameters)
    rows = answer["rows"]
    names = [column["name"] for column in answer["columns"]]
    names = [name for name in names if any(row.get(name) is not None for row in rows)]
    console.print(f"[bold cyan]{question.analysis.upper()}[/bold cyan]  [bold]{question.text}[/bold]")
    console.print(_upright(names, rows) if len(names) > 6 and len(rows) <= 6 else _flat(names, rows[:most]))
    if len(rows) > most:
        console.print(f"[dim]and {len(rows) - most} more rows[/dim]")
    console.print()
    return list(rows)


def _flat(names: list[str], rows: list[dict[str, Any]]) -> Table:
    """A row a row."""
    table = Table(box=SIMPLE_HEAD)
    for name in names:
        table.add_column(name.replace("_", " "))
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in names))
    return table


def _upright(names: list[str], rows: list[dict[str, Any]]) -> Table:
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
