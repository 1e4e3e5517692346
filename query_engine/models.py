"""The JSON that REST answers are made of; the source of ``/openapi.json``.

Ids are the part of an IRI after the base; a resource's page is ``/id/{id}``. Times are UTC; durations are seconds.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Generic, Optional, TypeVar

from pydantic import BaseModel, ConfigDict, Field

Item = TypeVar("Item")


class Model(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(frozen=True)


class Page(Model, Generic[Item]):
    """One page of a list."""

    items: list[Item]
    next: Optional[str] = Field(description="Path and query of the next page; null on the last.")


class Resource(Model):
    """Anything with an IRI."""

    id: str = Field(description="The part of the IRI after the base.", examples=["execution/train/9f2c-1"])
    iri: str


class Named(Resource):
    """A resource that people gave a name."""

    name: str
    types: list[str] = Field(description="Classes, as CURIEs.", examples=[["provml:Training"]])


class Workflow(Named):
    """A workflow as planned or first seen."""

    executions: int = Field(description="How many times it was run.")
    studies: list[str] = Field(description="Names of the studies it belongs to.")


class Transformation(Named):
    """A data transformation, stage, section or cycle of a workflow."""

    inputs: list[str] = Field(description="Names of attributes it uses.")
    outputs: list[str] = Field(description="Names of attributes it generates.")
    parts: list[str] = Field(description="Ids of the sections inside it.")
    executions: int


class WorkflowDetail(Workflow):
    """A workflow with what it is made of."""

    transformations: list[Transformation]
    attributes: list[Named]
    executions_by_status: dict[str, int]


class Study(Named):
    """A study (project)."""

    workflows: list[str] = Field(description="Ids of its workflows.")
    executions: int = Field(description="How many times these were run.")


class Failure(Model):
    """Why an execution failed."""

    type: Optional[str] = Field(description="Type of the exception.")
    message: Optional[str]


class Run(Resource):
    """Something that happened: what all executions have in common."""

    types: list[str] = Field(description="Classes, as CURIEs.")
    status: str = Field(
        description="`running`, `finished`, `failed`, or `unknown` while only its end or a mention is known."
    )
    started: Optional[datetime]
    ended: Optional[datetime]
    duration: Optional[float] = Field(ge=0, description="Seconds from start to end; null while it runs.")
    error: Optional[Failure]


class TransformationCounts(Model):
    """Executions of one transformation inside a workflow execution."""

    transformation: str = Field(description="Name of the transformation.")
    total: int
    by_status: dict[str, int]


class ActivityCounts(Model):
    """Executions inside a workflow execution: its progress, while it runs."""

    total: int
    by_status: dict[str, int]
    by_transformation: list[TransformationCounts]


class Execution(Run):
    """A workflow execution."""

    workflow: str = Field(description="Name of the workflow.")
    execution: str = Field(description="What makes this execution unique in the workflow.")
    agents: list[str] = Field(description="Ids of the processes and persons behind it.")
    activities: Optional[ActivityCounts] = Field(description="Null when asked with `counts=false`.")


class Activity(Run):
    """The execution of a task, stage, section, cycle or iteration."""

    execution: Optional[str] = Field(description="Id of the workflow execution it is part of.")
    transformation: str = Field(description="Name of the transformation.")
    informed_by: list[str] = Field(description="Ids of its parent and of the executions whose output it used.")


class Session(Run):
    """The part that one process, or one resumption, has in an execution that several share."""

    process: Optional[str] = Field(description="Id of the process.")
    rank: Optional[int] = Field(description="Its rank in the job.")
    resumes: bool = Field(description="Whether it went on with an execution that had ended.")


class ExecutionDetail(Execution):
    """A workflow execution with its first tasks."""

    sessions: list[Session] = Field(description="Parts of several processes in it, oldest first; at most 1,000.")
    session_count: int
    metadata: Optional[Any]
    stdout: Optional[str]
    stderr: Optional[str]
    tasks: Page[Activity]


class DataState(Model):
    """Where data is, and which state of it this is."""

    store: Optional[str] = Field(description="Name of the data store.")
    key: Optional[str] = Field(description="Path or key in that store.")
    path: Optional[str] = Field(description="The path as the script said it.")
    version: Optional[str] = Field(description="State of the file; null for a reference whose state nobody saw.")
    size: Optional[int] = Field(description="Bytes.")


class Series(Resource):
    """A value that grows while it is measured: a metric, or a reading of the machine."""

    name: str
    activity: Optional[str] = Field(description="Id of the execution that it was measured in.")
    context: Optional[str] = Field(
        description="Part of the run that it was measured in: `training`, or `fit/12` for an execution of many; "
        "null for the run as a whole."
    )
    unit: Optional[str]
    telemetry: bool = Field(description="Whether it is a reading of the machine, not of what was learnt.")
    latest: Optional[Any] = Field(description="Value at the greatest step; `NaN`, `INF` and `-INF` are text.")
    minimum: Optional[float] = Field(description="Least of its finite values.")
    maximum: Optional[float] = Field(description="Greatest of its finite values.")
    last_step: Optional[int]
    last_time: Optional[datetime]
    chunks: Optional[int] = Field(
        description="In how many pieces its points are stored; null where that was not counted."
    )
    points: str = Field(description="Path of its points.", examples=["/v1/series/execution/digits/9f2c-1/loss"])


class Value(Resource):
    """A value or a data reference."""

    value: Optional[Any] = Field(description="The value; numbers that JSON lacks, times and bytes as text.")
    datatype: Optional[str] = Field(description="Datatype as a CURIE; null for text and data.")
    types: list[str] = Field(description="Classes, as CURIEs; most plain values have none.")
    names: list[str] = Field(description="Names of the attributes it was used or generated under.")
    attributes: list[str] = Field(description="Ids of these attributes.")
    generated_by: list[str] = Field(
        description="Ids of the executions that generated it; at most one for plain values."
    )
    specialization_of: list[str]
    data: Optional[DataState] = Field(description="For data references; null for plain values.")
    series: Optional[Series] = Field(description="For series, whose `value` is the latest; null for other values.")


class ListedValue(Value):
    """A value in a list."""

    used_by_count: int = Field(description="How many executions used it.")


class ActivityDetail(Activity):
    """An execution with what it used and generated."""

    agents: list[str]
    used: list[Value]
    generated: list[Value]
    truncated: bool = Field(description="Whether `used` or `generated` were cut.")
    sessions: list[Session] = Field(description="Parts of several processes in it, oldest first; at most 1,000.")
    session_count: int
    metadata: Optional[Any]
    stdout: Optional[str]
    stderr: Optional[str]


class DataUse(Value):
    """A reference or a state of it, with who used it."""

    used_by: list[str] = Field(description="Ids of the executions that used it.")


class Data(DataUse):
    """A data reference with its known states."""

    states: list[DataUse]
    truncated: bool = Field(description="Whether `states`, `used_by` or `generated_by` were cut.")


class ImportedDocument(Resource):
    """A PROV document that was read into the store."""

    labels: list[str] = Field(description="What those called it who sent it.")
    sha256: Optional[str] = Field(description="Digest of its normal form: of what it says, in whichever format.")
    statements: Optional[int] = Field(description="How many it has, with those in its bundles.")
    bundles: list[str] = Field(description="IRIs of its bundles.")


class Agent(Resource):
    """A person, a process, or a software package."""

    kind: str = Field(description="`person`, `process` or `software`.")
    label: Optional[str]


class AgentDetail(Agent):
    """An agent with all that is known of it."""

    host: Optional[str]
    pid: Optional[int]
    command: Optional[str]
    version: Optional[str]
    environment: Optional[Any] = Field(description="Facts of the environment: Slurm, MPI, Python.")
    acted_for: list[str] = Field(description="Ids of the persons this process acted for.")
    software: list[str] = Field(description="Ids of the packages this process ran.")
    lost: list[Any] = Field(description="Records this process had to drop: count, from, to, reason.")
    activities: int = Field(description="How many executions it is associated with.")


class DataSchema(Resource):
    """A table, a collection or a file format in a data store."""

    name: str
    database: Optional[str]
    database_schema: Optional[str]
    attributes: list[str] = Field(description="Names of the attributes described as its own, or planned to be in it.")


class Store(Resource):
    """A data store that references point into."""

    name: str = Field(description="What references call it.")
    labels: list[str] = Field(description="What people call it.")
    type: Optional[str] = Field(examples=["FILE_SYSTEM"])
    hosts: list[str] = Field(description="Every address that was said of it.")
    same_as: list[str] = Field(description="All its other names.")
    references: int = Field(description="Data known in it under this name; states of data are not counted.")
    schemas: list[DataSchema]
    truncated: bool = Field(description="Whether there are more schemas or attributes than are told.")
