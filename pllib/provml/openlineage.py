"""Names that OpenLineage and the graph have for the same thing. Pure (docs/decisions/0015-openlineage.md)."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional
from urllib.parse import unquote, urlsplit

_SCP = re.compile(r"(?:[^@/]+@)?([^:/]+):(?!//)(.+)")
"""``git@host:path``, as git takes it beside URLs."""
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


def code_store(repository: str) -> Optional[str]:
    """The store that the code of a git repository lies in: ``git:`` with host and path, no scheme and no credentials.

    Args:
        repository: its address: a URL, or ``git@host:path``.
    """
    scp = _SCP.fullmatch(repository)
    if scp is not None and "://" not in repository:
        host, path = scp[1], scp[2]
    else:
        try:
            parts = urlsplit(repository)
        except ValueError:
            return None
        host, path = parts.netloc.rpartition("@")[2], parts.path
    path = path.strip("/")
    path = path[: -len(".git")] if path.endswith(".git") else path
    return f"git:{host}/{path}" if host and path else None
