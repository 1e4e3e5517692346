"""The machine, read again and again: the sources of each group, and what cannot be read and why."""

from __future__ import annotations

import os
import sys
import threading
import time
from typing import Callable, Dict, Iterable, List, Tuple

from .readings import GROUPS, Reading, Reasons, Source, Unavailable, checked_groups

UNREADABLE = (Unavailable, OSError, ValueError, LookupError)
"""What sources raise when a file or a device is gone, or says something that is not known."""


class Machine:
    """What the machine and this process do.

    Rates and shares of time (``B/s``, ``%`` of CPU) are between one ``read`` and the next, so the first has none.

    Args:
        groups: of ``GROUPS``.
        children: whether ``process`` counts the children of this process too.
        root: folder that has ``proc`` and ``sys``; another than ``/`` to read another system's.

    Attributes:
        unavailable: group or series to the reason why it is not read, or once was not.

    Raises:
        ConfigurationError: a group is not known.
    """

    def __init__(self, groups: Iterable[str] = GROUPS, *, children: bool = False, root: str = "/") -> None:
        self.unavailable: Reasons = {}
        self._root, self._children = root.rstrip("/"), children
        self._sources: List[Tuple[str, Source]] = []
        for group in checked_groups(groups):
            self._sources += [(group, source) for source in self._opened(group)]

    def read(self) -> List[Reading]:
        """All readings there are now. Nothing is raised for what cannot be read: ``unavailable`` says it."""
        found: List[Reading] = []
        now = time.monotonic()
        for group, source in self._sources:
            try:
                found += source.read(now)
            except UNREADABLE as error:
                self.unavailable[group] = _reason(error)
        return found

    def _opened(self, group: str) -> List[Source]:
        """The sources of a group that this machine has; why there is none is noted."""
        if group == "gpu":
            return self._gpus()
        if not (self._root or sys.platform.startswith("linux")):
            from .portable import open_source

            return self._those_of(group, [lambda: open_source(group, self._children)])
        found = self._those_of(group, [lambda: self._of_linux(group)])
        return found + self._of_cgroup(group)

    def _of_linux(self, group: str) -> Source:
        from . import linux, process

        if group == "process":
            return process.Process(self._root, self._children, self.unavailable)
        if group == "disk":
            return linux.Disk(self._root, self.unavailable)
        kinds: Dict[str, Callable[[str], Source]] = {"cpu": linux.Cpu, "memory": linux.Memory, "network": linux.Network}
        return kinds[group](self._root)

    def _of_cgroup(self, group: str) -> List[Source]:
        from . import cgroups

        if group == "cpu":
            return self._those_of("cpu.cgroup", [lambda: cgroups.Cpu(self._root)])
        return self._those_of("memory.cgroup", [lambda: cgroups.Memory(self._root)]) if group == "memory" else []

    def _gpus(self) -> List[Source]:
        from . import amd, nvidia

        kinds: List[Callable[[], Source]] = [lambda: amd.Gpus(self._root)]
        if not self._root:
            kinds.insert(0, lambda: nvidia.Gpus(self.unavailable))
        return self._those_of("gpu", kinds)

    def _those_of(self, name: str, kinds: List[Callable[[], Source]]) -> List[Source]:
        """The sources that could be opened; when none could, the reasons are noted under ``name``."""
        found: List[Source] = []
        reasons: List[str] = []
        for kind in kinds:
            try:
                found.append(kind())
            except UNREADABLE as error:
                reasons.append(_reason(error))
        if not found:
            self.unavailable[name] = "; ".join(reasons)
        return found


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__


class Kept:
    """Machines that are read on demand: one a choice of groups, so that each has rates since it was last read."""

    def __init__(self) -> None:
        self._pid = 0
        self._machines: Dict[Tuple[Tuple[str, ...], bool], Machine] = {}
        self._lock = threading.Lock()

    def read(self, groups: Tuple[str, ...], children: bool) -> List[Reading]:
        if self._pid != os.getpid():  # forked: what the parent has open is not for use here, nor its lock
            self._lock, self._machines, self._pid = threading.Lock(), {}, os.getpid()
        with self._lock:
            machine = self._machines.get((groups, children))
            if machine is None:
                machine = self._machines[(groups, children)] = Machine(groups, children=children)
            return machine.read()

    def unavailable(self) -> Reasons:
        found: Reasons = {}
        for machine in self._machines.values():
            found.update(machine.unavailable)
        return found


_kept = Kept()


def read(groups: Iterable[str] = GROUPS, *, children: bool = False) -> List[Reading]:
    """What the machine and this process do now, for whoever asks.

    Rates are since the last call for the same groups, so the first call has none. What cannot be read is left out:
    ``unavailable()`` says why.

    Raises:
        ConfigurationError: a group is not known.
    """
    return _kept.read(checked_groups(groups), children)


def unavailable() -> Reasons:
    """Group or series to the reason why ``read`` left it out."""
    return _kept.unavailable()
