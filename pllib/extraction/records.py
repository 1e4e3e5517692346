"""Runs of MLflow as capture records (docs/reference/capture-format.md): the very ones that a live capture of the run would send.

So what is extracted has the identifiers of what is captured, and both say the same of the same things.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import islice
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, Tuple

from .. import values
from ..mlflow import naming
from ..provml.iris import encode
from ..references import Data, locate, state_of
from .mapping import Known
from .signatures import described, logged_before
from .tracking import DELETED_VERSION, Artifact, Experiment, LoggedModel, ModelVersion, Point, RegisteredModel, Run

Json = Any
Record = Dict[str, Json]
CHUNK = 1_000
_GROUP = 200
_LARGEST = 2**53
_KILLED = {"type": "mlflow.KILLED", "message": "the run was killed"}
_SYSTEM = "system/"
"""Metrics of the machine."""
_NO_STAGE = (None, "", "None", DELETED_VERSION)


def execution(experiment: str, run_id: str) -> str:
    """The ``wf`` of a run."""
    return f"{encode(values.bounded_name(experiment))}/{encode(run_id)}"


def producer_of(run_id: str) -> str:
    """Who tells of a run's points: always the same, so that those extracted twice are one."""
    return blake2b(f"mlflow run {run_id}".encode(), digest_size=16).hexdigest()


def run_records(run: Run, experiment: Experiment, parent: Optional[str], registry: str) -> Iterator[Record]:
    """A run with its parameters, data sets, tags, points and end; without its artifacts.

    Args:
        parent: ``wf`` of the run that it is nested in.
        registry: store of the model registry.
    """
    wf = execution(experiment.name, run.id)
    about: Record = {"kind": "workflow", "wf": wf}
    used = {values.bounded_name(name): _hyperparameter(text) for name, text in run.params.items()}
    begin: Record = {**about, "op": "begin", "stage": "learning", "used": used, "meta": meta(run)}
    begin["t"] = (run.started or 0) * 1_000
    if run.user:
        begin["person"] = run.user
    if parent is not None:
        begin["within"] = {"wf": parent}
    yield begin
    for dataset in run.datasets:
        data = naming.dataset(dataset._asdict(), {naming.CONTEXT: dataset.context} if dataset.context else {})
        yield {**about, "op": "add", "used": {values.bounded_name(dataset.name or "dataset"): wire(data)}}
    code = naming.code(run.tags)
    if code is not None:
        yield {**about, "op": "add", "used": {"code": wire(code)}}
    for model in run.input_models:
        yield {**about, "op": "add", "used": {model: wire(naming.logged_model(model))}}
    for name, prompt in naming.linked_prompts(run.tags, registry).items():
        yield {**about, "op": "add", "used": {values.bounded_name(name): wire(prompt)}}
    for name, points in run.metrics.items():
        yield from _points(about, name, points)
    status = naming.FAILED.get(run.status)
    if status is not None and run.ended is not None:
        elapsed = max(run.ended - (run.started or run.ended), 0) * 1_000
        end = {**about, "op": "end", "t": run.ended * 1_000, "elapsed": elapsed, "status": status}
        yield {**end, "error": _KILLED} if run.status == "KILLED" else end


def meta(run: Run) -> Dict[str, Json]:
    """The tags of a run, and its name."""
    found = {name: text for name, text in run.tags.items() if name not in naming.NOT_TAGS}
    if run.name:
        found["name"] = run.name
    return {values.bounded_name(name): values.exact(text) for name, text in found.items()}


def _hyperparameter(text: str) -> Json:
    return {"$": "value", "v": values.exact(naming.parameter(text)), "as": "hyperparameter"}


def _points(about: Record, name: str, points: List[Point]) -> Iterator[Record]:
    kept = [point for point in points if abs(point.step) < _LARGEST]
    for first in range(0, len(kept), CHUNK):
        some = kept[first : first + CHUNK]
        yield {
            **about,
            "op": "points",
            "series": values.bounded_name(name),
            **({"telemetry": True} if name.startswith(_SYSTEM) else {"as": "evaluation_measure"}),
            "first": first,
            "steps": _differences([point.step for point in some]),
            "times": _differences([point.time * 1_000 for point in some]),
            "values": [_number(point.value) for point in some],
        }


def _differences(numbers: List[int]) -> List[int]:
    return [one - before for one, before in zip(numbers, [0, *numbers])]


def _number(value: float) -> Json:
    if value != value:
        return "NaN"
    return value if abs(value) != float("inf") else "INF" if value > 0 else "-INF"


# -- artifacts and models -------------------------------------------------------------------------------------------


def artifact_records(run: Run, experiment: Experiment, found: Iterable[Artifact]) -> Iterator[Record]:
    """The files that a run logged."""
    history = logged_before(run)
    about = {"kind": "workflow", "wf": execution(experiment.name, run.id), "op": "add"}
    files = (each for each in found if not each.is_dir)
    while True:
        some = list(islice(files, _GROUP))
        if not some:
            break
        generated = {
            values.bounded_name(each.path): wire(
                naming.artifact(_below(run.artifact_uri, each.path), run.id, each.size)
            )
            for each in some
        }
        yield {**about, "generated": generated}
    for path, facts in history.items():
        data = naming.artifact(_below(run.artifact_uri, path), run.id)
        marked = data._replace(meaning="model", facts=facts, version=data.version or run.id)
        yield {**about, "generated": {values.bounded_name(path): wire(marked)}}


