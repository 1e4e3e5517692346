"""Tracking stores that nothing here reads itself (PostgreSQL, MySQL, …), through the ``mlflow`` package and its client."""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Dict, Iterator, List, Optional
from urllib.parse import urlsplit

from . import artifacts
from .errors import ExtractionError
from .tracking import (
    CONTEXT,
    PROMPTS,
    Artifact,
    Dataset,
    Experiment,
    LoggedModel,
    ModelVersion,
    Point,
    RegisteredModel,
    Run,
    in_order,
    measured,
    model_of_source,
)

_PAGE = 100


class PackageStore:
    """A tracking store at any URI that the installed MLflow knows.

    Raises:
        ExtractionError: MLflow is not installed, or cannot open it.
    """

    def __init__(self, uri: str) -> None:
        scheme = urlsplit(uri).scheme
        try:
            from mlflow import MlflowClient  # type: ignore[import-not-found,unused-ignore]
            from mlflow.entities import ViewType  # type: ignore[import-not-found,unused-ignore]
            from mlflow.exceptions import MlflowException  # type: ignore[import-not-found,unused-ignore]
        except ImportError as error:
            told = f"{scheme}: is read through the mlflow package: pip install mlflow, and the driver of the database"
            raise ExtractionError(f"{told}; or give the URL of a tracking server") from error
        self.address = scheme
        self.problems: List[str] = []
        self._error, self._all = MlflowException, ViewType.ALL
        try:
            self._client: Any = MlflowClient(uri, uri)
            self._experiments = list(self._paged(self._client.search_experiments, view_type=self._all))
        except (MlflowException, ImportError, OSError, ValueError) as error:
            raise ExtractionError(f"{scheme}: MLflow cannot open this store: {type(error).__name__}") from error

    def close(self) -> None:
        """The client has nothing to close."""

    def experiments(self) -> Iterator[Experiment]:
        for each in self._experiments:
            yield Experiment(
                str(each.experiment_id),
                each.name,
                each.artifact_location or "",
                each.lifecycle_stage,
                each.creation_time,
                each.last_update_time,
                dict(each.tags),
            )

    def count_runs(self) -> Optional[int]:
        return None

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        asked = {"experiment_ids": [experiment.id], "run_view_type": self._all}
        for each in self._paged(self._client.search_runs, **asked, order_by=["attributes.start_time ASC"]):
            info, data = each.info, each.data
            yield Run(
                info.run_id,
                info.run_name or data.tags.get("mlflow.runName", ""),
                experiment.id,
                info.user_id or None,
                info.status,
                info.start_time,
                info.end_time,
                info.lifecycle_stage,
                None,
                info.artifact_uri,
                dict(data.params),
                dict(data.tags),
                {name: self._history(info.run_id, name) for name in data.metrics},
                [_dataset(one) for one in _several(each, "inputs", "dataset_inputs")],
                [one.model_id for one in _several(each, "inputs", "model_inputs")],
                [one.model_id for one in _several(each, "outputs", "model_outputs")],
            )

    def _history(self, run_id: str, name: str) -> List[Point]:
        found = self._client.get_metric_history(run_id, name)
        return in_order([(each.timestamp, measured(each.value), each.step) for each in found])

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        search = getattr(self._client, "search_logged_models", None)  # since MLflow 3
        for each in self._paged(search, experiment_ids=[experiment.id]) if search is not None else ():
            yield LoggedModel(
                each.model_id,
                experiment.id,
                each.name,
                each.artifact_location,
                each.creation_timestamp,
                each.last_updated_timestamp,
                str(getattr(each.status, "value", each.status)),
                "active",
                each.model_type,
                each.source_run_id,
                dict(each.params),
                dict(each.tags),
            )

    def registered_models(self) -> Iterator[RegisteredModel]:
        versions: Dict[str, List[ModelVersion]] = defaultdict(list)
        for each in self._registered(self._client.search_model_versions):
            versions[each.name].append(_version(each))
        for each in self._registered(self._client.search_registered_models):
            yield RegisteredModel(
                each.name,
                each.creation_timestamp,
                each.last_updated_timestamp,
                each.description,
                dict(getattr(each, "_tags", None) or each.tags),
                {alias: str(version) for alias, version in getattr(each, "aliases", {}).items()},
                sorted(versions.pop(each.name, []), key=lambda version: int(version.version)),
            )

    def _registered(self, search: Any) -> Iterator[Any]:
        """Models, and the prompts that MLflow 3 keeps among them, which it lists only when it is asked for them."""
        yield from self._paged(search)
        try:
            yield from self._paged(search, filter_string=PROMPTS)
        except self._error:  # MLflow 2 has no such filter
            return

    def run_artifacts(self, run: Run) -> Iterator[Artifact]:
        return artifacts.listed(run.artifact_uri, self.problems)

    def model_artifacts(self, model: LoggedModel) -> Iterator[Artifact]:
        return artifacts.listed(model.artifact_location, self.problems)

    def model_file(self, model: LoggedModel) -> Optional[str]:
        return artifacts.content(model.artifact_location, "MLmodel")

    def _paged(self, search: Any, **asked: Any) -> Iterator[Any]:
        token: Optional[str] = None
        while True:
            page = search(max_results=_PAGE, page_token=token, **asked)
            yield from page
            token = page.token
            if not token:
                return


def _several(run: Any, name: str, kind: str) -> List[Any]:
    return list(getattr(getattr(run, name, None), kind, None) or ())


def _dataset(given: Any) -> Dataset:
    data = given.dataset
    tags = {tag.key: tag.value for tag in given.tags}
    return Dataset(data.name, data.digest, data.source_type, data.source, data.schema, data.profile, tags.get(CONTEXT))


def _version(given: Any) -> ModelVersion:
    return ModelVersion(
        given.name,
        str(given.version),
        given.creation_timestamp,
        given.last_updated_timestamp,
        given.description,
        given.user_id or None,
        given.current_stage,
        given.source,
        given.run_id or None,
        getattr(given, "model_id", None) or model_of_source(given.source),
        given.status,
        dict(given.tags),
    )
