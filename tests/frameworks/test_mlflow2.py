"""Stores that MLflow 2 wrote, extracted: in SQLite, of files, behind a server with and without passwords. ``make test-mlflow2`` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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


@contextmanager
def s3(python: str, port: int, folder: Path) -> Iterator[dict[str, str]]:
    """What a process needs to know of a server of S3 with the bucket ``lab``."""
    told = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    told["MLFLOW_S3_ENDPOINT_URL"] = f"http://127.0.0.1:{port}"
    with (folder / "s3.log").open("wb") as log:
        command = [python, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        process = subprocess.Popen(command, env=environment(**told), stdout=log, stderr=log)
    try:
        until = time.monotonic() + 60
        while not made(f"{told['MLFLOW_S3_ENDPOINT_URL']}/lab"):
            assert time.monotonic() < until, (folder / "s3.log").read_text()
            time.sleep(0.2)
        yield told
    finally:
        process.kill()
        process.wait()


def made(bucket: str) -> bool:
    try:
        with urllib.request.urlopen(urllib.request.Request(bucket, method="PUT"), timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def test_artifacts_in_s3(python: str, free_port: Callable[[], int], tmp_path: Path) -> None:
    """Listed by the server that knows the store, and by the package; without that they are told to be left out."""
    if subprocess.run([python, "-c", "import moto"], capture_output=True, timeout=60).returncode:
        pytest.skip("this environment has no server of S3")
    url = f"sqlite:///{tmp_path}/mlflow.db"
    with s3(python, free_port(), tmp_path) as access:
        create = "import mlflow; mlflow.create_experiment('flowers', artifact_location='s3://lab/flowers')"
        given = environment(MLFLOW_TRACKING_URI=url, **access)
        subprocess.run([python, "-c", create], env=given, cwd=tmp_path, check=True, capture_output=True, timeout=100)
        project = json.loads(run_script(python, tmp_path, url, **access).stdout.splitlines()[-1])
        given = environment(PYTHONPATH=str(ROOT), **access)
        command = [python, "-m", "pllib", "extract", "--mlflow_url", url, "save", "--output", "package"]
        done = subprocess.run(command, env=given, cwd=tmp_path, capture_output=True, text=True, timeout=150)
        assert done.returncode == 0, done.stderr
        found = prov.read(tmp_path / "package.json")
        check(found, project, registry_of(found))
        with tracking_server(python, tmp_path, free_port(), url, **access) as address:
            asked = extracted(tmp_path, address)
            check(asked, project, registry_of(asked))
    left_out = pllib(tmp_path, "extract", "--mlflow_url", url, "save", "--output", "without")
    assert left_out.returncode == 0
    assert "artifacts in s3: are listed by the mlflow package" in left_out.stderr
