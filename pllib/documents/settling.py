"""What follows from sessions and from points, as facts: the few that change while others add up (``pllib.provml.settled``)."""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List

from ..prov.literals import double
from ..prov.model import XSD_STRING
from ..provml.settled import Extent, Session, outcome
from .conversion import Fact
from .values import DOUBLE, INTEGER, JSON, TIME, microseconds, time_text

_ERROR = ("provlake:errorType", "provlake:errorMessage")
SETTLED = ("prov:startedAtTime", "prov:endedAtTime", "provlake:duration", "provlake:status", *_ERROR)
"""What is said anew of an execution that has sessions."""

Said = Dict[str, List[str]]


def of_series(series: str, extent: Extent) -> Iterator[Fact]:
    """What the points of a series come to."""
    latest = extent.latest
    yield Fact(series, "provlake:latest", JSON, latest.as_json())
    yield Fact(series, "prov:value", DOUBLE, double(float(latest.value)))
    yield Fact(series, "provlake:lastStep", INTEGER, str(latest.step))
    yield Fact(series, "provlake:lastTime", TIME, time_text(latest.time))
    for name, value in (("minimum", extent.minimum), ("maximum", extent.maximum)):
        if value is not None:
            yield Fact(series, f"provlake:{name}", DOUBLE, double(value))


def of_sessions(execution: str, told: Iterable[Fact], begun: Iterable[str]) -> Iterator[Fact]:
    """Times and outcome of an execution, in place of ``SETTLED``.

    Args:
        told: of its sessions.
        begun: when else it is said to have begun.
    """
    sessions: Dict[str, Said] = {}
    for fact in told:
        sessions.setdefault(fact.subject, {}).setdefault(fact.property, []).append(fact.text)
    found = outcome((_session(name, said) for name, said in sessions.items()), map(microseconds, begun))
    for name, time in (("prov:startedAtTime", found.started), ("prov:endedAtTime", found.ended)):
        if time is not None:
            yield Fact(execution, name, TIME, time_text(time))
    if found.duration is not None:
        yield Fact(execution, "provlake:duration", DOUBLE, double(found.duration))
    if found.status is not None:
        yield Fact(execution, "provlake:status", XSD_STRING, found.status)
    failed = sessions[found.failed] if found.failed is not None else {}
    for name in _ERROR:
        yield from (Fact(execution, name, XSD_STRING, text) for text in failed.get(name, ()))


def _session(name: str, said: Said) -> Session:
    times = {each: [*map(microseconds, said.get(f"prov:{each}", ()))] for each in ("startedAtTime", "endedAtTime")}
    return Session(
        name,
        min(times["startedAtTime"], default=None),
        max(times["endedAtTime"], default=None),
        min(said.get("provlake:status", ()), default=None),  # "failed" before "finished"
        min(map(int, said.get("provlake:rank", ())), default=None),
        "provlake:resumes" in said,
    )
