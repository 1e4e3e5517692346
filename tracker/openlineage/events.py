"""An OpenLineage event as far as the graph has a place for what it says, each field of it checked.

What is named here is checked as OpenLineage 2-0-2 has it; what is not, all other facets, may have any form and is kept as it is
(``metadata``). Of facets that only add detail a wrong form is passed over, since the event is worth more than the detail.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone
from itertools import islice
from typing import Annotated, Any, Literal, NamedTuple, Optional
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from pllib.provml import iris
from pllib.provml.openlineage import Job, workflow_of
from pllib.provml.repositories import remote_store

from ..errors import RecordError
from ..plain_values import pure
from .metadata import kept, slim

Json = Any

MAX_NAME = 2000
"""Length of the name of a job or dataset, and of a namespace, when percent-encoded; ids are made of them."""
MAX_KEY = 4000
MAX_STORE = 1000
MAX_COLUMNS = 1000
MAX_COLUMN_BYTES = 100_000
"""Columns of one dataset that are described, and bytes of its name beside them; the event itself has all."""

EventType = Literal["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]
_Text = Annotated[str, Meta(min_length=1)]
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Column(NamedTuple):
    """A column of a dataset; of one inside another, the name has both: ``address.street``."""

    name: str
    description: str | None


class Dataset(NamedTuple):
    """A dataset.

    Attributes:
        version: the one that was read, or that is there after a run that completed.
        columns: of its schema, as far as the event says.
    """

    namespace: str
    name: str
    version: str | None
    columns: tuple[Column, ...]


class Run(NamedTuple):
    """A run of a job."""

    job: Job
    id: str

    @property
    def wf(self) -> str:
        """Id of the workflow execution that it is."""
        return f"{iris.encode(workflow_of(self.job))}/{self.id}"


class Engine(NamedTuple):
    """What ran the job."""

    name: str
    version: str


class Code(NamedTuple):
    """Where the source code of a job is: a place in a git repository."""

    store: str
    path: str
    version: str | None


class Event(NamedTuple):
    """One event.

    Attributes:
        time: microseconds since 1970-01-01 UTC.
        type: of an event of a run.
        run, job, dataset: which of them is given says what it is about: a run with its job, a job, or a dataset.
        parent: the run that started this one.
        producer: what sent it: a URI.
        error: message of a failure.
        metadata: the event as it is kept whole.
    """

    time: int
    type: EventType
    run: Run | None
    job: Job | None
    dataset: Dataset | None
    parent: Run | None
    inputs: tuple[Dataset, ...]
    outputs: tuple[Dataset, ...]
    producer: str | None
    engine: Engine | None
    code: Code | None
    error: str | None
    metadata: Mapping[str, Json]


# -- the form


class _RunId(Struct):
    runId: UUID


class _JobId(Struct):
    namespace: _Text
    name: _Text


class _Parent(Struct):
    run: _RunId
    job: _JobId


class _RunFacets(Struct):
    parent: Optional[_Parent] = None
    errorMessage: Any = None
    processing_engine: Any = None


class _Run(_RunId):
    facets: Optional[_RunFacets] = None


class _JobFacets(Struct):
    sourceCodeLocation: Any = None


class _Job(_JobId):
    facets: Optional[_JobFacets] = None


class _Version(Struct):
    datasetVersion: _Text
    deleted: bool = msgspec.field(name="_deleted", default=False)


class _DatasetFacets(Struct):
    version: Optional[_Version] = None
    schema: Any = None


class _Dataset(_JobId):
    facets: Optional[_DatasetFacets] = None


class _Event(Struct):
    eventTime: datetime
    eventType: Optional[EventType] = None
    producer: Optional[str] = None
    run: Optional[_Run] = None
    job: Optional[_Job] = None
    dataset: Optional[_Dataset] = None
    inputs: Optional[list[_Dataset]] = None
    outputs: Optional[list[_Dataset]] = None


def read(record: Json) -> Event:
    """The event that a JSON value is.

    Raises:
        RecordError: it is none; the message says how to make it right.
    """
    record = slim(record)
    if not isinstance(record, dict):
        raise RecordError("$", "an event is an object: send one with eventTime, run and job")
    record = pure(record)
    try:
        found = msgspec.convert(record, _Event)
    except msgspec.ValidationError as error:
        raise _explained(error) from error
    return _checked(found, record)


def _checked(found: _Event, record: Mapping[str, Json]) -> Event:
    run = None
    if found.run is not None:
        if found.job is None:
            raise RecordError("$.job", "a run needs its job: add namespace and name")
        run = Run(_job(found.job, "$.job"), str(found.run.runId))
    elif found.eventType not in (None, "OTHER"):
        raise RecordError("$.run", f"{found.eventType} is said of a run: add run with its runId")
    elif found.job is None and found.dataset is None:
        raise RecordError("$.run", "an event is of a run, a job or a dataset: add run and job")
    facets = (found.run and found.run.facets) or _RunFacets()
    return Event(
        time=_micros(found.eventTime),
        type=found.eventType or "OTHER",
        run=run,
        job=None if found.job is None else _job(found.job, "$.job"),
        dataset=None if found.dataset is None or found.job else _dataset(found.dataset, "$.dataset"),
        parent=_parent(facets.parent, run),
        inputs=tuple(_datasets(found.inputs, "$.inputs")),
        outputs=tuple(_datasets(found.outputs, "$.outputs")),
        producer=_short(found.producer),
        engine=_engine(facets.processing_engine),
        code=_code(found.job.facets.sourceCodeLocation if found.job and found.job.facets else None),
        error=_text(facets.errorMessage, "message"),
        metadata=kept(record, found.eventType or "OTHER"),
    )


def _job(found: _JobId, path: str) -> Job:
    _check_length(f"{path}.namespace", found.namespace, MAX_STORE)
    _check_length(f"{path}.name", found.name, MAX_NAME)
    return Job(found.namespace, found.name)


def _parent(found: _Parent | None, run: Run | None) -> Run | None:
    if found is None:
        return None
    parent = Run(_job(found.job, "$.run.facets.parent.job"), str(found.run.runId))
    return None if parent == run else parent


def _datasets(found: list[_Dataset] | None, path: str) -> Iterator[Dataset]:
    """Each once: an event may say the same dataset several times."""
    seen = set()
    for index, each in enumerate(found or ()):
        dataset = _dataset(each, f"{path}[{index}]")
        if dataset not in seen:
            seen.add(dataset)
            yield dataset


def _dataset(found: _Dataset, path: str) -> Dataset:
    _check_length(f"{path}.namespace", found.namespace, MAX_STORE)
    _check_length(f"{path}.name", found.name, MAX_KEY)
    facets = found.facets or _DatasetFacets()
    version = facets.version.datasetVersion if facets.version and not facets.version.deleted else None
    _check_length(f"{path}.facets.version.datasetVersion", version or "", MAX_STORE)
    most = min(MAX_COLUMNS, MAX_COLUMN_BYTES // (len(found.namespace) + len(found.name)))
    return Dataset(found.namespace, found.name, version, tuple(islice(_columns(facets.schema), most)))


def _columns(schema: Json) -> Iterator[Column]:
    """Columns of a schema facet, with those inside of them."""
    stack = [("", field) for field in reversed(_list(schema, "fields"))]
    while stack:
        prefix, field = stack.pop()
        name = _text(field, "name")
        if name is None or len(iris.encode(prefix + name)) > MAX_STORE:
            continue
        yield Column(prefix + name, _text(field, "description"))
        stack += [(f"{prefix}{name}.", inner) for inner in reversed(_list(field, "fields"))]


def _engine(facet: Json) -> Engine | None:
    version, name = _text(facet, "version"), _text(facet, "name")
    fits = version is not None and name is not None and len(iris.encode(name + version)) <= MAX_NAME
    return Engine(name, version) if fits and name and version else None


def _code(facet: Json) -> Code | None:
    """Where a job's code is, when that is in git and the facet names the repository."""
    store = remote_store(_text(facet, "repoUrl") or "") if _text(facet, "type") == "git" else None
    if store is None:
        return None
    found = Code(store, _text(facet, "path") or ".", _text(facet, "version"))
    sizes = [len(iris.encode(part)) for part in (found.store, found.version or "", found.path)]
    return found if sizes[0] <= MAX_STORE and sizes[1] <= MAX_STORE and sizes[2] <= MAX_KEY else None


