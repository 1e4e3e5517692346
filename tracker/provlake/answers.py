"""Answers in the forms that the ProvLake client reads.

Its log shows findings of a 2xx answer only, and reads ``error`` as a list of lists there, but as a text in a 406.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
from starlette.responses import Response

from ..answers import answer
from ..errors import RecordError
from ..validation import Finding, Level

Told = dict[str, str]

_encoder = msgspec.json.Encoder()


class Refusal(NamedTuple):
    """A record that was refused."""

    position: int
    field: str
    message: str


def refused_finding(error: RecordError) -> Finding:
    """A record that breaks the format, as the client's log shows it."""
    return Finding("301", "refused_record", f"{error.field}: {error.message}".replace("'", "’"))


def told(findings: Sequence[Finding], level: Level) -> list[Told]:
    return [finding.told(level) for finding in findings]


def taken(accepted: int, refused: Sequence[Refusal], findings: Sequence[list[Told]]) -> Response:
    """The answer to retrospective records, of which some may have been refused."""
    results = [{"index": index, "status": 422, "field": field, "message": text} for index, field, text in refused]
    return answer({"accepted": accepted, "rejected": len(refused), "results": results, "error": list(findings)})


def not_acceptable(findings: Sequence[Finding]) -> Response:
    """The answer to a prospective document that is refused."""
    return answer({"error": _encoder.encode([told(findings, "E")]).decode()}, 406)


def stored(content: dict[str, Any], new: bool) -> Response:
    """The answer to a prospective document that is kept."""
    return answer({**content, "error": []}, 201 if new else 200)
