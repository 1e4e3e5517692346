"""AMD GPUs as the amdgpu driver tells them in ``/sys/class/drm``: every card that says how busy it is."""

from __future__ import annotations

import os
import re
from typing import Dict, List, NamedTuple, Tuple

from .files import number
from .readings import Reading, Unavailable

VENDOR = "0x1002"
CARD = re.compile(r"card\d+")
FACTS: Tuple[Tuple[str, str, float, str], ...] = (
    ("gpu_busy_percent", "utilization", 1.0, "%"),
    ("mem_info_vram_used", "memory_used", 1.0, "B"),
    ("mem_info_vram_total", "memory_total", 1.0, "B"),
)
SENSORS: Tuple[Tuple[str, str, float, str], ...] = (
    ("power1_average", "power", 1e-6, "W"),
    ("power1_input", "power", 1e-6, "W"),
    ("temp1_input", "temperature", 1e-3, "°C"),
    ("freq1_input", "clock", 1e-6, "MHz"),
    ("freq2_input", "memory_clock", 1e-6, "MHz"),
)
"""Files of the card and of its sensors (hwmon), what they tell, and their unit in ours."""


class Fact(NamedTuple):
    """One file that a card has."""

    path: str
    name: str
    scale: float
    unit: str
    device: str


class Gpus:
    """All AMD cards.

    Raises:
        Unavailable: there is none.
    """

    def __init__(self, root: str) -> None:
        self._facts: List[Fact] = []
        folder = f"{root}/sys/class/drm"
        cards = sorted(name for name in _listed(folder) if CARD.fullmatch(name))
        for card in cards:
            if _vendor(f"{folder}/{card}/device/vendor") == VENDOR:
                self._facts += _facts(f"{folder}/{card}/device", card)
        if not self._facts:
            raise Unavailable(f"no AMD GPU in {folder}")

    def read(self, now: float) -> List[Reading]:
        found = []
        for fact in self._facts:
            value = number(fact.path)  # a card that sleeps answers with an error
            if value is not None:
                found.append(Reading(fact.name, value * fact.scale, fact.unit, fact.device))
        return found


def _facts(device: str, card: str) -> List[Fact]:
    """The facts of a card: of several files that tell the same, the first that it has."""
    hwmon = f"{device}/hwmon"
    folders = [(device, FACTS), *((f"{hwmon}/{sensors}", SENSORS) for sensors in sorted(_listed(hwmon)))]
    found: Dict[str, Fact] = {}
    for folder, files in folders:
        for file, what, scale, unit in files:
            if what not in found and os.path.exists(f"{folder}/{file}"):
                found[what] = Fact(f"{folder}/{file}", f"gpu.{card}.{what}", scale, unit, card)
    return list(found.values())


def _listed(folder: str) -> List[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def _vendor(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return ""
