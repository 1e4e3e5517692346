"""The functions of Prov4ML, over the run that is open in this process."""

from __future__ import annotations

import os
import sys
import time
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, Mapping, Optional, Tuple

from .._boundary import nothing, shielded
from . import opened, signatures
from .experiment import parameter
from .names import context_name
from .opened import current
from .said import once
from .saving import WANTED, Files

Paths = Tuple[Optional[str], ...]
_COLLECTED = "the documents of all ranks of a run are put together by: python -m pllib.prov4ml.prov_collection"

# -- runs -------------------------------------------------------------------------------------------------------------


@shielded(nothing)
def start_run(*args: Any, **named: Any) -> None:
    """Opens a run; ``end_run`` ends it, or the end of the process, as failed if an exception ends that.

    ``start_run(experiment_name, prov_user_namespace, provenance_save_dir, collect_all_processes, save_after_n_logs, rank, …)``, or the
    orders of arguments that earlier versions of Prov4ML had. Where the values do not tell which order is meant, the one here is taken
    and that is said.

    Args:
        experiment_name: the same in all its runs.
        prov_user_namespace: beginning of the IRIs in the document, such as ``www.example.org``.
        provenance_save_dir: folder of the runs' folders; ``prov_save_path`` by default.
        collect_all_processes: whether ranks other than 0 record, too.
        save_after_n_logs: metrics after which the files are made anew while the run is open, in the background.
        rank: which process of a job this is; by default as PyTorch or the launcher say.
        disable_codecarbon: no energy is measured.
        csv_separator: of the files of metrics.
        use_run_id: the number of the run; processes that give the same share the run.
    """
    opened.start(signatures.START_RUN.bound(args, named))


@shielded(lambda *_: (None, None, None, None))
def end_run(
    create_graph: Optional[bool] = False,
    create_svg: Optional[bool] = False,
    crate_ro_crate: Optional[bool] = False,
    create_card: Optional[bool] = False,
    *,
    create_ro_crate: Optional[bool] = False,
    create_provenance_collection: Optional[bool] = False,
) -> Paths:
    """Ends the run and writes its document.

    Args:
        create_graph: also as a drawing for Graphviz.
        create_svg: also as a drawing.
        crate_ro_crate: an RO-Crate beside the folder, a zip file.
        create_card: a short account for people, ``card.md``.

    Returns:
        the paths of the PROV-JSON document, the drawings and the crate; ``None`` for what was not made.
    """
    if current("end_run") is None:
        opened.finish(None, ())
        return None, None, None, None
    if create_provenance_collection:
        once("collection", _COLLECTED)
    return _paths(
        opened.finish(None, _wanted(create_graph, create_svg, crate_ro_crate or create_ro_crate, create_card))
    )


def _wanted(graph: Optional[bool], svg: Optional[bool], crate: Optional[bool], card: Optional[bool]) -> Tuple[str, ...]:
    """What of ``saving.WANTED`` is asked for."""
    return tuple(what for what, asked in zip(WANTED, (graph, svg, crate, card)) if asked)


def _paths(made: Files) -> Paths:
    return tuple(made.get(what) for what in ("json", "dot", "svg", "zip"))


@shielded(lambda *_: (None, None, None))
def log_provenance_documents(
    create_graph: Optional[bool] = False, create_svg: Optional[bool] = False, crate_ro_crate: Optional[bool] = False
) -> Paths:
    """Writes the documents of what there is by now; the run goes on. The paths of document, drawings, and a crate if asked for."""
    found = current("log_provenance_documents")
    made = _paths({} if found is None else found.write(_wanted(create_graph, create_svg, crate_ro_crate, False)))
    return made if crate_ro_crate else made[:3]


@contextmanager
def start_run_ctx(*args: Any, **named: Any) -> Iterator[None]:
    """A run that ends with the block, as failed if an exception ends that; arguments as of ``start_run`` and ``end_run``."""
    given = _bound_ctx(args, named)
    started = _start_ctx(given)
    try:
        yield
    except BaseException as error:
        if started:
            _end_ctx(error, given)
        raise
    if started:
        _end_ctx(None, given)


@shielded(lambda *_: {})
def _bound_ctx(args: Tuple[Any, ...], named: Mapping[str, Any]) -> Dict[str, Any]:
    return signatures.START_RUN_CTX.bound(args, named)


