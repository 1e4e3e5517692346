"""What the routes work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, cast

from fastapi import Query
from starlette.requests import Request

from .catalogue import Catalogue
from .draining import Gate
from .intake import Intake
from .metrics import Metrics
from .producers import Producers
from .queue import WorkQueue
from .settings import Settings
from .specification_store import SpecificationStore

MAX_RAW = 8_000_000
"""Bytes of a body as it comes over the network."""

Limit = Annotated[int, Query(ge=1, le=500, description="most to list")]
After = Annotated[str | None, Query(max_length=40, description="id of the last one of the page before")]


@dataclass(frozen=True, slots=True)
class Parts:
    """The parts of one tracker."""

    settings: Settings
    queue: WorkQueue
    intake: Intake
    specifications: SpecificationStore
    catalogue: Catalogue
    metrics: Metrics
    producers: Producers
    gate: Gate


def parts_of(request: Request) -> Parts:
    """The parts of the tracker that serves a request."""
    return cast(Parts, request.app.state.parts)
