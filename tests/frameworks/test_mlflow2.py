"""Stores that MLflow 2 wrote, extracted: in SQLite, of files, behind a server with and without passwords. ``make test-mlflow2`` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pllib import prov
from tests.mlflow2_project import Project, check, registry_of
from tests.mlflow_environment import environment, tracking_server

SCRIPT = Path(__file__).with_name("mlflow2_script.py")
ROOT = Path(__file__).parents[2]
PROGRESS = re.compile(r"pllib extract: [0-9,]+ .*")

pytestmark = pytest.mark.timeout(600)


@pytest.fixture(scope="module", params=os.environ.get("PLLIB_MLFLOW2_PYTHONS", "").split(os.pathsep))
def python(request: pytest.FixtureRequest) -> str:
    """An interpreter with MLflow 2."""
    return str(request.param)


def run_script(python: str, folder: Path, uri: str, **more: str) -> subprocess.CompletedProcess[str]:
    given = environment(MLFLOW_TRACKING_URI=uri, **more)
    done = subprocess.run(
        [python, SCRIPT, "flowers"], env=given, cwd=folder, capture_output=True, text=True, timeout=200
    )
    assert done.returncode == 0, done.stderr
    return done


@pytest.fixture(scope="module")
def project(python: str, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """What the script left in SQLite."""
    folder = tmp_path_factory.mktemp("mlflow2")
    url = f"sqlite:///{folder / 'mlflow.db'}"
    return {**json.loads(run_script(python, folder, url).stdout.splitlines()[-1]), "url": url, "folder": folder}


def pllib(folder: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "PYTHONPATH": str(ROOT), **more}
    command = [sys.executable, "-m", "pllib", *arguments]
    return subprocess.run(command, env=given, cwd=folder, capture_output=True, text=True, timeout=120)


def extracted(folder: Path, url: str, ids: str = "pllib", **more: str) -> prov.Document:
    done = pllib(folder, "extract", "--mlflow_url", url, "--ids", ids, "save", "--output", "o", **more)
    told = [line for line in done.stderr.splitlines() if not PROGRESS.fullmatch(line)]
    assert (done.returncode, told) == (0, [])
    return prov.read(folder / "o.json")


def test_a_database(project: Project) -> None:
    found = extracted(project["folder"], project["url"])
    check(found, project, registry_of(found))


def test_files(python: str, project: Project, tmp_path: Path) -> None:
    made = json.loads(run_script(python, tmp_path, (tmp_path / "mlruns").as_uri()).stdout.splitlines()[-1])
    found = extracted(tmp_path, str(tmp_path / "mlruns"))
    check(found, made, registry_of(found))


def test_a_server_says_the_same_as_its_database(
    python: str, project: Project, free_port: Callable[[], int], tmp_path: Path
) -> None:
    with tracking_server(python, project["folder"], free_port(), project["url"]) as address:
        direct, asked = (extracted(tmp_path, url, "mlflow2prov") for url in (project["url"], address))
        check(extracted(tmp_path, address), project, f"mlflow-registry%3A{address[7:].replace(':', '%3A')}")
    # Of deletions the server does not tell when, and of a version that was deleted nothing.
    untold = ("Deletion", "model&version=2", "model-version-2", "registered_model_version=2", "version-2&")
    left = [str(each.statement) for each in prov.differences(direct, asked)]
    assert [each for each in left if not any(part in each for part in untold)] == []


def test_a_server_with_passwords(python: str, project: Project, free_port: Callable[[], int], tmp_path: Path) -> None:
    if tuple(map(int, project["version"].split(".")[:2])) < (2, 5):
        pytest.skip("MLflow has users since 2.5")
    (tmp_path / "auth.ini").write_text(
        "[mlflow]\ndefault_permission = READ\nadmin_username = admin\nadmin_password = password1234\n"
        f"database_uri = sqlite:///{tmp_path}/auth.db\nauthorization_function = mlflow.server.auth:authenticate_request_basic_auth\n"
    )
    users = {"MLFLOW_AUTH_CONFIG_PATH": str(tmp_path / "auth.ini"), "MLFLOW_FLASK_SERVER_SECRET_KEY": "x" * 32}
    with tracking_server(
        python, project["folder"], free_port(), project["url"], "--app-name", "basic-auth", **users
    ) as address:
        refused = pllib(tmp_path, "extract", "--mlflow_url", address, "save", "--output", "no")
        assert refused.returncode == 1
        assert "MLFLOW_TRACKING_USERNAME" in refused.stderr
        login = {"MLFLOW_TRACKING_USERNAME": "admin", "MLFLOW_TRACKING_PASSWORD": "password1234"}
        found = extracted(tmp_path, address, **login)
        check(found, project, f"mlflow-registry%3A{address[7:].replace(':', '%3A')}")
        in_url = extracted(tmp_path, address.replace("//", "//admin:password1234@"))
        assert prov.differences(found, in_url) == []


def test_the_script_is_as_without_us_where_the_plugin_is_there(
    python: str, project: Project, installed_pllib: str, tmp_path: Path
) -> None:
    """Capture is for MLflow 3; an older one goes on, whatever can be captured of it."""
    ours = {"PYTHONPATH": installed_pllib, "PLLIB_MLFLOW": "1", "PLLIB_MODE": "disk"}
    done = run_script(python, tmp_path, f"sqlite:///{tmp_path}/mlflow.db", PLLIB_SPOOL=str(tmp_path / "spool"), **ours)
    assert json.loads(done.stdout.splitlines()[-1])["version"] == project["version"]
