"""From the body of a capture request to durable entries in the queue."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

import msgspec

from . import producers, validation
from .batches import Batch
from .conversion import Document
from .errors import RecordError
from .identity import canonical
from .metrics import Metrics
from .names import Specifications
from .plans import Fresh, Known
from .producers import Producers
from .queue import NewEntry, Refused, WorkQueue
from .records import ActivityRecord, Record, decode_record

RECORDS_A_TURN = 200
"""Records converted before other requests get their turn."""
MAX_DOCUMENT_RECORD_BYTES = 500_000
"""Bytes of records that go in one document; more begin another one."""

_encoder = msgspec.json.Encoder()

Validation = Literal["off", "warn", "error"]
"""Whether records are compared with the specification in force: ``warn`` tells what differs, ``error`` refuses it."""


class Intake:
    """Takes batches.

    Args:
        queue: where what they say is kept.
        specifications: the workflows' names.
        metrics: what is counted.
        producers: what is known of those who send.
    """

    def __init__(
        self, queue: WorkQueue, specifications: Specifications, metrics: Metrics, producers: Producers
    ) -> None:
        self._queue = queue
        self._specifications = specifications
        self._metrics = metrics
        self._producers = producers
        self._known = Known()
        self._earlier = validation.Earlier()

    def forget_what_is_known(self) -> None:
        """Says plans, stores and agents again from now on; for when entries that said them were given up."""
        self._known.clear()

    async def take(self, batch: Batch, validate: Validation = "off") -> bytes:
        """The answer to a batch, as JSON; every accepted record is on disk by then.

        Args:
            validate: what becomes of records that are not as planned.

        Raises:
            QueueUnavailable: nothing of it was taken.
        """
        documents = self.documents(self._specifications)
        refused: list[Refused] = []
        results: list[dict[str, Any]] = []
        for index, raw in enumerate(batch.records):
            if index % RECORDS_A_TURN == RECORDS_A_TURN - 1:
                await asyncio.sleep(0)
            try:
                record = decode_record(raw)
                warnings = self._warnings(record, validate)
                documents.add(batch.producer, record, len(raw))
                if warnings:
                    results.append({"index": index, "status": 200, "warnings": warnings})
            except NotAsPlanned as error:
                refused.append(Refused(batch.producer, raw, error.field, error.message))
                results.append({**_refusal(index, error), "errors": [each.told("E") for each in error.findings]})
            except RecordError as error:
                refused.append(Refused(batch.producer, raw, error.field, error.message))
                results.append(_refusal(index, error))
        accepted = len(batch.records) - len(refused)
        await self.keep(documents, accepted, refused)
        self._producers.saw(batch.producer, len(batch.records), documents.highest_n, producers.decode(batch.accounting))
        return _encoder.encode({"accepted": accepted, "rejected": len(refused), "results": results})

    def _warnings(self, record: Record, validate: Validation) -> list[dict[str, str]]:
        """What is not as planned in a record. Raises ``NotAsPlanned`` where that is an error."""
        if validate == "off":
            return []
        findings = validation.check_native(record, self._specifications, self._earlier)
        if findings and validate == "error":
            raise NotAsPlanned(findings)
        return [finding.told("W") for finding in findings]

    def documents(self, specifications: Specifications) -> Documents:
        """Where the records of one batch go, whose names mean what ``specifications`` says."""
        return Documents(specifications, Fresh(self._known))

    async def keep(self, documents: Documents, accepted: int, refused: list[Refused]) -> None:
        """Makes the documents of a batch and its refused records durable, and counts them.

        Args:
            accepted: records that the documents were made of.

        Raises:
            QueueUnavailable: nothing of it was taken.
        """
        entries = documents.finish()
        await self._queue.append(entries, refused)
        self._known.add(documents.fresh.statements)
        self._metrics.batches += 1
        self._metrics.accepted += accepted
        self._metrics.rejected += len(refused)
        self._metrics.appended += len(entries)


class NotAsPlanned(RecordError):
    """A record that says what its workflow's specification does not foresee, where that is an error."""

    def __init__(self, findings: list[validation.Finding]) -> None:
        super().__init__("$", "; ".join(finding.explanation for finding in findings))
        self.findings = findings


def _refusal(index: int, error: RecordError) -> dict[str, Any]:
    return {"index": index, "status": 422, "field": error.field, "message": error.message}


class Documents:
    """The documents of one batch: one a workflow execution, more of them for very many records."""

    def __init__(self, specifications: Specifications, fresh: Fresh) -> None:
        self.fresh = fresh
        self._specifications = specifications
        self._open: dict[str, tuple[Document, int]] = {}
        self._entries: list[NewEntry] = []
        self.highest_n: int | None = None

    def add(self, producer: str, record: Record, size: int) -> None:
        """Adds a record to the document of its workflow execution, or of its producer.

        Args:
            producer: 32 hex digits; of one workflow execution in one batch always the same.
            size: bytes of the record.
        """
        key = canonical(record.wf) if isinstance(record, ActivityRecord) else producer
        document, before = self._open.get(key) or (Document(producer, self._specifications, self.fresh), 0)
        document.add(record)
        self.highest_n = record.n if self.highest_n is None else max(record.n, self.highest_n)
        size += before
        if size < MAX_DOCUMENT_RECORD_BYTES:
            self._open[key] = document, size
        else:
            self._open.pop(key, None)
            self._entries.append(NewEntry(key, document.encoded()))

    def finish(self) -> list[NewEntry]:
        """All documents as entries for the queue."""
        rest = [NewEntry(key, document.encoded()) for key, (document, _) in self._open.items()]
        return [*self._entries, *rest]
