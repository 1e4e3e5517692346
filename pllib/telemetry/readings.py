"""What telemetry reads: readings by group, rates out of counters, and why something cannot be read."""

from __future__ import annotations

from typing import Dict, Hashable, Iterable, List, Mapping, NamedTuple, Optional, Protocol, Tuple

from ..errors import ConfigurationError, PllibError

GROUPS = ("cpu", "memory", "disk", "network", "process", "gpu")
INSTALL = "pip install 'pllib[telemetry]'"
NONE = "1"
"""Unit of what is counted (threads, open files)."""

UNITS = {
    "emissions": "kg CO2eq",
    "emissions_rate": "kg CO2eq/s",
    "cpu_power": "W",
    "gpu_power": "W",
    "ram_power": "W",
    "cpu_energy": "kWh",
    "gpu_energy": "kWh",
    "ram_energy": "kWh",
    "energy_consumed": "kWh",
}
"""The nine values of energy and carbon, named as codecarbon and Prov4ML do. Powers and the rate are means since the start."""


class Reading(NamedTuple):
    """One measured value.

    Attributes:
        name: of its series, ``{group}.{what}`` or ``{group}.{device}.{what}``.
        unit: ``%``, ``B``, ``B/s``, ``W``, ``J``, ``°C``, ``MHz``, ``CPU``, or ``1`` for a count.
        device: which one of several, where there are several.
    """

    name: str
    value: float
    unit: str
    device: Optional[str] = None


class Unavailable(PllibError):
    """Something cannot be read on this machine; the message says why, and the fix where there is one."""


class Source(Protocol):
    """Where readings of a group come from.

    ``read`` is given the monotonic time in seconds; it raises ``Unavailable``, ``OSError`` or ``ValueError`` when nothing can be read.
    """

    def read(self, now: float) -> List[Reading]: ...


class Rate:
    """What counters grow by in a second, between one sample and the next; the first sample has no rate."""

    def __init__(self) -> None:
        self._before: Mapping[Hashable, float] = {}
        self._when: Optional[float] = None

    def of(self, counts: Mapping[Hashable, float], now: float) -> Optional[float]:
        """The sum of the rates of all counters that were there before; one that was set back counts for nothing.

        ``None`` when there is no sample before, or no time between the two.
        """
        before, when = self._before, self._when
        self._before, self._when = counts, now
        if when is None or now <= when:
            return None
        return sum(max(0.0, count - before[name]) for name, count in counts.items() if name in before) / (now - when)


def rates(pairs: Iterable[Tuple[str, Optional[float]]], unit: str, scale: float = 1.0) -> List[Reading]:
    """The readings of those rates that there are."""
    return [Reading(name, rate * scale, unit) for name, rate in pairs if rate is not None]


def checked_groups(groups: Iterable[str]) -> Tuple[str, ...]:
    """The groups asked for, in the order of ``GROUPS``.

    Raises:
        ConfigurationError: one is not known; the message names it and those there are.
    """
    asked = [groups] if isinstance(groups, str) else list(groups)
    for group in asked:
        if group not in GROUPS:
            raise ConfigurationError(f"groups: no group is called {group!r}; there are: {', '.join(GROUPS)}")
    return tuple(group for group in GROUPS if group in asked)


Reasons = Dict[str, str]
"""Group or series to the reason why it cannot be read."""
