"""Control groups: what a container or a job uses and may use."""

from __future__ import annotations

import pytest

from pllib.telemetry import Machine


def group(path, cpu_max="max 100000", memory_max="max", usage=1_000_000, memory=5000, mount="sys/fs/cgroup"):
    folder = f"{mount}{path}"
    return {
        f"{folder}/cpu.max": f"{cpu_max}\n",
        f"{folder}/cpu.stat": f"usage_usec {usage}\nuser_usec 1\n",
        f"{folder}/memory.max": f"{memory_max}\n",
        f"{folder}/memory.current": f"{memory}\n",
    }


def common(path, mount="sys/fs/cgroup"):
    return {
        "proc/self/cgroup": f"0::{path}\n",
        f"{mount}/cgroup.controllers": "cpu memory\n",
        "proc/meminfo": "MemTotal: 1000 kB\nMemAvailable: 250 kB\n",
    }


def readings(machine):
    return {r.name: (r.value, r.unit) for r in machine.read() if r.device == "cgroup"}


@pytest.mark.parametrize("mount", ["sys/fs/cgroup", "sys/fs/cgroup/unified"])
def test_use_and_limits_of_a_container(grow, monkeypatch, mount):
    now = [50.0]
    monkeypatch.setattr("pllib.telemetry.machine.time.monotonic", lambda: now[0])
    root = grow({**common("/", mount), **group("", "150000 100000", "8000", mount=mount)})
    machine = Machine(("cpu", "memory"), root=root)
    limits = {"cpu.cgroup.limit": (1.5, "CPU"), "memory.cgroup.used": (5000, "B"), "memory.cgroup.limit": (8000, "B")}
    assert readings(machine) == limits
    now[0] += 2.0
    grow(group("", "150000 100000", "8000", usage=3_500_000, mount=mount))
    assert readings(machine) == {**limits, "cpu.cgroup.used": (1.25, "CPU")}


def test_the_limit_that_binds_may_be_of_a_group_around(grow):
    files = {**common("/job/step/task"), **group("/job", "400000 100000", "9000", memory=8000)}
    files.update(group("/job/step", memory_max="20000", memory=7000))
    files.update(group("/job/step/task", memory=100))
    found = readings(Machine(("cpu", "memory"), root=grow(files)))
    assert found == {
        "cpu.cgroup.limit": (4.0, "CPU"),
        "memory.cgroup.used": (8000, "B"),
        "memory.cgroup.limit": (9000, "B"),
    }


def test_without_a_limit_there_is_only_the_use(grow):
    files = {**common("/user/session"), **group("/user/session", memory=100), **group("/user", memory=300)}
    assert readings(Machine("memory", root=grow(files))) == {"memory.cgroup.used": (100, "B")}


@pytest.mark.parametrize("text", ["", "9:memory:/job\n", "0::/gone\n"])
def test_where_there_is_no_group_of_version_2_that_is_said(grow, text):
    machine = Machine("memory", root=grow({**common("/"), "proc/self/cgroup": text}))
    assert readings(machine) == {}
    assert "version 2" in machine.unavailable["memory.cgroup"]
