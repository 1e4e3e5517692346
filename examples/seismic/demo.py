"""The papers' use case on one machine: four workflows that know nothing of each other, and the questions about them.

    python examples/seismic/demo.py

Starts the services in ./data (or uses those that run there) and leaves them running, so that one can look around;
``make down`` stops them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rich.console import Console  # noqa: E402 - after the path of the checkout

from examples.common.stack import Scripts, default_data, services, settled  # noqa: E402
from examples.common.tables import Question, show, show_rows  # noqa: E402
from examples.seismic.questions import ask  # noqa: E402
from pllib import PllibError  # noqa: E402
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
    look_further(console, urls, best, picture)


def look_further(console: Console, urls: dict[str, str], best: str, picture: Path) -> None:
    """Where to go from here."""
    console.print(f"[bold]Lineage of {best}[/bold]: {picture}")
    console.print("[bold]Look further[/bold]")
    places = {
        "start page": "/",
        "failed runs": "/v1/executions?workflow=train-salt&status=failed",
        "analyses": "/v1/analyses",
        "SPARQL": "/sparql",
        "API docs": "/docs",
    }
    for name, path in places.items():
        console.print(f"  {name:<11} {urls['query_engine']}{path}")
    console.print("The services go on running; [bold]make down[/bold] stops them.")


def _read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data", type=Path, default=default_data(), help="the services' folder (default: PLLIB_DATA, else ./data)"
    )
    parser.add_argument("--epochs", type=int, default=5, help="passes over each training set (default 5)")
    chosen = parser.parse_args()
    console = Console(width=max(Console().width, 120), highlight=False)
    try:
        demo(console, chosen.data.expanduser().resolve(), chosen.epochs)
    except PllibError as error:
        print(
            f"error: {error}\nfix: see `python -m deploy status`, and the logs in {chosen.data}/logs", file=sys.stderr
        )
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
