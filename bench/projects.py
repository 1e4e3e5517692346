"""A project to extract: a git repository by ``git fast-import``, and an MLflow tracking store in SQLite by its schema."""

from __future__ import annotations

import random
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

EPOCH = 1_760_000_000
SCHEMA = """
CREATE TABLE experiments (experiment_id INTEGER PRIMARY KEY, name TEXT, artifact_location TEXT, lifecycle_stage TEXT,
    creation_time BIGINT, last_update_time BIGINT);
CREATE TABLE experiment_tags (key TEXT, value TEXT, experiment_id INTEGER, PRIMARY KEY (key, experiment_id));
CREATE TABLE runs (run_uuid TEXT PRIMARY KEY, name TEXT, user_id TEXT, status TEXT, start_time BIGINT, end_time BIGINT, deleted_time BIGINT,
    lifecycle_stage TEXT, artifact_uri TEXT, experiment_id INTEGER);
CREATE TABLE params (key TEXT, value TEXT, run_uuid TEXT, PRIMARY KEY (key, run_uuid));
CREATE TABLE tags (key TEXT, value TEXT, run_uuid TEXT, PRIMARY KEY (key, run_uuid));
CREATE TABLE metrics (key TEXT, value FLOAT, timestamp BIGINT, run_uuid TEXT, step BIGINT, is_nan BOOLEAN,
    PRIMARY KEY (key, timestamp, step, run_uuid, value, is_nan));
CREATE INDEX index_metrics_run_uuid ON metrics (run_uuid);
CREATE INDEX index_params_run_uuid ON params (run_uuid);
CREATE INDEX index_tags_run_uuid ON tags (run_uuid);
CREATE TABLE registered_models (name TEXT PRIMARY KEY, creation_time BIGINT, last_updated_time BIGINT, description TEXT);
CREATE TABLE model_versions (name TEXT, version INTEGER, creation_time BIGINT, last_updated_time BIGINT, description TEXT, user_id TEXT,
    current_stage TEXT, source TEXT, run_id TEXT, status TEXT, PRIMARY KEY (name, version));
"""
"""The tables of MLflow 2 that say something of runs and models, with the columns that are read."""


def repository(folder: Path, commits: int, files: int = 60, changes: int = 3) -> list[str]:
    """Makes a repository of commits by four people that change some files each; the digests of the commits, oldest first."""
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True, timeout=60)
    stream = "".join(_commits(commits, files, changes)).encode()
    subprocess.run(["git", "-C", str(folder), "fast-import", "--quiet"], input=stream, check=True, timeout=300)
    told = subprocess.run(
        ["git", "-C", str(folder), "rev-list", "--reverse", "main"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return told.stdout.split()


def _commits(commits: int, files: int, changes: int) -> Iterator[str]:
    chosen = random.Random(7)
    for number in range(commits):
        who = f"Person {number % 4} <person{number % 4}@example.org> {EPOCH + number * 600} +0200"
        message = f"Change {number}\n\nWhy it was changed.\n"
        yield f"commit refs/heads/main\nauthor {who}\ncommitter {who}\ndata {len(message)}\n{message}\n"
        paths = ["train.py"] if number % 10 == 0 else []
        paths += [f"src/part {chosen.randrange(files)}.py" for _ in range(changes)]
        for path in dict.fromkeys(paths):
            text = "".join(f"line {line} of {path} as of {number}\n" for line in range(20))
            yield f'M 100644 inline "{path}"\ndata {len(text)}\n{text}\n'


def tracking_store(
    file: Path, artifacts: Path, runs: int, commits: list[str], params: int = 10, metrics: int = 5, points: int = 20
) -> str:
    """Makes a tracking store whose runs were made with commits of the repository; its URL."""
    database = sqlite3.connect(file)
    database.executescript(SCHEMA)
    for experiment in range(4):
        row = (
            experiment,
            f"experiment {experiment}",
            str(artifacts / str(experiment)),
            "active",
            EPOCH * 1000,
            EPOCH * 1000,
        )
        database.execute("INSERT INTO experiments VALUES (?, ?, ?, ?, ?, ?)", row)
    for number in range(runs):
        run, start = f"{number:032x}", (EPOCH + number * 3_000) * 1000
        folder = artifacts / str(number % 4) / run / "artifacts"
        (folder / "model").mkdir(parents=True)
        for name in ("model/MLmodel", "model/model.pkl", "plot.png"):
            (folder / name).write_text("x" * 100)
        stage = (
            run,
            f"run {number}",
            "ana",
            "FINISHED",
            start,
            start + 60_000,
            None,
            "active",
            str(folder),
            number % 4,
        )
        database.execute("INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", stage)
        tags = {
            "mlflow.user": "ana",
            "mlflow.source.name": "train.py",
            "mlflow.source.git.commit": commits[number * len(commits) // runs],
        }
        database.executemany("INSERT INTO tags VALUES (?, ?, ?)", [(key, value, run) for key, value in tags.items()])
        given = [(f"param{index}", str(index * 0.5), run) for index in range(params)]
        database.executemany("INSERT INTO params VALUES (?, ?, ?)", given)
        rows = [
            (f"metric{index}", 1 / (step + 1), start + step * 1_000, run, step, False)
            for index in range(metrics)
            for step in range(points)
        ]
        database.executemany("INSERT INTO metrics VALUES (?, ?, ?, ?, ?, ?)", rows)
    database.commit()
    database.close()
    return f"sqlite:///{file}"
