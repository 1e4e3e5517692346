"""What is read of CPU, memory, disks, network and process: over trees of files, and on this machine beside psutil."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import psutil
import pytest

from pllib.errors import ConfigurationError
from pllib.telemetry import GROUPS, Machine, machine, portable
from pllib.telemetry.readings import Rate, Unavailable

LINUX = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads this machine's /proc")
MEMINFO = """MemTotal: 1000 kB
MemFree: 100 kB
MemAvailable: 250 kB
Buffers: 5 kB
Cached: 20 kB
SwapCached: 9 kB
SwapTotal: 80 kB
SwapFree: 30 kB
"""
NET = """Inter-| Receive | Transmit
 face |bytes packets errs|bytes
    lo: {0} 1 0 0 0 0 0 0 {0} 1 0 0 0 0 0 0
  eth0:{1} 7 0 0 0 0 0 0 {2} 5 0 0 0 0 0 0
"""


def values(readings):
    return {reading.name: reading.value for reading in readings}


def units(readings):
    return {reading.name: reading.unit for reading in readings}


def stat(*ticks):
    return "cpu  " + " ".join(map(str, ticks)) + "\ncpu0 1 2 3 4\nintr 12\n"


@pytest.fixture
def clock(monkeypatch):
    """Seconds go on only as the test says."""
    now = [1000.0]
    monkeypatch.setattr(machine.time, "monotonic", lambda: now[0])
    return now


def test_the_share_of_cpu_time_is_between_two_samples(grow):
    root = grow({"proc/stat": stat(10, 0, 5, 100, 1, 0, 0, 0, 0, 0), "proc/loadavg": "0.52 0.40 0.30 1/200 99\n"})
    cpus = Machine("cpu", root=root)
    assert values(cpus.read()) == {"cpu.load": 0.52}
    grow({"proc/stat": stat(30, 10, 15, 150, 11, 0, 0, 0, 5, 0)})
    found = cpus.read()
    assert values(found) == pytest.approx(
        {"cpu.load": 0.52, "cpu.percent": 40.0, "cpu.user": 30.0, "cpu.system": 10.0, "cpu.iowait": 10.0}
    )
    assert set(units(found).values()) == {"1", "%"}
    assert values(cpus.read()) == {"cpu.load": 0.52}, "no tick of the clock, so no share of it"


def test_memory_is_what_programs_cannot_have(grow):
    found = Machine("memory", root=grow({"proc/meminfo": MEMINFO})).read()
    assert values(found) == {
        "memory.used": 750 * 1024,
        "memory.total": 1000 * 1024,
        "memory.percent": 75.0,
        "memory.swap_used": 50 * 1024,
    }
    assert units(found)["memory.used"] == "B"


def test_an_old_kernel_tells_no_available_memory(grow):
    text = "".join(line for line in MEMINFO.splitlines(keepends=True) if "Available" not in line)
    assert values(Machine("memory", root=grow({"proc/meminfo": text})).read())["memory.used"] == 875 * 1024


def test_disks_count_once_whatever_is_made_of_them(grow, clock):
    def line(number, name, read, written):
        return f"   8  {number} {name} 10 0 {read} 5 20 0 {written} 5 0 5 5\n"

    before = line(0, "sda", 100, 1000) + line(1, "sda1", 100, 1000) + line(2, "dm-0", 100, 1000)
    after = line(0, "sda", 300, 1400) + line(1, "sda1", 300, 1400) + line(2, "dm-0", 300, 1400)
    root = grow({"proc/diskstats": before, "sys/block/sda/device/model": "x", "sys/block/dm-0/dm/name": "x"})
    disks = Machine("disk", root=root)
    first = values(disks.read())
    assert "disk.read" not in first
    assert first["disk.used"] > 0
    clock[0] += 2.0
    grow({"proc/diskstats": after})
    found = disks.read()
    assert values(found)["disk.read"] == 200 * 512 / 2
    assert values(found)["disk.written"] == 400 * 512 / 2
    assert units(found)["disk.read"] == "B/s"


def test_a_container_that_sees_no_disk_says_so(grow):
    disks = Machine("disk", root=grow({"proc/diskstats": "   7  0 loop0 1 0 2 3 4 5 6 7 8 9 10\n"}))
    assert "disk.used" in values(disks.read())
    assert "none of the disks" in disks.unavailable["disk.read"]


def test_the_network_is_all_but_the_loopback(grow, clock):
    network = Machine("network", root=grow({"proc/net/dev": NET.format(10, 1000, 2000)}))
    assert network.read() == []
    clock[0] += 4.0
    grow({"proc/net/dev": NET.format(99999, 5000, 2400)})
    assert values(network.read()) == {"network.received": 1000.0, "network.sent": 100.0}


def test_a_counter_that_is_set_back_is_no_negative_rate():
    rate = Rate()
    assert rate.of({"eth0": 100, "eth1": 100}, 1.0) is None
    assert rate.of({"eth0": 10, "eth1": 130, "eth2": 9999}, 2.0) == 30.0
    assert rate.of({"eth0": 10}, 2.0) is None, "no time between the two"


def test_what_cannot_be_read_is_said_and_the_rest_is_read(grow):
    found = Machine(root=grow({"proc/meminfo": MEMINFO}))
    assert {name.split(".")[0] for name in values(found.read())} == {"memory", "disk"}
    assert "proc/stat" in found.unavailable["cpu"]
    assert "proc/net/dev" in found.unavailable["network"]
    assert "proc/self/stat" in found.unavailable["process"]
    assert "no AMD GPU" in found.unavailable["gpu"]


@pytest.mark.parametrize("text", ["", "cpu", "cpu x y", "\0\0\0", "MemTotal: 5 kB"])
def test_files_that_say_something_else_are_said(grow, text):
    files = (
        "proc/stat",
        "proc/loadavg",
        "proc/meminfo",
        "proc/net/dev",
        "proc/diskstats",
        "proc/self/stat",
        "proc/self/cgroup",
    )
    found = Machine(root=grow(dict.fromkeys(files, text)))
    found.read()
    found.read()
    assert {"cpu", "process"} <= set(found.unavailable)


@pytest.mark.parametrize("groups", ["cpus", ["cpu", "fan"]])
def test_a_group_that_is_not_known_is_refused_with_those_there_are(groups):
    with pytest.raises(ConfigurationError, match="cpu, memory, disk, network, process, gpu"):
        Machine(groups)


@LINUX
def test_this_machine_is_as_psutil_says():
    ours, theirs = Machine(GROUPS[:5]), [portable.open_source(group, False) for group in GROUPS[:5]]
    ours.read()
    for source in theirs:
        source.read(time.monotonic())
    until = time.process_time() + 0.3
    while time.process_time() < until:
        pass
    mine = ours.read()
    found = [reading for source in theirs for reading in source.read(time.monotonic())]
    mine = [reading for reading in mine if reading.device is None]  # of control groups psutil knows nothing
    seen = {name: unit for name, unit in units(found).items() if name not in ours.unavailable}
    assert units(mine) == seen
    mine, found = values(mine), values(found)
    for name in ("memory.total", "process.threads"):
        assert mine[name] == found[name]
    for name in ("memory.used", "disk.used", "disk.free", "process.rss", "process.percent"):
        assert mine[name] == pytest.approx(found[name], rel=0.3), name
    for name in ("cpu.percent", "cpu.user", "memory.percent", "disk.percent"):
        assert mine[name] == pytest.approx(found[name], abs=20.0), name
    assert mine["process.open_files"] == pytest.approx(found["process.open_files"], abs=2)
    assert mine["process.percent"] > 10, "it was busy all the time"


@LINUX
@pytest.mark.parametrize("how", ["ours", "psutil"])
def test_children_count_where_that_is_asked(how):
    def reader(children):
        source = Machine("process", children=children) if how == "ours" else portable.open_source("process", children)
        return (lambda: source.read()) if how == "ours" else (lambda: source.read(time.monotonic()))

    busy = "import time, sys; print('up', flush=True)\nwhile time.process_time() < 20: pass"
    alone, family = reader(False), reader(True)
    child = subprocess.Popen([sys.executable, "-c", busy], stdout=subprocess.PIPE)
    try:
        child.stdout.readline()
        alone(), family()
        time.sleep(0.5)
        one, all_of_them = values(alone()), values(family())
    finally:
        child.kill()
        child.communicate(timeout=10)
    assert all_of_them["process.threads"] > one["process.threads"]
    assert all_of_them["process.rss"] > one["process.rss"]
    assert all_of_them["process.percent"] > one["process.percent"] + 10


@LINUX
def test_what_this_process_holds_is_seen():
    reader = Machine("process")
    before = values(reader.read())
    block = bytearray(64_000_000)
    files = [open(os.devnull) for _ in range(10)]  # noqa: SIM115
    after = values(reader.read())
    for file in files:
        file.close()
    assert len(block) * 0.8 < after["process.rss"] - before["process.rss"]
    assert after["process.open_files"] - before["process.open_files"] == 10


def test_psutil_that_is_missing_is_said_with_the_fix(monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    with pytest.raises(Unavailable, match=r"pip install 'pllib\[telemetry\]'"):
        portable.open_source("cpu", False)


def test_an_error_of_psutil_is_said_as_one_of_ours():
    gone = portable.open_source("process", False)
    gone._source._own = psutil.Process()
    gone._source._own._pid = 2**22 + 1
    gone._source._own._proc.pid = 2**22 + 1
    with pytest.raises(Unavailable, match="psutil"):
        gone.read(0.0)


def test_on_demand_readings_have_rates_since_the_last_call():
    machine.read(("cpu", "memory"))
    time.sleep(0.05)
    found = values(machine.read(("memory", "cpu")))
    assert {"cpu.percent", "memory.used"} <= set(found)
    machine.read("gpu")
    assert "gpu" in machine.unavailable() or any(name.startswith("gpu.") for name in values(machine.read("gpu")))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_reads_for_itself():
    machine.read("process")
    with machine._kept._lock:  # as another thread would hold it
        pid = os.fork()
        if pid == 0:
            found = values(machine.read("process"))
            os._exit(0 if "process.rss" in found and "process.percent" not in found else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
