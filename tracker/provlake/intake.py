"""From the body of a retrospective request to durable entries in the queue."""

from __future__ import annotations

import asyncio
from typing import Literal

from starlette.responses import Response

from .. import lenient_json, validation
from ..errors import RecordError
from ..identity import first_part
from ..intake import RECORDS_A_TURN, Documents, Intake
from ..names import Specifications
from ..queue import Refused
from ..validation import Finding, Level
from . import answers, conversion, messages
from .answers import Refusal, Told
from .conversion import Converted
from .names import ElementSpecifications

Validation = Literal["none", "warn", "strict"]
"""``warn`` tells what is not as planned; ``strict`` refuses such records."""

_FIX = "send a JSON array of ProvLake records (docs/reference/provlake-routes.md)"

CHECKS: dict[str, Validation] = {"true": "warn", "1": "warn", "strict": "strict"}


class ProvLakeIntake:
    """Takes ProvLake records.

    Args:
        intake: of the tracker's own records, which makes them durable.
        specifications: the workflows' names.
    """

    def __init__(self, intake: Intake, specifications: Specifications) -> None:
        self._intake = intake
        self._names = ElementSpecifications(specifications)

    async def take(self, body: bytes, check: Validation) -> Response:
        """The answer to a body; every accepted record is on disk by then.

        Raises:
            RequestError: it holds no records.
            QueueUnavailable: nothing of it was taken.
        """
        batch = Batch(self._intake.documents(self._names), self._names, check)
        items = lenient_json.decode(body, _FIX)
        for index, item in enumerate(items):
            if index % RECORDS_A_TURN == RECORDS_A_TURN - 1:
                await asyncio.sleep(0)
            batch.add(index, item)
        accepted = len(items) - len(batch.refused)
        await self._intake.keep(batch.documents, accepted, batch.refused)
        return answers.taken(accepted, batch.refusals, batch.findings)


class Batch:
    """The records of one request, as far as they were looked at."""

    def __init__(self, documents: Documents, names: Specifications, check: Validation) -> None:
        self.documents = documents
        self.refused: list[Refused] = []
        self.refusals: list[Refusal] = []
        self.findings: list[list[Told]] = []
        self._names = names
        self._check = check
        self._said: set[Finding] = set()

    def add(self, index: int, item: lenient_json.Item) -> None:
        """Takes or refuses one record."""
        try:
            found = self._converted(item.record)
        except RecordError as error:
            self._refuse(index, item, error, [answers.refused_finding(error)])
            return
        findings = [] if self._check == "none" else findings_of(found, self._names)
        if findings and self._check == "strict":
            explained = "; ".join(finding.explanation for finding in findings)
            self._refuse(index, item, RecordError("$.prov_obj", explained), findings)
            return
        self._say(findings, "W")
        if self.documents.fresh.first(("provlake", found.producer)):
            self.documents.add(found.producer, conversion.process(), 0)
        for record in found.records:
            self.documents.add(found.producer, record, len(item.raw) // len(found.records))

    def _converted(self, record: lenient_json.Json) -> Converted:
        message = messages.read(record)
        workflow = self._names.workflow(conversion.workflow_of(message))
        return conversion.convert(message, workflow.specification)

    def _refuse(self, index: int, item: lenient_json.Item, error: RecordError, findings: list[Finding]) -> None:
        self.refused.append(Refused(conversion.producer_of("unknown"), item.raw, error.field, error.message))
        self.refusals.append(Refusal(index, error.field, error.message))
        self._say(findings, "E")

    def _say(self, findings: list[Finding], level: Level) -> None:
        """Adds findings to the answer; the same about many records is said once."""
        new = [finding for finding in findings if finding not in self._said]
        if new:
            self._said.update(new)
            self.findings.append(answers.told(new, level))


def findings_of(found: Converted, names: Specifications) -> list[Finding]:
    """What a ProvLake record says that the specification in force does not foresee."""
    specification = names.workflow(first_part(found.wf)).specification
    findings: dict[Finding, None] = {}
    for record in found.records:
        complete = record is found.complete
        findings.update(
            dict.fromkeys(validation.check(record, specification, complete=complete, skipped=found.elements))
        )
    return list(findings)
