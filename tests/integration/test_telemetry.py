"""Telemetry in real processes: what it needs, what it costs at import, how it ends, and codecarbon with no way out."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pllib import spool
from pllib.telemetry import UNITS, Machine

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 60


def start(code: str, folder: Path, **environment: str) -> subprocess.Popen[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PLLIB_", "CODECARBON_"))}
    settings = {
        "PYTHONPATH": str(CHECKOUT),
        "HOME": str(folder),
        "PLLIB_MODE": "disk",
        "PLLIB_SPOOL": str(folder / "spool"),
    }
    return subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=folder,
        env={**clean, **settings, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(code: str, folder: Path, **environment: str) -> str:
    process = start(code, folder, **environment)
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    assert err == ""
    return out


def records(folder: Path) -> list[dict]:
    """What the processes recorded, without who they are."""
    found = []
    where = str(folder / "spool")
    for producer in spool.producers(where):
        for number in spool.segments(where, producer):
            frames = spool.read_segment(where, producer, number)
            found += [json.loads(frame.payload) for frame in frames if frame.payload is not None]
    return [record for record in found if record["op"] != "producer"]


def series(found: list[dict]) -> dict[str, dict]:
    """Points by name of series: values, times, unit."""
    known: dict[str, dict] = {}
    for record in found:
        if record["op"] == "points":
            assert record["telemetry"] is True
            one = known.setdefault(record["series"], {"unit": record["unit"], "values": [], "of": record["id"]})
            one["values"] += record["values"]
    return known


# -- what it needs ------------------------------------------------------------------------------------------------


def test_pllib_loads_no_telemetry_and_telemetry_no_package_before_it_is_used(tmp_path):
    told = run(
        "import sys, json, pllib; first = [m for m in sys.modules if 'telemetry' in m]\n"
        "import pllib.telemetry\n"
        "dear = [m for m in ('psutil', 'pynvml', 'codecarbon', 'pandas', 'numpy', 'ctypes') if m in sys.modules]\n"
        "print(json.dumps([first, dear]))",
        tmp_path,
    )
    assert json.loads(told) == [[], []]


def test_it_reads_with_the_standard_library_alone(tmp_path):
    told = run(
        "import sys, json\nfor name in ('psutil', 'pynvml', 'codecarbon'): sys.modules[name] = None\n"
        "from pllib import telemetry\n"
        "machine = telemetry.Machine(); names = [r.name for r in machine.read()]\n"
        "meter = telemetry.EnergyMeter().start(); values = meter.stop()\n"
        "print(json.dumps([names, machine.unavailable, list(values), meter.unavailable]))",
        tmp_path,
    )
    names, unavailable, values, absent = json.loads(told)
    assert {name.split(".")[0] for name in names} >= {"cpu", "memory", "disk", "process"}
    assert "pip install 'pllib[telemetry]'" in unavailable["gpu"]
    assert "pip install 'pllib[energy]'" in absent["codecarbon"]
    assert set(values) ^ (set(absent) & set(UNITS)) == set(UNITS)


# -- how it ends --------------------------------------------------------------------------------------------------

FIT = """
import os, signal, sys, time
import pllib
from pllib import telemetry
wf = pllib.Workflow("w").begin()
task = wf.task("fit").begin()
"""


def test_readings_are_series_of_the_activity(tmp_path):
    run(
        FIT + "with task, telemetry.record(task, 0.1) as recording: time.sleep(0.35)\n"
        "telemetry.record(wf, 0.1, 'memory').stop()\nwf.end()",
        tmp_path,
    )
    found = records(tmp_path)
    known = series([record for record in found if record.get("id")])
    assert {"cpu.percent": "%", "memory.used": "B", "process.threads": "1"}.items() <= {
        name: one["unit"] for name, one in known.items()
    }.items()
    assert all(one["of"].startswith("fit/") for one in known.values())
    assert len(known["memory.used"]["values"]) >= 4
    assert len(known["memory.total"]["values"]) == 1, "what stays the same is said once"
    ends = [index for index, record in enumerate(found) if record["op"] == "end" and record["kind"] == "task"]
    points = [index for index, record in enumerate(found) if record["op"] == "points" and record.get("id")]
    assert max(points) < ends[0], "all of it before the end"
    of_task = [
        record["meta"]["telemetry"] for record in found if record.get("id") and "telemetry" in record.get("meta", {})
    ]
    told = [said["v"]["unavailable"] for said in of_task]
    absent = set(Machine().unavailable)
    assert [absent <= set(one) for one in told] == ([True] if absent else []), (
        "what this machine does not have is said once"
    )


def test_a_sample_on_demand_is_a_point_of_each_series(tmp_path):
    run(
        FIT + "for _ in range(3):\n    readings = telemetry.sample(task, ('cpu', 'memory')); time.sleep(0.05)\n"
        "assert {r.name for r in readings} >= {'cpu.percent', 'memory.used'}\ntask.end(); wf.end()",
        tmp_path,
    )
    known = series(records(tmp_path))
    assert len(known["memory.used"]["values"]) == 3
    assert len(known["cpu.percent"]["values"]) == 2, "the first has no rate"


@pytest.mark.parametrize("ending", ["", "sys.exit(0)", "pllib.shutdown()"])
def test_the_end_of_the_process_ends_what_is_under_way(tmp_path, ending):
    run(FIT + "telemetry.record(task, 3600, 'memory')\ntime.sleep(0.2)\n" + ending, tmp_path)
    assert len(series(records(tmp_path))["memory.used"]["values"]) == 2, "the first sample and the last"


def test_what_was_sampled_survives_kill_9(tmp_path):
    process = start(FIT + "telemetry.record(task, 0.1, 'memory')\ntime.sleep(60)", tmp_path)
    try:
        until = time.monotonic() + SECONDS
        while not ((tmp_path / "spool").exists() and any(record["op"] == "points" for record in records(tmp_path))):
            assert time.monotonic() < until
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=SECONDS)
    values = series(records(tmp_path))["memory.used"]["values"]
    assert values
    assert all(value > 0 for value in values)


def test_a_forked_child_records_only_what_it_starts_itself(tmp_path):
    told = run(
        FIT + "recording = telemetry.record(task, 0.1, 'memory')\ntime.sleep(0.3)\n"
        "if os.fork() == 0:\n"
        "    assert not recording.running and not recording.sampler.running\n"
        "    recording.stop(); pllib.shutdown(); os._exit(7)\n"
        "pid, status = os.wait(); print(os.waitstatus_to_exitcode(status))\n"
        "assert recording.sampler.running; recording.stop(); task.end(); wf.end()",
        tmp_path,
    )
    assert told.strip() == "7"
    where = str(tmp_path / "spool")
    assert len(spool.producers(where)) == 1, "the child recorded nothing"
    assert len(series(records(tmp_path))["memory.used"]["values"]) >= 3


def test_an_activity_that_ends_first_ends_its_recording_and_harms_nothing(tmp_path):
    told = run(
        FIT + "recording = telemetry.record(task, 0.1, 'memory')\ntime.sleep(0.15); task.end(); time.sleep(0.4)\n"
        "print(recording.running, recording.sampler.running, sum(pllib.stats()['errors'].values()) > 0); wf.end()",
        tmp_path,
    )
    assert told.split() == ["False", "False", "True"]


@pytest.mark.parametrize("call", ["0.0001, 'memory'", "1.0, 'fan'", "'often', 'memory'"])
def test_what_cannot_be_recorded_does_not_stop_the_script(tmp_path, call):
    told = run(
        FIT + f"with telemetry.record(task, {call}) as recording: print(recording.running)\n"
        "print(pllib.stats()['errors']); task.end(); wf.end()",
        tmp_path,
    )
    assert told.splitlines() == ["False", "{'Recording.start': 1}"]


def test_with_capture_off_nothing_is_sampled(tmp_path):
    told = run(
        FIT + "with telemetry.record(task, 0.1) as recording: print(recording.running)", tmp_path, PLLIB_ENABLED="no"
    )
    assert told.strip() == "False"


# -- energy -------------------------------------------------------------------------------------------------------

GUARD = """
import json, os, sys
seen = []
def hook(event, args):
    if event in ("socket.connect", "socket.bind", "socket.sendto", "socket.getaddrinfo", "socket.gethostbyname", "urllib.Request"):
        seen.append([event, str(args)])
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        seen.append([event, str(args[0])])
sys.addaudithook(hook)
"""
WAYS_OUT = {
    "output_methods": "csv,api,prometheus",
    "save_to_file": "true",
    "save_to_api": "true",
    "emissions_endpoint": "http://192.0.2.1/emissions",
    "api_endpoint": "http://192.0.2.1/",
    "api_key": "secret",
    "electricitymaps_api_token": "secret",
    "co2_signal_api_token": "secret",
    "cloud_provider": "gcp",
    "cloud_region": "europe-west3",
    "log_level": "debug",
    "api_call_interval": "1",
}
"""Settings of codecarbon's own with which it would write, call out and print."""


