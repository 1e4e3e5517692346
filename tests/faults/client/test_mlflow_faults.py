"""Whatever is broken on our side, an MLflow script prints, holds and ends as it does without us."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests import mlflow_environment

pytestmark = pytest.mark.timeout(300)

WORKLOAD = Path(__file__).with_name("mlflow_workload.py")
RAISES = """
import pllib.mlflow.{part} as part

def broken(*_, **__):
    raise {error}("ours")

part.HANDLERS.update(dict.fromkeys(part.HANDLERS, broken))
"""
ALL_RAISE = "".join(RAISES.format(part=part, error="RecursionError") for part in ("tracking", "registry", "artifacts"))
LOOKS = """
import atexit

@atexit.register
def look():
    import sys
    from mlflow.tracking._tracking_service import utils
    from mlflow.tracking.request_header import registry
    from mlflow.store.artifact.artifact_repository_registry import get_registered_artifact_repositories as repositories
    from mlflow.store.artifact.local_artifact_repo import LocalArtifactRepository
    stores = utils._tracking_store_registry._registry
    mine = stores["sqlite"] is utils._get_sqlalchemy_store and stores["file"] is utils._get_file_store
    wrapped = hasattr(utils._get_store().log_batch, "__pllib__")
    print("own", mine, repositories()["file"] is LocalArtifactRepository, wrapped, file=sys.stderr)
    print("loaded", sorted(name for name in sys.modules if name.split(".")[0] == "pllib"), file=sys.stderr)
    print("headers", "X-PLLib-Captured" in registry.resolve_request_headers(), file=sys.stderr)
"""

Done = subprocess.CompletedProcess[str]


class Case:
    """One way to run the script: variables, and files to find before the installed ones."""

    def __init__(self, files: dict[str, str] | None = None, **variables: str) -> None:
        self.files, self.variables = files or {}, variables


CASES = {
    "without us": Case(),
    "unset": Case({"sitecustomize.py": LOOKS}, PLLIB_MLFLOW=""),
    "recorded": Case(PLLIB_MODE="disk"),
    "package broken": Case({"pllib/__init__.py": "raise RuntimeError('ours')"}),
    "package without the part": Case({"pllib/__init__.py": ""}),
    "spool unwritable": Case(PLLIB_SPOOL="/proc/version/spool", PLLIB_EXIT_TIMEOUT="0.5"),
    "no tracker": Case(PLLIB_EXIT_TIMEOUT="0.5"),
    "recording raises": Case({"sitecustomize.py": ALL_RAISE}, PLLIB_MODE="disk", PLLIB_STRICT="1"),
    "settings wrong": Case(PLLIB_MODE="sideways", PLLIB_INTERVAL="never", PLLIB_EXIT_TIMEOUT="0.5"),
    "not enabled": Case(PLLIB_ENABLED="no"),
}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with a folder for each case."""
    return tmp_path_factory.mktemp("cases")


@pytest.fixture(scope="module")
def outcomes(mlflow_python: str, installed_pllib: str, free_port: Callable[[], int], home: Path) -> dict[str, Done]:
    """What became of the script in each case. Several run at a time: most of it is importing MLflow."""
    url = f"http://127.0.0.1:{free_port()}"
    made = mlflow_environment.environment()
    prepare = "import mlflow; mlflow.MlflowClient().search_experiments()"  # the tables take longer than the rest
    subprocess.run([mlflow_python, "-c", prepare], env=made, cwd=home, capture_output=True, check=True, timeout=100)
    names = list(CASES)
    found: dict[str, Done] = {}
    for start in range(0, len(names), 3):
        part = {name: _start(home, name, mlflow_python, installed_pllib, url) for name in names[start : start + 3]}
        for name, process in part.items():
            found[name] = _ended(process)
    return found


def _start(home: Path, name: str, python: str, installed: str, url: str) -> subprocess.Popen[str]:
    case, folder = CASES[name], home / name.replace(" ", "-")
    folder.mkdir()
    for path, text in case.files.items():
        file = folder / "first" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    ours = {
        "PYTHONPATH": f"{folder / 'first'}:{installed}",
        "PLLIB_MLFLOW": "1",
        "PLLIB_URL": url,
        "PLLIB_SPOOL": str(folder / "spool"),
    }
    given = {} if name == "without us" else {**ours, **case.variables}
    (folder / "work").mkdir()
    shutil.copy(home / "mlflow.db", folder / "work")
    pipe = subprocess.PIPE
    environ = mlflow_environment.environment(**given)
    return subprocess.Popen([python, WORKLOAD], env=environ, cwd=folder / "work", stdout=pipe, stderr=pipe, text=True)


def _ended(process: subprocess.Popen[str]) -> Done:
    try:
        output, errors = process.communicate(timeout=100)
    finally:
        process.kill()
    return Done(process.args, process.returncode, output, errors)


def notes(done: Done) -> list[str]:
    """What was said on standard error, but for times, addresses of runs and our one line about what was not sent."""
    text = re.sub(r"\d{4}/\d\d/\d\d \d\d:\d\d:\d\d|[0-9a-f]{32}", "", done.stderr)
    return [line for line in text.splitlines() if not line.startswith("pllib: ")]


@pytest.mark.parametrize("case", [name for name in CASES if name != "without us"])
def test_the_script_is_as_without_us(outcomes: dict[str, Done], case: str) -> None:
    plain, done = outcomes["without us"], outcomes[case]
    assert plain.returncode == done.returncode == 5, done.stderr
    assert done.stdout == plain.stdout
    said = notes(done)
    assert [line for line in said if not line.startswith(("own", "loaded", "headers"))] == notes(plain)


def test_with_no_variable_mlflow_has_its_own_builders_and_nothing_of_us_is_imported(outcomes: dict[str, Done]) -> None:
    told = [line for line in outcomes["unset"].stderr.splitlines() if line.startswith(("own", "loaded", "headers"))]
    assert told == ["own True True False", "loaded []", "headers False"]


def test_what_could_not_be_sent_is_kept_and_said_in_one_line(outcomes: dict[str, Done]) -> None:
    lines = [line for line in outcomes["no tracker"].stderr.splitlines() if line.startswith("pllib: ")]
    assert len(lines) == 1
    assert "send them with: pllib ship" in lines[0]


def records(home: Path, case: str) -> list[dict[str, Any]]:
    """What is in the files of a case."""
    files = (home / case.replace(" ", "-") / "spool").rglob("*.frames")
    lines = [line for file in files for line in file.read_text().splitlines() if line.strip()]
    return [json.loads(line.split(" ", 2)[2]) for line in lines]


def test_the_cases_are_what_they_say(outcomes: dict[str, Done], home: Path) -> None:
    found = records(home, "recorded")
    points = {
        record["series"]: len(record["values"])
        for record in found
        if record["op"] == "points" and record["series"] != "loss"
    }
    assert points == {"a": 1, "b": 1}
    assert sum(len(record["values"]) for record in found if record.get("series") == "loss") == 21
    assert [record["status"] for record in found if record["op"] == "end" and "stage" not in record][:2] == [
        "finished",
        "failed",
    ]
    assert {record["op"] for record in records(home, "recording raises")} == {"producer"}
    assert records(home, "package broken") == records(home, "unset") == records(home, "without us") == []
    assert {record["op"] for record in records(home, "not enabled")} <= {"producer"}
    kept = [record for record in records(home, "no tracker") if record["op"] != "points"]
    assert len(kept) == len([record for record in found if record["op"] != "points"])
