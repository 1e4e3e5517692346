"""Telemetry: what the machine and this process do, and the energy and carbon that takes, recorded with activities.

::

    from pllib import telemetry

    with pllib.task("fit") as task, telemetry.record(task, 5.0, energy=True):
        ...

Off unless asked for. On Linux the standard library is enough; elsewhere, and for NVIDIA GPUs, ``pip install 'pllib[telemetry]'``;
codecarbon's estimates come with ``pllib[energy]``.
"""

from __future__ import annotations

from .energy import EnergyMeter
from .machine import Machine, read, unavailable
from .readings import GROUPS, UNITS, Reading
from .recording import Recording, record, sample
from .sampler import Sampler

__all__ = [
    "GROUPS",
    "UNITS",
    "EnergyMeter",
    "Machine",
    "Reading",
    "Recording",
    "Sampler",
    "read",
    "record",
    "sample",
    "unavailable",
]
