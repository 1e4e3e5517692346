"""Experiment runs: parameters, metrics, artifacts, data sets, models, code and environment of one execution of an experiment.

::

    with pllib.run("digits", params={"lr": 0.1}) as run:
        for epoch in range(10):
            run.log_metric("loss", loss, step=epoch, context="training")
        run.log_model(model, path="model.pkl")
"""

from __future__ import annotations

from .calls import (
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
from .execution import Run

__all__ = [
    "Run",
    "active_run",
    "end_run",
    "log_artifact",
    "log_dataset",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_param",
    "log_params",
    "log_tags",
    "log_text",
    "run",
    "start_run",
    "timed",
]
