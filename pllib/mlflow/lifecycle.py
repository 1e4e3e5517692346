"""What calls say that end things in MLflow, bring them back, or give them another name: each is recorded, nothing is taken back.

A registered model, a version, a logged model: a task of its own execution, which used what was deleted. A run: a remark with the
time. An experiment: a task of an execution of its own, apart from its runs.
"""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Any, Callable, Dict

from ..references import Data
from ..runs.logged import record
from . import calls, naming, registry, runs
from .registry import Event

DELETES, RESTORES, RENAMES = "delete", "restore", "rename"
DELETED, RESTORED = "mlflow.deleted", "mlflow.restored"
"""Remarks of a run: when it was deleted, and brought back."""
_MOST_VERSIONS = 1_000


def _now() -> int:
    return time.time_ns() // 1000


# -- experiments and runs


def delete_run(store: Any, _: Any, run_id: str) -> None:
    _remark(store, run_id, DELETED)


def restore_run(store: Any, _: Any, run_id: str) -> None:
    _remark(store, run_id, RESTORED)


def _remark(store: Any, run_id: str, what: str) -> None:
    moment = datetime.now(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    record(runs.of(store, run_id), meta={what: moment})


def delete_experiment(store: Any, _: Any, experiment_id: Any) -> None:
    _experiment(store, DELETES, {"experiment": runs.experiment_name(store, experiment_id)}, {})


def restore_experiment(store: Any, _: Any, experiment_id: Any) -> None:
    _experiment(store, RESTORES, {}, {"experiment": runs.experiment_name(store, experiment_id)})


def rename_experiment(store: Any, _: Any, experiment_id: Any, new_name: str) -> None:
    before = runs.known_experiment(store, experiment_id)
    runs.learn_experiment(store, experiment_id, new_name)
    used = {"experiment_id": str(experiment_id), **({"experiment": before} if before else {})}
    _experiment(store, RENAMES, used, {"experiment": new_name})


def _experiment(store: Any, what: str, used: Dict[str, Any], generated: Dict[str, Any]) -> None:
    asked, moment = calls.request(), _now()
    place = naming.place(asked.host if asked is not None else calls.uri_of(store))
    name = str(generated.get("experiment") or used["experiment"])
    Event(f"{naming.EXPERIMENTS}:{place}", name, what, str(moment)).put(moment, used, generated, {})


# -- models


def delete_logged_model(_: Any, __: Any, model_id: str) -> None:
    moment = _now()
    event = Event(naming.MODELS, model_id, DELETES, str(moment))
    event.put(moment, {"model": naming.logged_model(model_id)}, {}, {})


def delete_model_version(store: Any, _: Any, name: str, version: Any) -> None:
    of = registry.store_of(store)
    event = Event(of, name, DELETES, str(version))
    event.put(_now(), {"version": naming.model_version(of, name, version)._replace(meaning=None)}, {}, {})


def delete_registered_model(store: Any, _: Any, name: str) -> None:
    of, moment = registry.store_of(store), _now()
    model = Data(name, of, None, None, None)
    Event(of, name, DELETES, str(moment)).put(moment, {"model": model}, {}, {})


def rename_registered_model(store: Any, renamed: Any, name: str, new_name: str) -> None:
    """Its versions under the new name are made from those under the old one, so that their lineage goes on."""
    of, moment = registry.store_of(store), _now()
    quote = '"' if "'" in new_name else "'"
    versions = store.search_model_versions(f"name={quote}{new_name}{quote}", max_results=_MOST_VERSIONS)
    for version in versions:
        event = Event(of, new_name, RENAMES, f"{version.version}-{moment}")
        used = {"version": naming.model_version(of, name, version.version)}
        event.put(moment, used, {"version": naming.model_version(of, new_name, version.version)}, {})
    for alias, version in dict(renamed.aliases or {}).items():
        registry.points(store, new_name, alias, str(version))


HANDLERS: Dict[str, Callable[..., None]] = {
    "delete_run": delete_run,
    "restore_run": restore_run,
    "delete_experiment": delete_experiment,
    "restore_experiment": restore_experiment,
    "rename_experiment": rename_experiment,
    "delete_logged_model": delete_logged_model,
    "delete_model_version": delete_model_version,
    "delete_registered_model": delete_registered_model,
    "rename_registered_model": rename_registered_model,
}
