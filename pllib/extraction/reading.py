"""Extraction: a git repository and an MLflow tracking store, read as streams, to statements of PROV."""

from __future__ import annotations

import os
from typing import Callable, Dict, Iterator, List, Optional, Tuple
from urllib.parse import unquote, urlsplit

from ..prov.model import Statement
from .errors import ExtractionError
from .file_store import FileStore
from .git import Repository
from .history import History
from .mapping import Links, Mapper
from .sqlite_store import SqliteStore
from .tracking import DELETED, PARENT, Experiment, Run, TrackingStore

_TOGETHER = 100
Told = Callable[[str, int, Optional[int]], None]
"""Told of what is read, how many there are so far, and how many there are in all if that is known."""


def open_store(url: str) -> TrackingStore:
    """A reader of the tracking store at a URL: ``http(s)://…``, ``sqlite:///…``, a folder or ``file:…``.

    Other databases are read through the ``mlflow`` package.

    Raises:
        ExtractionError: there is none, or nothing here reads it.
    """
    scheme = urlsplit(url).scheme.lower()
    if scheme in ("http", "https"):
        from .rest_store import RestStore

        return RestStore(url)
    if scheme.startswith("sqlite"):
        rest = url.partition("://")[2].partition("?")[0]
        return SqliteStore(unquote(rest[1:] if rest.startswith("/") else rest))
    if scheme == "file":
        return FileStore(unquote(urlsplit(url).path))
    if not scheme or os.path.exists(url) or len(scheme) == 1:
        return SqliteStore(url) if os.path.isfile(url) else FileStore(url)
    from .package_store import PackageStore

    return PackageStore(url)


class Extraction:
    """What a repository and a tracking store say; either may be left out.

    Args:
        repository: folder of a git repository.
        mlflow_url: see ``open_store``.
        mapper: what makes statements of it.
        told: is told how far it has come.

    Attributes:
        problems: what could not be read; filled while statements are.

    Raises:
        ExtractionError: one of them cannot be read.
    """

    def __init__(
        self,
        repository: Optional[str],
        mlflow_url: Optional[str],
        mapper: Mapper,
        told: Told = lambda what, done, total: None,
    ) -> None:
        if repository is None and mlflow_url is None:
            raise ExtractionError("say what is to be extracted: --repository_path, --mlflow_url, or both")
        self._repository = Repository(repository) if repository is not None else None
        self._store = open_store(mlflow_url) if mlflow_url is not None else None
        self._url = mlflow_url or ""
        self._mapper, self._told = mapper, told
        self.problems: List[str] = self._store.problems if self._store is not None else []

    @property
    def namespaces(self) -> Dict[str, str]:
        return self._mapper.namespaces

    def statements(self) -> Iterator[Statement]:
        """All statements, once: commits first, then experiments with their runs, then registered models."""
        history = History(self._repository) if self._repository is not None else None
        try:
            if history is not None:
                yield from self._commits(history)
            if self._store is not None:
                yield from self._tracking(self._store, Links(self._url, history))
        finally:
            if history is not None:
                history.close()
            if self._store is not None:
                self._store.close()

    def _commits(self, history: History) -> Iterator[Statement]:
        total = history.repository.count()
        for number, (commit, steps) in enumerate(history.steps(), 1):
            yield from self._mapper.commit(history, commit, steps)
            self._told("commits", number, total)

    def _tracking(self, store: TrackingStore, links: Links) -> Iterator[Statement]:
        nested: List[Tuple[str, str]] = []
        total, count = store.count_runs(), 0
        for experiment in store.experiments():
            yield from self._mapper.experiment(store, experiment)
            for runs in _batches(_deleted_with(experiment, store.runs(experiment))):
                links.met(runs, experiment)
                for run in runs:
                    yield from self._mapper.run(store, run, experiment, links)
                    if run.tags.get(PARENT) and links.parent(run) is None:
                        nested.append((run.id, run.tags[PARENT]))
                    count += 1
                    self._told("runs", count, total)
            yield from self._logged_models(store, experiment, links)
        for inner, outer in nested:
            known, around = links.run(inner), links.run(outer)
            if known is not None and around is not None:
                yield from self._mapper.nested(known, around)
        for number, model in enumerate(store.registered_models(), 1):
            yield from self._mapper.registered_model(store, model, links)
            self._told("registered models", number, None)

    def _logged_models(self, store: TrackingStore, experiment: Experiment, links: Links) -> Iterator[Statement]:
        for number, model in enumerate(store.logged_models(experiment), 1):
            yield from self._mapper.logged_model(store, model, links.run(model.run_id), experiment)
            self._told("logged models", number, None)


def _deleted_with(experiment: Experiment, runs: Iterator[Run]) -> Iterator[Run]:
    """The runs of an experiment; with it they were deleted, if it was."""
    for run in runs:
        if experiment.lifecycle_stage == DELETED and run.lifecycle_stage != DELETED:
            run = run._replace(lifecycle_stage=DELETED, deleted=run.deleted or experiment.updated)
        yield run


def _batches(runs: Iterator[Run]) -> Iterator[List[Run]]:
    batch: List[Run] = []
    for run in runs:
        batch.append(run)
        if len(batch) == _TOGETHER:
            yield batch
            batch = []
    if batch:
        yield batch
