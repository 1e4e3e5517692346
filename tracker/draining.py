"""Draining: no more captures are taken, and the dispatchers go on until nothing waits."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from edge.errors import RequestError

RETRY_SECONDS = 10
"""What clients are told to wait; they keep what they have and send it when captures are taken again."""


class Gate:
    """Where all that adds to the queue on behalf of clients passes. It is open at first; a restart opens it again."""

    def __init__(self) -> None:
        self.draining = False
        self.passing = 0

    def require_open(self) -> None:
        """Raises ``RequestError`` 503 while the tracker drains."""
        if self.draining:
            raise refusal()

    @contextmanager
    def passage(self) -> Iterator[None]:
        """For what is to be queued; counted until it is. Raises as ``require_open``."""
        self.require_open()
        self.passing += 1
        try:
            yield
        finally:
            self.passing -= 1


def refusal() -> RequestError:
    """What is answered while the tracker drains."""
    return RequestError(
        503,
        "draining",
        "the tracker drains: it takes no captures until it is told to, or started again; nothing was taken",
        fix="send it again later; `python -m deploy drain --resume` or DELETE /v1/drain takes captures again",
        retry_after=RETRY_SECONDS,
    )
