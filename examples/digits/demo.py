"""The whole path on one machine: three scripts, captured; one that watches; seven questions answered; a picture.

    python examples/digits/demo.py

Starts the services in ./data (or uses those that run there) and leaves them running, so that one can look around;
``make down`` stops them.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rich.console import Console  # noqa: E402 - after the path of the checkout

from deploy.state import read_run  # noqa: E402
from examples.digits.questions import questions, show  # noqa: E402
from pllib import PllibError  # noqa: E402
from pllib.query import Client  # noqa: E402

HERE = Path(__file__).resolve().parent


def services(console: Console, data: Path) -> dict[str, str]:
    """Addresses of running services by name; started when they do not run."""
    status = [sys.executable, "-m", "deploy", "status", "--data", str(data)]
    if subprocess.run(status, cwd=CHECKOUT, capture_output=True, check=False).returncode != 0:
        # What is left of a stack in which something does not work is stopped first; nothing happens where none runs.
        subprocess.run([*status[:3], "down", *status[4:]], cwd=CHECKOUT, capture_output=True, check=False)
        console.print("[bold]Starting the services[/bold]")
        started = subprocess.run(
            [sys.executable, "-m", "deploy", "up", "--detach", "--data", str(data)], cwd=CHECKOUT, check=False
        )
        if started.returncode != 0:
            raise SystemExit(started.returncode)
    run = read_run(data)
    if run is None:
        raise SystemExit(f"the services in {data} did not say where they are")
    return run.urls


def script(name: str, *arguments: str, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(HERE / f"{name}.py"), *arguments], env=environment)


def finished(process: subprocess.Popen[bytes], name: str) -> None:
    if process.wait() != 0:
        raise SystemExit(f"{name}.py failed")


def run_scripts(console: Console, work: Path, epochs: int, query_url: str, environment: dict[str, str]) -> None:
    """Curates, prepares and learns, in one process each; a fourth watches the learning."""
    for name in ("curate", "prepare"):
        console.print(f"[bold]{name}[/bold]")
        finished(script(name, "--work", str(work), environment=environment), name)
    console.print("[bold]train[/bold], and meanwhile another process asks how it goes")
    since = datetime.datetime.now(datetime.timezone.utc).isoformat()
    training = script("train", "--work", str(work), "--epochs", str(epochs), environment=environment)
    watching = script("watch", "--query-url", query_url, "--since", since, environment=environment)
    finished(training, "train")
    finished(watching, "watch")


def settled(client: Client, expected: int, seconds: float = 30.0) -> None:
    """Waits until all models that were learnt are in the graph."""
    deadline = time.monotonic() + seconds
    query = "SELECT (COUNT(DISTINCT ?m) AS ?n) { ?m a provml:Model ; prov:wasGeneratedBy ?t . ?t prov:endedAtTime ?e }"
    while client.sparql(query)[0]["n"] < expected:
        if time.monotonic() > deadline:
            raise SystemExit("the provenance of the models did not arrive")
        time.sleep(0.1)


def demo(console: Console, data: Path, epochs: int) -> None:
    """Runs the scripts on the services in ``data`` and prints what the query engine answers about them."""
    urls = services(console, data)
    work = data / "demo"
    work.mkdir(parents=True, exist_ok=True)
    environment = {
        **os.environ,
        "PLLIB_URL": urls["tracker"],
        "PLLIB_SPOOL": str(data / "spool"),
        "PYTHONPATH": str(CHECKOUT),
    }
    client = Client(urls["query_engine"])

    run_scripts(console, work, epochs, urls["query_engine"], environment)
    results = json.loads((work / "results.json").read_text())
    settled(client, len(results))
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
        default=Path(os.environ.get("PLLIB_DATA") or CHECKOUT / "data"),
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
