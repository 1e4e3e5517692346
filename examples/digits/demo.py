"""The whole path on one machine: three scripts, captured; one that watches; seven questions answered; a picture.

    python examples/digits/demo.py

Starts the services in ./data (or uses those that run there) and leaves them running, so that one can look around;
``make down`` stops them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rich.console import Console  # noqa: E402 - after the path of the checkout

from examples.common.stack import Scripts, default_data, finished, services, settled  # noqa: E402
from examples.common.tables import show  # noqa: E402
from examples.digits.questions import questions  # noqa: E402
from pllib import PllibError  # noqa: E402
from pllib.query import Client  # noqa: E402

HERE = Path(__file__).resolve().parent


def run_scripts(console: Console, scripts: Scripts, work: Path, epochs: int, query_url: str) -> None:
    """Curates, prepares and learns, in one process each; a fourth watches the learning."""
    for name in ("curate", "prepare"):
        console.print(f"[bold]{name}[/bold]")
        scripts.run(name, "--work", str(work))
    console.print("[bold]train[/bold], and meanwhile another process asks how it goes")
    since = datetime.datetime.now(datetime.timezone.utc).isoformat()
    training = scripts.start("train", "--work", str(work), "--epochs", str(epochs))
    watching = scripts.start("watch", "--query-url", query_url, "--since", since)
    finished(training, "train")
    finished(watching, "watch")


def demo(console: Console, data: Path, epochs: int) -> None:
    """Runs the scripts on the services in ``data`` and prints what the query engine answers about them."""
    urls = services(console, data)
    work = data / "demo"
    work.mkdir(parents=True, exist_ok=True)
    client = Client(urls["query_engine"])

    run_scripts(console, Scripts(HERE, data, urls), work, epochs, urls["query_engine"])
    settled(urls["tracker"])
    results = json.loads((work / "results.json").read_text())
    best = max(results, key=lambda result: result["validation"]["accuracy"])
    console.rule(f"seven questions about the best model, {best['model']}")
    for question in questions(best):
        show(console, client, question)

    picture = work / "best-model.svg"
    picture.write_text(client.lineage(best["model"], store="digits", grain="task", format="svg"))
    console.print(f"[bold]Lineage of {best['model']}[/bold]: {picture}")
    console.print("[bold]Look further[/bold]")
    places = {"start page": "/", "REST": "/v1/executions", "SPARQL": "/sparql", "API docs": "/docs"}
    for name, path in places.items():
        console.print(f"  {name:<11} {urls['query_engine']}{path}")
    console.print(f"  {'tracker':<11} {urls['tracker']}/v1/stats")
    console.print("The services go on running; [bold]make down[/bold] stops them.")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--data",
        type=Path,
        default=default_data(),
        help="the services' folder (default: PLLIB_DATA, else ./data)",
    )
    parser.add_argument("--epochs", type=int, default=30, help="passes over each training set (default 30)")
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