@shielded(lambda *_: False)
def _start_ctx(given: Mapping[str, Any]) -> bool:
    if not given:
        return False
    opened.start(given)
    return True


@shielded(nothing)
def _end_ctx(error: Optional[BaseException], given: Mapping[str, Any]) -> None:
    crate = given.get("crate_ro_crate") or given.get("create_ro_crate")
    opened.finish(error, _wanted(given.get("create_graph"), given.get("create_svg"), crate, given.get("create_card")))


# -- parameters and metrics -------------------------------------------------------------------------------------------


@shielded(nothing)
def log_param(key: str, value: Any, context: Any = None, source: Any = None, is_input: bool = True) -> None:
    """Records a parameter, with its type."""
    found = current("log_param")
    if found is not None:
        found.run.log_param(str(key), parameter(value), context=context_name(context))


@shielded(nothing)
def log_params(params: Mapping[str, Any], context: Any = None) -> None:
    """Records several parameters."""
    for key, value in params.items():
        log_param(key, value, context)


def log_metric(
    key: str,
    value: Any,
    context: Any = None,
    step: Optional[int] = None,
    source: Any = None,
    timestamp: Optional[int] = None,
    synchronous: bool = True,
) -> None:
    """Adds a point to a metric.

    Args:
        key: any text.
        value: a number; anything else is kept as a value that the context generated.
        context: a ``Context`` or any text.
        step: a whole number; by default how many points there were before.
        timestamp: milliseconds since 1970; by default now.
    """
    found = opened.experiment
    if found is not None and type(value) is float and not timestamp:
        try:
            series = found.known[key, context]
        except (KeyError, TypeError):  # the first point, or a context that has no hash
            pass
        else:
            series.log(value, step)
            found.count()
            return
    _log_metric(key, value, context, step, source, timestamp)


@shielded(nothing)
def _log_metric(key: str, value: Any, context: Any, step: Any, source: Any, timestamp: Any) -> None:
    found = current("log_metric")
    if found is not None:
        found.log_metric(key, value, context, step, source, timestamp)


@shielded(nothing)
def log_metrics(
    metrics: Mapping[str, Any], step: Optional[int] = None, context: Any = None, synchronous: bool = True
) -> None:
    """Adds a point to each of several metrics: ``{"loss": (0.3, Context.TRAINING)}``, or ``{"loss": 0.3}`` and a context for all."""
    for key, value in metrics.items():
        of_it, where = value if isinstance(value, tuple) and len(value) == 2 else (value, context)
        log_metric(key, of_it, where, step)


@shielded(nothing)
def register_final_metric(metric_name: str, initial_value: Any, fold_operation: Callable[[Any, Any], Any]) -> None:
    """Has the values of a metric folded by a function of two values; what comes of it is recorded at the end as ``final.{name}``."""
    found = current("register_final_metric")
    if found is not None:
        found.register(metric_name, initial_value, fold_operation)


@shielded(nothing)
def log_current_execution_time(label: str, context: Any = None, step: Optional[int] = None) -> None:
    """Records the seconds since the run began, as a point of the series ``time.{label}``."""
    found = current("log_current_execution_time")
    if found is not None:
        found.series(f"time.{label}", context, "std.time", "s").log(time.monotonic() - found.began, step)


@shielded(nothing)
def log_execution_start_time() -> None:
    """Nothing is left to do: every run has its time of beginning."""


@shielded(nothing)
def log_execution_end_time() -> None:
    """Nothing is left to do: every run has its time of ending."""


# -- the machine ------------------------------------------------------------------------------------------------------


@shielded(nothing)
def log_system_metrics(
    context: Any = None, step: Optional[int] = None, synchronous: bool = True, timestamp: Optional[int] = None
) -> None:
    """Records what the machine does now: CPU, memory, disks, network, process, all GPUs."""
    found = current("log_system_metrics")
    if found is None:
        return
    from .. import telemetry

    for reading in telemetry.read():
        found.series(reading.name, context, "system", reading.unit, machine=True).log(reading.value, step)


