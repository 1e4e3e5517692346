"""A tracking store of files (``mlruns/``), read directly, as MLflow 2 and 3 write it. Its descriptions are YAML: PyYAML is needed."""

from __future__ import annotations

import os
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from . import artifacts
from .errors import ExtractionError
from .tracking import (
    CONTEXT,
    DELETED,
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
    model_of_source,
)
from .yaml_text import loads

_META = "meta.yaml"
_TRASH, _MODELS = ".trash", "models"
_NO_RUNS = ("tags", "datasets", "traces", "models", "artifacts")
_STATUS = {1: "RUNNING", 2: "SCHEDULED", 3: "FINISHED", 4: "FAILED", 5: "KILLED"}


class FileStore:
    """A tracking store in a folder.

    Raises:
        ExtractionError: there is no such folder, or it is none of MLflow's.
    """

    def __init__(self, folder: str) -> None:
        self.address = folder
        self.problems: List[str] = []
        self._folders: Dict[str, str] = {}
        if not os.path.isdir(folder):
            raise ExtractionError(f"{folder}: there is no such folder; give the folder mlruns of an MLflow file store")
        if not any(True for _ in self._experiment_folders()) and not os.path.isdir(os.path.join(folder, _MODELS)):
            raise ExtractionError(f"{folder}: this is no MLflow file store: no folder in it has a {_META}")

    def close(self) -> None:
        """There is nothing to let go of."""

    # -- experiments and runs -------------------------------------------------------------------------------------

    def experiments(self) -> Iterator[Experiment]:
        for folder in self._experiment_folders():
            meta = self._meta(folder)
            if meta is None or "name" not in meta:
                continue
            experiment = Experiment(
                str(meta.get("experiment_id", os.path.basename(folder))),
                str(meta["name"]),
                str(meta.get("artifact_location") or folder),
                DELETED
                if os.path.basename(os.path.dirname(folder)) == _TRASH
                else str(meta.get("lifecycle_stage", "active")),
                meta.get("creation_time"),
                meta.get("last_update_time"),
                _texts(os.path.join(folder, "tags")),
            )
            self._folders[experiment.id] = folder
            yield experiment

    def count_runs(self) -> Optional[int]:
        return sum(len(self._run_folders(folder)) for folder in self._experiment_folders())

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        found: List[Tuple[int, str, Mapping[str, Any]]] = []
        for folder in self._run_folders(self._folder(experiment)):
            meta = self._meta(folder)
            if meta is not None and ("run_id" in meta or "run_uuid" in meta):
                found.append((meta.get("start_time") or 0, folder, meta))
        for _, folder, meta in sorted(found, key=lambda each: each[:2]):
            yield self._run(folder, meta, experiment)

    def _run(self, folder: str, meta: Mapping[str, Any], experiment: Experiment) -> Run:
        tags = _texts(os.path.join(folder, "tags"))
        status = meta.get("status")
        return Run(
            str(meta.get("run_id") or meta["run_uuid"]),
            str(meta.get("run_name") or meta.get("name") or tags.get("mlflow.runName") or ""),
            experiment.id,
            meta.get("user_id") or None,
            _STATUS.get(status, str(status)) if isinstance(status, int) else str(status or "RUNNING"),
            meta.get("start_time"),
            meta.get("end_time"),
            str(meta.get("lifecycle_stage", "active")),
            meta.get("deleted_time"),
            meta.get("artifact_uri") or os.path.join(folder, "artifacts"),
            _texts(os.path.join(folder, "params")),
            tags,
            {name: _points(path) for name, path in _files(os.path.join(folder, "metrics"))},
            self._datasets(folder),
            self._linked(folder, "inputs", "MODEL_INPUT"),
            self._linked(folder, "outputs", "MODEL_OUTPUT"),
        )

    def _datasets(self, folder: str) -> List[Dataset]:
        found: List[Dataset] = []
        for given in self._metas(os.path.join(folder, "inputs")):
            if given.get("source_type") != "DATASET":
                continue
            meta = self._meta(os.path.join(os.path.dirname(folder), "datasets", str(given.get("source_id"))))
            if meta is not None:
                context = (given.get("tags") or {}).get(CONTEXT)
                texts = [meta.get(name) for name in ("name", "digest", "source_type", "source")]
                plain = [str(text or "") for text in texts]
                found.append(
                    Dataset(plain[0], plain[1], plain[2], plain[3], meta.get("schema"), meta.get("profile"), context)
                )
        return found

    def _linked(self, folder: str, name: str, kind: str) -> List[str]:
        metas = self._metas(os.path.join(folder, name))
        return [str(meta["destination_id"]) for meta in metas if meta.get("destination_type") == kind]

    # -- models ---------------------------------------------------------------------------------------------------

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        models = os.path.join(self._folder(experiment), _MODELS)
        found = ((folder, self._meta(folder)) for folder in _subfolders(models))
        known = [(folder, meta) for folder, meta in found if meta is not None and "model_id" in meta]
        for folder, meta in sorted(known, key=lambda each: (each[1].get("creation_timestamp") or 0, each[0])):
            yield LoggedModel(
                str(meta["model_id"]),
                experiment.id,
                str(meta.get("name") or ""),
                meta.get("artifact_location") or os.path.join(folder, "artifacts"),
                meta.get("creation_timestamp"),
                meta.get("last_updated_timestamp"),
                MODEL_STATUS.get(meta.get("status", 0), str(meta.get("status"))),
                str(meta.get("lifecycle_stage", "active")),
                meta.get("model_type"),
                meta.get("source_run_id"),
                _texts(os.path.join(folder, "params")),
                _texts(os.path.join(folder, "tags")),
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        for folder in _subfolders(os.path.join(self.address, _MODELS)):
            meta = self._meta(folder)
            if meta is None or "name" not in meta:
                continue
            name = str(meta["name"])
            versions = [
                (each, self._meta(each))
                for each in _subfolders(folder)
                if os.path.basename(each).startswith("version-")
            ]
            yield RegisteredModel(
                name,
                meta.get("creation_timestamp"),
                meta.get("last_updated_timestamp"),
                meta.get("description"),
                _texts(os.path.join(folder, "tags")),
                _texts(os.path.join(folder, "aliases")),
                sorted(
                    (_version(name, given, _texts(os.path.join(each, "tags"))) for each, given in versions if given),
                    key=lambda version: int(version.version) if version.version.isdigit() else 0,
                ),
            )

    # -- artifacts ------------------------------------------------------------------------------------------------

    def run_artifacts(self, run: Run) -> Iterator[Artifact]:
        return artifacts.listed(self._here(run.artifact_uri, run.experiment_id, run.id), self.problems)

    def model_artifacts(self, model: LoggedModel) -> Iterator[Artifact]:
        return artifacts.listed(self._place(model), self.problems)

    def model_file(self, model: LoggedModel) -> Optional[str]:
        return artifacts.content(self._place(model), "MLmodel")

    def _place(self, model: LoggedModel) -> Optional[str]:
        return self._here(model.artifact_location, model.experiment_id, _MODELS, model.id)

    def _here(self, location: Optional[str], experiment: str, *names: str) -> Optional[str]:
        """An artifact location; where it names a folder that is not there, the one in this store, which may have been moved."""
        folder = artifacts.local_folder(location) if location else None
        if folder is None or os.path.isdir(folder):
            return location
        moved = os.path.join(self._folders.get(experiment, self.address), *names, "artifacts")
        return moved if os.path.isdir(moved) else location

    # -- files ----------------------------------------------------------------------------------------------------

    def _experiment_folders(self) -> Iterator[str]:
        for folder in (*_subfolders(self.address), *_subfolders(os.path.join(self.address, _TRASH))):
            if os.path.basename(folder) not in (_TRASH, _MODELS) and os.path.isfile(os.path.join(folder, _META)):
                yield folder

    def _folder(self, experiment: Experiment) -> str:
        return self._folders.get(experiment.id) or os.path.join(self.address, experiment.id)

    def _run_folders(self, folder: str) -> List[str]:
        return [
            each
            for each in _subfolders(folder)
            if os.path.basename(each) not in _NO_RUNS and os.path.isfile(os.path.join(each, _META))
        ]

    def _meta(self, folder: str) -> Optional[Mapping[str, Any]]:
        path = os.path.join(folder, _META)
        try:
            with open(path, encoding="utf-8") as file:
                found = loads(file.read(), path)
        except (OSError, UnicodeError):
            found = None
        if not isinstance(found, dict):
            self.problems.append(f"{path}: cannot be read; what it describes is left out")
            return None
        return found

    def _metas(self, folder: str) -> List[Mapping[str, Any]]:
        found = (self._meta(each) for each in _subfolders(folder))
        return [meta for meta in found if meta is not None]


def _version(name: str, meta: Mapping[str, Any], tags: Tags) -> ModelVersion:
    source = meta.get("source")
    return ModelVersion(
        name,
        str(meta["version"]),
        meta.get("creation_timestamp"),
        meta.get("last_updated_timestamp"),
        meta.get("description"),
        meta.get("user_id") or None,
        meta.get("current_stage"),
        source,
        meta.get("run_id") or None,
        meta.get("model_id") or model_of_source(source),
        meta.get("status"),
        tags,
    )


def _subfolders(folder: str) -> List[str]:
    try:
        with os.scandir(folder) as found:
            return sorted(entry.path for entry in found if entry.is_dir())
    except OSError:
        return []


def _files(folder: str) -> List[Tuple[str, str]]:
    """Names and paths of the files below a folder; a name with a slash lies in a folder."""
    return [
        (each.path, os.path.join(folder, *each.path.split("/"))) for each in artifacts.walk(folder) if not each.is_dir
    ]


def _texts(folder: str) -> Tags:
    return {name: text for name, path in _files(folder) for text in (_text(path),) if text is not None}


def _text(path: str) -> Optional[str]:
    try:
        with open(path, encoding="utf-8", errors="replace", newline="") as file:
            return file.read()
    except OSError:
        return None


def _points(path: str) -> List[Point]:
    """Points of lines such as ``1795283258164 0.5 3``; the oldest versions wrote no step. A line that is none is left out."""
    found: List[Tuple[int, float, int]] = []
    for line in (_text(path) or "").splitlines():
        words = line.split()
        try:
            found.append((int(words[0]), float(words[1]), int(words[2]) if len(words) > 2 else 0))
        except (ValueError, IndexError):
            continue
    return in_order(found)
