"""The papers' use case on one machine: four workflows that know nothing of each other, and the questions about them.

    python examples/seismic/demo.py

Starts the services in ./data (or uses those that run there) and leaves them running, so that one can look around;
``make down`` stops them.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rich.console import Console  # noqa: E402 - after the path of the checkout

from examples.common.command import command, look_further  # noqa: E402
from examples.common.stack import Scripts, services, settled  # noqa: E402
from examples.common.tables import Question, show, show_rows  # noqa: E402
from examples.seismic.questions import ask  # noqa: E402
from pllib.query import Client  # noqa: E402

HERE = Path(__file__).resolve().parent
WORKFLOWS = {
    "curate": "Curation: files, documents and triples become curated items",
    "prepare": "Preparation: slices become tiles, and tiles become sets",
    "train": "Training: networks by epochs and batches; one run fails",
    "evaluate": "Evaluation: every model on its test set",
}


def new_folder(data: Path) -> Path:
    """The folder that the example works in, empty: what an earlier run of it left is taken away."""
    work = data / "seismic"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    return work


def rename(console: Console, client: Client, scripts: Scripts, urls: dict[str, str], work: Path, name: str) -> None:
    """Moves the prepared sets to another store, lets an audit read them there, and asks under the new name."""
    console.rule("a store that was renamed: the prepared sets are the archive now")
    scripts.run("archive", "--work", str(work), "--tracker", urls["tracker"])
    scripts.run("audit", "--work", str(work))
    settled(urls["tracker"])
    dataset = {"dataset": f"{name}/train.npz", "store": "archive"}
    show(console, client, Question("q3", "Q3 again, by the training set's new name", dataset))
    behind = client.lineage("audit.json", store="reports", grain="task")["nodes"]
    raw = [node for node in behind if node.get("store") == "raw"]
    show_rows(console, "lineage", "Which raw files are behind the report on the archive?", raw, ["depth", "label"])


def demo(console: Console, data: Path, epochs: int) -> None:
    """Runs the workflows on the services in ``data`` and prints what the query engine answers about them."""
    urls = services(console, data)
    work = new_folder(data)
    scripts, client = Scripts(HERE, data, urls), Client(urls["query_engine"])
    console.print("[bold]Making synthetic surveys[/bold], which nobody captures")
    scripts.run("make_surveys", "--work", str(work))
    for name, told in WORKFLOWS.items():
        console.print(f"[bold]{told}[/bold]")
        scripts.run(name, "--work", str(work), *(["--epochs", str(epochs)] if name == "train" else []))
    settled(urls["tracker"])

    best = _read(work / "models" / "best.json")["best"]
    name = best.split("/")[0]
    console.rule(f"the papers' questions about the best model, {best}")
    ask(console, client, best, f"{name}/train.npz", "0-31", "netherlands-f3.sgy")
    picture = work / "best-model.svg"
    picture.write_text(client.lineage(best, store="models", grain="task", format="svg"))
    rename(console, client, scripts, urls, work, name)
    query = urls["query_engine"]
    places = {
        "start page": f"{query}/",
        "failed runs": f"{query}/v1/executions?workflow=train-salt&status=failed",
        "analyses": f"{query}/v1/analyses",
        "SPARQL": f"{query}/sparql",
        "API docs": f"{query}/docs",
    }
    look_further(console, picture, best, places)


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


if __name__ == "__main__":
    raise SystemExit(command(__doc__ or "", demo, epochs=5))
