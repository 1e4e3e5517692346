"""pllib: captures the provenance of Python scripts and learning workflows.

::

    import pllib

    with pllib.workflow("prepare", study="digits") as wf:
        with wf.task("crop", used={"raw": pllib.data("raw.npz"), "tile": 40}) as task:
            ...
            task.generated(train=pllib.data("train.npz"))

    with pllib.run("digits", params={"lr": 0.1}) as run:
        run.log_metric("loss", 0.3, step=1, context="training")

Standard library only. No call raises into the script, waits for the network or prints a traceback, unless
``pllib.configure(strict=True)``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict

from . import process_end as _process_end
from . import this_process as _this
from ._boundary import nothing as _nothing
from ._boundary import shielded as _shielded
from ._version import __version__
from .activities import Activity, Cycle, Section, Task, Workflow, current
from .context import attach, carry
from .decorators import (
    Characteristic,
    Dataset,
    Domain,
    Evaluation,
    FeatureSet,
    Hyperparameter,
    Implementation,
    LearningTask,
    Model,
    ModelHyperparameter,
    recorded,
    section,
    task,
    workflow,
)
from .errors import CaptureError, ConfigurationError, FullError, PllibError, SpoolError, TransportError
from .references import (
    Data,
    Generated,
    Handle,
    Marked,
    characteristic,
    data,
    dataset,
    domain,
    evaluation,
    feature_set,
    hyperparameter,
    implementation,
    learning_task,
    model,
    model_hyperparameter,
)

if TYPE_CHECKING:
    from .runs import (
        Run,
        active_run,
        end_run,
        log_artifact,
        log_dataset,
        log_metric,
        log_metrics,
        log_model,
        log_param,
        log_params,
        log_tags,
        log_text,
        run,
        start_run,
        timed,
    )


@_shielded(_nothing)
def configure(**settings: Any) -> None:
    """Sets where and how records go; see ``pllib.settings.Settings`` for all names.

    Settings that are wrong are raised with ``strict=True``, else the call changes nothing and is counted in ``stats``.
    """
    _this.configure(settings)


@_shielded(_nothing)
def store(name: str, root: str) -> None:
    """Says where a data store lies on this machine, so that paths under ``root`` are keys of it."""
    _this.define_store(name, root)


@_shielded(lambda *_: False)
def flush(timeout: float = 5.0) -> bool:
    """Whether everything recorded until now reached the tracker within ``timeout`` seconds."""
    client = _this.latest()
    return client is None or client.flush(timeout)


@_shielded(lambda *_: {})
def stats() -> Dict[str, Any]:
    """The accounting of this process: accepted, delivered, refused, waiting, dropped (by reason), errors kept from the script.

    At all times ``accepted = delivered + refused + waiting``. After ``shutdown`` the figures are those at the end.
    """
    client = _this.latest()
    return client.stats() if client is not None else _this.no_stats()


@_shielded(_nothing)
def shutdown() -> None:
    """Ships what is left, for at most ``exit_timeout`` seconds, and ends the client; the end of the process does this."""
    _process_end.end_of_process()


def __getattr__(name: str) -> Any:
    """What belongs to runs is imported when it is first asked for: scripts that only have workflows and tasks need none of it."""
    if name not in __all__ or name.startswith("_"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from . import runs

    found = globals()[name] = getattr(runs, name)
    return found


__all__ = [
    "Activity",
    "CaptureError",
    "Characteristic",
    "ConfigurationError",
    "Cycle",
    "Data",
    "Dataset",
    "Domain",
    "Evaluation",
    "FeatureSet",
    "FullError",
    "Generated",
    "Handle",
    "Hyperparameter",
    "Implementation",
    "LearningTask",
    "Marked",
    "Model",
    "ModelHyperparameter",
    "PllibError",
    "Run",
    "Section",
    "SpoolError",
    "Task",
    "TransportError",
    "Workflow",
    "__version__",
    "active_run",
    "attach",
    "carry",
    "characteristic",
    "configure",
    "current",
    "data",
    "dataset",
    "domain",
    "end_run",
    "evaluation",
    "feature_set",
    "flush",
    "hyperparameter",
    "implementation",
    "learning_task",
    "log_artifact",
    "log_dataset",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_tags",
    "log_text",
    "model",
    "model_hyperparameter",
    "recorded",
    "run",
    "section",
    "shutdown",
    "start_run",
    "stats",
    "store",
    "task",
    "timed",
    "workflow",
]
