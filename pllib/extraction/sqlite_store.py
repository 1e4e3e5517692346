"""A tracking store in SQLite, read directly: the schemas of MLflow 2 and 3, by the tables and columns that there are.

Each question is a short read of its own, so that a server that writes to the same file is not held up.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, Iterator, List, Optional, Sequence, Set, Tuple

from . import artifacts
from .errors import ExtractionError
from .tracking import (
    CONTEXT,
    MODEL_STATUS,
    Artifact,
    Dataset,
    Experiment,
    LoggedModel,
    ModelVersion,
    Point,
    RegisteredModel,
    Run,
    Tags,
    in_order,
    measured,
    model_of_source,
)

_PAGE = 500
Row = sqlite3.Row


class SqliteStore:
    """A tracking store in an SQLite file.

    Raises:
        ExtractionError: there is no such file, or it is none of MLflow's.
    """

    def __init__(self, path: str) -> None:
        self.address = path
        self.problems: List[str] = []
        file = Path(path).absolute()
        if not file.is_file():
            raise ExtractionError(f"{path}: there is no such file; give sqlite:///FILE of an MLflow tracking store")
        try:
            self._database = sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=10.0)
            self._database.row_factory = Row
            self._columns = self._schema()
        except sqlite3.Error as error:
            raise ExtractionError(f"{path}: this is no SQLite database: {error}") from error
        if not {"experiments", "runs", "metrics", "params", "tags"} <= set(self._columns):
            self._database.close()
            raise ExtractionError(f"{path}: this is no MLflow tracking store: it has no table of runs")

    def close(self) -> None:
        self._database.close()

    # -- experiments and runs -------------------------------------------------------------------------------------

    def experiments(self) -> Iterator[Experiment]:
        for row in self._rows("experiments", order="experiment_id"):
            identifier = row["experiment_id"]
            yield Experiment(
                str(identifier),
                row["name"],
                row["artifact_location"] or "",
                row["lifecycle_stage"] or "active",
                row["creation_time"],
                row["last_update_time"],
                self._pairs("experiment_tags", "key", "value", "experiment_id", identifier),
            )

    def count_runs(self) -> Optional[int]:
        return int(self._ask("SELECT count(*) FROM runs")[0][0])

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        ids = [
            row[0]
            for row in self._ask(
                "SELECT run_uuid FROM runs WHERE experiment_id = ? ORDER BY start_time, run_uuid", (int(experiment.id),)
            )
        ]
        for start in range(0, len(ids), _PAGE):
            yield from self._some_runs(ids[start : start + _PAGE])

    def _some_runs(self, ids: Sequence[str]) -> Iterator[Run]:
        rows = {row["run_uuid"]: row for row in self._of("runs", "run_uuid", ids)}
        params, tags = self._grouped("params", "key", "value", ids), self._grouped("tags", "key", "value", ids)
        metrics = self._metrics(ids)
        datasets, used, made = self._datasets(ids), self._inputs(ids), self._outputs(ids)
        for identifier in ids:
            row = rows.get(identifier)
            if row is None:  # deleted for good meanwhile
                continue
            yield Run(
                identifier,
                row["name"] or tags[identifier].get("mlflow.runName") or "",
                str(row["experiment_id"]),
                row["user_id"] or None,
                row["status"] or "RUNNING",
                row["start_time"],
                row["end_time"],
                row["lifecycle_stage"] or "active",
                row["deleted_time"],
                row["artifact_uri"],
                params[identifier],
                tags[identifier],
                metrics.get(identifier, {}),
                datasets.get(identifier, []),
                used.get(identifier, []),
                made.get(identifier, []),
            )

    def _metrics(self, ids: Sequence[str]) -> Dict[str, Dict[str, List[Point]]]:
        found: Dict[str, Dict[str, List[Tuple[int, float, int]]]] = defaultdict(lambda: defaultdict(list))
        for row in self._of("metrics", "run_uuid", ids):
            value = float("nan") if row["is_nan"] else measured(row["value"])
            found[row["run_uuid"]][row["key"]].append((row["timestamp"], value, row["step"] or 0))
        return {run: {name: in_order(points) for name, points in named.items()} for run, named in found.items()}

    def _datasets(self, ids: Sequence[str]) -> Dict[str, List[Dataset]]:
        if not {"inputs", "datasets"} <= set(self._columns):
            return {}
        inputs = [row for row in self._of("inputs", "destination_id", ids) if row["source_type"] == "DATASET"]
        known = {
            row["dataset_uuid"]: row for row in self._of("datasets", "dataset_uuid", _distinct(inputs, "source_id"))
        }
        tags = defaultdict(dict)  # type: Dict[str, Tags]
        for row in self._of("input_tags", "input_uuid", _distinct(inputs, "input_uuid")):
            tags[row["input_uuid"]][row["name"]] = row["value"]
        found: Dict[str, List[Dataset]] = defaultdict(list)
        for row in inputs:
            data = known.get(row["source_id"])
            if data is not None:
                texts = [data[f"dataset_{name}"] for name in ("source_type", "source", "schema", "profile")]
                context = tags[row["input_uuid"]].get(CONTEXT)
                found[row["destination_id"]].append(
                    Dataset(data["name"], data["digest"], texts[0] or "", texts[1] or "", texts[2], texts[3], context)
                )
        return found

    def _inputs(self, ids: Sequence[str]) -> Dict[str, List[str]]:
        found: Dict[str, List[str]] = defaultdict(list)
        if "inputs" in self._columns:
            for row in self._of("inputs", "source_id", ids):
                if row["destination_type"] == "MODEL_INPUT":
                    found[row["source_id"]].append(row["destination_id"])
        return found

    def _outputs(self, ids: Sequence[str]) -> Dict[str, List[str]]:
        found: Dict[str, List[str]] = defaultdict(list)
        if "inputs" in self._columns:
            for row in self._of("inputs", "source_id", ids):
                if row["destination_type"] == "MODEL_OUTPUT":
                    found[row["source_id"]].append(row["destination_id"])
        return found

    # -- models ---------------------------------------------------------------------------------------------------

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        if "logged_models" not in self._columns:
            return
        for row in self._rows(
            "logged_models", "experiment_id", int(experiment.id), order="creation_timestamp_ms, model_id"
        ):
            identifier = row["model_id"]
            yield LoggedModel(
                identifier,
                experiment.id,
                row["name"],
                row["artifact_location"],
                row["creation_timestamp_ms"],
                row["last_updated_timestamp_ms"],
                MODEL_STATUS.get(row["status"], str(row["status"])),
                row["lifecycle_stage"] or "active",
                row["model_type"],
                row["source_run_id"],
                self._pairs("logged_model_params", "param_key", "param_value", "model_id", identifier),
                self._pairs("logged_model_tags", "tag_key", "tag_value", "model_id", identifier),
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        if "registered_models" not in self._columns:
            return
        for row in self._rows("registered_models", order="name"):
            name = row["name"]
            yield RegisteredModel(
                name,
                row["creation_time"],
                row["last_updated_time"],
                row["description"],
                self._pairs("registered_model_tags", "key", "value", "name", name),
                self._pairs("registered_model_aliases", "alias", "version", "name", name),
                [self._version(each) for each in self._rows("model_versions", "name", name, order="version")],
            )

    def _version(self, row: _Given) -> ModelVersion:
        tags = {
            each["key"]: each["value"]
            for each in self._rows("model_version_tags", "name", row["name"])
            if each["version"] == row["version"]
        }
        return ModelVersion(
            row["name"],
            str(row["version"]),
            row["creation_time"],
            row["last_updated_time"],
            row["description"],
            row["user_id"] or None,
            row["current_stage"],
            row["source"],
            row["run_id"] or None,
            model_of_source(row["source"]),
            row["status"],
            tags,
        )

    # -- artifacts ------------------------------------------------------------------------------------------------

    def run_artifacts(self, run: Run) -> Iterator[Artifact]:
        return artifacts.listed(run.artifact_uri, self.problems)

    def model_artifacts(self, model: LoggedModel) -> Iterator[Artifact]:
        return artifacts.listed(model.artifact_location, self.problems)

    def model_file(self, model: LoggedModel) -> Optional[str]:
        return artifacts.content(model.artifact_location, "MLmodel")

    # -- the database ---------------------------------------------------------------------------------------------

    def _schema(self) -> Dict[str, Set[str]]:
        tables = [row[0] for row in self._database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {
            name: {row[0] for row in self._database.execute("SELECT name FROM pragma_table_info(?)", (name,))}
            for name in tables
        }

    def _ask(self, query: str, values: Sequence[Any] = ()) -> List[Row]:
        try:
            return self._database.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise ExtractionError(f"{self.address}: {error}") from error

    def _rows(self, table: str, column: str = "", value: Any = None, order: str = "rowid") -> List[_Given]:
        """Rows of a table, none if there is no such table; names of tables and columns are our own."""
        if table not in self._columns:
            return []
        where = f" WHERE {column} = ?" if column else ""
        rows = self._ask(f"SELECT * FROM {table}{where} ORDER BY {order}", (value,) if column else ())  # noqa: S608
        return [_Given(row) for row in rows]

    def _of(self, table: str, column: str, values: Sequence[str]) -> List[_Given]:
        """Rows of a table where a column has one of some values."""
        if table not in self._columns:
            return []
        found: List[_Given] = []
        for start in range(0, len(values), _PAGE):
            some = values[start : start + _PAGE]
            marks = ", ".join("?" * len(some))
            found += map(_Given, self._ask(f"SELECT * FROM {table} WHERE {column} IN ({marks})", some))  # noqa: S608
        return found

    def _grouped(self, table: str, key: str, value: str, ids: Sequence[str]) -> Dict[str, Tags]:
        found: Dict[str, Tags] = defaultdict(dict)
        for row in self._of(table, "run_uuid", ids):
            found[row["run_uuid"]][row[key]] = row[value] or ""
        return found

    def _pairs(self, table: str, key: str, value: str, column: str, of: Any) -> Tags:
        return {row[key]: str(row[value] or "") for row in self._rows(table, column, of)}


class _Given:
    """A row; a column that this version of the schema does not have is ``None``."""

    __slots__ = ("_row",)

    def __init__(self, row: Row) -> None:
        self._row = row

    def __getitem__(self, name: str) -> Any:
        try:
            return self._row[name]
        except IndexError:
            return None


def _distinct(rows: Sequence[_Given], column: str) -> List[str]:
    return list(dict.fromkeys(row[column] for row in rows))
