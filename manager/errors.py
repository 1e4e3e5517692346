"""What can go wrong in the manager.

A request that is refused as a whole is an ``edge.errors.RequestError``, settings that make no sense are a ``SettingsError``
from there. ::

    ManagerError
    ├── DocumentError         one document is refused (field, message, fix); nothing of its group is committed
    └── StoreError
        ├── StoreUnavailable  the store did not answer, or said that it cannot now; nothing is known to be committed
        └── StoreRejected     the store refused the triples; its own words are kept
"""

from __future__ import annotations


class ManagerError(Exception):
    """Root of all errors of the manager."""


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
