"""The papers' seven questions in the papers' words, their SPARQL listings, and what lineage adds to them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from rich.console import Console

from examples.common.tables import Question, Row, show, show_rows
from pllib.query import Client, get_json

LISTINGS = Path(__file__).resolve().parent / "listings"


def questions(model: str, training_set: str, slice_range: str) -> list[Question]:
    """Q1 to Q7 about a model, a training set and a range of slices, given by their keys and its text."""
    trained = {"model": model, "store": "models"}
    dataset = {"dataset": training_set, "store": "prepared"}
    slices = {"attribute": "slice_range", "value": slice_range}
    return [
        Question(
            "q1",
            f"Given the trained model {model}: coordinates, basin, field and number of slices of the seismic in its "
            "training set?",
            trained,
        ),
        Question(
            "q2",
            f"Given the trained model {model}: tile size, noise filter threshold and slice ranges used to generate its "
            "training set?",
            trained,
        ),
        Question(
            "q3",
            f"Given the training set {training_set}: all hyperparameters and evaluation values of the trained model "
            "with the least loss?",
            dataset,
        ),
        Question(
            "q4",
            f"Given the training set {training_set}: average, minimum and maximum time of each batch iteration in each "
            "epoch?",
            dataset,
        ),
        Question(
            "q5",
            f"Given the range of slices {slice_range}: average batch time per epoch and evaluation metrics of the "
            "models trained on the sets generated from it?",
            slices,
        ),
        Question(
            "q6",
            "And the source data files of these training sets, their number of slices, basin and field?",
            slices,
        ),
        Question(
            "q7",
            f"Given the learning workflows on the sets of the slices {slice_range}: minimum batch loss per model, its "
            "hyperparameters and evaluations, joined with those of the validation stage, best first?",
            slices,
        ),
        Question("shared-data", "Which workflows share data?", {}),
    ]


def listings() -> dict[str, str]:
    """The papers' SPARQL by name, as it stands in the files."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(LISTINGS.glob("*.rq"))}


def descendants(client: Client, raw: str, **only: Any) -> list[Row]:
    """What a raw file fed, the nearest first; with ``type="Model"``, the models that descend from it."""
    given = {"of": raw, "store": "raw", "direction": "forward", **only}
    nodes: list[Row] = get_json(client.url, "/v1/lineage", given, timeout=client.timeout)["nodes"]
    return sorted(nodes, key=lambda node: (node["depth"], node["label"]))


def ask(console: Console, client: Client, model: str, training_set: str, slice_range: str, raw: str) -> None:
    """Asks everything and prints the answers."""
    for question in questions(model, training_set, slice_range):
        show(console, client, question)
    for name, listing in listings().items():
        rows = client.sparql(listing)
        told = f"{name}.rq, the papers' listing as printed: {len(rows)} rows"
        show_rows(console, "listing", told, rows, list(rows[0]) if rows else [], 2)
    tasks = counted(descendants(client, raw, grain="task"))
    show_rows(console, "forward", f"What did the raw file {raw} feed?", tasks, list(tasks[0]), 12)
    models = descendants(client, raw, type="Model")
    show_rows(console, "forward", f"Which models descend from {raw}?", models, ["label", "store", "depth"], 6)


def counted(nodes: list[Row]) -> list[Row]:
    """What a lineage came by, in short: how many executions of each transformation."""
    steps = Counter((node["workflow"], node["label"]) for node in nodes if node["kind"] == "activity")
    return [{"workflow": workflow, "step": step, "executions": count} for (workflow, step), count in steps.items()]
