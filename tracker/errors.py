"""What can go wrong in the tracker.

A request that is refused as a whole is an ``edge.errors.RequestError``, settings that make no sense are a ``SettingsError``
from there. ::

    TrackerError
    ├── RecordError               one record is refused (field, message); its neighbours are not touched
    │   └── NotAsPlanned          … since its workflow's specification does not foresee it (``intake.py``)
    └── QueueError
        ├── QueueUnavailable      nothing was taken or changed: read-only, closed
        │   └── QueueFull         the disk is full
        └── QueueInUse            another process has the queue's file open, or other trackers another number of partitions
"""

from __future__ import annotations


class TrackerError(Exception):
    """Root of all errors of the tracker."""


class RecordError(TrackerError):
    """A record that is refused for good.

    Args:
        field: JSON path in the record.
        message: what is wrong and how to make it right.
    """

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message


class QueueError(TrackerError):
    """Root of the queue's errors."""


class QueueUnavailable(QueueError):
    """The queue took and changed nothing; the same call may succeed later."""


class QueueFull(QueueUnavailable):
    """There is no space left for it."""


class QueueInUse(QueueError):
    """Another process works on this queue, or works on it in another way."""
