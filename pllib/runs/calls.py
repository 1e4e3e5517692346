"""Calls for scripts that hold no run in their hands: each goes to the run that is open here."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any, ContextManager, Mapping, Optional

from .._boundary import nothing, shielded
from . import registry
from .execution import Run


def run(experiment: str, **options: Any) -> Run:
    """A run of an experiment, for ``with``: ``with pllib.run("digits", params={"lr": 0.1}) as run: run.log_metric("loss", 0.3)``.

    Opened inside a run, workflow or task it is nested in it. An exception is recorded, marks the run as failed, and goes on.

    Args:
        experiment: the same in all its runs.
        name: what this run is called, if anything.
        study: the study or project it belongs to.
        params: hyperparameters to begin with.
        tags: remarks of your own.
        rank: which process of a job this is; by default what the launcher says (torchrun, MPI, Slurm).
        collect_all_processes: whether all processes of a job record. If not, the calls of all but rank 0 do nothing.
        telemetry: seconds between samples of CPU, memory, disks, network, process and GPUs (``True``: 5); none are taken by default.
        energy: whether energy and carbon are measured.
        resume: id of a run (``run.id``) to go on with.
        execution: the id, where several processes share a run and no launcher says so: each gives the same one.
        code: whether the state of the source code is recorded.
        environment: whether the environment and the command line are.
    """
    return Run(experiment, **options)


@shielded(lambda *_: Run("run"))
def start_run(experiment: str, **options: Any) -> Run:
    """Opens a run that ends by ``end_run``, or with the process: failed if an exception ends that. Options as of ``run``."""
    found = Run(experiment, **options)
    found.__enter__()
    return found


@shielded(nothing)
def end_run(error: Optional[BaseException] = None) -> None:
    """Ends the run that is open here: failed when there is an ``error``."""
    registry.needed().__exit__(None if error is None else type(error), error, None)


@shielded(nothing)
def active_run() -> Optional[Run]:
    """The run that is open here, or ``None``."""
    return registry.here()


@shielded(nothing)
def log_param(name: str, value: Any, **options: Any) -> None:
    """Records a hyperparameter of the run that is open here; see ``Run.log_param``."""
    registry.needed().log_param(name, value, **options)


@shielded(nothing)
def log_params(params: Mapping[str, Any], **options: Any) -> None:
    """Records hyperparameters of the run that is open here."""
    registry.needed().log_params(params, **options)


@shielded(nothing)
def log_metric(name: str, value: Any, step: Optional[int] = None, context: Any = None, **options: Any) -> None:
    """Adds a point to the series of a metric of the run that is open here; see ``Run.log_metric``."""
    registry.needed().log_metric(name, value, step, context, **options)


@shielded(nothing)
def log_metrics(metrics: Mapping[str, Any], step: Optional[int] = None, context: Any = None) -> None:
    """Adds a point to each of several metrics of the run that is open here."""
    registry.needed().log_metrics(metrics, step, context)


@shielded(nothing)
def log_tags(tags: Mapping[str, Any]) -> None:
    """Adds tags to the run that is open here."""
    registry.needed().log_tags(tags)


@shielded(nothing)
def log_text(name: str, text: str, **options: Any) -> None:
    """Records a text that the run made that is open here."""
    registry.needed().log_text(name, text, **options)


@shielded(nothing)
def log_artifact(path: Any, name: Optional[str] = None, **options: Any) -> None:
    """Records a file or folder of the run that is open here; see ``Run.log_artifact``."""
    registry.needed().log_artifact(path, name, **options)


@shielded(nothing)
def log_dataset(path_or_object: Any, name: Optional[str] = None, **options: Any) -> None:
    """Records a data set that the run uses that is open here; see ``Run.log_dataset``."""
    registry.needed().log_dataset(path_or_object, name, **options)


@shielded(nothing)
def log_model(model_or_path: Any, name: str = "model", **options: Any) -> None:
    """Records a model of the run that is open here; see ``Run.log_model``."""
    registry.needed().log_model(model_or_path, name, **options)


def timed(label: str, **options: Any) -> ContextManager[None]:
    """Measures how long a portion takes, in the run that is open here; see ``Run.timed``."""
    return _timer(label, **options)


@shielded(lambda *_: nullcontext())
def _timer(label: str, **options: Any) -> ContextManager[None]:
    return registry.needed().timed(label, **options)
