"""What an MLflow tracking store holds, as plain records, and what every reader of one can do.

Times are milliseconds since 1970 UTC, as MLflow keeps them.
"""

from __future__ import annotations

import sys
from typing import Dict, Iterator, List, NamedTuple, Optional, Protocol, Tuple

Tags = Dict[str, str]
DELETED = "deleted"
DELETED_VERSION = "Deleted_Internal"
"""The stage of a model version that was deleted."""
COMMIT, SOURCE, REMOTE = "mlflow.source.git.commit", "mlflow.source.name", "mlflow.source.git.repoURL"
PARENT, USER, HISTORY = "mlflow.parentRunId", "mlflow.user", "mlflow.log-model.history"
CONTEXT = "mlflow.data.context"
PROMPTS = "tags.`mlflow.prompt.is_prompt` = 'true'"
"""What finds the prompts in a registry."""
MODEL_STATUS = {0: "UNSPECIFIED", 1: "PENDING", 2: "READY", 3: "FAILED"}
"""What databases and files say of a logged model as a number."""


class Point(NamedTuple):
    """One value of a metric; times in milliseconds."""

    step: int
    time: int
    value: float


class Experiment(NamedTuple):
    id: str
    name: str
    artifact_location: str
    lifecycle_stage: str
    created: Optional[int]
    updated: Optional[int]
    tags: Tags


class Dataset(NamedTuple):
    """A data set that a run used. ``schema`` and ``profile`` are JSON texts; ``context`` says for what (``training``)."""

    name: str
    digest: str
    source_type: str
    source: str
    schema: Optional[str]
    profile: Optional[str]
    context: Optional[str]


class Run(NamedTuple):
    """A run.

    Attributes:
        status: ``RUNNING``, ``SCHEDULED``, ``FINISHED``, ``FAILED`` or ``KILLED``.
        deleted: when, where the store knows; ``lifecycle_stage`` says whether.
        metrics: by name all points in the order of their times.
        input_models, output_models: ids of logged models that it used and made.
    """

    id: str
    name: str
    experiment_id: str
    user: Optional[str]
    status: str
    started: Optional[int]
    ended: Optional[int]
    lifecycle_stage: str
    deleted: Optional[int]
    artifact_uri: Optional[str]
    params: Dict[str, str]
    tags: Tags
    metrics: Dict[str, List[Point]]
    datasets: List[Dataset]
    input_models: List[str]
    output_models: List[str]


class LoggedModel(NamedTuple):
    """A model as MLflow 3 keeps it: on its own, beside the runs."""

    id: str
    experiment_id: str
    name: str
    artifact_location: Optional[str]
    created: Optional[int]
    updated: Optional[int]
    status: str
    lifecycle_stage: str
    model_type: Optional[str]
    run_id: Optional[str]
    params: Dict[str, str]
    tags: Tags


class ModelVersion(NamedTuple):
    """A version of a registered model; ``model_id`` is the logged model it was made of, where it was one."""

    name: str
    version: str
    created: Optional[int]
    updated: Optional[int]
    description: Optional[str]
    user: Optional[str]
    stage: Optional[str]
    source: Optional[str]
    run_id: Optional[str]
    model_id: Optional[str]
    status: Optional[str]
    tags: Tags


class RegisteredModel(NamedTuple):
    """A registered model; ``aliases`` are alias to version."""

    name: str
    created: Optional[int]
    updated: Optional[int]
    description: Optional[str]
    tags: Tags
    aliases: Dict[str, str]
    versions: List[ModelVersion]


class Artifact(NamedTuple):
    """A file or folder below an artifact root; ``path`` is relative to it, with ``/``."""

    path: str
    is_dir: bool
    size: Optional[int]


class TrackingStore(Protocol):
    """A reader of a tracking store and its registry. Everything is read as it is asked for.

    Attributes:
        address: where it is, with no credentials.
        problems: what could not be read, in words; it is left out, and the rest goes on.
    """

    address: str
    problems: List[str]

    def experiments(self) -> Iterator[Experiment]:
        """All, deleted ones too."""

    def count_runs(self) -> Optional[int]:
        """How many runs there are, if that is cheap to tell."""

    def runs(self, experiment: Experiment) -> Iterator[Run]:
        """All of an experiment, deleted ones too, the oldest first."""

    def logged_models(self, experiment: Experiment) -> Iterator[LoggedModel]:
        """All of an experiment; none before MLflow 3."""

    def registered_models(self) -> Iterator[RegisteredModel]:
        """All with their versions."""

    def run_artifacts(self, run: Run) -> Iterator[Artifact]:
        """All files and folders of a run, however deep, a folder before what is in it."""

    def model_artifacts(self, model: LoggedModel) -> Iterator[Artifact]:
        """All files and folders of a logged model."""

    def model_file(self, model: LoggedModel) -> Optional[str]:
        """The text of a logged model's ``MLmodel``."""

    def close(self) -> None:
        """Lets go of files and connections."""


def measured(value: float) -> float:
    """A metric's value; databases hold the greatest float for infinity."""
    greatest = sys.float_info.max
    return float("inf") if value >= greatest else float("-inf") if value <= -greatest else value


def model_of_source(source: Optional[str]) -> Optional[str]:
    """The logged model that a version's source names: ``models:/m-…``."""
    prefix = "models:/"
    if source and source.startswith(prefix + "m-"):
        return source[len(prefix) :].partition("/")[0]
    return None


def in_order(points: List[Tuple[int, float, int]]) -> List[Point]:
    """Points of (time, value, step) in the order of their times, each once."""
    return [Point(step, time, value) for time, value, step in dict.fromkeys(sorted(points, key=_when))]


def _when(point: Tuple[int, float, int]) -> Tuple[int, int]:
    return point[0], point[2]