@shielded(nothing)
def log_carbon_metrics(
    context: Any = None, step: Optional[int] = None, synchronous: bool = True, timestamp: Optional[int] = None
) -> None:
    """Records energy and carbon since the run began, in nine values as far as they are known."""
    found = current("log_carbon_metrics")
    if found is None:
        return
    meter = getattr(found.run._recording, "meter", None)
    if meter is None:
        once("carbon", "log_carbon_metrics(): no energy is measured, since disable_codecarbon=True")
        return
    for name, (value, unit) in meter.read().items():
        found.series(f"energy.{name}", context, "codecarbon", unit, machine=True).log(value, step)


@shielded(nothing)
def log_flops_per_batch(label: str, model: Any, batch: Any, context: Any = None, step: Optional[int] = None) -> None:
    """Counts the floating-point operations of a model for a batch ``(inputs, targets)``, where PyTorch is loaded."""
    _log_flops(label, model, lambda: _first(batch), 1, context, step)


@shielded(nothing)
def log_flops_per_epoch(label: str, model: Any, dataset: Any, context: Any = None, step: Optional[int] = None) -> None:
    """Counts the floating-point operations of a model for the first item of a data set, times its length, where PyTorch is loaded."""
    _log_flops(
        label,
        model,
        lambda: _first(dataset[0] if hasattr(dataset, "__getitem__") else next(iter(dataset))),
        len(dataset),
        context,
        step,
    )


def _log_flops(
    label: str, model: Any, inputs: Callable[[], Any], times: int, context: Any, step: Optional[int]
) -> None:
    found = current("log_flops")
    if found is None:
        return
    torch = sys.modules.get("torch")
    counted = None if torch is None else _counted(torch, model, inputs())
    if counted is None:
        once("flops", f"FLOPs of {label} are not counted: that takes PyTorch, 2.1 or later")
        return
    found.run.log_flops(label, counted * times, context=context_name(context), step=step)


def _counted(torch: Any, model: Any, inputs: Any) -> Optional[int]:
    """Operations of one forward pass, which leaves the model as it was: no gradients, no statistics of batches."""
    from ..runs.about import flop_counter

    counter = flop_counter()
    if counter is None:
        return None
    training = getattr(model, "training", False)
    if training:
        model.eval()
    try:
        with torch.no_grad(), counter:
            model(inputs)
    finally:
        if training:
            model.train()
    return int(counter.get_total_flops())


def _first(batch: Any) -> Any:
    return batch[0] if isinstance(batch, (tuple, list)) else batch


# -- command, contexts, values ------------------------------------------------------------------------------------------


@shielded(nothing)
def log_execution_command(cmd: str, path: Any = None) -> None:
    """Records a command as the parameter ``execution_command``. The one that this process was started by is recorded anyway."""
    log_param("execution_command", cmd if path is None else f"{cmd} {os.fspath(path)}")


@shielded(nothing)
def log_context(context: Any, is_subcontext_of: Any = None, source_of_data: Any = None) -> None:
    """Begins a context, and says what it is part of."""
    found = current("log_context")
    if found is None:
        return
    said = {"subcontext_of": context_name(is_subcontext_of), "source_of_data": source_of_data}
    activity = found.run.context(context_name(context))
    activity.begin()
    told = {name: value for name, value in said.items() if value is not None}
    if told:
        activity.add(meta=told)


create_context = log_context


@shielded(nothing)
def log_input(value: Any, name: str = "input", context: Any = None) -> None:
    """Records a value that the run took."""
    found = current("log_input")
    if found is not None:
        found.put(name, value, context, used=True)


@shielded(nothing)
def log_output(value: Any, name: str = "output", context: Any = None) -> None:
    """Records a value that the run gave."""
    found = current("log_output")
    if found is not None:
        found.put(name, value, context)


@shielded(nothing)
def get_run_id() -> Optional[str]:
    """The id of the open run's execution."""
    found = opened.experiment
    return None if found is None else found.run.id


@shielded(nothing)
def get_run_dir() -> Optional[str]:
    """The folder of the open run; ``None`` on ranks that do not collect."""
    found = opened.experiment
    return found.folder.path if found is not None and found.folder is not None else None


@shielded(nothing)
def get_artifacts_dir() -> Optional[str]:
    """The folder of the open run's artifacts; ``None`` on ranks that do not collect."""
    found = opened.experiment
    return found.folder.artifacts if found is not None and found.folder is not None else None
