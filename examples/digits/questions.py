"""The papers' seven questions, carried over to handwritten digits, and the tables that answer them."""

from __future__ import annotations

from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from pllib.query import Client

STORE = "digits"


class Question(NamedTuple):
    """A named analysis, what it means here, and its parameters."""

    analysis: str
    text: str
    parameters: dict[str, Any]


def questions(best: dict[str, Any]) -> list[Question]:
    """The seven questions about the best of what ``train.py`` says it has learnt."""
    image_range = best["image_range"]
    model = {"model": best["model"], "store": STORE}
    dataset = {"dataset": f"{image_range}/train.npz", "store": STORE}
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


def show(console: Console, client: Client, question: Question, most: int = 12) -> list[dict[str, Any]]:
    """Runs an analysis and prints its answer as a table of at most ``most`` rows; all rows."""
    answer = client.analysis(question.analysis, **question.parameters)
    rows = answer["rows"]
    names = [column["name"] for column in answer["columns"]]
    shown = [name for name in names if any(row.get(name) is not None for row in rows)]
    table = Table(
        title=f"{question.analysis.upper()}  {question.text}",
        title_justify="left",
        title_style="bold",
        show_lines=False,
    )
    for name in shown:
        table.add_column(name, overflow="fold")
    for row in rows[:most]:
        table.add_row(*(_cell(row.get(name)) for name in shown))
    if len(rows) > most:
        table.caption = f"{len(rows) - most} more rows"
    console.print(table)
    console.print()
    return list(rows)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.5g}"
    text = str(value)
    return text.split("/id/", 1)[1] if text.startswith("http") and "/id/" in text else text
