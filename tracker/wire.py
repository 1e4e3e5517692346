"""Capture records as they come over the wire (docs/reference/capture-format.md, Records)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Optional, Union

from msgspec import Meta, Struct, field

from .values import Identifier, Meaning, Parent, Text, Value

MAX_POINTS = 1_000
"""Points in one record."""
MOST = 2**53
"""Integers up to it are the same number to every reader of JSON."""
EARLIEST, LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999
"""Microseconds since 1970-01-01 UTC of the first and last moment of the years 1 to 9999."""

Kind = Literal["workflow", "task", "section", "cycle", "iteration"]
Stage = Literal["learning", "training", "validation", "evaluation", "feature_extraction"]
Count = Annotated[int, Meta(ge=0)]
Micros = Annotated[int, Meta(ge=EARLIEST, le=LATEST)]
Rank = Annotated[int, Meta(ge=0, lt=MOST)]
Measured = Union[Annotated[int, Meta(ge=-MOST, le=MOST)], float, Literal["NaN", "INF", "-INF"]]
"""The value of a point."""
Several = Meta(min_length=1, max_length=MAX_POINTS)


class Numbered(Struct, tag_field="op", kw_only=True, gc=False):
    """What all records say."""

    n: Count
    t: Micros
    m: int


class ProducerRecord(Numbered, tag="producer", kw_only=True):
    """What process the records come from."""

    host: Optional[str] = None
    pid: Optional[int] = None
    user: Optional[str] = None
    command: Optional[str] = None
    python: Optional[str] = None
    pllib: Optional[str] = None
    software: dict[str, str] = {}
    env: dict[str, str] = {}


class ActivityRecord(Numbered, kw_only=True):
    """A record about one activity."""

    kind: Kind
    wf: Identifier
    id: Optional[Identifier] = None


class ValuesRecord(ActivityRecord, kw_only=True):
    """A record that may say what the activity used."""

    match: bool = False
    used: dict[str, Value] = {}
    links: dict[Identifier, list[Text]] = {}
    meta: Optional[dict[str, Any]] = None


class Timed(ValuesRecord, kw_only=True):
    """A begin or end. With ``session`` it is one of a process's part in an execution that several share."""

    timed: ClassVar[bool] = True
    """Whether ``t`` is when it began or ended; another format may not say when."""

    session: Optional[Annotated[str, Meta(min_length=1, max_length=200)]] = None


class Within(Struct, gc=False):
    """The activity of another workflow execution that one is nested in."""

    wf: Identifier
    id: Optional[Identifier] = None


class Begin(Timed, tag="begin", kw_only=True):
    up: Optional[Parent] = None
    stage: Optional[Stage] = None
    study: Optional[Text] = None
    person: Optional[Text] = None
    resumes: bool = False
    rank: Optional[Rank] = None
    within: Optional[Within] = None


class ErrorFacts(Struct, gc=False):
    type: str
    message: Optional[str] = None


class End(Timed, tag="end", kw_only=True):
    status: Literal["finished", "failed"]
    elapsed: Optional[Annotated[int, Meta(ge=0)]] = None
    generated: dict[str, Value] = {}
    error: Optional[ErrorFacts] = None
    stdout: Optional[str] = None
    stderr: Optional[str] = None


class Add(ValuesRecord, tag="add", kw_only=True):
    """What is said of an activity while it is open."""

    generated: dict[str, Value] = {}


class Points(ActivityRecord, tag="points", kw_only=True):
    """More of a series: a value that the activity generates and that goes on growing.

    ``steps`` and ``times`` are each less the one before, ``first`` is how many points of the series this producer sent before.
    """

    series: Text
    meaning: Optional[Meaning] = field(default=None, name="as")
    unit: Optional[Text] = None
    telemetry: bool = False
    rank: Optional[Rank] = None
    first: Annotated[int, Meta(ge=0, lt=MOST)]
    steps: Annotated[list[int], Several]
    times: Annotated[list[int], Several]
    values: Annotated[list[Measured], Several]


class Gap(Numbered, tag="gap", kw_only=True):
    """Records that were dropped between two times."""

    count: Annotated[int, Meta(ge=1)]
    reason: str
    since: Optional[int] = field(default=None, name="from")
    to: Optional[int] = None


Record = Union[ProducerRecord, Begin, End, Add, Points, Gap]
