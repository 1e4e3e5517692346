"""Energy by the counters of processors: what they have counted, when they begin anew, when they may not be read."""

from __future__ import annotations

import json
import os
import sys

import pytest

from pllib import _boundary
from pllib.errors import ConfigurationError
from pllib.telemetry import UNITS, EnergyMeter
from pllib.telemetry.rapl import Rapl, grown
from pllib.telemetry.readings import Unavailable

POWERCAP = "sys/class/powercap"
J = 1_000_000
"""Microjoules."""


@pytest.fixture(autouse=True)
def errors_are_raised(monkeypatch):
    monkeypatch.setattr(_boundary, "strict", True)


def zone(number, name, count, span=262_143_328_850):
    folder = f"{POWERCAP}/intel-rapl:{number}"
    return {
        f"{folder}/name": f"{name}\n",
        f"{folder}/energy_uj": f"{count}\n",
        f"{folder}/max_energy_range_uj": f"{span}\n",
    }


def machine(package=0, second=0, dram=0):
    """Two processors with memory beside the first, and the zones that lie in or around others."""
    return {
        **zone("0", "package-0", package),
        **zone("0:0", "core", package),
        **zone("0:1", "dram", dram),
        **zone("1", "package-1", second),
        **zone("2", "psys", package + second + dram),
    }


def test_energy_of_processors_and_memory_in_the_units_of_prov4ml(grow, monkeypatch):
    now = [100.0]
    monkeypatch.setattr("pllib.telemetry.energy.time.monotonic", lambda: now[0])
    root = grow(machine(10 * J, 500 * J, 7 * J))
    meter = EnergyMeter(intensity=400, root=root).start()
    assert meter.source == "RAPL"
    now[0] += 10.0
    grow(machine(370 * J, 860 * J, 43 * J))
    expected = {
        "cpu_energy": 720 / 3.6e6,
        "ram_energy": 36 / 3.6e6,
        "energy_consumed": 756 / 3.6e6,
        "cpu_power": 72.0,
        "ram_power": 3.6,
        "emissions": 756 / 3.6e6 * 0.4,
        "emissions_rate": 756 / 3.6e6 * 0.04,
    }
    found = meter.read()
    assert {name: value for name, (value, _) in found.items()} == pytest.approx(expected)
    assert {name: unit for name, (_, unit) in found.items()} == {name: UNITS[name] for name in expected}
    assert set(meter.unavailable) == {"gpu_power", "gpu_energy"}
    now[0] += 10.0
    grow(machine(370 * J, 860 * J, 43 * J))
    final = meter.stop()
    assert final["cpu_energy"] == found["cpu_energy"]
    assert final["cpu_power"][0] == pytest.approx(36.0), "the mean since the start"
    grow(machine(999 * J, 999 * J, 999 * J))
    assert meter.read() == meter.stop() == final


@pytest.mark.parametrize(
    ("before", "after", "span", "expected"),
    [
        (10, 25, 1000, 15),
        (990, 5, 1000, 16),
        (1000, 0, 1000, 1),
        (990, 5, None, 0),
        (5, 5, 1000, 0),
        (2000, 5, 1000, 0),
    ],
)
def test_a_counter_that_begins_anew(before, after, span, expected):
    assert grown(before, after, span) == expected


def test_looks_in_between_count_every_time_round(grow):
    counts = [900 * J, 100 * J, 950 * J, 50 * J, 60 * J]
    root = grow(zone("0", "package-0", counts[0], span=1000 * J - 1))
    rapl = Rapl(root)
    for count in counts[1:]:
        grow(zone("0", "package-0", count, span=1000 * J - 1))
        joules = rapl.joules()
    assert joules == {"cpu": pytest.approx(200 + 850 + 100 + 10)}


def test_dies_that_show_one_counter_count_once(grow):
    def dies(*counts):
        return {k: v for n, count in enumerate(counts) for k, v in zone(n, f"package-0-die-{n}", count).items()}

    rapl = Rapl(grow(dies(500 * J, 500 * J + 300, 900 * J)))
    grow(dies(510 * J, 510 * J + 300, 930 * J))
    assert rapl.joules() == {"cpu": pytest.approx(40.0)}


def test_a_machine_without_counters_has_no_values_and_says_why(grow):
    meter = EnergyMeter("DEU", 380, root=grow({"sys/class/powercap/other": ""})).start()
    assert meter.stop() == {}
    assert meter.source == "none"
    assert set(meter.unavailable) == set(UNITS)
    assert "no energy counters" in meter.unavailable["cpu_energy"]


def test_every_value_is_there_or_its_absence_is_said(grow):
    for root in (grow({"sys/empty": ""}), grow(zone("0", "package-0", 5))):
        for intensity in (None, 100.0):
            meter = EnergyMeter(intensity=intensity, root=root).start()
            assert set(meter.read()) ^ set(meter.unavailable) == set(UNITS)
            meter.stop()


def test_without_an_intensity_there_are_no_emissions(grow):
    meter = EnergyMeter(root=grow(zone("0", "package-0", 5))).start()
    assert "emissions" not in meter.read()
    assert "PLLIB_CARBON_INTENSITY" in meter.unavailable["emissions"]
    meter.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no users here")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_counters_that_only_root_may_read_are_said_with_the_fix(grow, tmp_path):
    root = grow(zone("0", "package-0", 5))
    os.chmod(f"{root}/{POWERCAP}/intel-rapl:0/energy_uj", 0o400)
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:  # root may read anything, so this one is nobody, in the folder that others cannot pass
        os.chdir(root)
        if os.getuid() == 0:
            os.setgid(65534), os.setuid(65534)
        else:
            os.chmod(f"{POWERCAP}/intel-rapl:0/energy_uj", 0)
        try:
            Rapl(".")
            said = "read"
        except Unavailable as error:
            said = str(error)
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as pipe:
        said = json.load(pipe)
    os.waitpid(pid, 0)
    assert "only by root" in said
    assert "chmod a+r" in said


@pytest.mark.parametrize("country", ["Germany", "DE", "D€U", 49, "123"])
def test_a_country_is_a_code_of_three_letters(country):
    with pytest.raises(ConfigurationError, match="country"):
        EnergyMeter(country)


@pytest.mark.parametrize("intensity", ["much", -1, float("nan"), float("inf"), [3]])
def test_an_intensity_is_a_number(intensity):
    with pytest.raises(ConfigurationError, match="intensity"):
        EnergyMeter(intensity=intensity)


def test_codecarbon_that_is_missing_is_said_and_done_without(monkeypatch):
    monkeypatch.setitem(sys.modules, "codecarbon", None)
    meter = EnergyMeter().start()
    assert "pip install 'pllib[energy]'" in meter.unavailable["codecarbon"]
    assert "codecarbon" not in meter.source
    meter.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*use of fork.*:DeprecationWarning")
def test_a_forked_child_leaves_the_meter_to_its_parent(grow):
    meter = EnergyMeter(root=grow(zone("0", "package-0", 5))).start()
    pid = os.fork()
    if pid == 0:
        os._exit(0 if meter.read() == {} == meter.stop() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert "cpu_energy" in meter.stop()
