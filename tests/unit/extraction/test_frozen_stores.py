"""Stores that MLflow 2 wrote (``frozen/make.py``): the oldest that is supported and the last of its line, as databases and as files."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from pllib import extraction
from tests.mlflow2_project import check, registry_of

FROZEN = sorted(Path(__file__).with_name("frozen").glob("*.json"))


@pytest.fixture(params=FROZEN, ids=lambda path: path.stem)
def frozen(request: pytest.FixtureRequest) -> dict[str, Any]:
    return dict(json.loads(request.param.read_text(encoding="utf-8")))


def test_there_are_an_old_and_a_new_one() -> None:
    assert [path.stem for path in FROZEN] == ["mlflow-2.22.5", "mlflow-2.3.2"]


def test_a_database(frozen: dict[str, Any], tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        database.executescript(frozen["database"])
    database.close()
    found = extraction.document(mlflow_url=f"sqlite:///{tmp_path}/mlflow.db")
    check(found, frozen["of_database"], registry_of(found), artifacts=False)


def test_files(frozen: dict[str, Any], tmp_path: Path) -> None:
    """Moved from where they were written, and with their artifacts."""
    for name, text in frozen["files"].items():
        path = tmp_path / "mlruns" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    found = extraction.document(mlflow_url=str(tmp_path / "mlruns"))
    check(found, frozen["of_files"], registry_of(found))
