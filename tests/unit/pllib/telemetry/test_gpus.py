"""GPUs: AMD over the files of a driver, NVIDIA from NVML's own structures; no hardware is needed, nor pretended."""

from __future__ import annotations

import os
import sys

import pynvml
import pytest

from pllib.telemetry import Machine, amd, nvidia
from pllib.telemetry.readings import Unavailable

NO_DRIVER = pytest.mark.skipif(os.path.exists("/proc/driver/nvidia"), reason="this machine has an NVIDIA driver")


def card(number, **files):
    folder = f"sys/class/drm/card{number}/device"
    sensors = {"power1_average": "35000000", "temp1_input": "47000", "freq1_input": "1500000000"}
    found = {f"{folder}/vendor": "0x1002\n", f"{folder}/gpu_busy_percent": "63\n"}
    found.update({f"{folder}/mem_info_vram_used": "1048576\n", f"{folder}/mem_info_vram_total": "8388608\n"})
    found.update({f"{folder}/hwmon/hwmon3/{name}": f"{value}\n" for name, value in {**sensors, **files}.items()})
    return found


def test_every_amd_card_is_read_in_our_units(grow):
    files = {**card(0), **card(1, power1_average="120500000")}
    files["sys/class/drm/card0-DP-1/status"] = "connected"
    files["sys/class/drm/card2/device/vendor"] = "0x8086\n"
    found = {reading.name: reading for reading in Machine("gpu", root=grow(files)).read()}
    told = {name: (reading.value, reading.unit) for name, reading in found.items()}
    assert told == {
        f"gpu.{device}.{what}": value
        for device, power in (("card0", 35.0), ("card1", 120.5))
        for what, value in {
            "utilization": (63, "%"),
            "memory_used": (1048576, "B"),
            "memory_total": (8388608, "B"),
            "power": (pytest.approx(power), "W"),
            "temperature": (pytest.approx(47.0), "°C"),
            "clock": (pytest.approx(1500.0), "MHz"),
        }.items()
    }
    assert found["gpu.card1.power"].device == "card1"


def test_a_card_tells_what_it_has(grow):
    root = grow({name: text for name, text in card(0).items() if "power1" not in name and "busy" not in name})
    cards = amd.Gpus(root)
    assert {reading.name for reading in cards.read(0.0)} == {
        "gpu.card0.memory_used",
        "gpu.card0.memory_total",
        "gpu.card0.temperature",
        "gpu.card0.clock",
    }
    grow({"sys/class/drm/card0/device/hwmon/hwmon3/temp1_input": ""})  # asleep
    assert "gpu.card0.temperature" not in {reading.name for reading in cards.read(0.0)}


def test_the_answers_of_nvml_in_our_units():
    """The structures are those of NVML, filled with values such as a busy device gives; there is no device here."""
    rates = pynvml.c_nvmlUtilization_t()
    rates.gpu, rates.memory = 87, 41
    memory = pynvml.c_nvmlMemory_t()
    memory.total, memory.free, memory.used = 42949672960, 40000000000, 2949672960
    answers = {
        "utilization": rates,
        "memory": memory,
        "power": 251377,
        "energy": 98765432100,
        "temperature": 61,
        "clock": 1410,
        "memory_clock": 1215,
    }
    assert set(answers) == set(nvidia.QUERIES)
    assert {reading.name: reading[1:] for reading in nvidia.readings_of("3", answers)} == {
        "gpu.3.utilization": (87, "%", "3"),
        "gpu.3.memory_utilization": (41, "%", "3"),
        "gpu.3.memory_used": (2949672960, "B", "3"),
        "gpu.3.memory_total": (42949672960, "B", "3"),
        "gpu.3.power": (251.377, "W", "3"),
        "gpu.3.energy": (98765432.1, "J", "3"),
        "gpu.3.temperature": (61, "°C", "3"),
        "gpu.3.clock": (1410, "MHz", "3"),
        "gpu.3.memory_clock": (1215, "MHz", "3"),
    }


@pytest.mark.parametrize("name", sorted(nvidia.QUERIES))
def test_the_questions_are_ones_that_nvml_has(name):
    """Asked of the real package, which finds no library: the call is there, and its error is one that is handled."""
    with pytest.raises(pynvml.NVMLError):
        nvidia.QUERIES[name].ask(pynvml, None)


@NO_DRIVER
def test_no_driver_is_said():
    machine = Machine("gpu")
    assert machine.read() == []
    assert "NVML Shared Library Not Found" in machine.unavailable["gpu"]
    assert "no AMD GPU" in machine.unavailable["gpu"]


def test_a_package_that_is_missing_is_said_with_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    with pytest.raises(Unavailable, match=r"pip install 'pllib\[telemetry\]'"):
        nvidia.Gpus({})