def _micros(time: datetime) -> int:
    """Microseconds; a time with no zone is one in UTC. A zone may carry it beyond the years 1 to 9999."""
    aware = time if time.tzinfo is not None else time.replace(tzinfo=timezone.utc)
    micros = (aware - _EPOCH) // timedelta(microseconds=1)
    if not -62_135_596_800_000_000 <= micros <= 253_402_300_799_999_999:
        raise RecordError("$.eventTime", "not within the years 1 to 9999: give the time of the event")
    return micros


# -- parts of any form


def _text(facet: Json, name: str) -> str | None:
    """A text in an object; ``None`` where there is no such thing."""
    found = facet.get(name) if isinstance(facet, dict) else None
    return found if isinstance(found, str) and found else None


def _list(facet: Json, name: str) -> list[Json]:
    found = facet.get(name) if isinstance(facet, dict) else None
    return found if isinstance(found, list) else []


def _short(text: str | None) -> str | None:
    return text if text and len(iris.encode(text)) <= MAX_NAME else None


def _check_length(path: str, text: str, limit: int) -> None:
    if len(text) * 12 > limit and len(iris.encode(text)) > limit:
        raise RecordError(path, f"longer than {limit} characters when percent-encoded: shorten it")


_FIXES = {
    "eventTime": "give a date and time as 2026-01-31T12:00:00.000Z",
    "eventType": "use START, RUNNING, COMPLETE, ABORT, FAIL or OTHER",
    "runId": "give a UUID",
    "namespace": "give a text that is not empty",
    "name": "give a text that is not empty",
    "datasetVersion": "give a text that is not empty",
}


def _explained(error: msgspec.ValidationError) -> RecordError:
    """msgspec's ``message - at `path```, with the fix."""
    message, _, where = str(error).rpartition(" - at ")
    path = where.strip("`") if message else "$"
    message = message or where
    if "missing required field" in message:
        path = f"{path}.{message.rpartition('`')[0].rpartition('`')[2]}"
    fix = _FIXES.get(path.rpartition(".")[2], "see docs/reference/tracker.md, OpenLineage")
    return RecordError(path, f"{message}: {fix}")
