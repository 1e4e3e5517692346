"""The wheel: only the library, no requirement, and an import that costs little."""

from __future__ import annotations

import email.parser
import json
import os
import shutil
import subprocess
import sys
import zipfile
from email.message import Message
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 120
NOT_AT_IMPORT = {
    "argparse",
    "asyncio",
    "concurrent.futures.process",
    "email",
    "http.client",
    "logging.config",
    "multiprocessing",
    "sqlite3",
    "ssl",
    "subprocess",
    "unittest",
    "urllib.request",
    "xml",
}
"""Standard modules that are dear to import, and that a script which only captures does not need at once."""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=inherited, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # Built from a copy, so that nothing is left in the checkout; the services lie beside the library as they do there.
    for name in ("pllib", "tracker", "manager", "query_engine", "deploy"):
        shutil.copytree(CHECKOUT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pllib_mlflow.py", "pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md"):
        shutil.copy(CHECKOUT / name, source)
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, source)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def clean_python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has the wheel and nothing else, not even an installer."""
    folder = tmp_path_factory.mktemp("clean") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", wheel)
    return python


@pytest.fixture(scope="module")
def metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        return email.parser.Parser().parsestr(archive.read(name).decode("utf-8"))


def names_of(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_the_wheel_holds_the_library_and_nothing_beside_it(wheel):
    tops = {name.split("/")[0] for name in names_of(wheel)}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"pllib", "pllib_mlflow.py"}
    assert wheel.name.endswith("-py3-none-any.whl")


def test_every_data_file_of_the_library_is_in_the_wheel(wheel):
    files = (path for path in (CHECKOUT / "pllib").rglob("*") if path.is_file() and path.suffix != ".pyc")
    wanted = {path.relative_to(CHECKOUT).as_posix() for path in files}
    assert "pllib/schema/capture-v1.json" in wanted
    assert wanted <= set(names_of(wheel))


def test_the_wheel_requires_nothing_but_by_extras(metadata):
    requirements = metadata.get_all("Requires-Dist") or []
    assert [line for line in requirements if "extra ==" not in line] == []
    assert set(metadata.get_all("Provides-Extra") or []) >= {"tracker", "manager", "query", "server"}


def test_the_metadata_say_what_it_is(metadata):
    assert metadata["Name"] == "pllib"
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert metadata["Summary"]
    assert str(metadata.get_payload()).strip()


def test_mlflow_finds_what_stands_between_it_and_its_stores(clean_python, tmp_path):
    """Each entry point can be loaded where there is neither MLflow nor anything of pllib that works."""
    script = """
import importlib.metadata, sys
sys.modules["pllib"] = None
groups = ["tracking_store", "model_registry_store", "artifact_repository"]

class Registry:
    def __init__(self): self._registry = {"file": "their own"}
    def register_entrypoints(self):
        for group in groups:
            (point,) = importlib.metadata.entry_points(group=f"mlflow.{group}")
            print(point.name, point.load())

Registry().register_entrypoints()
(point,) = importlib.metadata.entry_points(group="mlflow.request_header_provider")
print(point.load()().in_context())
"""
    assert run(clean_python, "-c", script, cwd=tmp_path) == 3 * "file their own\n" + "False\n"


def test_the_services_stay_out_of_a_users_environment(clean_python, tmp_path):
    names = ["tracker", "manager", "query_engine", "deploy", "tests", "bench", "examples"]
    script = f"import importlib.util, pllib; print([n for n in {names} if importlib.util.find_spec(n)])"
    assert run(clean_python, "-c", script, cwd=tmp_path) == "[]\n"


def test_the_command_is_there_and_teaches(clean_python, tmp_path):
    told = run(clean_python.with_name("pllib"), "--help", cwd=tmp_path)
    assert "ship" in told
    assert "inspect" in told


def test_importing_the_library_loads_only_standard_modules_and_no_dear_ones(clean_python, tmp_path):
    script = """
import sys
before = set(sys.modules)
import pllib
import json
print(json.dumps(sorted(set(sys.modules) - before - {"json"})))
"""
    loaded = json.loads(run(clean_python, "-c", script, cwd=tmp_path))
    foreign = {name for name in loaded if name.split(".")[0] not in {*sys.stdlib_module_names, "pllib"}}
    assert foreign == set()
    assert NOT_AT_IMPORT & set(loaded) == set()


def test_importing_the_library_costs_about_what_a_standard_http_client_costs(clean_python, tmp_path):
    """A ratio, so that it says the same on a slow machine: many scripts import `urllib.request` anyhow."""

    def cost(module: str) -> int:
        command = [clean_python, "-X", "importtime", "-c", f"import {module}"]
        told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True)
        lines = [line.split("|") for line in told.stderr.splitlines()]
        return next(int(parts[1]) for parts in reversed(lines) if parts[-1].strip() == module)

    ratios = sorted(cost("pllib") / cost("urllib.request") for _ in range(5))
    assert ratios[2] < 1.5, ratios
