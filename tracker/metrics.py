"""What the tracker counts, and its form for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from .producers import Totals
from .queue import QueueStatistics

_COUNTERS = {
    "accepted": "capture records that are on disk",
    "rejected": "capture records that were refused for good",
    "batches": "batches taken",
    "pushed_back": "batches answered with 429",
    "appended": "documents put in the queue",
    "delivered": "documents that the manager has committed",
    "posts": "posts to the manager",
    "failed_posts": "posts that the manager did not answer with 2xx",
}


class Metrics(Collector):
    """Counters since the start of the process; attributes are plain integers that only grow."""

    def __init__(self) -> None:
        self.accepted = 0
        self.rejected = 0
        self.batches = 0
        self.pushed_back = 0
        self.appended = 0
        self.delivered = 0
        self.posts = 0
        self.failed_posts = 0
        self._queue: QueueStatistics | None = None
        self._producers = Totals(0, 0, {})
        self._registry = CollectorRegistry()
        self.post_seconds = Histogram(
            "pllib_tracker_post_seconds", "time until the manager answered a post", registry=self._registry
        )
        self._registry.register(self)

    def counts(self) -> dict[str, int]:
        """All counters by name."""
        return {name: getattr(self, name) for name in _COUNTERS}

    def exposition(self, queue: QueueStatistics, producers: Totals) -> bytes:
        """Everything in the Prometheus text format, with these numbers of the queue and of what producers say."""
        self._queue, self._producers = queue, producers
        return generate_latest(self._registry)

    def collect(self) -> Iterator[Metric]:
        """The counters, and the queue's and the producers' numbers as of the last ``exposition``."""
        for name, text in _COUNTERS.items():
            yield CounterMetricFamily(f"pllib_tracker_{name}", text, value=getattr(self, name))
        if self._queue is None:
            return
        depth = GaugeMetricFamily("pllib_tracker_queue_depth", "documents in the queue", labels=["partition"])
        for partition, entries in enumerate(self._queue.depths):
            depth.add_metric([str(partition)], entries)
        yield depth
        for name, text, value in (
            ("queue_oldest_seconds", "age of the oldest document in the queue", self._queue.oldest_seconds),
            ("dead_letters", "documents that were given up", self._queue.dead),
            ("quarantined", "refused records that are kept", self._queue.quarantined),
            ("kept", "documents that were delivered and are kept for a while", self._queue.kept),
            ("producers", "producers that sent something and are remembered", self._producers.seen),
            ("producers_waiting", "records that producers say they still have", self._producers.waiting),
        ):
            yield GaugeMetricFamily(f"pllib_tracker_{name}", text, value=value)
        dropped = GaugeMetricFamily(
            "pllib_tracker_producers_dropped", "records that producers say they dropped", labels=["reason"]
        )
        for reason, count in self._producers.dropped.items():
            dropped.add_metric([reason], count)
        yield dropped
