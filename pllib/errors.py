"""Errors of the client, raised into a script only when it asked for ``strict=True``.

::

    PllibError
    ├── ConfigurationError   a setting is unknown or has an impossible value
    ├── CaptureError         a call does not fit (ended task, value given twice, nothing to attach to)
    ├── SpoolError           the spool folder cannot be used, or a file in it is no spool file
    └── TransportError       the tracker could not be reached, or refused a batch
"""

from __future__ import annotations

from typing import Optional


class PllibError(Exception):
    """Root of all errors of the client."""


class ConfigurationError(PllibError):
    """A setting is unknown or has an impossible value; the message names it and what is possible."""


class CaptureError(PllibError):
    """A capture call does not fit what came before it."""


class SpoolError(PllibError):
    """The spool cannot be written or read."""


class TransportError(PllibError):
    """A batch was not taken.

    Args:
        status: HTTP status, or ``None`` when there was no answer.
        retry_after: seconds the server asked to wait, if it did.
    """

    def __init__(self, message: str, status: Optional[int] = None, retry_after: Optional[float] = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after

    @property
    def permanent(self) -> bool:
        """Whether sending the same bytes again cannot help."""
        return self.status in (400, 409, 413, 415, 422)
