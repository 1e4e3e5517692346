"""What the machine does while an activity is open, recorded with it: readings as series, energy and carbon too."""

from __future__ import annotations

import os
import time
import weakref
from typing import Dict, Iterable, List, Optional, Sequence, Set, Union

from .. import this_process
from .._boundary import nothing, report, shielded
from ..activities import Activity
from ..errors import CaptureError
from ..process_end import at_end
from ..series import Series
from .energy import EnergyMeter, Values
from .machine import read
from .readings import GROUPS, Reading
from .sampler import Sampler, Ticker

ENERGY_SECONDS = 60.0
"""Between two points of energy; the last is at the end."""

SIZES = ("total", "limit")
"""Ends of the names of what seldom changes."""


class SeriesOf:
    """The series of telemetry of one activity, by name."""

    def __init__(self, activity: Activity, rank: Optional[int] = None) -> None:
        self._activity, self._rank = activity, rank
        self._series: Dict[str, Series] = {}
        self._sizes: Dict[str, float] = {}

    def log(self, name: str, value: float, unit: str, when: int) -> None:
        """Adds a point, at ``when`` (microseconds since 1970); of a size that stays the same only the first."""
        if name.endswith(SIZES):
            if self._sizes.get(name) == value:
                return
            self._sizes[name] = value
        series = self._series.get(name)
        if series is None:
            series = self._series[name] = Series(self._activity, name, unit=unit, telemetry=True, rank=self._rank)
        series.log(value, t=when)


class Recording:
    """Telemetry of an activity, under way until ``stop``; made by ``record``.

    Attributes:
        sampler: takes the samples, if any are taken.
        meter: measures energy, if it is measured.
    """

    def __init__(self, activity: Activity, rank: Optional[int] = None) -> None:
        self._activity = activity
        self._series = SeriesOf(activity, rank)
        self._pid = 0
        self._told = False
        self._looks = Ticker(self._log_energy, ENERGY_SECONDS)
        self.sampler: Optional[Sampler] = None
        self.meter: Optional[EnergyMeter] = None

    @property
    def running(self) -> bool:
        """Whether it is under way, in this process: a forked child's machine is its parent's."""
        return self._pid == os.getpid()

    @shielded(nothing)
    def start(
        self, interval: Optional[float], groups: Iterable[str], energy: Union[bool, EnergyMeter], children: bool
    ) -> None:
        """Begins; see ``record``."""
        settings = this_process.current().settings
        if not settings.enabled:
            return
        self._activity.begin()  # here, where its parent is known
        if interval is not None:
            self.sampler = Sampler(self._log, interval, groups, children=children)
        if energy:
            given = energy if isinstance(energy, EnergyMeter) else None
            self.meter = given or EnergyMeter(settings.country, settings.carbon_intensity)
            self.meter.start()
            told = {"source": self.meter.source, "unavailable": dict(self.meter.unavailable)}
            self._activity.add(meta={"energy": told})
            self._looks.start()
        self._pid = os.getpid()
        _under_way.add(self)
        if self.sampler is not None:
            self.sampler.start()

    @shielded(nothing)
    def stop(self) -> None:
        """Takes a last sample, records the energy, and ends. Call it before the activity ends; ``with`` does."""
        if not self.running:
            return
        self._pid = 0
        _under_way.discard(self)
        if self.sampler is not None:
            self.sampler.stop()
        self._looks.stop()
        if self.meter is not None:
            self._log_values(self.meter.stop())

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _log(self, readings: Sequence[Reading], when: int) -> None:
        """The sampler's sink. An activity that ended before its recording takes nothing any more: the recording ends, too."""
        if not self._is_open():
            self.stop()
            return
        for name, value, unit, _ in readings:
            self._series.log(name, value, unit, when)
        if not self._told and self.sampler is not None:
            self._told = True
            if self.sampler.unavailable:
                self._activity.add(meta={"telemetry": {"unavailable": dict(self.sampler.unavailable)}})

    def _log_energy(self) -> None:
        if self.meter is not None:
            self._log_values(self.meter.read())

    def _is_open(self) -> bool:
        try:
            self._activity._check_open("series")
        except CaptureError as error:
            report("telemetry", error)
            return False
        return True

    def _log_values(self, values: Values) -> None:
        if not self._is_open():
            return
        when = time.time_ns() // 1000
        for name, (value, unit) in values.items():
            self._series.log(f"energy.{name}", value, unit, when)


def record(
    activity: Activity,
    interval: Optional[float] = 5.0,
    groups: Iterable[str] = GROUPS,
    *,
    energy: Union[bool, EnergyMeter] = False,
    children: bool = False,
    rank: Optional[int] = None,
) -> Recording:
    """Records what the machine does while an activity is open, in the background.

    ::

        with pllib.task("fit") as task, telemetry.record(task, 5.0):
            ...

    Args:
        activity: gets the series: ``cpu.percent``, ``gpu.0.power``, and so on.
        interval: seconds between samples, from 0.1 on; ``None`` for no samples, only energy.
        groups: of ``GROUPS``.
        energy: whether energy and carbon are measured, from now to the end; or the meter to do it with.
        children: whether ``process`` counts the children of this process too.
        rank: which process of a job this is.

    Returns:
        what ends it: ``stop()``, or ``with``. At the end of the process it ends by itself.
    """
    recording = Recording(activity, rank)
    recording.start(interval, groups, energy, children)
    return recording


_sampled: weakref.WeakKeyDictionary[Activity, SeriesOf] = weakref.WeakKeyDictionary()


@shielded(lambda *_: [])
def sample(activity: Activity, groups: Iterable[str] = GROUPS, *, children: bool = False) -> List[Reading]:
    """Records what the machine does now, as points of the activity's series; the readings. Rates are since the last call."""
    found = read(groups, children=children)
    series = _sampled.get(activity)
    if series is None:
        series = _sampled[activity] = SeriesOf(activity)
    when = time.time_ns() // 1000
    for name, value, unit, _ in found:
        series.log(name, value, unit, when)
    return found


_under_way: Set[Recording] = set()


@at_end
def _stop_all() -> None:
    for recording in list(_under_way):
        recording.stop()