def suspicious(entry: list[str], folder: Path) -> bool:
    """Whether it wrote in the user's folder or turned to the network; urllib3, when imported, asks whether the loopback has IPv6."""
    event, told = entry
    if event == "open":
        return str(folder) in told or "emissions" in told
    return not (event == "socket.bind" and told.endswith("('::1', 0))"))


def codecarbon(folder: Path, body: str, **environment: str) -> dict:
    """What a process tells that measures by codecarbon, in a folder of its own; it opened no connection and wrote nothing."""
    pytest.importorskip("codecarbon")
    before = sorted(folder.iterdir())
    code = GUARD + "import time\nfrom pllib.telemetry import EnergyMeter\n" + body
    code += "\nprint(json.dumps({'seen': seen, 'source': meter.source, 'unavailable': meter.unavailable, 'values': values}))"
    told = json.loads(run(code, folder, **environment))
    assert [entry for entry in told["seen"] if suspicious(entry, folder)] == []
    assert sorted(folder.iterdir()) == before
    return told


MEASURED = "meter = EnergyMeter({arguments}).start(); time.sleep(0.3); values = meter.stop()"


def test_codecarbon_measures_with_every_way_out_configured_and_takes_none(tmp_path):
    settings = "\n".join(f"{name}={value}" for name, value in WAYS_OUT.items())
    (tmp_path / ".codecarbon.config").write_text(f"[codecarbon]\n{settings}\n")
    variables = {f"CODECARBON_{name.upper()}": value for name, value in WAYS_OUT.items()}
    told = codecarbon(tmp_path, MEASURED.format(arguments="'deu'"), **variables)
    assert told["source"].startswith("codecarbon 3")
    values = {name: value for name, (value, _) in told["values"].items()}
    assert {name: unit for name, (_, unit) in told["values"].items()} == {name: UNITS[name] for name in values}
    assert set(values) ^ (set(told["unavailable"]) & set(UNITS)) == set(UNITS)
    assert {"emissions", "emissions_rate", "ram_energy", "energy_consumed"} <= set(values)
    parts = sum(values.get(name, 0.0) for name in ("cpu_energy", "gpu_energy", "ram_energy"))
    assert 0 < values["energy_consumed"] == pytest.approx(parts)
    assert 0.05 < values["emissions"] / values["energy_consumed"] < 1.2, "kg a kWh, as a country's electricity has"


