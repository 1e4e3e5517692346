"""What the manager counts, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest


class Metrics:
    """Counters since the start of the process, in a registry of their own."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.documents = Counter("pllib_manager_documents", "documents committed", registry=registry)
        self.triples = Counter("pllib_manager_triples", "triples committed, those known before too", registry=registry)
        self.refused = Counter("pllib_manager_refused", "documents refused", registry=registry)
        self.store_errors = Counter(
            "pllib_manager_store_errors", "groups that the store did not take", ["reason"], registry=registry
        )
        self.convert_seconds = Histogram(
            "pllib_manager_convert_seconds", "time to turn a group into triples", registry=registry
        )
        self.load_seconds = Histogram(
            "pllib_manager_load_seconds", "time until the store committed a group", registry=registry
        )

    def exposition(self) -> bytes:
        """Everything in the Prometheus text format."""
        return generate_latest(self._registry)
