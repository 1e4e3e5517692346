"""CPU, memory, disks and network as Linux tells them in ``/proc`` and ``/sys``.

Read directly, since that takes a third of the time that psutil takes for the same figures out of the same files.
"""

from __future__ import annotations

import os
import re
from typing import Dict, Hashable, List, Optional, Sequence, Tuple

from .files import contents, head
from .readings import Rate, Reading, Reasons, rates

MEMORY = re.compile(rb"^(MemTotal|MemFree|MemAvailable|Buffers|Cached|SwapTotal|SwapFree): *(\d+)", re.MULTILINE)
SECTOR = 512
"""Bytes; the unit of ``/proc/diskstats`` whatever the disk's own is."""

Counts = Dict[Hashable, float]


def shares(before: Sequence[float], after: Sequence[float]) -> Optional[List[float]]:
    """Per cent of the time between two samples that went into each state; ``None`` when no tick of the clock lies between them."""
    spent = [max(0.0, later - earlier) for earlier, later in zip(before, after)]
    total = sum(spent)
    return [100.0 * part / total for part in spent] if total else None


class Cpu:
    """All CPUs together: ``cpu.percent`` and what it is made of, and the load."""

    def __init__(self, root: str) -> None:
        self._stat, self._load = f"{root}/proc/stat", f"{root}/proc/loadavg"
        self._before: Optional[List[int]] = None

    def read(self, now: float) -> List[Reading]:
        # user nice system idle iowait irq softirq steal; what follows (guests) is in user and nice already
        ticks = [int(word) for word in head(self._stat).split(b"\n", 1)[0].split()[1:9]]
        before, self._before = self._before, ticks
        found = [Reading("cpu.load", float(head(self._load).split(b" ", 1)[0]), "1")]
        spent = shares(before, ticks) if before is not None else None
        if spent is not None and len(spent) == 8:
            user, nice, system, idle, iowait, irq, softirq, _ = spent
            found += (
                Reading("cpu.percent", 100.0 - idle - iowait, "%"),
                Reading("cpu.user", user + nice, "%"),
                Reading("cpu.system", system + irq + softirq, "%"),
                Reading("cpu.iowait", iowait, "%"),
            )
        return found


def memory_readings(total: float, available: float, swap_used: float) -> List[Reading]:
    """The readings of memory, of which ``used`` is what is not available to programs."""
    used = total - available
    return [
        Reading("memory.used", used, "B"),
        Reading("memory.total", total, "B"),
        Reading("memory.percent", 100.0 * used / total if total else 0.0, "%"),
        Reading("memory.swap_used", swap_used, "B"),
    ]


class Memory:
    """The memory of the machine."""

    def __init__(self, root: str) -> None:
        self._meminfo = f"{root}/proc/meminfo"

    def read(self, now: float) -> List[Reading]:
        found = {name: 1024 * int(kibibytes) for name, kibibytes in MEMORY.findall(contents(self._meminfo))}
        if b"MemTotal" not in found:
            raise ValueError(f"{self._meminfo} tells no MemTotal")
        if b"MemAvailable" not in found:  # before Linux 3.14
            found[b"MemAvailable"] = sum(found.get(name, 0) for name in (b"MemFree", b"Buffers", b"Cached"))
        swap = found.get(b"SwapTotal", 0) - found.get(b"SwapFree", 0)
        return memory_readings(found[b"MemTotal"], found[b"MemAvailable"], swap)


def space_readings(used: float, free: float) -> List[Reading]:
    """The readings of a file system, with ``free`` what a user without privileges may fill."""
    return [
        Reading("disk.used", used, "B"),
        Reading("disk.free", free, "B"),
        Reading("disk.percent", 100.0 * used / (used + free) if used + free else 0.0, "%"),
    ]


class Disk:
    """The file system of the working folder, and what all disks read and write."""

    def __init__(self, root: str, unavailable: Reasons) -> None:
        self._diskstats, self._block = f"{root}/proc/diskstats", f"{root}/sys/block"
        self._read, self._written = Rate(), Rate()
        self._real: Dict[bytes, bool] = {}
        self._unavailable = unavailable

    def read(self, now: float) -> List[Reading]:
        status = os.statvfs(".")
        used, free = (status.f_blocks - status.f_bfree) * status.f_frsize, status.f_bavail * status.f_frsize
        return space_readings(used, free) + self._rates(now)

    def _rates(self, now: float) -> List[Reading]:
        read: Counts = {}
        written: Counts = {}
        try:
            lines = contents(self._diskstats).splitlines()
        except OSError as error:
            self._unavailable["disk.read"] = self._unavailable["disk.written"] = str(error)
            return []
        for line in lines:
            words = line.split(None, 10)
            if len(words) > 9 and self._is_real(words[2]):
                read[words[2]] = SECTOR * int(words[5])
                written[words[2]] = SECTOR * int(words[9])
        if not read:
            reason = f"none of the disks in {self._diskstats} is a device in {self._block}"
            self._unavailable["disk.read"] = self._unavailable["disk.written"] = reason
            return []
        return rates((("disk.read", self._read.of(read, now)), ("disk.written", self._written.of(written, now))), "B/s")

    def _is_real(self, name: bytes) -> bool:
        """Whether it is a disk: no partition, and nothing that is made of other disks, whose bytes would count twice."""
        known = self._real.get(name)
        if known is None:
            known = self._real[name] = os.path.exists(f"{self._block}/{name.decode()}/device")
        return known


class Network:
    """What all interfaces but the loopback receive and send, as far as this process's network reaches."""

    def __init__(self, root: str) -> None:
        self._dev = f"{root}/proc/net/dev"
        self._received, self._sent = Rate(), Rate()

    def read(self, now: float) -> List[Reading]:
        received: Counts = {}
        sent: Counts = {}
        for line in contents(self._dev).splitlines()[2:]:
            name, _, figures = line.partition(b":")
            name, words = name.strip(), figures.split(None, 9)
            if name != b"lo" and len(words) > 8:
                received[name], sent[name] = int(words[0]), int(words[8])
        pairs: Tuple[Tuple[str, Optional[float]], ...] = (
            ("network.received", self._received.of(received, now)),
            ("network.sent", self._sent.of(sent, now)),
        )
        return rates(pairs, "B/s")
