"""The control group (version 2) that this process runs in: what it uses and may use, in a container or a job of a batch system."""

from __future__ import annotations

import os
from typing import Dict, Hashable, List, Optional, Tuple

from .files import contents, head, number
from .readings import Rate, Reading, Unavailable, rates

MOUNTS = ("sys/fs/cgroup", "sys/fs/cgroup/unified")
DEVICE = "cgroup"


def own_groups(root: str) -> List[str]:
    """Folders of this process's group and of those around it, the innermost first; none where there is no version 2."""
    try:
        lines = contents(f"{root}/proc/self/cgroup").decode("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    path = next((line[3:] for line in lines if line.startswith("0::")), None)
    if path is None:
        return []
    for mount in MOUNTS:
        top = f"{root}/{mount}"
        if os.path.exists(f"{top}/cgroup.controllers"):
            names = [name for name in path.split("/") if name not in ("", "..")]
            return ["/".join([top, *names[:depth]]) for depth in range(len(names), -1, -1)]
    return []


def tightest(limits: List[Tuple[str, Optional[float]]]) -> Tuple[str, Optional[float]]:
    """Of folders and their limits the one that binds; the first one when there is no limit."""
    bound = [(limit, folder) for folder, limit in limits if limit is not None]
    if not bound:
        return limits[0]
    limit, folder = min(bound, key=lambda pair: pair[0])
    return folder, limit


class Cpu:
    """CPUs that the group uses, and may use."""

    def __init__(self, root: str) -> None:
        folders = [folder for folder in own_groups(root) if os.path.exists(f"{folder}/cpu.max")]
        if not folders:
            raise Unavailable("no control group of version 2 tells its use of CPUs")
        self._folder, self._limit = tightest([(folder, _cpus(f"{folder}/cpu.max")) for folder in folders])
        self._used = Rate()

    def read(self, now: float) -> List[Reading]:
        told = dict(line.split() for line in head(f"{self._folder}/cpu.stat").splitlines()[:1])
        counts: Dict[Hashable, float] = {DEVICE: int(told[b"usage_usec"]) / 1e6}
        found = [
            reading._replace(device=DEVICE)
            for reading in rates((("cpu.cgroup.used", self._used.of(counts, now)),), "CPU")
        ]
        if self._limit is not None:
            found.append(Reading("cpu.cgroup.limit", self._limit, "CPU", DEVICE))
        return found


class Memory:
    """Memory that the group uses (files it has cached included), and may use."""

    def __init__(self, root: str) -> None:
        folders = [folder for folder in own_groups(root) if os.path.exists(f"{folder}/memory.current")]
        if not folders:
            raise Unavailable("no control group of version 2 tells its use of memory")
        self._folder, self._limit = tightest([(folder, number(f"{folder}/memory.max")) for folder in folders])

    def read(self, now: float) -> List[Reading]:
        found = [Reading("memory.cgroup.used", int(head(f"{self._folder}/memory.current")), "B", DEVICE)]
        if self._limit is not None:
            found.append(Reading("memory.cgroup.limit", self._limit, "B", DEVICE))
        return found


def _cpus(path: str) -> Optional[float]:
    """CPUs allowed by ``cpu.max`` (``200000 100000`` is two); ``None`` for no limit."""
    try:
        quota, period = head(path).split()
        return int(quota) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
