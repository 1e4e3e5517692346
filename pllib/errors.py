"""Errors of the client, raised into a script only when it asked for ``strict=True`` (``FullError``: for ``full="raise"``).

::

    PllibError
    ├── ConfigurationError   a setting is unknown or has an impossible value
    ├── CaptureError         a call does not fit (ended task, value given twice, nothing to attach to)
    ├── FullError            a record found no room
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


class FullError(PllibError):
    """A record found no room, in the queue or on the disk, and ``full="raise"`` asks to be told; nothing of it was kept."""


class SpoolError(PllibError):
    """The spool cannot be written or read."""


class TransportError(PllibError):
    """A batch was not taken.

    Args:
        status: HTTP status, or ``None`` when there was no answer.
        retry_after: seconds the server asked to wait, if it did.
        from_tracker: whether the answer is one that a tracker gives.
    """

    def __init__(
        self,
        message: str,
        status: Optional[int] = None,
        retry_after: Optional[float] = None,
        from_tracker: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.from_tracker = from_tracker

    @property
    def permanent(self) -> bool:
        """Whether sending the same bytes again cannot help; too many of them (413) a proxy may say, too."""
        return self.status == 413 or (self.from_tracker and self.status in (400, 415, 422))
