"""Names that OpenLineage and the graph have for the same thing. Pure (docs/decisions/0015-openlineage.md)."""

from __future__ import annotations

import re
from typing import Any, NamedTuple, Optional
from urllib.parse import unquote

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Job(NamedTuple):
    """A job as OpenLineage names it."""

    namespace: str
    name: str


def workflow_of(job: Job) -> str:
    """The workflow that a job is: ``{namespace}:{name}``, the namespace's own ``:`` and ``%`` percent-encoded."""
    return job.namespace.replace("%", "%25").replace(":", "%3A") + ":" + job.name


def job_of(workflow: str, execution: str) -> Optional[Job]:
    """The job whose run a workflow execution is; ``None`` for one that no OpenLineage event told of.

    Args:
        workflow: its name.
        execution: its number in it; a run's is a UUID.
    """
    namespace, colon, name = workflow.partition(":")
    if not colon or not name or not namespace or _UUID.fullmatch(execution) is None:
        return None
    return Job(unquote(namespace), name)


METADATA = "openlineage "
"""What the key begins with under which an event is kept in the metadata of what it is about."""
OMITTED = "pllib_omitted"
"""Stands, with the reason, in a part of an event that was too large to be kept."""


def without_omitted(event: Any) -> Any:
    """An event as it was kept, without what stands for parts that were not."""
    if isinstance(event, list):
        return [without_omitted(each) for each in event]
    if not isinstance(event, dict):
        return event
    found = event.items()
    return {name: without_omitted(part) for name, part in found if not (isinstance(part, dict) and OMITTED in part)}
