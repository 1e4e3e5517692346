"""The functions of Prov4ML and yProv4ML, of all their generations, recorded by ``pllib``. Change the import, keep the script::

    import pllib.prov4ml as prov4ml

    prov4ml.start_run("digits", "www.example.org", "prov")
    prov4ml.log_param("lr", 0.1)
    for epoch in range(10):
        prov4ml.log_metric("loss", loss, prov4ml.Context.TRAINING, step=epoch)
    prov4ml.end_run(create_graph=True, create_svg=True)

No server is needed: records and documents are in the folder that the script names. Where one is configured (``PLLIB_URL``, or
``pllib.configure(url=…)`` before), they go there, too. Unchanged scripts run by ``python -m pllib.prov4ml script.py``.
"""

from __future__ import annotations

from typing import Any

from .calls import (
    create_context,
    end_run,
    get_artifacts_dir,
    get_run_dir,
    get_run_id,
    log_carbon_metrics,
    log_context,
    log_current_execution_time,
    log_execution_command,
    log_execution_end_time,
    log_execution_start_time,
    log_flops_per_batch,
    log_flops_per_epoch,
    log_input,
    log_metric,
    log_metrics,
    log_output,
    log_param,
    log_params,
    log_provenance_documents,
    log_system_metrics,
    register_final_metric,
    start_run,
    start_run_ctx,
)
from .enumerations import CompressorType, Context, FoldOperation, LoggingItemKind, MetricsType
from .files import log_artifact, log_dataset, log_model, log_source_code, save_model_version
from .loggers import ProvMLItwinAILogger, get_mlflow_logger, lightning_logger
from .wrappers import ProvenanceTrackedFunction, ProvenanceTrackedModel


def __getattr__(name: str) -> Any:
    """The logger for Lightning is made when it is asked for: its base is Lightning's class, where that is loaded."""
    if name == "ProvMLLogger":
        return lightning_logger()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


__all__ = [
    "CompressorType",
    "Context",
    "FoldOperation",
    "LoggingItemKind",
    "MetricsType",
    "ProvMLItwinAILogger",
    "ProvMLLogger",
    "ProvenanceTrackedFunction",
    "ProvenanceTrackedModel",
    "create_context",
    "end_run",
    "get_artifacts_dir",
    "get_mlflow_logger",
    "get_run_dir",
    "get_run_id",
    "log_artifact",
    "log_carbon_metrics",
    "log_context",
    "log_current_execution_time",
    "log_dataset",
    "log_execution_command",
    "log_execution_end_time",
    "log_execution_start_time",
    "log_flops_per_batch",
    "log_flops_per_epoch",
    "log_input",
    "log_metric",
    "log_metrics",
    "log_model",
    "log_output",
    "log_param",
    "log_params",
    "log_provenance_documents",
    "log_source_code",
    "log_system_metrics",
    "register_final_metric",
    "save_model_version",
    "start_run",
    "start_run_ctx",
]