def test_codecarbon_without_a_country_has_energy_and_no_emissions(tmp_path):
    told = codecarbon(tmp_path, MEASURED.format(arguments=""))
    assert "energy_consumed" in told["values"]
    assert "emissions" not in told["values"]
    assert "PLLIB_COUNTRY" in told["unavailable"]["emissions"]


def test_a_country_that_codecarbon_does_not_know_is_not_the_mean_of_the_world(tmp_path):
    told = codecarbon(tmp_path, MEASURED.format(arguments="'QQQ'"))
    assert "emissions" not in told["values"]
    assert "'QQQ'" in told["unavailable"]["emissions"]


def test_a_known_intensity_wins(tmp_path):
    told = codecarbon(tmp_path, MEASURED.format(arguments="'DEU', 1000"))
    values = told["values"]
    assert values["emissions"][0] == pytest.approx(values["energy_consumed"][0])


def test_energy_is_recorded_with_the_activity_and_its_source_said(tmp_path):
    pytest.importorskip("codecarbon")
    run(
        FIT + "with task, telemetry.record(task, None, energy=True): time.sleep(0.3)\nwf.end()",
        tmp_path,
        PLLIB_COUNTRY="FRA",
    )
    found = records(tmp_path)
    known = series(found)
    assert {"energy.energy_consumed", "energy.emissions", "energy.ram_power"} <= set(known)
    assert {name.partition(".")[2]: one["unit"] for name, one in known.items()}.items() <= UNITS.items()
    assert known["energy.energy_consumed"]["values"][-1] > 0
    (told,) = [record["meta"]["energy"] for record in found if record["op"] == "add"]
    assert "codecarbon" in json.dumps(told)
