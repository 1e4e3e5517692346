"""The whole path on one machine: three scripts, captured; one that watches; seven questions answered; a picture.

    python examples/digits/demo.py

Starts the services in ./data (or uses those that run there) and leaves them running, so that one can look around;
``make down`` stops them.
"""

from __future__ import annotations

import datetime
import json
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rich.console import Console  # noqa: E402 - after the path of the checkout

from examples.common.command import command, look_further  # noqa: E402
from examples.common.stack import Scripts, finished, services, settled  # noqa: E402
from examples.common.tables import show  # noqa: E402
from examples.digits.questions import questions  # noqa: E402
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
    query = urls["query_engine"]
    places = {
        "start page": f"{query}/",
        "REST": f"{query}/v1/executions",
        "SPARQL": f"{query}/sparql",
        "API docs": f"{query}/docs",
        "tracker": f"{urls['tracker']}/v1/stats",
    }
    look_further(console, picture, best["model"], places)


if __name__ == "__main__":
    raise SystemExit(command(__doc__ or "", demo, epochs=30))
