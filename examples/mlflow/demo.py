"""Which commit and data produced the model in production? Two MLflow scripts that know nothing of PLLib, and the answers.

    python examples/mlflow/demo.py --python PYTHON     # one with MLflow 3, scikit-learn and pllib[mlflow]

Starts the services in ./data (or uses those that run there) and leaves them running, so that one can look around;
``make down`` stops them. ``make demo-mlflow`` makes an environment with MLflow, too.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(CHECKOUT))

from rich.console import Console  # noqa: E402 - after the path of the checkout

from examples.common.command import look_further  # noqa: E402
from examples.common.stack import default_data, finished, services, settled  # noqa: E402

HERE = Path(__file__).resolve().parent
MODEL = "digit-reader@production"
SCRIPTS = {
    "train": "Training by autolog; the best model becomes digit-reader@production",
    "score": "A script that loads the model in production",
}
LOADED = """SELECT DISTINCT ?who ?version WHERE { ?who prov:used ?state . ?state provlake:version ?version ;
  a provml:Model ; prov:specializationOf/provlake:key "digit-reader" FILTER(!CONTAINS(STR(?who), "/mlflow-registry")) }"""


def demo(console: Console, python: str, data: Path) -> None:
    """Runs the scripts on the services in ``data``, and the commands that answer."""
    urls, work = services(console, data), data / "mlflow"
    work.mkdir(parents=True, exist_ok=True)  # MLflow's database stays: run again, the model gets another version
    for name, told in SCRIPTS.items():
        console.print(f"[bold]{told}[/bold]: PLLIB_MLFLOW=1 python {name}.py")
        _run_script(python, name, work, urls["tracker"], data / "spool")
    settled(urls["tracker"])
    registry, table = ("--registry", str(work)), str(work / "digits.csv")
    _ask(console, urls, "What is the model in production made of?", "runs", "model", MODEL, *registry)
    _ask(console, urls, "Which models descend from this table?", "lineage", table, "--forward", "--type", "Model")
    _ask(console, urls, "Who loaded which version, by SPARQL?", "query", LOADED)
    picture = work / "digit-reader.svg"
    _command(urls, "lineage", MODEL, "--grain", "task", "--svg", str(picture))
    places = {
        "start page": f"{urls['query_engine']}/",
        "runs": f"{urls['query_engine']}/v1/runs?experiment=handwriting",
    }
    look_further(console, picture, MODEL, places)


def _run_script(python: str, name: str, work: Path, tracker: str, spool: Path) -> None:
    """As a user of MLflow would, in a folder of its own, with the variables set."""
    ours = {"PLLIB_MLFLOW": "1", "PLLIB_URL": tracker, "PLLIB_SPOOL": str(spool)}
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "GIT_PYTHON_REFRESH": "quiet", "PYTHONWARNINGS": "ignore"}
    environment = {**quiet, **os.environ, **ours, "MLFLOW_TRACKING_URI": f"sqlite:///{work}/mlflow.db"}
    finished(subprocess.Popen([python, str(HERE / f"{name}.py")], cwd=work, env=environment), name)


def _ask(console: Console, urls: dict[str, str], question: str, *arguments: str) -> None:
    console.rule(question)
    console.print(f"$ pllib {shlex.join(arguments)}", style="dim", markup=False)
    _command(urls, *arguments)


def _command(urls: dict[str, str], *arguments: str) -> None:
    sys.stdout.flush()
    environment = {**os.environ, "PLLIB_QUERY_URL": urls["query_engine"], "PYTHONPATH": str(CHECKOUT)}
    if subprocess.run([sys.executable, "-m", "pllib", *arguments], env=environment, check=False).returncode != 0:
        raise SystemExit(f"pllib {arguments[0]} failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--python", default=sys.executable, help="an interpreter with MLflow 3 (default: this one)")
    parser.add_argument(
        "--data", type=Path, default=default_data(), help="the services' folder (default: PLLIB_DATA, else ./data)"
    )
    chosen = parser.parse_args()
    python = shutil.which(chosen.python)
    if python is None:
        raise SystemExit(f"--python is {chosen.python}: there is no such program")
    demo(Console(width=max(Console().width, 120), highlight=False), os.path.abspath(python), chosen.data.resolve())


if __name__ == "__main__":
    main()
