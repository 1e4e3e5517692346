"""What can go wrong in the manager.

::

    ManagerError
    ├── RequestError          the whole request is refused (status, code, field, fix)
    ├── DocumentError         one document is refused (field, message, fix); nothing of its group is committed
    ├── StoreError
    │   ├── StoreUnavailable  the store did not answer, or said that it cannot now; nothing is known to be committed
    │   └── StoreRejected     the store refused the triples; its own words are kept
    └── SettingsError         flags or environment make no sense
"""

from __future__ import annotations


class ManagerError(Exception):
    """Root of all errors of the manager."""


class RequestError(ManagerError):
    """A request that is refused as a whole.

    Args:
        status: HTTP status of the answer.
        code: ``snake_case`` name of the reason, for programs.
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
        self.status, self.code, self.message = status, code, message
        self.field, self.fix, self.retry_after = field, fix, retry_after


class DocumentError(ManagerError):
    """A document that is no PROV-ML JSON; ``field`` is the JSON path in it."""

    def __init__(self, field: str, message: str, fix: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field, self.message, self.fix = field, message, fix


class StoreError(ManagerError):
    """Root of the store's errors."""


class StoreUnavailable(StoreError):
    """The store did not answer in time, or not at all."""


class StoreRejected(StoreError):
    """The store understood and refused."""


class SettingsError(ManagerError):
    """The settings cannot be used; the message says which flag to change."""
