"""Artifacts where they lie: files below a folder of this machine, all else through the ``mlflow`` package if it is there."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterable, Iterator, List, Optional
from urllib.parse import unquote, urlsplit

from .tracking import Artifact

MAX_FILE = 10_000_000
"""Bytes of a file that is read (``MLmodel``)."""
MAX_DEPTH = 100


def local_folder(location: str) -> Optional[str]:
    """The folder of this machine that an artifact location means; ``None`` if it is another kind of place."""
    parts = urlsplit(location)
    if parts.scheme == "file":
        return unquote(parts.path)
    return location if not parts.scheme or (len(parts.scheme) == 1 and os.sep == "\\") else None


def walk(folder: str) -> Iterator[Artifact]:
    """Everything below a folder, in order of names; links to folders are not followed."""
    pending = [""]
    while pending:
        inside = pending.pop()
        path = os.path.join(folder, *inside.split("/")) if inside else folder
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            continue
        below: List[str] = []
        for entry in entries:
            name = f"{inside}/{entry.name}" if inside else entry.name
            if entry.is_dir(follow_symlinks=False):
                yield Artifact(name, True, None)
                below.append(name)
            else:
                yield Artifact(name, False, _size(entry))
        pending.extend(reversed(below))


def _size(entry: os.DirEntry[str]) -> Optional[int]:
    try:
        return entry.stat().st_size
    except OSError:  # a link to nowhere
        return None


def descend(list_folder: Callable[[str], Iterable[Artifact]]) -> Iterator[Artifact]:
    """Everything below a root, by a function that lists one folder of it."""
    pending = [""]
    while pending:
        folder = pending.pop()
        found = [each for each in list_folder(folder) if each.path.startswith(f"{folder}/" if folder else "")]
        yield from found
        below = [each.path for each in found if each.is_dir and each.path.count("/") < MAX_DEPTH]
        pending.extend(reversed(below))


def listed(location: Optional[str], problems: List[str]) -> Iterator[Artifact]:
    """Everything below an artifact location; what cannot be listed is added to ``problems``."""
    if not location:
        return
    folder = local_folder(location)
    if folder is None:
        yield from _by_package(location, problems)
    elif os.path.isdir(folder):
        yield from walk(folder)


def content(location: Optional[str], name: str) -> Optional[str]:
    """The text of a small file below a location of this machine."""
    folder = local_folder(location) if location else None
    if folder is None:
        return None
    try:
        with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
            return file.read(MAX_FILE)
    except OSError:
        return None


def _by_package(location: str, problems: List[str]) -> Iterator[Artifact]:
    """The listing that MLflow's own client gives, which knows S3, Azure, Google Cloud and others."""
    scheme = urlsplit(location).scheme
    try:
        from mlflow.artifacts import list_artifacts  # type: ignore[import-not-found,unused-ignore]
        from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        problem = f"artifacts in {scheme}: are listed by the mlflow package: pip install mlflow, and what it needs for {scheme}"
        if scheme == "mlflow-artifacts":
            problem = "the tracking server has the artifacts (mlflow-artifacts:); give its URL as --mlflow_url to have them listed"
        if problem not in problems:
            problems.append(problem)
        return

    def folder(path: str) -> List[Artifact]:
        root: Any = list_artifacts(artifact_uri=f"{location.rstrip('/')}/{path}".rstrip("/"))
        return [
            Artifact(f"{path}/{each.path.rpartition('/')[2]}".lstrip("/"), each.is_dir, each.file_size) for each in root
        ]

    try:
        yield from descend(folder)
    except (MlflowException, OSError, ImportError) as error:
        problems.append(f"{location.partition('?')[0]}: artifacts cannot be listed: {str(error)[:300]}")
