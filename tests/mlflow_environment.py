"""An environment with MLflow 3 beside this one, made once and kept: what the tests of `pllib.mlflow` and of the extraction run in.

It shares this environment's packages (links to them) but for this project, and adds what only MLflow needs. What an installed
pllib adds to it is said by ``with_pllib``, so the same interpreter also shows MLflow without us.
"""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import sysconfig
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import tomllib

CHECKOUT = Path(__file__).resolve().parent.parent
MLFLOW = "3.17.2"
NEEDS = (
    f"mlflow-skinny=={MLFLOW}",
    "sqlalchemy==2.1.9", "alembic==1.20.1", "mako==1.4.3", "flask==3.1.3", "flask-cors==6.0.5", "werkzeug==3.1.9", "blinker==1.9.0",
    "itsdangerous==2.2.0", "cachetools==7.3.2", "databricks-sdk==0.156.0", "gitpython==3.2.1", "gitdb==4.0.12", "smmap==5.0.3",
    "google-auth==2.62.2", "pyasn1==0.6.5", "pyasn1-modules==0.4.2", "importlib-metadata==9.1.0", "opentelemetry-proto==1.45.2",
    "opentelemetry-sdk==1.45.2", "opentelemetry-semantic-conventions==0.66b2", "protobuf==7.36.2", "python-dotenv==1.2.4",
    "sqlparse==0.6.1", "aiohttp==3.14.5", "aiosignal==1.4.0", "aiohappyeyeballs==2.7.1", "yarl==1.25.1", "frozenlist==1.8.0",
    "multidict==7.2.1", "propcache==0.5.4", "psycopg2-binary==2.9.13",
)  # fmt: skip
STORES = os.environ.get("PLLIB_TEST_STORES", "oxigraph,fuseki").split(",")
one_store = pytest.mark.parametrize("store_kind", STORES[:1], indirect=True)
"""For tests of what the triple store has no part in, such as what is recorded of a script, and by whom."""
SECONDS = 400
SERVER_SECONDS = 120


class Missing(Exception):
    """The environment cannot be made here; the message says why."""


def python(folder: Path) -> str:
    """The interpreter of the environment in a folder, which is made when it is not there yet.

    Raises:
        Missing: the packages cannot be had.
    """
    packages = Path(sysconfig.get_paths()["purelib"])
    shared = sorted(path for path in packages.iterdir() if _is_shared(path.name))
    wanted = "\n".join((sys.version, *NEEDS, *(str(path) for path in shared)))
    home = folder / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    interpreter, ready = home / "bin" / "python", home / "ready"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several workers may run tests at once
        if not (ready.exists() and ready.read_text() == wanted and interpreter.exists()):
            _make(home, interpreter, shared)
            ready.write_text(wanted)
    return str(interpreter)


def _is_shared(name: str) -> bool:
    return not name.lower().startswith(("pllib", "_pllib", "__editable__", "__pycache__", "_virtualenv", "pip")) and (
        not name.endswith((".pth", ".virtualenv"))
    )


def _make(home: Path, interpreter: Path, shared: list[Path]) -> None:
    venv.create(home, with_pip=False, clear=True)
    target = home / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    for path in shared:
        (target / path.name).symlink_to(path)
    command = [sys.executable, "-m", "pip", "--python", str(interpreter), "install"]
    options = ["--quiet", "--no-deps", "--disable-pip-version-check"]
    try:
        done = subprocess.run([*command, *options, *NEEDS], capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Missing(f"the packages did not come within {SECONDS} s") from error
    if done.returncode:
        raise Missing(done.stderr.strip()[-500:])


@pytest.fixture(scope="session")
def mlflow_python(pytestconfig: pytest.Config) -> str:
    """The interpreter of an environment with MLflow 3, sqlalchemy, Flask, scikit-learn and pandas."""
    try:
        return python(pytestconfig.cache.mkdir("mlflow"))
    except Missing as error:
        told = f"the environment with MLflow cannot be made: {error}"
        return pytest.fail(told) if os.environ.get("CI", "") not in ("", "0", "false") else pytest.skip(told)


@pytest.fixture(scope="session")
def installed_pllib(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder that on ``PYTHONPATH`` is as this checkout's pllib installed, with its entry points."""
    folder = tmp_path_factory.mktemp("installed")
    for name in ("pllib", "pllib_mlflow.py"):
        (folder / name).symlink_to(CHECKOUT / name)
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    about = folder / f"pllib-{project['version']}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: pllib\nVersion: {project['version']}\n")
    groups = {"console_scripts": project["scripts"], **project.get("entry-points", {})}
    lines = [f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in one.items()) for group, one in groups.items()]  # fmt: skip
    (about / "entry_points.txt").write_text("\n".join(lines))
    return str(folder)


def environment(**more: str) -> dict[str, str]:
    """The environment of a process that uses MLflow: nothing of this project's, and MLflow sends nothing and asks nobody."""
    ours = ("PYTHON", "PLLIB_", "MLFLOW_", "_MLFLOW_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours) or name == "PLLIB_TEST_SESSION"}  # fmt: skip
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "GIT_PYTHON_REFRESH": "quiet", "NO_COLOR": "1"}
    return {**kept, **quiet, **more}


@contextmanager
def tracking_server(python: str, folder: Path, port: int, store: str, *options: str, **more: str) -> Iterator[str]:
    """The address of an MLflow server of one worker until the end of the block; its log is in the folder."""
    address, log_file = f"http://127.0.0.1:{port}", folder / "server.log"
    command = [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    path = os.pathsep.join((os.path.dirname(python), os.environ.get("PATH", "")))  # it looks for its server there
    given = environment(MLFLOW_SERVER_ENABLE_JOB_EXECUTION="false", PATH=path, **more)
    with log_file.open("ab") as log:
        process = subprocess.Popen(
            [*command, "--backend-store-uri", store, *options],
            env=given,
            cwd=folder,
            stdout=log,
            stderr=log,
            start_new_session=True,  # its workers are processes of their own, which are to end with it
        )
    try:
        until = time.monotonic() + SERVER_SECONDS
        while not _answers(f"{address}/health"):
            assert process.poll() is None, log_file.read_text()
            assert time.monotonic() < until, log_file.read_text()
            time.sleep(0.1)
        yield address
    finally:
        _signal(process, signal.SIGTERM)
        try:
            process.wait(20)
        finally:
            _signal(process, signal.SIGKILL)
            process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except urllib.error.HTTPError as refused:
        return refused.code == 401  # it asks who is there
    except (urllib.error.URLError, OSError):
        return False
