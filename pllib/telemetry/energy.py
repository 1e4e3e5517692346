"""Energy and carbon since a start: by codecarbon where it is installed, else from the counters of processors and GPUs.

What no hardware or data tells is left out, and the reason is said; nothing is guessed here. What codecarbon estimates, its ``source`` says.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Dict, Optional, Protocol, Tuple, Union

from .._boundary import shielded
from ..errors import CaptureError, ConfigurationError
from .carbon import NO_INTENSITY, CodeCarbon
from .nvidia import Gpus
from .rapl import Rapl
from .readings import UNITS, Reasons, Unavailable
from .sampler import Ticker

KWH = 3.6e6
"""Joules."""
LOOK_SECONDS = 60.0
"""Between looks at counters, which begin anew after a while."""

Values = Dict[str, Tuple[float, str]]
"""Name, of ``UNITS``, to value and unit."""


class Meter(Protocol):
    """Where energies come from; what it does not know, of ``UNITS``, is in ``unavailable``."""

    source: str
    unavailable: Reasons

    def read(self) -> Dict[str, float]: ...

    def stop(self) -> Dict[str, float]: ...


class Counters:
    """The counters of processors (RAPL) and of NVIDIA GPUs (NVML) from now on.

    Args:
        intensity: g CO2eq/kWh; without it there are no emissions.
        root: folder that has ``sys``; with another than ``/`` GPUs are not looked for.
    """

    def __init__(self, intensity: Optional[float], root: str = "") -> None:
        self.unavailable: Reasons = {}
        self._intensity = intensity
        self._began = time.monotonic()
        self._lock = threading.Lock()
        self._rapl: Optional[Rapl] = None
        self._gpus: Optional[Gpus] = None
        self._gpu_began: Dict[str, float] = {}
        try:
            self._rapl = Rapl(root)
        except Unavailable as error:
            self._lacks("cpu", str(error))
        try:
            self._open_gpus(root)
        except Unavailable as error:
            self._lacks("gpu", str(error))
        known = self._joules()
        if "ram" not in known:
            self._lacks("ram", "the memory has no energy counter; codecarbon estimates it: pip install 'pllib[energy]'")
        if not known:
            self.unavailable["energy_consumed"] = "nothing of it is known"
        if not known or intensity is None:
            reason = NO_INTENSITY if known else "no energy is known"
            self.unavailable.update(dict.fromkeys(("emissions", "emissions_rate"), reason))
        names = [name for name, there in (("RAPL", self._rapl), ("NVML", self._gpus)) if there is not None]
        self.source = ", ".join(names) or "none"
        self._ticker = Ticker(self._look, LOOK_SECONDS)
        if self._rapl is not None:
            self._ticker.start()

    def read(self) -> Dict[str, float]:
        """The values by now."""
        joules, seconds = self._joules(), time.monotonic() - self._began
        found = {f"{part}_energy": value / KWH for part, value in joules.items()}
        if joules:
            found["energy_consumed"] = sum(found.values())
        if seconds > 0:
            found.update({f"{part}_power": value / seconds for part, value in joules.items()})
        if joules and self._intensity is not None:
            found["emissions"] = found["energy_consumed"] * self._intensity / 1000.0
            if seconds > 0:
                found["emissions_rate"] = found["emissions"] / seconds
        return found

    def stop(self) -> Dict[str, float]:
        self._ticker.stop()
        return self.read()

    def _lacks(self, part: str, reason: str) -> None:
        self.unavailable[f"{part}_power"] = self.unavailable[f"{part}_energy"] = reason

    def _open_gpus(self, root: str) -> None:
        if root:
            raise Unavailable("GPUs of another system are not read")
        gpus = Gpus(self.unavailable, ("energy",))
        self._gpu_began = {reading.name: reading.value for reading in gpus.read(0.0)}
        if not self._gpu_began:
            raise Unavailable("no GPU here counts its energy")
        self._gpus = gpus

    def _joules(self) -> Dict[str, float]:
        with self._lock:
            found = {} if self._rapl is None else self._rapl.joules()
            if self._gpus is not None:
                found["gpu"] = sum(
                    max(0.0, reading.value - self._gpu_began.get(reading.name, reading.value))
                    for reading in self._gpus.read(0.0)
                )
            return found

    def _look(self) -> None:
        self._joules()


class EnergyMeter:
    """Energy and carbon of this machine from ``start`` on.

    Args:
        country: where the machine stands, as an ISO 3166 code of three letters: codecarbon knows what a kWh stands for there.
        intensity: g CO2eq/kWh, if you know it; wins over the country.
        codecarbon: whether it is used where it is installed.

    Attributes:
        source: what the values come from; ``none`` where there is nothing to come from.
        unavailable: names, of ``UNITS``, that there is no value for, to the reason.

    Raises:
        ConfigurationError: the intensity is no number from 0 on, or the country no code.
    """

    def __init__(
        self,
        country: Optional[str] = None,
        intensity: Union[float, str, None] = None,
        *,
        codecarbon: bool = True,
        root: str = "/",
    ) -> None:
        self._country, self._intensity = _checked_country(country), _checked_intensity(intensity)
        self._codecarbon, self._root = codecarbon, root.rstrip("/")
        self._meter: Optional[Meter] = None
        self._pid = 0
        self._last: Optional[Values] = None
        self.source = "none"
        self.unavailable: Reasons = {}

    @shielded(lambda self: self)
    def start(self) -> EnergyMeter:
        """Begins to measure. Where codecarbon is used this takes a second or two, the first time in a process."""
        if self._meter is None:
            self._meter, self._pid, self._last = self._opened(), os.getpid(), None
            self.source = self._meter.source
            self.unavailable.update(self._meter.unavailable)
        return self

    @shielded(lambda self: {})
    def read(self) -> Values:
        """Values since the start until now, or until the stop. In a forked child there are none: the parent measures."""
        if self._last is not None:
            return self._last
        if self._meter is None:
            raise CaptureError("the energy meter has not been started: call start() first")
        return _with_units(self._meter.read()) if self._pid == os.getpid() else {}

    @shielded(lambda self: {})
    def stop(self) -> Values:
        """The values at the end; ``read`` gives them from then on."""
        meter, self._meter = self._meter, None
        if meter is not None and self._pid == os.getpid():
            self._last = _with_units(meter.stop())
        return self._last or {}

    def __enter__(self) -> EnergyMeter:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _opened(self) -> Meter:
        if self._codecarbon and not self._root:
            try:
                return CodeCarbon(self._country, self._intensity)
            except Unavailable as error:
                self.unavailable["codecarbon"] = str(error)
        return Counters(self._intensity, self._root)


def _with_units(values: Dict[str, float]) -> Values:
    return {name: (values[name], unit) for name, unit in UNITS.items() if name in values}


def _checked_country(country: Optional[str]) -> Optional[str]:
    if country is None:
        return None
    if not (isinstance(country, str) and len(country) == 3 and country.isascii() and country.isalpha()):
        raise ConfigurationError(f"country is {country!r}; it takes an ISO 3166 code of three letters, like DEU")
    return country.upper()


def _checked_intensity(intensity: Union[float, str, None]) -> Optional[float]:
    if intensity is None:
        return None
    try:
        number = float(intensity)
    except (TypeError, ValueError):
        number = -1.0
    if not 0 <= number < float("inf"):
        raise ConfigurationError(f"intensity is {intensity!r}; it takes g CO2eq/kWh, a number like 380")
    return number