def model_records(model: LoggedModel, run: Known, text: Optional[str], found: Iterable[Artifact]) -> Iterator[Record]:
    """A logged model that a run made, and its files."""
    about = {"kind": "workflow", "wf": execution(run.experiment, run.run_id), "op": "add"}
    yield {**about, "generated": {values.bounded_name(model.name or "model"): model_value(model, text)}}
    files = {each.path: each for each in found if not each.is_dir}
    generated = {
        values.bounded_name(path): wire(naming.artifact(_below(model.artifact_location, path), run.run_id, each.size))
        for path, each in files.items()
    }
    if generated:
        yield {**about, "generated": generated}


def model_value(model: LoggedModel, text: Optional[str]) -> Json:
    """A logged model as data with what is known of it."""
    facts: Dict[str, Any] = {"name": model.name, "model_type": model.model_type, "location": model.artifact_location}
    facts.update(described(text))
    facts = {name: fact for name, fact in facts.items() if fact is not None and fact != ""}
    value = wire(naming.logged_model(model.id, facts))
    settings = {values.bounded_name(name): _model_hyperparameter(given) for name, given in model.params.items()}
    return {**value, "facts": {**value.get("facts", {}), **settings}}


def _model_hyperparameter(text: str) -> Json:
    return {"$": "value", "v": values.exact(naming.parameter(text)), "as": "model_hyperparameter"}


def registered(store: str, model: RegisteredModel) -> Iterator[Record]:
    """A registered model, whose execution all that is done with it is part of."""
    about = {"description": model.description, **naming.remarks_of_prompt(model.tags)}
    yield from _event(_of_model(store, model.name), model.created, {}, {}, about)


def registration(store: str, version: ModelVersion, source: Optional[Data]) -> Iterator[Record]:
    """How a version of a registered model came to be."""
    given = {"source": version.source, "run_id": version.run_id, "model_id": version.model_id}
    facts = {name: fact for name, fact in given.items() if fact}
    made = naming.model_version(store, version.name, version.version, facts)
    if naming.is_prompt(version.tags):
        made = naming.prompt(store, version.name, version.version, version.tags)
    about = {**_of_model(store, version.name), "kind": "task", "id": registration_id(version)}
    used = {"source": wire(source)} if source is not None else {}
    meta = {"description": version.description, **naming.remarks_of_prompt(version.tags)}
    yield from _event(about, version.created, used, {"version": wire(made)}, meta)


def removal(store: str, version: ModelVersion) -> Iterator[Record]:
    """How a version of a registered model was deleted."""
    about = {**_of_model(store, version.name), "kind": "task", "id": removal_id(version)}
    used = {"version": wire(naming.model_version(store, version.name, version.version)._replace(meaning=None))}
    yield from _event(about, version.updated, used, {}, {})


def removal_id(version: ModelVersion) -> str:
    return f"delete/{encode(version.version)}"


def registration_id(version: ModelVersion) -> str:
    return f"register/{encode(version.version)}"


def pointed(store: str, model: RegisteredModel) -> Iterator[Record]:
    """What aliases and stages point to. MLflow does not keep since when: not before version and model were last changed."""
    changed = {version.version: max(version.created or 0, version.updated or 0) for version in model.versions}
    prompts = {version.version for version in model.versions if naming.is_prompt(version.tags)}
    aliases = [(alias, version) for alias, version in model.aliases.items() if version in changed]
    aliases += [(version.stage, version.version) for version in model.versions if version.stage not in _NO_STAGE]
    for alias, version in aliases:
        moment = max(changed[version], model.updated or 0)
        about = {**_of_model(store, model.name), "kind": "task", "id": f"alias/{encode(f'{alias}-{moment * 1_000}')}"}
        meaning = None if version in prompts else "model"
        used = {"version": wire(naming.model_version(store, model.name, version)._replace(meaning=meaning))}
        made = naming.alias(store, model.name, str(alias), f"{version}-{moment * 1_000}")._replace(meaning=meaning)
        yield from _event(about, moment, used, {"alias": wire(made)}, {})


def _of_model(store: str, name: str) -> Record:
    return {"kind": "workflow", "wf": f"{encode(values.bounded_name(store))}/{encode(values.bounded_name(name))}"}


def _event(
    about: Record, time: Optional[int], used: Record, generated: Record, meta: Mapping[str, Any]
) -> Iterator[Record]:
    """Something that was done at one moment."""
    at = {**about, "t": (time or 0) * 1_000}
    said = {values.bounded_name(name): values.exact(value) for name, value in meta.items() if value}
    yield {**at, "op": "begin", "used": used, **({"meta": said} if said else {})}
    yield {**at, "op": "end", "elapsed": 0, "status": "finished", "generated": generated}


def _below(location: Optional[str], path: str) -> str:
    return f"{(location or '').rstrip('/')}/{path}"


def wire(data: Data) -> Json:
    """A data reference as records have it; of a file of this machine with the state that it has now."""
    store, key, local = locate(data.path, data.store, {}, None)
    found: Dict[str, Json] = {"$": "data", "store": store, "key": key}
    if data.path != key:
        found["path"] = data.path
    if data.version is not None:
        found["version"] = data.version
    if data.size is not None:
        found["size"] = data.size
    if data.version is None and local is not None:
        state: Optional[Tuple[str, int]] = state_of(local)
        if state is not None:
            found["version"], found["size"] = state
    if data.meaning:
        found["as"] = data.meaning
    facts: Mapping[str, Any] = data.facts or {}
    if facts:
        found["facts"] = {values.bounded_name(name): values.exact(value) for name, value in facts.items()}
    return found
