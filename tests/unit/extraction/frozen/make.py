"""Freezes stores that MLflow 2 writes: ``python make.py PYTHON…``, each an interpreter that has one of its versions.

Writes ``mlflow-{version}.json``: what the script printed, the database as SQL, and the texts of the store of files.
"""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SCRIPT = HERE.parents[2] / "frameworks" / "mlflow2_script.py"
ROOT, LAB = "/frozen-store", "/lab"
"""Stand for the folder of the store and that of the script."""


def frozen(python: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        of_database, of_files = (
            run(python, folder, f"sqlite:///{folder}/mlflow.db"),
            run(python, folder, f"file:{folder}/mlruns"),
        )
        database = sqlite3.connect(folder / "mlflow.db")
        sql = "\n".join(database.iterdump())
        database.close()
        files = {
            path.relative_to(folder / "mlruns").as_posix(): text(path)
            for path in sorted((folder / "mlruns").rglob("*"))
            if path.is_file()
        }
        found = {
            "of_database": of_database,
            "of_files": of_files,
            "database": sql,
            "files": {path: text for path, text in files.items() if text is not None},
        }
        plain = json.dumps(found, indent=1, sort_keys=True).replace(str(folder), ROOT).replace(str(SCRIPT.parent), LAB)
        return dict(json.loads(plain))


def run(python: str, folder: Path, uri: str) -> dict[str, str]:
    variables = {"MLFLOW_TRACKING_URI": uri, "GIT_PYTHON_REFRESH": "quiet", "USER": "ana", "LOGNAME": "ana"}
    done = subprocess.run(
        [python, SCRIPT, "flowers"],
        env=variables,
        cwd=folder,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


if __name__ == "__main__":
    for each in sys.argv[1:]:
        made = frozen(each)
        target = HERE / f"mlflow-{made['of_files']['version']}.json"
        target.write_text(json.dumps(made, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(target)
