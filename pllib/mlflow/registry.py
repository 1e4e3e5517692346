"""What calls of MLflow's model registry say: registrations and aliases, each a task of the model's own execution."""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, Optional

from .. import this_process
from ..activities import Activity
from ..facts import meta_facts, quoted
from ..origins import Origins
from ..references import Data
from ..runs.logged import record
from . import calls, links, naming, runs

REGISTERS, POINTS = "register", "alias"


def store_of(registry: Any) -> str:
    """The name of a registry's store; a server is called as the client calls it, by the host that was asked."""
    asked = calls.request()
    return naming.registry_store(asked.host if asked is not None else calls.uri_of(registry))


def current_store(uri: Optional[str] = None) -> str:
    """The name of the registry that a client uses, of a server its own."""
    asked = calls.request()
    if asked is not None:
        return naming.registry_store(asked.host)
    utils = sys.modules.get("mlflow.tracking._model_registry.utils")
    return naming.registry_store(uri or (utils.get_registry_uri() if utils is not None else ""))


class Event(Activity):
    """Something that was done at one moment with a thing that MLflow keeps: a registered model, a logged model, an experiment.

    It is a task of the thing's own execution; with no name that execution itself.
    """

    def __init__(self, store: str, model: str, name: str = "", number: str = "") -> None:
        super().__init__(name or store)
        self.kind = "task" if name else "workflow"
        self.wf = f"{quoted(store)}/{quoted(model)}"
        self.id = f"{quoted(name)}/{quoted(number)}" if name else ""
        self._origins = Origins(self.wf, lambda data, origins: this_process.encode_data(data, origins.facts))

    def put(self, moment: int, used: Dict[str, Any], generated: Dict[str, Any], meta: Dict[str, Any]) -> None:
        """Records it, as begun and ended at a time in microseconds."""
        client, origins = this_process.current(), self._origins
        if origins is None:
            return
        parts: Dict[str, Any] = {"used": origins.used(used)[0]} if used else {}
        said = {name: value for name, value in meta.items() if value}
        if said:
            parts["meta"] = meta_facts(said)
        client.accept(self._head("begin", moment), parts)
        client.accept(
            self._head("end", moment) + ',"elapsed":0,"status":"finished"',
            {"generated": origins.generated(generated, self.id)} if generated else {},
        )

    def _head(self, operation: str, moment: int) -> str:
        number = next(this_process.current().numbers)
        return f'{{"n":{number},"op":"{operation}","t":{moment},"m":{time.monotonic_ns()},{self._identity()}'


def create_registered_model(registry: Any, model: Any, *_: Any, **__: Any) -> None:
    meta = {"description": model.description, **dict(model.tags or {})}
    Event(store_of(registry), model.name).put(_moment(model.creation_timestamp), {}, {}, meta)


def create_model_version(registry: Any, version: Any, *_: Any, **__: Any) -> None:
    _put_version(registry, version, _origin(registry, version))


def copy_model_version(registry: Any, version: Any, src_mv: Any, *_: Any, **__: Any) -> None:
    _put_version(registry, version, naming.model_version(store_of(registry), src_mv.name, src_mv.version))


def _put_version(registry: Any, version: Any, origin: Optional[Data]) -> None:
    store, tags = store_of(registry), dict(version.tags or {})
    facts = {"source": version.source, "run_id": version.run_id, "model_id": version.model_id}
    made = naming.model_version(store, version.name, version.version, {k: v for k, v in facts.items() if v})
    if naming.is_prompt(tags):
        made = naming.prompt(store, version.name, version.version, tags)
        tags = naming.remarks_of_prompt(tags)
    event = Event(store, version.name, REGISTERS, str(version.version))
    meta = {"description": version.description, **tags}
    used = {"source": origin} if origin is not None else {}
    event.put(_moment(version.creation_timestamp), used, {"version": made}, meta)
    links.tag_version(registry, store, version.name, str(version.version))


def _origin(registry: Any, version: Any) -> Optional[Data]:
    """What a version was made of: a logged model, another version, an artifact."""
    source = str(version.source or "")
    if naming.is_prompt(version.tags):
        return None
    if version.model_id:
        return naming.logged_model(version.model_id)
    scheme, _, rest = source.partition(":")
    rest = rest.strip("/")
    if scheme == "models":
        name, _, number = rest.partition("/")
        return naming.model_version(store_of(registry), name, number) if number else naming.logged_model(name)
    if scheme == "runs":
        run_id, _, path = rest.partition("/")
        source = f"{runs.tracking_store().get_run(run_id).info.artifact_uri.rstrip('/')}/{path}"
    found = naming.owner(source)
    if found.model_id is not None:
        return naming.logged_model(found.model_id)
    if not source:
        return None
    return _of_run(source, found) if found.run_id is not None else naming.artifact(source, None)


def _of_run(source: str, place: naming.Place) -> Data:
    """A folder among a run's artifacts, which the run generated as a whole; its state is the run's."""
    made = naming.artifact(source, place.run_id)._replace(version=place.run_id)
    run = runs.of(runs.tracking_store(), str(place.run_id))
    record(run, generated={place.path or "artifacts": made})
    return made


def set_registered_model_alias(registry: Any, _: Any, name: str, alias: str, version: Any) -> None:
    points(registry, name, alias, str(version))


def set_prompt_alias(registry: Any, _: Any, name: str, alias: str, version: Any) -> None:
    points(registry, name, alias, str(version), None)


def delete_registered_model_alias(registry: Any, _: Any, name: str, alias: str) -> None:
    points(registry, name, alias, None)


def transition_model_version_stage(
    registry: Any, _: Any, name: str, version: Any, stage: str, *__: Any, **___: Any
) -> None:
    points(registry, name, stage, str(version))


def points(registry: Any, name: str, alias: str, version: Optional[str], meaning: Optional[str] = "model") -> None:
    """Records that an alias points to a version from now on, or to none.

    Args:
        meaning: of what has the alias; a prompt has none.
    """
    store, moment = store_of(registry), time.time_ns() // 1000
    event = Event(store, name, POINTS, f"{alias}-{moment}")
    used = {"version": naming.model_version(store, name, version)._replace(meaning=meaning)} if version else {}
    made = naming.alias(store, name, alias, f"{version or 'none'}-{moment}")._replace(meaning=meaning)
    event.put(moment, used, {"alias": made}, {})


def _moment(milliseconds: Any) -> int:
    return int(milliseconds) * 1000 if milliseconds else time.time_ns() // 1000


HANDLERS: Dict[str, Callable[..., None]] = {
    "create_registered_model": create_registered_model,
    "create_model_version": create_model_version,
    "copy_model_version": copy_model_version,
    "set_registered_model_alias": set_registered_model_alias,
    "delete_registered_model_alias": delete_registered_model_alias,
    "transition_model_version_stage": transition_model_version_stage,
    "set_prompt_alias": set_prompt_alias,
}
