"""The JSON of runs and of what differs among them; beside :mod:`query_engine.models`, the source of ``/openapi.json``."""

from __future__ import annotations

from typing import Any, Optional

from pydantic import Field

from query_engine.models import Activity, Model, Page, Resource, Run, Series, Session, Value

_SEVERAL = "Where a name was given several values they are a list."


class LearningRun(Run):
    """A run of an experiment."""

    experiment: str
    execution: str = Field(description="What makes this run unique in the experiment.")
    parameters: dict[str, Any] = Field(description=f"By name. {_SEVERAL}")
    tags: dict[str, Any] = Field(description=f"What was remarked of it, by name. {_SEVERAL}")
    metrics: list[Series] = Field(description="Its series but for readings of the machine, by context and name.")
    sessions: int = Field(description="How many processes, or resumptions, had a part in it.")


class RunPage(Page[LearningRun]):
    """One page of runs."""

    truncated: bool = Field(description="Whether runs have more parameters or metrics than are told.")


class RunItem(Value):
    """A value or data that a run used or generated."""

    role: str = Field(description="`used` or `generated`.")
    context: Optional[str] = Field(description="Part of the run that did; null for the run as a whole.")
    facts: dict[str, Any] = Field(description=f"What is known about it, by name. {_SEVERAL}")


class NestedRun(Resource):
    """A run inside another one."""

    status: str
    inside: str = Field(description="Id of the run, or of the part of it, that it is nested in.")


class LearningRunDetail(LearningRun):
    """All of a run."""

    studies: list[str] = Field(description="Names of the studies that its experiment belongs to.")
    agents: list[str] = Field(description="Ids of the processes and persons behind it.")
    contexts: list[Activity] = Field(description="Its parts: training, validation and others.")
    models: list[RunItem]
    datasets: list[RunItem]
    artifacts: list[RunItem] = Field(description="Other data that it generated or used.")
    code: list[RunItem] = Field(
        description="The state of the source code; its key is the script's path, `.` for the tree."
    )
    environment: Optional[Any] = Field(description="Python, packages, platform and the like, as they were recorded.")
    values: list[RunItem] = Field(description="Other values that it used or generated.")
    energy: dict[str, Any] = Field(description="Energy and carbon: name to `value` and `unit`.")
    telemetry: list[Series] = Field(description="Readings of the machine.")
    parts: list[Session] = Field(description="Parts of several processes in it, oldest first; at most 1,000.")
    nested: list[NestedRun]
    within: list[str] = Field(description="Ids of the activities that it is nested in.")
    stdout: Optional[str]
    stderr: Optional[str]
    truncated: bool = Field(description="Whether there is more of anything than is told.")


class Difference(Model):
    """Something that is not the same in all of the runs."""

    name: str
    values: list[Any] = Field(description="One for each run, in their order; null where a run has none.")


class MetricDifference(Model):
    """A metric in each of the runs."""

    name: str
    context: Optional[str]
    latest: list[Any] = Field(description="One for each run, in their order; null where a run has none.")
    minimum: list[Any]
    maximum: list[Any]


class RunDifferences(Model):
    """What differs among runs."""

    runs: list[str] = Field(description="Their ids; all lists of values are in this order.")
    parameters: list[Difference]
    tags: list[Difference]
    metrics: list[MetricDifference] = Field(description="All metrics, whether or not they differ.")
    code: list[Difference] = Field(description="`repository`, `version` (the commit), `dirty`, `script` and others.")
    datasets: list[Difference] = Field(description="By name and key of the data; the values are its states.")
    packages: list[Difference] = Field(description="Versions of the packages.")
    environment: list[Difference] = Field(description="Everything else of the environment, by path.")
    same: dict[str, int] = Field(description="How many are the same in all of the runs, by kind of difference.")
    truncated: bool = Field(description="Whether there is more of anything than was compared.")
