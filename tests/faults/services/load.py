"""A load: batches that are posted by several threads as clients do, each again until it is acknowledged, and what was."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from typing import Self

from pllib.errors import TransportError
from pllib.transport import HttpTransport
from tests.faults.proxy import until

from .workload import Batch

THREADS = 4
PAUSE = 0.03
"""Seconds before a batch is posted again."""
PATIENCE = 120.0


class Load:
    """Posts batches, as many as it was allowed to; for a ``with`` block.

    Args:
        urls: of trackers; when one does not answer, the next gets the batch.
        batches: each is posted until it is acknowledged, and never after that.

    Attributes:
        acknowledged: the batches that were answered 2xx.
        posts: how often anything was posted.
        answers: how many posts were not acknowledged, by status; 0 is no answer.
        wrong: answers that a client could not make sense of; there must be none.
    """

    def __init__(self, urls: Sequence[str], batches: Sequence[Batch], timeout: float = 30.0) -> None:
        self.batches = batches
        self.acknowledged: list[Batch] = []
        self.posts = 0
        self.answers: Counter[int] = Counter()
        self.wrong: list[str] = []
        self._urls = list(urls)
        self._timeout = timeout
        self._allowed = self._next = 0
        self._changed = threading.Condition()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(THREADS)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        for thread in self._threads:
            thread.join(PATIENCE)

    def allow(self, count: int) -> None:
        """Lets this many batches in all be posted."""
        with self._changed:
            self._allowed = max(self._allowed, min(count, len(self.batches)))
            self._changed.notify_all()

    def reached(self, count: int) -> None:
        """Returns when this many batches have been acknowledged."""
        done = until(lambda: len(self.acknowledged) >= count or bool(self.wrong), PATIENCE, 0.001)
        assert not self.wrong, self.wrong
        assert done, f"{len(self.acknowledged)} of {count} batches acknowledged; {self.answers}"

    def finish(self) -> None:
        """Posts all that is left; returns when all of it is acknowledged."""
        self.allow(len(self.batches))
        self.reached(len(self.batches))

    @property
    def records(self) -> int:
        """Records in acknowledged batches."""
        return sum(len(batch.payloads) for batch in self.acknowledged)

    def _take(self) -> Batch | None:
        with self._changed:
            self._changed.wait_for(lambda: self._next < self._allowed or self._stopped.is_set())
            if self._stopped.is_set():
                return None
            self._next += 1
            return self.batches[self._next - 1]

    def _run(self, number: int) -> None:
        transports = [HttpTransport(url, self._timeout) for url in self._urls]
        while (batch := self._take()) is not None:
            while not (self._stopped.is_set() or self._delivered(batch, transports[number % len(transports)])):
                number += 1
                self._stopped.wait(PAUSE)
        for transport in transports:
            transport.close()

    def _delivered(self, batch: Batch, transport: HttpTransport) -> bool:
        """Whether this batch is done with."""
        self.posts += 1
        try:
            answer = transport.post(*batch)
        except TransportError as error:
            self.answers[error.status or 0] += 1
            if error.permanent or (error.status in (429, 503) and error.retry_after is None):
                self.wrong.append(str(error))
            return error.permanent
        if answer["accepted"] == len(batch.payloads):
            self.acknowledged.append(batch)
        else:
            self.wrong.append(f"not all was accepted: {answer}")
        return True
