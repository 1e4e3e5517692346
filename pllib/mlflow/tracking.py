"""What calls of MLflow's tracking store say: each function is given the store, what the call returned and its arguments."""

from __future__ import annotations

from typing import Any, Callable, Dict, Iterable, List, Optional, Tuple

from ..references import Data, Marked
from ..runs.execution import HYPERPARAMETER
from ..runs.logged import record
from . import links, naming, registry, runs

MOST_MODELS = 10_000

_models: Dict[str, Tuple[Any, str]] = {}
"""Logged models that were made here: what made each, and its name there."""


def create_experiment(store: Any, identifier: Any, name: str, *_: Any, **__: Any) -> None:
    runs.learn_experiment(store, identifier, name)


def seen_experiment(store: Any, experiment: Any, *_: Any, **__: Any) -> None:
    if experiment is not None:
        runs.learn_experiment(store, experiment.experiment_id, experiment.name)


def seen_run(store: Any, run: Any, *_: Any, **__: Any) -> None:
    runs.learn(store, run.info)


def create_run(store: Any, run: Any, *_: Any, **__: Any) -> None:
    links.tag_run(store, runs.opens(store, run))


def update_run_info(store: Any, info: Any, run_id: str, run_status: Any = None, *_: Any, **__: Any) -> None:
    if run_status is not None:  # else it is renamed
        runs.changes(store, info)


def log_metric(store: Any, _: Any, run_id: str, metric: Any) -> None:
    runs.of(store, run_id).point(metric.key, metric.value, metric.step, metric.timestamp)


def log_param(store: Any, _: Any, run_id: str, param: Any) -> None:
    log_batch(store, None, run_id, (), (param,), ())


def set_tag(store: Any, _: Any, run_id: str, tag: Any) -> None:
    log_batch(store, None, run_id, (), (), (tag,))


def log_batch(
    store: Any, _: Any, run_id: str, metrics: Iterable[Any] = (), params: Iterable[Any] = (), tags: Iterable[Any] = ()
) -> None:
    run = runs.of(store, run_id)
    for metric in metrics or ():
        run.point(metric.key, metric.value, metric.step, metric.timestamp)
    used = {param.key: Marked(naming.parameter(param.value), HYPERPARAMETER) for param in params or ()}
    tagged = {tag.key: tag.value for tag in tags} if tags else {}
    meta = runs.remarks(tagged) if tagged else {}
    if used or meta:
        record(run, used=used, meta=meta)
    if naming.LINKED_PROMPTS in tagged:
        record(run, used=naming.linked_prompts(tagged, registry.current_store()))


def log_inputs(store: Any, _: Any, run_id: str, datasets: Any = None, models: Any = None) -> None:
    run = runs.of(store, run_id)
    for given in datasets or ():
        _use_dataset(run, given)
    for given in models or ():
        record(run, used={_name_of_model(given.model_id): naming.logged_model(given.model_id)})


def _use_dataset(run: runs.MlflowRun, given: Any) -> None:
    entity = given.dataset
    keys = ("name", "digest", "source_type", "source", "schema", "profile")
    found = naming.dataset(
        {key: getattr(entity, key, None) for key in keys}, {tag.key: tag.value for tag in given.tags or ()}
    )
    local = found.store is None and "://" not in found.path
    if local and runs.in_server():
        found, local = found._replace(store=naming.DATASETS), False  # a path of a machine that is not known here
    record(run, used={entity.name: found})
    if local:
        # The file in its state now, which is how whatever made it refers to it.
        record(run, used={f"{entity.name}.source": Data(found.path, None, "dataset", None, None)})


def create_logged_model(store: Any, model: Any, *_: Any, **__: Any) -> None:
    if not model.source_run_id and runs.in_server():
        return  # whoever made it is not known here
    maker = runs.of(store, model.source_run_id) if model.source_run_id else runs.here()
    while len(_models) >= MOST_MODELS:
        _models.pop(next(iter(_models)), None)
    _models[model.model_id] = (maker, model.name)
    facts = {"name": model.name, "model_type": model.model_type, "location": model.artifact_location}
    known = {name: value for name, value in facts.items() if value}
    _put_model(model.model_id, {**known, **_settings(model.params or {})})


def log_logged_model_params(store: Any, _: Any, model_id: str, params: List[Any]) -> None:
    _put_model(model_id, _settings({param.key: param.value for param in params}))


def _settings(params: Dict[str, str]) -> Dict[str, Marked]:
    return {name: Marked(naming.parameter(value), "model_hyperparameter") for name, value in params.items()}


def _put_model(model_id: str, facts: Dict[str, Any]) -> None:
    maker, name = _models.get(model_id, (None, ""))
    if maker is not None and facts:
        record(maker, generated={name: naming.logged_model(model_id, facts)})


def _name_of_model(model_id: str) -> str:
    return _models.get(model_id, (None, "model"))[1]


def log_outputs(store: Any, _: Any, run_id: str, models: Optional[List[Any]] = None) -> None:
    run = runs.of(store, run_id)
    for given in models or ():
        if _models.get(given.model_id, (None, ""))[0] is not run:
            record(run, generated={_name_of_model(given.model_id): naming.logged_model(given.model_id)})


HANDLERS: Dict[str, Callable[..., None]] = {
    "create_experiment": create_experiment,
    "get_experiment": seen_experiment,
    "get_experiment_by_name": seen_experiment,
    "get_run": seen_run,
    "create_run": create_run,
    "update_run_info": update_run_info,
    "log_metric": log_metric,
    "log_param": log_param,
    "set_tag": set_tag,
    "log_batch": log_batch,
    "log_inputs": log_inputs,
    "log_outputs": log_outputs,
    "create_logged_model": create_logged_model,
    "log_logged_model_params": log_logged_model_params,
}
