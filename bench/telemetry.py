"""What a sample of the machine costs, beside psutil's for the same figures where that is installed."""

from __future__ import annotations

import time
from collections.abc import Callable

from bench.measures import Measure, measure

GROUPS = ("cpu", "memory", "disk", "gpu")
ROUNDS = 9
CALLS = 300


def sample() -> Measure:
    """A reading of CPU, memory, disks and GPUs (where there are none, of the others)."""
    from pllib.telemetry import Machine
    from pllib.telemetry.portable import open_source
    from pllib.telemetry.readings import Unavailable

    machine = Machine(GROUPS)
    try:
        sources = [open_source(group, False) for group in GROUPS[:3]]
    except Unavailable:
        sources = []
    pairs = [
        (_microseconds(machine.read), _microseconds(lambda: [s.read(time.monotonic()) for s in sources]))
        for _ in range(ROUNDS)
    ]
    floors = [psutil for _, psutil in pairs] if sources else None
    return measure("sample of CPU, memory, disks, GPUs", [own for own, _ in pairs], "µs", "≤ 200 µs", "psutil", floors)


def _microseconds(call: Callable[[], object]) -> float:
    call()
    start = time.perf_counter_ns()
    for _ in range(CALLS):
        call()
    return (time.perf_counter_ns() - start) / CALLS / 1000
