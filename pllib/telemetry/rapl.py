"""The energy counters of processors (RAPL, of Intel and AMD), as Linux tells them in ``/sys/class/powercap``."""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from .files import head, number
from .readings import Unavailable

ZONE = re.compile(r"intel-rapl:\d+(:\d+)?")
PARTS = {"package": "cpu", "dram": "ram"}
"""Zones that count, by the first word of their names; cores lie within packages, and ``psys`` around all of them."""
MIRROR = 1_000_000
"""Microjoules. Dies of one package that differ by no more show one counter twice."""


class Zone(NamedTuple):
    """One counter."""

    path: str
    name: str
    part: str
    range: Optional[int]
    """Microjoules after which it begins anew."""


class Rapl:
    """Joules that the processors and, where it has a counter, the memory have taken since the start.

    Must be read at least once while a counter goes round (some 20 minutes of a large processor at full load).

    Raises:
        Unavailable: there is no counter, or none that this user may read.
    """

    def __init__(self, root: str = "") -> None:
        zones = _zones(f"{root}/sys/class/powercap")
        self._last: Dict[Zone, int] = {}
        for zone in zones:
            self._last[zone] = _count(zone)
        for mirror in _mirrors(self._last):
            del self._last[mirror]
        self._joules = {zone.part: 0.0 for zone in self._last}

    def joules(self) -> Dict[str, float]:
        """``cpu``, and ``ram`` where it has a counter."""
        for zone, last in self._last.items():
            count = _count(zone)
            self._joules[zone.part] += grown(last, count, zone.range) / 1e6
            self._last[zone] = count
        return dict(self._joules)


def grown(before: int, after: int, span: Optional[int]) -> int:
    """What a counter has grown by, that begins anew after ``span``."""
    if after >= before:
        return after - before
    return after - before + span + 1 if span is not None and before <= span else 0


def _zones(folder: str) -> List[Zone]:
    found: List[Zone] = []
    for entry in sorted(_listed(folder)):
        if ZONE.fullmatch(entry):
            path = f"{folder}/{entry}"
            name = _name(f"{path}/name")
            part = PARTS.get(name.partition("-")[0])
            if part is not None:
                found.append(Zone(path, name, part, number(f"{path}/max_energy_range_uj")))
    if not any(zone.part == "cpu" for zone in found):
        raise Unavailable(f"this machine has no energy counters of its processors in {folder}")
    return found


def _count(zone: Zone) -> int:
    path = f"{zone.path}/energy_uj"
    try:
        return int(head(path))
    except PermissionError as error:
        raise Unavailable(
            f"{path} may be read only by root; an administrator can allow it: chmod a+r {zone.path}/energy_uj"
        ) from error
    except (OSError, ValueError) as error:
        raise Unavailable(f"{path}: {error}") from error


def _mirrors(counts: Dict[Zone, int]) -> List[Zone]:
    """Zones that show the counter of another die of their package."""
    seen: List[Tuple[str, int]] = []
    found: List[Zone] = []
    for zone, count in counts.items():
        package, die, _ = zone.name.partition("-die-")
        if not die:
            continue
        if any(package == other and abs(count - value) <= MIRROR for other, value in seen):
            found.append(zone)
        seen.append((package, count))
    return found


def _name(path: str) -> str:
    try:
        return head(path).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _listed(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []
