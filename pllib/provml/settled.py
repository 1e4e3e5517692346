"""What follows from sessions and from points, as pure functions: an execution's times and status, a series' latest value.

What is said of sessions and points adds up in any order; these are the few statements that change while it does. Whoever
makes them (the manager in the store, a document of a folder of records) makes them by these functions.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple, Union

Measured = Union[int, float, str]
"""The value of a point: a number, or ``NaN``, ``INF``, ``-INF``."""


class Session(NamedTuple):
    """The part of one process in an execution, as far as it is known.

    Args:
        id: what tells it from the others.
        started: microseconds since 1970 UTC, as all times here.
        status: ``finished`` or ``failed``, once it has ended.
        rank: number of the process in its job.
        resumes: whether it goes on with an execution that had ended.
    """

    id: str
    started: Optional[int] = None
    ended: Optional[int] = None
    status: Optional[str] = None
    rank: Optional[int] = None
    resumes: bool = False


class Outcome(NamedTuple):
    """What follows for the execution.

    Args:
        duration: seconds.
        failed: the session whose error is the execution's: of those that failed the one that ended first.
    """

    started: Optional[int] = None
    ended: Optional[int] = None
    duration: Optional[float] = None
    status: Optional[str] = None
    failed: Optional[str] = None


def outcome(sessions: Iterable[Session], begun: Iterable[int] = ()) -> Outcome:
    """Times and status of the execution that these sessions are all known parts of.

    It is over when all sessions of the latest attempt have ended: those before may have been killed and never end.

    Args:
        begun: other times at which the execution is said to have begun, by processes without a session.
    """
    every = sorted(sessions, key=_by_start)
    started = min([*begun, *(one.started for one in every if one.started is not None)], default=None)
    latest = _latest_attempt(every)
    over = bool(latest) and all(one.ended is not None for one in latest)
    ended = max((one.ended for one in every if one.ended is not None), default=None) if over else None
    failures = [(one.ended or 0, one.id) for one in latest if one.status == "failed"]
    return Outcome(
        started,
        ended,
        max(ended - started, 0) / 1_000_000 if started is not None and ended is not None else None,
        "failed" if failures else "finished" if over else None,
        min(failures)[1] if failures else None,
    )


def _by_start(session: Session) -> Tuple[bool, int, str]:
    return session.started is not None, session.started or 0, session.id


def _latest_attempt(every: Sequence[Session]) -> List[Session]:
    """The sessions since the last time that the execution was resumed; processes of different rank resume it together."""
    resumed = [one for one in every if one.resumes and one.started is not None]
    if not resumed:
        return list(every)
    first = last = resumed.pop()
    ranks = {last.rank}
    while resumed and not _is_before(resumed[-1], last) and resumed[-1].rank not in ranks:
        first = resumed.pop()
        ranks.add(first.rank)
    return [one for one in every if _by_start(one) >= _by_start(first)]


def _is_before(session: Session, last: Session) -> bool:
    """Whether a session that resumed belongs to an attempt before ``last``'s."""
    ended = session.ended is not None and last.started is not None and session.ended < last.started
    return ended or session.rank is None or last.rank is None


@dataclass(frozen=True, order=True)
class Latest:
    """The latest point of a series: they compare by step, time, producer and index there, in this order."""

    step: int
    time: int
    by: str
    index: int
    value: Measured = field(compare=False)

    def as_json(self) -> str:
        """Canonical JSON."""
        return json.dumps(self.__dict__, sort_keys=True, separators=(",", ":"))


class Extent(NamedTuple):
    """What a series, or a part of one, comes to: its latest point, and the least and greatest of its finite values."""

    latest: Latest
    minimum: Optional[float]
    maximum: Optional[float]


def extent(by: str, first: int, steps: Sequence[int], times: Sequence[int], values: Sequence[Measured]) -> Extent:
    """The extent of points that were sent together; there is at least one.

    Args:
        by: the producer.
        first: index of the first of them.
        steps, times: of each point, no longer less the one before it.
    """
    index = steps.index(max(steps))
    if index < len(steps) - 1:  # there may be others of that step
        index = max(zip(steps, times, range(len(steps))))[2]
    latest = Latest(steps[index], times[index], by, first + index, values[index])
    finite = [value for value in values if not isinstance(value, str)]
    if not finite:
        return Extent(latest, None, None)
    return Extent(latest, _zero(min(finite)), _zero(max(finite)))


def _zero(value: Union[int, float]) -> float:
    """The number as a double; of the two zeros, which are equal, always the same."""
    return float(value) + 0.0


def merged(one: Extent, other: Extent) -> Extent:
    """The extent of two parts together."""
    least = [part.minimum for part in (one, other) if part.minimum is not None]
    most = [part.maximum for part in (one, other) if part.maximum is not None]
    return Extent(max(one.latest, other.latest), min(least, default=None), max(most, default=None))
