"""CPU, memory, disks, network and process as psutil tells them: where there is no Linux to read directly."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import Any, Callable, Dict, Hashable, List, Optional

from .linux import memory_readings, shares, space_readings
from .process import Share, Shares
from .readings import INSTALL, Rate, Reading, Source, Unavailable, rates

STATES = ("user", "nice", "system", "idle", "iowait", "irq", "softirq", "steal")
"""States of a CPU that together are all its time; what else some systems tell is part of one of these."""


def open_source(group: str, children: bool) -> Source:
    """The source of a group by psutil.

    Raises:
        Unavailable: it is not installed.
    """
    try:
        psutil = import_module("psutil")
    except ImportError as error:
        raise Unavailable(f"psutil is needed on this system and cannot be imported ({error}): {INSTALL}") from error
    if group == "process":
        return Guarded(Process(psutil, children), psutil)
    kinds: Dict[str, Callable[[ModuleType], Source]] = {"cpu": Cpu, "memory": Memory, "disk": Disk, "network": Network}
    return Guarded(kinds[group](psutil), psutil)


class Guarded:
    """A source whose errors of psutil are said as ours are."""

    def __init__(self, source: Source, psutil: ModuleType) -> None:
        self._source, self._errors = source, psutil.Error

    def read(self, now: float) -> List[Reading]:
        try:
            return self._source.read(now)
        except self._errors as error:
            raise Unavailable(f"psutil: {error}") from error


class Cpu:
    """All CPUs together."""

    def __init__(self, psutil: ModuleType) -> None:
        self._psutil = psutil
        self._before: Optional[List[float]] = None

    def read(self, now: float) -> List[Reading]:
        times = self._psutil.cpu_times()._asdict()
        names = [name for name in STATES if name in times]
        before, self._before = self._before, [times[name] for name in names]
        found = [Reading("cpu.load", self._psutil.getloadavg()[0], "1")]
        spent = shares(before, self._before) if before is not None else None
        if spent is None:
            return found
        share = dict(zip(names, spent))
        idle, iowait = share.get("idle", 0.0), share.get("iowait")
        found += (
            Reading("cpu.percent", 100.0 - idle - (iowait or 0.0), "%"),
            Reading("cpu.user", share.get("user", 0.0) + share.get("nice", 0.0), "%"),
            Reading(
                "cpu.system",
                sum(share.get(name, 0.0) for name in ("system", "irq", "softirq")),
                "%",
            ),
        )
        return found if iowait is None else [*found, Reading("cpu.iowait", iowait, "%")]


class Memory:
    """The memory of the machine."""

    def __init__(self, psutil: ModuleType) -> None:
        self._psutil = psutil

    def read(self, now: float) -> List[Reading]:
        memory = self._psutil.virtual_memory()
        return memory_readings(memory.total, memory.available, self._psutil.swap_memory().used)


class Disk:
    """The file system of the working folder, and what the disks read and write."""

    def __init__(self, psutil: ModuleType) -> None:
        self._psutil = psutil
        self._read, self._written = Rate(), Rate()

    def read(self, now: float) -> List[Reading]:
        space = self._psutil.disk_usage(os.getcwd())
        found = space_readings(space.used, space.free)
        told = self._psutil.disk_io_counters()  # None in a machine without disks
        if told is None:
            return found
        pairs = (
            ("disk.read", self._read.of({None: told.read_bytes}, now)),
            ("disk.written", self._written.of({None: told.write_bytes}, now)),
        )
        return found + rates(pairs, "B/s")


class Network:
    """What all interfaces but the loopback receive and send."""

    def __init__(self, psutil: ModuleType) -> None:
        self._psutil = psutil
        self._received, self._sent = Rate(), Rate()

    def read(self, now: float) -> List[Reading]:
        told = {
            name: counts
            for name, counts in self._psutil.net_io_counters(pernic=True).items()
            if not name.lower().startswith(("lo0", "loopback")) and name != "lo"
        }
        received: Dict[Hashable, float] = {name: counts.bytes_recv for name, counts in told.items()}
        sent: Dict[Hashable, float] = {name: counts.bytes_sent for name, counts in told.items()}
        pairs = (("network.received", self._received.of(received, now)), ("network.sent", self._sent.of(sent, now)))
        return rates(pairs, "B/s")


class Process:
    """This process, with its children where that is asked."""

    def __init__(self, psutil: ModuleType, children: bool) -> None:
        self._psutil, self._children = psutil, children
        self._own = psutil.Process()
        self._shares = Shares()

    def read(self, now: float) -> List[Reading]:
        taken = {0: self._share(self._own)}
        for child in self._own.children(recursive=True) if self._children else ():
            try:
                taken[child.pid] = self._share(child)
            except self._psutil.Error:
                continue  # it has ended meanwhile, or is not ours to look at
        return self._shares.readings(taken, now)

    def _share(self, process: Any) -> Share:
        files = "num_fds" if os.name != "nt" else "num_handles"
        told = process.as_dict(["cpu_times", "memory_info", "num_threads", files])
        counters = getattr(process, "io_counters", None)  # macOS has none
        io = counters() if counters is not None else None
        return Share(
            seconds=told["cpu_times"].user + told["cpu_times"].system,
            rss=told["memory_info"].rss,
            threads=told["num_threads"],
            files=told[files] or 0,
            read=None if io is None else io.read_bytes,
            written=None if io is None else io.write_bytes,
        )
