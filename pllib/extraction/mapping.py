"""What a mapping from git and MLflow to PROV does, and what it needs to know of how things hang together."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta
from typing import Dict, Iterator, List, NamedTuple, Optional, Sequence, Tuple

from ..mlflow import naming
from ..prov.model import Statement
from ..references import Data
from .git import Commit
from .history import History, Revision, Step
from .tracking import COMMIT, PARENT, SOURCE, Experiment, LoggedModel, ModelVersion, RegisteredModel, Run, TrackingStore

_EPOCH = datetime(1970, 1, 1)
_MOST_PARTS = 30


class Known(NamedTuple):
    """A run that was met: its experiment's name and id, and where its artifacts are."""

    experiment: str
    run_id: str
    artifact_uri: Optional[str]


class Links:
    """How runs hang together with each other, with commits and with models. It fills while runs are read.

    Args:
        where: URI of the tracking store, which names its registry.
        history: of the repository, already read; ``None`` without one.
    """

    def __init__(self, where: str, history: Optional[History]) -> None:
        self.where = where
        self._history = history
        self._runs: Dict[str, Known] = {}
        self._scripts: Dict[Tuple[str, str], Optional[Revision]] = {}
        self._commits: Dict[str, bool] = {}

    def met(self, runs: Sequence[Run], experiment: Experiment) -> None:
        """Notes runs, before they are mapped."""
        for run in runs:
            self._runs[run.id] = Known(experiment.name, run.id, run.artifact_uri)
        if self._history is not None:
            self._look_up(self._history, runs)

    def run(self, run_id: Optional[str]) -> Optional[Known]:
        """A run that was met."""
        return self._runs.get(run_id) if run_id else None

    def parent(self, run: Run) -> Optional[Known]:
        """The run that one is nested in, if it was met."""
        return self.run(run.tags.get(PARENT))

    def commit(self, run: Run) -> Tuple[Optional[str], Optional[str]]:
        """The commit that a run was made with, and the repository, if they are known here."""
        sha = run.tags.get(COMMIT)
        if self._history is None or sha is None or not self._commits.get(sha):
            return None, None
        return sha, self._history.repository.name

    def script(self, run: Run) -> Optional[Revision]:
        """The revision of a run's script at its commit, with the path that it had then."""
        return self._scripts.get((run.tags.get(COMMIT, ""), run.tags.get(SOURCE, "")))

    def source(self, version: ModelVersion) -> Optional[Data]:
        """What a version of a registered model was made of: a logged model, or an artifact of its run."""
        if version.model_id:
            return naming.logged_model(version.model_id)
        path = artifact_path(version, self.run(version.run_id))
        if path is None or not version.run_id:
            return None
        known = self.run(version.run_id)
        root = (known.artifact_uri if known else None) or ""
        data = naming.artifact(f"{root.rstrip('/')}/{path}" if path else root, version.run_id)
        return data._replace(meaning="model", version=data.version or version.run_id)

    def _look_up(self, history: History, runs: Sequence[Run]) -> None:
        asked: Dict[Tuple[str, str], List[str]] = {}
        for run in runs:
            sha, source = run.tags.get(COMMIT), run.tags.get(SOURCE, "")
            if sha is not None and sha not in self._commits:
                self._commits[sha] = history.knows(sha)
            if sha is not None and self._commits[sha] and (sha, source) not in self._scripts:
                asked[sha, source] = _candidates(source)
        if not asked:
            return
        found = history.revisions_at([(sha, path) for (sha, _), paths in asked.items() for path in paths])
        for (sha, source), paths in asked.items():
            there = (found[sha, path] for path in paths if (sha, path) in found)
            self._scripts[sha, source] = next(there, None)


def _candidates(source: str) -> List[str]:
    """Paths in a repository that a script's path may mean: itself, and what is left when folders are taken off its beginning."""
    parts = [part for part in source.replace("\\", "/").split("/") if part not in ("", ".")]
    if not parts or ".." in parts or "://" in source:
        return []
    return ["/".join(parts[start:]) for start in range(max(0, len(parts) - _MOST_PARTS), len(parts))]


def artifact_path(version: ModelVersion, run: Optional[Known]) -> Optional[str]:
    """The path, in the artifacts of its run, of what a version of a registered model was made of."""
    source = version.source or ""
    if source.startswith("runs:/"):
        return source[len("runs:/") :].partition("/")[2]
    if run is not None and run.artifact_uri and source.startswith(run.artifact_uri.rstrip("/") + "/"):
        return source[len(run.artifact_uri.rstrip("/")) + 1 :].strip("/")
    place = naming.owner(source)
    return place.path if place.run_id is not None else None


class Mapper(ABC):
    """Makes statements of what is read, one thing at a time."""

    @property
    @abstractmethod
    def namespaces(self) -> Dict[str, str]:
        """Prefix to IRI, for the document."""

    @abstractmethod
    def commit(self, history: History, each: Commit, steps: List[Step]) -> Iterator[Statement]:
        """A commit, its people, and the files that it changed."""

    @abstractmethod
    def experiment(self, store: TrackingStore, experiment: Experiment) -> Iterator[Statement]:
        """An experiment, without its runs."""

    @abstractmethod
    def run(self, store: TrackingStore, run: Run, experiment: Experiment, links: Links) -> Iterator[Statement]:
        """A run with all that belongs to it but logged models."""

    @abstractmethod
    def nested(self, run: Known, outer: Known) -> Iterator[Statement]:
        """A run is nested in another, which was not known when it was mapped."""

    @abstractmethod
    def logged_model(
        self, store: TrackingStore, model: LoggedModel, run: Optional[Known], experiment: Experiment
    ) -> Iterator[Statement]:
        """A logged model with its files, and the run that made it."""

    @abstractmethod
    def registered_model(self, store: TrackingStore, model: RegisteredModel, links: Links) -> Iterator[Statement]:
        """A registered model with its versions."""


def iso(milliseconds: Optional[int]) -> Optional[str]:
    """A time in UTC, with its zone; ``None`` for none, or one beyond the years 1 to 9999."""
    if milliseconds is None:
        return None
    try:
        text = (_EPOCH + timedelta(milliseconds=milliseconds)).isoformat(timespec="milliseconds")
    except OverflowError:
        return None
    return (text[:-4] if text.endswith(".000") else text) + "Z"


def printable(text: str) -> str:
    """A text that files can hold: bytes that were no UTF-8 become escapes; characters that XML has no form for are left out."""
    if not text.isascii():
        text = text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return text if text.isprintable() else "".join(filter(_is_kept, text))


def _is_kept(letter: str) -> bool:
    return letter in "\t\n\r" or (letter >= " " and letter not in "\ufffe\uffff")
