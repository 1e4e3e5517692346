"""Sending what processes left in a spool folder: any number of times, from any host, beside processes that still write to it.

Of a producer that lives and ships for itself nothing is taken away and nothing noted; its records are only sent, which is harmless, since
records have identities. Files that nobody may read are told and passed over.
"""

from __future__ import annotations

import sys
import time
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from .errors import TransportError
from .holding import SHIPPING, holder
from .memory import MemoryQueue
from .points_recovery import UnknownVersion, recover
from .settings import Settings
from .shipper import Delivery, delay
from .spool import producers, segment_path, segments
from .spool_reader import SpoolReader
from .transport import Transport

Json = Any
Watch = Callable[[int, int], None]
"""Called after each batch with the records and the bytes sent so far."""


class Totals(NamedTuple):
    """What one run has done; ``problems``: what could not be read or noted, for people."""

    delivered: int
    refused: int
    damaged: int
    problems: List[str]
    notes: List[str]


class Shipment:
    """One run over a folder.

    Args:
        keep: leave files in place that were sent.
        retry: seconds to go on when the tracker does not take something.
    """

    def __init__(
        self, folder: str, transport: Transport, settings: Settings, keep: bool, retry: float, watch: Watch
    ) -> None:
        self.folder = folder
        self._transport, self._settings, self._keep, self._watch = transport, settings, keep, watch
        self._until = time.monotonic() + retry
        self._finished: List[Delivery] = []
        self._problems: List[str] = []
        self._notes: List[str] = []
        self.found = producers(folder, self._problem)
        self._unwritten = {producer: self._recovered(producer) for producer in self.found}

    def _recovered(self, producer: str) -> List[bytes]:
        """Makes points that a dead process left into records; those that cannot be written."""
        try:
            found = recover(self.folder, producer)
        except OSError as error:
            self._problem(error)
            return []
        except UnknownVersion as error:
            self._problems.append(f"{producer}: its points cannot be read: {error}")
            return []
        if found.problem is not None and found.payloads:
            reason = found.problem.strerror
            self._notes.append(
                f"{producer}: what was made of its points could not be kept ({reason}); another run sends it again"
            )
        return found.payloads

    def bytes_left(self) -> int:
        """How much there is to send."""
        total = 0
        for producer in self.found:
            try:
                total += SpoolReader(self.folder, producer).bytes_left()
            except OSError:
                continue
        return total

    def run(self) -> None:
        """Sends everything.

        Raises:
            TransportError: the tracker did not take something; the rest stays where it is.
        """
        for producer in self.found:
            try:
                self._ship(producer)
            except OSError as error:
                self._problem(error)

    @property
    def totals(self) -> Totals:
        return Totals(
            sum(each.delivered for each in self._finished),
            sum(each.refused for each in self._finished),
            sum(each.damaged for each in self._finished),
            self._problems,
            self._notes,
        )

    def _problem(self, error: OSError) -> None:
        self._problems.append(f"{error.filename or self.folder}: {error.strerror or error}")

    def _ship(self, producer: str) -> None:
        self._ship_unwritten(producer, self._unwritten[producer])
        numbers = segments(self.folder, producer)
        if not numbers:
            return
        ships = holder(segment_path(self.folder, producer, numbers[-1])) == SHIPPING
        reader = SpoolReader(self.folder, producer, keep=self._keep or ships, notes=not ships)
        figures = (lambda: None) if ships else _figures_of(reader)
        delivery = Delivery(reader, self._transport, self._settings.batch_records, self._settings.batch_bytes, figures)
        self._finished.append(delivery)
        try:
            self._deliver(delivery)
            delivery.tell()
        finally:
            reader.close()
        if not ships:
            reader.finish()
        if reader.unwritable is not None:
            reason = reader.unwritable.strerror
            self._notes.append(f"{producer}: what was sent could not be noted ({reason}); another run sends it again")

    def _ship_unwritten(self, producer: str, payloads: List[bytes]) -> None:
        if not payloads:
            return
        chosen = self._settings
        queue = MemoryQueue(producer, len(payloads), sys.maxsize, lambda *_: None)
        queue.offer(*payloads, reserve=True)
        delivery = Delivery(queue, self._transport, chosen.batch_records, chosen.batch_bytes)
        self._finished.append(delivery)
        self._deliver(delivery)

    def _deliver(self, delivery: Delivery) -> None:
        failures = 0
        while True:
            try:
                if not delivery.step():
                    return
                failures = 0
                self._watch(sum(each.delivered for each in self._finished), sum(each.bytes for each in self._finished))
            except TransportError as error:
                failures += 1
                wait = delay(failures, error.retry_after)
                if time.monotonic() + wait >= self._until:
                    raise TransportError(f"{error}; the rest stays in {self.folder}") from error
                time.sleep(wait)


def _figures_of(reader: SpoolReader) -> Callable[[], Optional[Dict[str, Json]]]:
    """The accounting of a producer that cannot tell its own any more, counted from its files."""
    waiting, last = reader.rest()
    accepted = last.delivered + last.refused + waiting

    def figures() -> Dict[str, Json]:
        now = reader.figures
        return {
            "accepted": accepted,
            "delivered": now.delivered,
            "refused": now.refused,
            "waiting": accepted - now.delivered - now.refused,
            "dropped": last.dropped,
            "mode": "ship",
        }

    return figures
