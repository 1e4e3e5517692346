"""Prov4ML's loggers: one for Lightning, one in the form of itwinai's. They log in the run that is open, or open one."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple, Union

from . import calls, files

_BASES = ("lightning.pytorch.loggers.logger", "pytorch_lightning.loggers.logger")
_made: Dict[type, type] = {}


class LightningLogger:
    """What Lightning asks of a logger; metrics and hyperparameters go to the open run.

    Args:
        name: folder of what Lightning itself writes.
        version: folder in it.
        prefix: put before the names of metrics.
    """

    def __init__(
        self,
        name: Optional[str] = "lightning_logs",
        version: Union[int, str, None] = None,
        prefix: str = "",
        flush_logs_every_n_steps: int = 100,
    ) -> None:
        super().__init__()
        self._name, self._version, self._prefix = name or "", version, prefix

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> Union[int, str, None]:
        return self._version

    @property
    def save_dir(self) -> str:
        return calls.get_run_dir() or os.getcwd()

    @property
    def root_dir(self) -> str:
        return os.path.join(self.save_dir, self._name)

    @property
    def log_dir(self) -> str:
        version = self._version if isinstance(self._version, str) else f"version_{self._version}"
        return os.path.join(self.root_dir, version)

    def log_metrics(self, metrics: Mapping[str, Any], step: Optional[int] = None, context: Any = None) -> None:
        """Adds a point to each metric; one called after a part of the run (``val_loss``) goes there."""
        for name, value in metrics.items():
            calls.log_metric(f"{self._prefix}{name}", value, context or _part(name), step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Records hyperparameters: a mapping, or a namespace of arguments."""
        calls.log_params(params if isinstance(params, Mapping) else vars(params))

    def save(self) -> None:
        """Nothing is left to do: what was logged is on the disk."""

    def finalize(self, status: str) -> None:
        """Nothing is left to do: the run ends by ``end_run``."""


def lightning_logger() -> type:
    """The class ``ProvMLLogger``: a logger of Lightning's own kind where Lightning is loaded."""
    base = next((sys.modules[name].Logger for name in _BASES if name in sys.modules), object)
    if base not in _made:
        _made[base] = type("ProvMLLogger", (LightningLogger,) if base is object else (LightningLogger, base), {})
    return _made[base]


def get_mlflow_logger() -> Any:
    """A logger for Lightning, as the first generation gave it; there is no MLflow in it."""
    return lightning_logger()()


def _part(name: str) -> str:
    """The part of the run that a metric's name speaks of."""
    for part, names in (("evaluation", ("test", "evaluation")), ("validation", ("val", "validation"))):
        if any(each in names for each in name.lower().replace("/", "_").replace("-", "_").split("_")):
            return part
    return "training"


class ProvMLItwinAILogger:
    """Logs in the form of itwinai: ``logger.log(item=…, identifier=…, kind="metric", step=…)`` between begin and end.

    Args:
        log_freq: ``"batch"``: always; ``"epoch"``: calls without ``batch_idx``; a number: every so many batches.
        log_on_workers: rank that logs, several, or -1 for all.
    """

    supported_kinds: Tuple[str, ...] = (
        "metric",
        "flops_pb",
        "flops_pe",
        "system",
        "carbon",
        "execution_time",
        "model",
        "best_model",
        "torch",
    )

    def __init__(
        self,
        prov_user_namespace: str = "www.example.org",
        experiment_name: str = "experiment_name",
        provenance_save_dir: str = "mllogs/prov_logs",
        save_after_n_logs: Optional[int] = 100,
        create_graph: Optional[bool] = True,
        create_svg: Optional[bool] = True,
        log_freq: Union[int, str] = "epoch",
        log_on_workers: Union[int, List[int]] = 0,
    ) -> None:
        self.name, self.version = experiment_name, None
        self.savedir = self.provenance_save_dir = provenance_save_dir
        self.prov_user_namespace, self.save_after_n_logs = prov_user_namespace, save_after_n_logs
        self.create_graph, self.create_svg = create_graph, create_svg
        self.log_freq, self.log_on_workers = log_freq, log_on_workers
        self.worker_rank: Optional[int] = None

    @contextmanager
    def start_logging(self, rank: Optional[int] = None) -> Iterator[None]:
        """``with logger.start_logging():`` a run."""
        try:
            self.create_logger_context(rank=rank)
            yield
        finally:
            self.destroy_logger_context()

    def create_logger_context(self, rank: Optional[int] = None) -> None:
        """Opens the run, if this rank logs."""
        self.worker_rank = rank
        if self._is_worker():
            calls.start_run(
                prov_user_namespace=self.prov_user_namespace,
                experiment_name=self.name,
                provenance_save_dir=self.provenance_save_dir,
                save_after_n_logs=self.save_after_n_logs,
                collect_all_processes=True,
                rank=rank,
            )

    def destroy_logger_context(self) -> None:
        """Ends the run."""
        if self._is_worker():
            calls.end_run(create_graph=self.create_graph, create_svg=self.create_svg)

    def save_hyperparameters(self, params: Mapping[str, Any]) -> None:
        """Records parameters."""
        if self._is_worker():
            calls.log_params(params)

    def _is_worker(self) -> bool:
        chosen = self.log_on_workers
        if self.worker_rank is None or chosen == -1:
            return True
        return self.worker_rank in chosen if isinstance(chosen, list) else self.worker_rank == chosen

    def should_log(self, batch_idx: Optional[int] = None) -> bool:
        """Whether a call with that number of the batch is to be recorded on this rank."""
        if not self._is_worker():
            return False
        if batch_idx is None or self.log_freq == "batch":
            return True
        return isinstance(self.log_freq, int) and batch_idx % self.log_freq == 0

    def log(
        self,
        item: Any,
        identifier: Any,
        kind: str = "metric",
        step: Optional[int] = None,
        batch_idx: Optional[int] = None,
        context: Any = "training",
        **kwargs: Any,
    ) -> None:
        """Records an item of a kind, one of ``supported_kinds``."""
        if not self.should_log(batch_idx=batch_idx):
            return
        if kind in ("flops_pb", "flops_pe"):
            count = calls.log_flops_per_batch if kind == "flops_pb" else calls.log_flops_per_epoch
            count(identifier, item[0], item[1], context, step)
        elif kind in ("model", "best_model"):
            self._log_model(item, str(identifier), kind, step, context)
        elif kind == "torch":
            self._log_object(item, str(identifier))
        elif kind == "system":
            calls.log_system_metrics(context, step)
        elif kind == "carbon":
            calls.log_carbon_metrics(context, step)
        elif kind == "execution_time":
            calls.log_current_execution_time(identifier, context, step)
        else:
            calls.log_metric(identifier, item, context, step)

    @staticmethod
    def _log_model(item: Any, name: str, kind: str, step: Optional[int], context: Any) -> None:
        if kind == "best_model":
            files.log_model(model=item, model_name=name)
        else:
            files.save_model_version(model=item, model_name=name, context=context, step=step)

    @staticmethod
    def _log_object(item: Any, name: str) -> None:
        if hasattr(item, "dataset"):
            files.log_dataset(dataset=item, label=name)
        else:
            calls.log_param(name, item)
