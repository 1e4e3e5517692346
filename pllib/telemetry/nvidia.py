"""NVIDIA GPUs by NVML, the library of the driver, through the package nvidia-ml-py: every device that the driver has."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, Callable, Dict, Iterable, List, Mapping, NamedTuple, Tuple

from .readings import INSTALL, Reading, Reasons, Unavailable


class Query(NamedTuple):
    """A question to NVML about a device, and what its answer tells: (what, value, unit)."""

    ask: Callable[[Any, Any], Any]
    tell: Callable[[Any], List[Tuple[str, float, str]]]


QUERIES: Mapping[str, Query] = {
    "utilization": Query(
        lambda nvml, device: nvml.nvmlDeviceGetUtilizationRates(device),
        lambda rates: [("utilization", rates.gpu, "%"), ("memory_utilization", rates.memory, "%")],
    ),
    "memory": Query(
        lambda nvml, device: nvml.nvmlDeviceGetMemoryInfo(device),
        lambda memory: [("memory_used", memory.used, "B"), ("memory_total", memory.total, "B")],
    ),
    "power": Query(
        lambda nvml, device: nvml.nvmlDeviceGetPowerUsage(device),
        lambda milliwatts: [("power", milliwatts / 1000.0, "W")],
    ),
    "energy": Query(
        lambda nvml, device: nvml.nvmlDeviceGetTotalEnergyConsumption(device),
        lambda millijoules: [("energy", millijoules / 1000.0, "J")],
    ),
    "temperature": Query(
        lambda nvml, device: nvml.nvmlDeviceGetTemperature(device, nvml.NVML_TEMPERATURE_GPU),
        lambda degrees: [("temperature", degrees, "°C")],
    ),
    "clock": Query(
        lambda nvml, device: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM),
        lambda megahertz: [("clock", megahertz, "MHz")],
    ),
    "memory_clock": Query(
        lambda nvml, device: nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_MEM),
        lambda megahertz: [("memory_clock", megahertz, "MHz")],
    ),
}


def readings_of(device: str, answers: Mapping[str, Any]) -> List[Reading]:
    """The readings that NVML's answers to ``QUERIES`` about a device amount to."""
    return [
        Reading(f"gpu.{device}.{what}", value, unit, device)
        for name, answer in answers.items()
        for what, value, unit in QUERIES[name].tell(answer)
    ]


class Gpus:
    """All NVIDIA devices, numbered as NVML does (``CUDA_VISIBLE_DEVICES`` hides none of them).

    Args:
        unavailable: gets what a device does not tell.
        queries: of ``QUERIES``.

    Raises:
        Unavailable: the package, the driver or a device is missing; the message says which.
    """

    def __init__(self, unavailable: Reasons, queries: Iterable[str] = tuple(QUERIES)) -> None:
        self._nvml = _library()
        self._unavailable = unavailable
        self._queries: List[Tuple[str, Any, Dict[str, Query]]] = []
        try:
            for number in range(self._nvml.nvmlDeviceGetCount()):
                handle = self._nvml.nvmlDeviceGetHandleByIndex(number)
                self._queries.append((str(number), handle, {name: QUERIES[name] for name in queries}))
        except self._nvml.NVMLError as error:
            raise Unavailable(f"NVML: {error}") from error
        if not self._queries:
            raise Unavailable("the NVIDIA driver has no device")

    def read(self, now: float) -> List[Reading]:
        found: List[Reading] = []
        for device, handle, queries in self._queries:
            answers = {}
            for name, query in list(queries.items()):
                try:
                    answers[name] = query.ask(self._nvml, handle)
                except self._nvml.NVMLError as error:
                    self._unavailable[f"gpu.{device}.{name}"] = f"NVML: {error}"
                    if isinstance(error, self._nvml.NVMLError_NotSupported):
                        del queries[name]  # nor will it be later
            found += readings_of(device, answers)
        return found


def _library() -> ModuleType:
    try:
        nvml = import_module("pynvml")
    except ImportError as error:
        raise Unavailable(f"nvidia-ml-py cannot be imported ({error}): {INSTALL}") from error
    try:
        nvml.nvmlInit()
    except nvml.NVMLError as error:
        raise Unavailable(f"NVML does not start ({error}): is there an NVIDIA driver?") from error
    return nvml
