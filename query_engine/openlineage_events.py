"""OpenLineage events of one activity. Pure (docs/decisions/0015-openlineage.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any, NamedTuple, Optional
from uuid import NAMESPACE_URL, uuid5

from pllib.provml.openlineage import Job, job_of
from pllib.provml.repositories import PREFIX, is_code_store
from query_engine.names import plain

Json = Any

PRODUCER = "https://w3id.org/pllib"
MAX_PARAMETER = 10_000
"""Characters of a value that is told as a parameter."""
_SPEC = "https://openlineage.io/spec"
_FACETS = {
    "ParentRunFacet": "1-2-0",
    "ErrorMessageRunFacet": "1-0-1",
    "ExecutionParametersRunFacet": "1-0-0",
    "TagsRunFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "SourceCodeLocationJobFacet": "1-1-0",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DatasourceDatasetFacet": "1-0-1",
    "InputStatisticsInputDatasetFacet": "1-0-0",
    "OutputStatisticsOutputDatasetFacet": "1-0-2",
}
"""Facets that are written, with the versions of their schemas."""


class Made(NamedTuple):
    """A plain value, as JSON."""

    name: str
    value: Json


class Data(NamedTuple):
    """Data outside, as it was used or generated.

    Attributes:
        version: its state, or the name of one that nobody saw.
        code: it is source code.
    """

    store: str
    key: str
    version: Optional[str]
    size: Optional[int]
    code: bool


@dataclass(frozen=True, slots=True)
class Activity:
    """A workflow execution or a task.

    Attributes:
        id: ``execution/{workflow}/{execution}[/{name}/{number}]``.
        outer: id of the activity that its workflow execution is nested in.
    """

    id: str
    iri: str
    types: list[str]
    started: Optional[datetime]
    ended: Optional[datetime]
    status: str
    error: Optional[str]
    outer: Optional[str]
    inputs: list[Data]
    outputs: list[Data]
    parameters: list[Made]


def events(activity: Activity, namespace: str) -> list[Json]:
    """START, and once it is over COMPLETE or FAIL; nothing of what never said when.

    Args:
        namespace: of the jobs.
    """
    base = activity.iri.removesuffix(activity.id)
    run = {"runId": _run_id(activity.id, base), "facets": _run_facets(activity, namespace, base)}
    job = {**_job(activity.id, namespace), "facets": _job_facets(activity)}
    inputs = [_dataset(each, "input") for each in activity.inputs if not _is_told_as_code(each, activity)]
    outputs = [_dataset(each, "output") for each in activity.outputs]
    begun = activity.started or activity.ended
    if begun is None:
        return []
    found = [_event("START", begun, run, job, inputs, [])]
    if activity.ended is not None:
        kind = "FAIL" if activity.status == "failed" else "COMPLETE"
        if kind == "FAIL":
            error = {"message": activity.error or "failed", "programmingLanguage": "PYTHON"}
            facets = {**run["facets"], "errorMessage": _facet("ErrorMessageRunFacet", **error)}
            run = {**run, "facets": facets}
        found.append(_event(kind, max(begun, activity.ended), run, job, inputs, outputs))
    return found


def _event(kind: str, time: datetime, run: Json, job: Json, inputs: list[Json], outputs: list[Json]) -> Json:
    return {
        "eventType": kind,
        "eventTime": time.astimezone(timezone.utc).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "run": run,
        "job": job,
        "inputs": inputs,
        "outputs": outputs,
        "producer": PRODUCER,
        "schemaURL": f"{_SPEC}/2-0-2/OpenLineage.json#/$defs/RunEvent",
    }


def _facet(schema: str, /, **fields: Json) -> Json:
    url = f"{_SPEC}/facets/{_FACETS[schema]}/{schema}.json#/$defs/{schema}"
    return {"_producer": PRODUCER, "_schemaURL": url, **fields}


# -- runs and jobs


def _parts(identifier: str) -> tuple[str, str, str]:
    """Workflow, execution and, of a task, transformation."""
    _, workflow, execution, transformation = [*identifier.split("/"), "", ""][:4]
    return plain(workflow), plain(execution), plain(transformation)


def _job(identifier: str, namespace: str) -> Json:
    workflow, execution, transformation = _parts(identifier)
    job = job_of(workflow, execution)
    if job is None:
        job = Job(namespace, f"{workflow}.{transformation}" if transformation else workflow)
    return job._asdict()


def _run_id(identifier: str, base: str) -> str:
    """The UUID of a run: its own where it came as OpenLineage, else made of the IRI."""
    workflow, execution, _ = _parts(identifier)
    return execution if job_of(workflow, execution) else str(uuid5(NAMESPACE_URL, base + identifier))


def _reference(identifier: str, namespace: str, base: str) -> Json:
    return {"run": {"runId": _run_id(identifier, base)}, "job": _job(identifier, namespace)}


def _run_facets(activity: Activity, namespace: str, base: str) -> Json:
    facets: Json = {}
    whole = "/".join(activity.id.split("/")[:3])
    parent = whole if activity.id != whole else activity.outer
    if parent is not None:
        root = "/".join((activity.outer or whole).split("/")[:3])
        told = {**_reference(parent, namespace, base), "root": _reference(root, namespace, base)}
        facets["parent"] = _facet("ParentRunFacet", **told)
    parameters = [told for each in activity.parameters for told in _parameter(each)]
    if parameters:
        facets["executionParameters"] = _facet("ExecutionParametersRunFacet", parameters=parameters)
    tags = [("iri", activity.iri), *(("type", name) for name in activity.types)]
    told_tags = [{"key": key, "value": value, "source": "PLLIB"} for key, value in tags]
    facets["tags"] = _facet("TagsRunFacet", tags=told_tags)
    return facets


def _parameter(made: Made) -> list[Json]:
    text = made.value if isinstance(made.value, str) else json.dumps(made.value, ensure_ascii=False)
    return [{"key": made.name, "value": text}] if made.name and len(text) <= MAX_PARAMETER else []


def _job_facets(activity: Activity) -> Json:
    kind = "TASK" if _parts(activity.id)[2] else "WORKFLOW"
    facets = {"jobType": _facet("JobTypeJobFacet", processingType="BATCH", integration="PLLIB", jobType=kind)}
    code = _code(activity)
    if code is not None:
        repository = "https://" + code.store.removeprefix(PREFIX)
        about = {"type": "git", "url": repository, "repoUrl": repository, "path": code.key}
        facets["sourceCodeLocation"] = _facet(
            "SourceCodeLocationJobFacet", **about, **({"version": code.version} if code.version else {})
        )
    return facets


def _code(activity: Activity) -> Optional[Data]:
    """The source code to name: of several places in a repository a file before the whole tree."""
    found = [each for each in activity.inputs if each.code and is_code_store(each.store)]
    return min(found, key=lambda each: (each.key == ".", each.key), default=None)


def _is_told_as_code(data: Data, activity: Activity) -> bool:
    code = _code(activity)
    return code is not None and data.code and (data.store, data.version) == (code.store, code.version)


# -- datasets


def _dataset(data: Data, way: str) -> Json:
    source = {"uri": data.store} if "://" in data.store else {}
    facets = {"dataSource": _facet("DatasourceDatasetFacet", name=data.store, **source)}
    if data.version is not None:
        facets["version"] = _facet("DatasetVersionDatasetFacet", datasetVersion=data.version)
    found = {"namespace": data.store, "name": data.key, "facets": facets}
    if data.size is not None:
        schema = "InputStatisticsInputDatasetFacet" if way == "input" else "OutputStatisticsOutputDatasetFacet"
        found[f"{way}Facets"] = {f"{way}Statistics": _facet(schema, size=data.size)}
    return found
