"""Calls that record files and objects: artifacts, data sets, models, code."""

from __future__ import annotations

import filecmp
import os
import shutil
from typing import Any, Dict, Mapping, Optional

from .._boundary import nothing, shielded
from ..references import Data
from . import model_files, signatures
from .experiment import Experiment
from .names import context_name, file_name
from .opened import current
from .said import once


@shielded(nothing)
def log_artifact(*args: Any, **named: Any) -> None:
    """Records a file or folder: ``log_artifact(artifact_name, artifact_path, context)``, or ``log_artifact(artifact_path, context)``.

    Args:
        artifact_name: what it is called; by default as the file.
        log_copy_in_prov_directory: whether it is copied to the run's folder; by default if it has a name.
        log_copy_subdirectory: folder there.
        is_model: whether it is a model.
        is_input: whether the run read it, rather than made it.
    """
    found = current("log_artifact")
    if found is None:
        return
    given = signatures.LOG_ARTIFACT.bound(args, named)
    path = os.fspath(given["artifact_path"])
    name = str(given.get("artifact_name") or os.path.basename(path.rstrip("/\\")) or path)
    facts: Dict[str, Any] = {"step": given["step"]} if given.get("step") is not None else {}
    facts.update(given.get("other_attrs") or {})
    if given.get("log_copy_in_prov_directory", "artifact_name" in given) and found.folder is not None:
        copy = _copied(path, found.folder.artifacts, str(given.get("log_copy_subdirectory") or ""))
        facts.update({} if copy is None else {"copy": os.path.relpath(copy, found.folder.path)})
    data = Data(path, None, "model" if given.get("is_model") else None, facts or None, None)
    source_of = found.models_in(given.get("context")) if given.get("is_model") else context_name(given.get("context"))
    found.run.log_artifact(data, name, context=source_of, input=bool(given.get("is_input")))


def _copied(path: str, artifacts: str, below: str) -> Optional[str]:
    """The copy of a file or folder, under its own name unless another has it; ``None`` where there is nothing to copy."""
    parts = [file_name(part) for part in below.replace("\\", "/").split("/") if part]
    name = file_name(os.path.basename(os.path.abspath(path)))
    folder = os.path.join(artifacts, *parts)
    stem, ending = os.path.splitext(name)
    target, number = os.path.join(folder, name), 2
    try:
        os.makedirs(folder, exist_ok=True)
        while os.path.exists(target) and not _same(path, target):
            target, number = os.path.join(folder, f"{stem}_{number}{ending}"), number + 1
        if os.path.exists(target):
            return target
        if os.path.isdir(path):
            shutil.copytree(path, target, symlinks=True)
        else:
            shutil.copyfile(path, target)
    except (OSError, shutil.Error) as error:
        once(f"copy {path}", f"{path} could not be copied to {folder}: {error}")
        return None
    return target


def _same(path: str, copy: str) -> bool:
    return os.path.isfile(path) and os.path.isfile(copy) and filecmp.cmp(path, copy, shallow=False)


@shielded(nothing)
def log_dataset(*args: Any, **named: Any) -> None:
    """Records a data set that is used: ``log_dataset(dataset_label, dataset, context)``, or ``log_dataset(dataset, label)``.

    Args:
        dataset: a file or folder, or an object (loader, array, frame, list).
        log_dataset_info: whether its characteristics are recorded.
    """
    found = current("log_dataset")
    if found is None:
        return
    given = signatures.LOG_DATASET.bound(args, named)
    name = str(given.get("dataset_label") or given.get("label") or "dataset")
    found.log_dataset(name, given["dataset"], given.get("context"), given.get("other_attrs") or {})


@shielded(nothing)
def log_model(*args: Any, **named: Any) -> None:
    """Records a model and saves it: ``log_model(model_name, model, context)``, or ``log_model(model, model_name)``.

    Args:
        model: the model, or its file.
        context: the part of the run that made it.
        log_copy_in_prov_directory: whether it is saved to the run's folder (``log_as_artifact`` in earlier versions).
        is_input: whether the run started from it, rather than made it.
    """
    found = current("log_model")
    if found is not None:
        given = signatures.LOG_MODEL.bound(args, named)
        saves = given.get("log_copy_in_prov_directory", given.get("log_as_artifact", True))
        _put_model(found, given, incremental=False, saves=bool(saves))


@shielded(nothing)
def save_model_version(*args: Any, **named: Any) -> None:
    """Saves a version of a model and records it: ``save_model_version(model_name, model, context)``, or with the model first.

    Args:
        incremental: whether every call makes another file (``{name}_0.pt``, ``{name}_1.pt``).
        step: of the training.
    """
    found = current("save_model_version")
    if found is not None:
        given = signatures.SAVE_MODEL_VERSION.bound(args, named)
        saves = bool(given.get("log_copy_in_prov_directory", True))
        _put_model(found, given, incremental=bool(given.get("incremental", True)), saves=saves)


def _put_model(found: Experiment, given: Mapping[str, Any], *, incremental: bool, saves: bool) -> None:
    model, name = given["model"], str(given.get("model_name") or "default")
    is_file = isinstance(model, (str, os.PathLike))
    path: Optional[str] = None
    if saves and found.folder is not None:
        if is_file:
            path = _copied(os.fspath(model), found.folder.artifacts, name)
        else:
            path = model_files.saved(model, found.folder.artifacts, name, incremental)
    where = found.models_in(given.get("context"))
    found.run.log_model(model, name, path=path, context=where, input=bool(given.get("is_input")))


@shielded(nothing)
def log_source_code(path: Any = None, use_git: bool = False) -> None:
    """Records a file or folder of code, with a copy. Without a path nothing is left to do: the state of the code always is."""
    found = current("log_source_code")
    if found is None or path is None or isinstance(path, bool):
        return
    text = os.fspath(path)
    copy = _copied(text, found.folder.artifacts, "src") if found.folder is not None else None
    facts = (
        {"copy": os.path.relpath(copy, found.folder.path)} if copy is not None and found.folder is not None else None
    )
    found.run.log_artifact(Data(text, None, "implementation", facts, None), "source_code", input=True)
