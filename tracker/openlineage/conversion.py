"""OpenLineage events to PROV-ML JSON (docs/decisions/0015-openlineage.md). Pure; an event says the same whatever others say.

A run is a workflow execution of its own, its job the workflow, a dataset a data reference: store and key are namespace and
name, as ``pllib`` names what lies in a store with an address. Statements only add up, so the events of a run
may come in any order and any number of times.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import Any

from pllib.provml import iris, vocabulary
from pllib.provml.openlineage import Job, workflow_of

from .. import store_plans
from ..identity import encode
from ..store_plans import Place
from .events import Code, Dataset, Event, Run

Json = Any

DATASETS_A_DOCUMENT = 500
DOCUMENT_WEIGHT = 500_000
"""Inputs, and as many outputs, that go in one document, and characters that make them up; an event with more is several."""
_STATUS = {"COMPLETE": "finished", "FAIL": "failed", "ABORT": "failed"}
_CODE = "code"
"""Name under which a job uses its own source code."""


def key_of(event: Event) -> str:
    """What the event is about: its statements are delivered in the order in which they came."""
    if event.run is not None:
        return event.run.wf
    if event.job is not None:
        return iris.workflow(workflow_of(event.job))
    return "" if event.dataset is None else iris.store(event.dataset.namespace)


def documents(event: Event) -> Iterator[Json]:
    """What an event says."""
    yield _about(event)
    inputs, outputs = _chunks(event.inputs), _chunks(event.outputs)
    for used, generated in zip_longest(inputs, outputs, fillvalue=()):
        yield _with_datasets(event, used, generated)


def _chunks(datasets: Sequence[Dataset]) -> Iterator[list[Dataset]]:
    chunk: list[Dataset] = []
    weight = 0
    for dataset in datasets:
        chunk.append(dataset)
        weight += _weight(dataset)
        if len(chunk) >= DATASETS_A_DOCUMENT or weight >= DOCUMENT_WEIGHT:
            yield chunk
            chunk, weight = [], 0
    if chunk:
        yield chunk


def _weight(dataset: Dataset) -> int:
    """Characters, roughly, that a dataset and each of its columns are told in: ids hold the dataset's name."""
    name = len(dataset.namespace) + len(dataset.name)
    texts = sum(2 * len(column.name) + len(column.description or "") for column in dataset.columns)
    return name * (8 + 2 * len(dataset.columns)) + texts


def _about(event: Event) -> Json:
    """All but the datasets that go in and out."""
    document = _Document()
    kept = dict(event.metadata)
    if event.run is not None:
        _add_run(document, event, event.run, kept)
    elif event.job is not None:
        document.plan(event.job)["metadata"] = kept
    elif event.dataset is not None:
        document.data(event.dataset, None)["metadata"] = kept
    return document.parts()


def _add_run(document: _Document, event: Event, run: Run, kept: Json) -> None:
    activity = document.activity(run)
    activity["agents"] = list(_agents(document, event))
    activity["metadata"] = kept
    if event.type == "START":
        activity["started"] = event.time
    elif event.type in _STATUS:
        activity |= {"ended": event.time, "status": _STATUS[event.type]}
    if event.type in ("FAIL", "ABORT"):
        activity["error"] = {"type": event.type} | ({} if event.error is None else {"message": event.error})
    if event.parent is not None:
        # Nothing else may ever say that the parent is there: not every scheduler sends events.
        parent = document.activity(event.parent)["id"]
        activity |= {"informedBy": [parent], "within": parent}
    if event.code is not None:
        activity["used"] = [document.code(event.code, run.job)]


def _agents(document: _Document, event: Event) -> Iterator[str]:
    if event.producer is not None:
        yield document.program(event.producer, None)
    if event.engine is not None:
        yield document.program(*event.engine)


def _with_datasets(event: Event, inputs: Sequence[Dataset], outputs: Sequence[Dataset]) -> Json:
    """Datasets that go in and out: of a run used and generated, of a job its plan's."""
    document = _Document()
    if event.run is None and event.job is not None:
        plan = document.plan(event.job)
        plan["inputs"] = [document.attribute(event.job, each) for each in inputs]
        plan["outputs"] = [document.attribute(event.job, each) for each in outputs]
    elif event.run is not None:
        run = event.run
        about: Json = {"id": f"execution/{run.wf}"}
        about["used"] = [document.data(each, run.job)["id"] for each in inputs]
        about["generated"] = [document.written(_as_written(each, event), run) for each in outputs]
        document.activities.append(about)
    return document.parts()


def _as_written(dataset: Dataset, event: Event) -> Dataset:
    """The version of an output is the one that the run made only when it has completed; before, it may be the one it found."""
    return dataset if event.type == "COMPLETE" else dataset._replace(version=None)


