"""What a client had to drop is in the graph, with how many, when and why."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import json, os, resource, sys
import pllib

def task(size=300):
    with pllib.task("t", used={"text": "x" * size}):
        pass

with pllib.workflow("losses"):
    FILL
pllib.shutdown()
print(json.dumps(pllib.stats()))
"""
QUOTA = "for _ in range(300): task()"
# A limit on the size of files refuses a write as a full disk does; then there is room again.
DISK = """
    task()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3000, limits[1]))
    for _ in range(30):
        task()
    resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    task()
"""


def run(tmp_path: Path, fill: str, **environ: str) -> dict[str, Any]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.replace("FILL", fill))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PLLIB_SPOOL": str(tmp_path / "spool"), **environ}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["accepted"] == found["delivered"] + found["refused"] + found["waiting"]
    return found


def ship(tmp_path: Path, url: str) -> None:
    command = [sys.executable, "-m", "pllib", "ship", str(tmp_path / "spool"), "--url", url]
    subprocess.run(command, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True, timeout=60, capture_output=True)


def lost(services: Any, producer: str, count: int) -> list[dict[str, Any]]:
    """What the graph says that a process lost; waits until it is that many."""
    query = f"""
        PREFIX provlake: <https://w3id.org/pllib/provlake#>
        SELECT ?lost {{ ?process provlake:lost ?lost . FILTER(STRENDS(STR(?process), "{producer}")) }}
    """
    until = time.monotonic() + 60
    while True:
        answer = httpx.post(
            f"{services.store_url}/query", data={"query": query}, headers={"Accept": "application/sparql-results+json"}
        )
        found = [json.loads(row["lost"]["value"]) for row in answer.json()["results"]["bindings"]]
        if sum(gap["count"] for gap in found) >= count or time.monotonic() > until:
            return found
        time.sleep(0.1)


@pytest.mark.parametrize(("fill", "reason"), [(QUOTA, "full"), (DISK, "disk")])
def test_drops_are_in_the_graph(tmp_path, services, fill, reason):
    figures = run(tmp_path, fill, PLLIB_MODE="disk", PLLIB_SPOOL_BYTES="40000" if reason == "full" else "2000000000")
    assert figures["dropped"][reason] > 0
    assert set(figures["dropped"]) == {reason}
    ship(tmp_path, services.tracker_url)
    found = lost(services, figures["producer"], figures["dropped"][reason])
    assert sum(gap["count"] for gap in found) == figures["dropped"][reason]
    assert {gap["reason"] for gap in found} == {reason}
    assert all(gap["from"] <= gap["to"] for gap in found)


def test_drops_of_the_queue_in_memory_are_in_the_graph(tmp_path, services):
    figures = run(
        tmp_path,
        QUOTA,
        PLLIB_MODE="memory",
        PLLIB_URL=services.tracker_url,
        PLLIB_QUEUE_RECORDS="50",
        PLLIB_INTERVAL="60",
    )
    assert figures["dropped"]["full"] > 0
    assert figures["accepted"] == figures["delivered"]
    found = lost(services, figures["producer"], figures["dropped"]["full"])
    assert sum(gap["count"] for gap in found) == figures["dropped"]["full"]


def test_on_a_full_disk_the_loss_goes_straight_to_a_tracker_that_answers(tmp_path, services):
    full = DISK.rpartition("    resource.setrlimit")[0]
    figures = run(tmp_path, full, PLLIB_MODE="process", PLLIB_URL=services.tracker_url)
    assert figures["dropped"]["disk"] > 20
    assert figures["accepted"] == figures["delivered"]
    found = lost(services, figures["producer"], figures["dropped"]["disk"])
    assert sum(gap["count"] for gap in found) == figures["dropped"]["disk"]
