"""Who is compared, in which settings. What a setting is exactly stands in its adapter."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """A system as one would use it. ``server`` is a kind of ``bench.peers.servers.backend``; ``core`` are in ``make bench``."""

    peer: str
    option: str
    title: str
    server: str = ""
    core: bool = True
    closer: bool = False
    """Whether loops, a real training and several processes are run with it too."""

    @property
    def key(self) -> str:
        """A name for files and commands."""
        return "-".join(part for part in (self.peer, self.option, self.server) if part)

    @property
    def shared(self) -> bool:
        """Whether its data are in one place for all jobs, so that what a job left is a difference."""
        return self.server in ("mlflow", "sqlite")

    @property
    def online(self) -> bool:
        """Whether there is a server that may go away."""
        return self.server not in ("", "sqlite")


SETTINGS = (
    Setting("pllib", "memory", "**PLLib** `memory`, no tracker", closer=True),
    Setting("pllib", "process", "**PLLib** `process` (default), no tracker"),
    Setting("pllib", "process", "**PLLib** `process` (default), online", "http", closer=True),
    Setting("pllib", "disk", "**PLLib** `disk`"),
    Setting("provlake", "memory", "ProvLake, all kept until the end"),
    Setting("provlake", "file", "ProvLake, file", core=False),
    Setting("provlake", "http", "ProvLake, HTTP and file (default)", "http", closer=True),
    Setting("provlake", "http-bag", "ProvLake, HTTP in bags of 100, file", "http"),
    Setting("flowcept", "offline", "Flowcept offline, decorator (default)", closer=True),
    Setting("flowcept", "offline-task", "Flowcept offline, `FlowceptTask`, no checks"),
    Setting("flowcept", "online", "Flowcept, Redis and LMDB", "redis", closer=True),
    Setting("flowcept", "online-lean", "Flowcept, Redis and LMDB, lean, large buffer", "redis"),
    Setting("yprov4ml", "default", "yProv4ML (default)", closer=True),
    Setting("yprov4ml", "fewer-writes", "yProv4ML, fewer writes"),
    Setting("mlflow", "file", "MLflow, file store"),
    Setting("mlflow", "sqlite", "MLflow, SQLite (default)", "sqlite"),
    Setting("mlflow", "server", "MLflow server", "mlflow", closer=True),
    Setting("mlflow", "server-async", "MLflow server, asynchronous", "mlflow"),
    Setting("opentelemetry", "simple", "OpenTelemetry, each span to a file", core=False),
    Setting("opentelemetry", "batch", "OpenTelemetry, OTLP in batches (default)", "http", closer=True),
    Setting("opentelemetry", "batch-large", "OpenTelemetry, OTLP, large queue, gzip", "http"),
    Setting("openlineage", "file", "OpenLineage, file", core=False),
    Setting("openlineage", "http", "OpenLineage, HTTP (default)", "http"),
    Setting("openlineage", "async-http", "OpenLineage, HTTP by a thread", "http", closer=True),
)
