"""What can go wrong in the tracker.

::

    TrackerError
    ├── RequestError              the whole request is refused (status, code, field, fix)
    ├── RecordError               one record is refused (field, message); its neighbours are not touched
    ├── QueueError
    │   ├── QueueUnavailable      nothing was taken or changed: disk full, read-only, closed
    │   └── QueueInUse            another process has the queue's file open
    └── SettingsError             flags or environment make no sense
"""

from __future__ import annotations


class TrackerError(Exception):
    """Root of all errors of the tracker."""


class RequestError(TrackerError):
    """A request that is refused as a whole.

    Args:
        status: HTTP status of the answer.
        code: ``snake_case`` name of the reason, for programs.
        message: what is wrong, for people.
        field: JSON path of the part that is wrong, where there is one.
        fix: what to do about it.
        retry_after: seconds until it makes sense to send the same again.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        fix: str | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.fix = fix
        self.retry_after = retry_after


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


class QueueInUse(QueueError):
    """Another process works on this queue."""


class SettingsError(TrackerError):
    """The settings cannot be used; the message says which flag to change."""