class _Document:
    """Collects the statements of one document; each thing is described once."""

    def __init__(self) -> None:
        self.activities: list[Json] = []
        self._described: dict[str, dict[str, Json]] = {"entities": {}, "agents": {}, "plans": {}, "stores": {}}

    def parts(self) -> Json:
        found: Json = {name: list(part.values()) for name, part in self._described.items()}
        return {name: part for name, part in (("activities", self.activities), *found.items()) if part}

    def _describe(self, part: str, about: Json) -> Json:
        return self._described[part].setdefault(about["id"], about)

    def activity(self, run: Run) -> Json:
        """A run as a workflow execution."""
        types = [vocabulary.WORKFLOW.execution]
        about = {"id": f"execution/{run.wf}", "types": types, "plan": self.plan(run.job)["id"]}
        self.activities.append(about)
        return about

    def plan(self, job: Job) -> Json:
        """A job as a workflow."""
        name = workflow_of(job)
        return self._describe("plans", {"id": iris.workflow(name), "types": [vocabulary.WORKFLOW.plan], "label": name})

    def program(self, name: str, version: str | None) -> str:
        identifier = iris.software(name, version or "")
        about = {"id": identifier, "types": ["provlake:Program"], "label": name}
        self._describe("agents", about if version is None else {**about, "version": version})
        return identifier

    def data(self, dataset: Dataset, job: Job | None) -> Json:
        """A dataset, or the version of it that is known, as something a job knows."""
        reference = self._reference(dataset.namespace, dataset.name)
        found = reference if dataset.version is None else self._state(reference, dataset.version, seen=True)
        if job is not None:
            found["attributes"] = [self.attribute(job, dataset)]
        else:
            self._schema(dataset)
        return found

    def written(self, dataset: Dataset, run: Run) -> str:
        """Id of what a run wrote: a state of the dataset, even where nobody saw which (identity rule 7)."""
        if dataset.version is None:
            found = self._state(self._reference(dataset.namespace, dataset.name), f"w-{run.wf}", seen=False)
            found["attributes"] = [self.attribute(run.job, dataset)]
        else:
            found = self.data(dataset, run.job)
        return str(found["id"])

    def code(self, code: Code, job: Job) -> str:
        """Id of the source code of a job, as its runs use it."""
        found = self.data(Dataset(code.store, code.path, code.version, ()), None)
        found["types"] = ["provlake:DataReference", vocabulary.SEMANTICS["implementation"].value]
        attribute = iris.attribute(workflow_of(job), _CODE)
        kind = vocabulary.SEMANTICS["implementation"].attribute
        self._describe("plans", {"id": attribute, "types": [kind], "label": _CODE})
        found["attributes"] = [attribute]
        return str(found["id"])

    def attribute(self, job: Job, dataset: Dataset) -> str:
        """Id of the attribute of a workflow that a dataset is a value of, with where such values lie."""
        identifier = iris.attribute(workflow_of(job), dataset.name)
        about: Json = {"id": identifier, "types": ["provlake:Attribute"], "label": dataset.name}
        found = self._describe("plans", about)
        # Datasets of one name in two namespaces are values of one attribute.
        _link(found, "dataStores", self._store(dataset.namespace))
        _link(found, "dataSchemas", self._schema(dataset))
        return identifier

    def _reference(self, store: str, key: str) -> Json:
        self._store(store)
        about = {"id": iris.data(store, key), "types": ["provlake:DataReference"], "value": key}
        return self._describe("entities", {**about, "store": iris.store(store), "key": key})

    def _state(self, reference: Json, name: str, *, seen: bool) -> Json:
        about = {"id": f"{reference['id']}/{encode(name)}", "types": reference["types"], "value": reference["value"]}
        about |= {"specializationOf": reference["id"]} | ({"version": name} if seen else {})
        return self._describe("entities", about)

    def _store(self, namespace: str) -> str:
        """Id of the plan of a data store."""
        self._describe("stores", store_plans.instance(namespace, namespace, None, None))
        return str(self._describe("plans", store_plans.store(namespace, namespace, None))["id"])

    def _schema(self, dataset: Dataset) -> str | None:
        """Id of the schema of a dataset, with its columns."""
        if not dataset.columns:
            return None
        place = Place(dataset.namespace, dataset.name)
        self._store(dataset.namespace)
        for plan in store_plans.schema(place):
            self._describe("plans", plan)
        for column in dataset.columns:
            self._describe("plans", store_plans.attribute(place, column.name, column.description))
        return place.id


def _link(about: Json, name: str, target: str | None) -> None:
    if target is not None and target not in about.setdefault(name, []):
        about[name].append(target)
