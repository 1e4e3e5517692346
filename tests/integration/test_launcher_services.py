"""The launcher over the services themselves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

from deploy.processes import alive
from deploy.state import read_run

CHECKOUT = Path(__file__).resolve().parents[2]
SECONDS = 150


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def deploy(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy", *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_every_service_is_usable_and_the_store_answers(services):
    for url in (services.tracker_url, services.manager_url, services.query_url):
        assert json.loads(get(f"{url}/health"))["status"] == "ok"
    ask = urllib.parse.urlencode({"query": "ASK {}"})
    assert b"true" in get(f"{services.store_url}/query?{ask}")
    assert deploy("status", "--data", str(services.data)).returncode == 0


def test_the_addresses_that_are_told_lead_somewhere(services):
    assert b"openapi" in get(f"{services.query_url}/docs").lower()
    ask = urllib.parse.urlencode({"query": "ASK {}"})
    assert b"true" in get(f"{services.query_url}/sparql?{ask}").lower()


def test_in_the_background_a_killed_service_comes_back_and_down_ends_all(tmp_path, free_port, require_server):
    require_server("oxigraph")
    data = tmp_path / "data"
    ports = [f"--{name}-port={free_port()}" for name in ("tracker", "manager", "query", "store")]
    started = deploy("up", "--detach", "--data", str(data), *ports)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        assert "export PLLIB_URL=" in started.stdout
        before = read_run(data)
        assert before is not None
        manager = next(one.process for one in before.services if one.name == "manager")
        assert manager is not None
        assert (data / "logs" / "manager.log").exists()
        os.kill(manager.pid, signal.SIGKILL)
        until = time.monotonic() + SECONDS
        while deploy("status", "--data", str(data)).returncode != 0 or alive(manager):
            assert time.monotonic() < until, (data / "logs" / "launcher.log").read_text()
    finally:
        after = read_run(data)
        assert deploy("down", "--data", str(data)).returncode == 0
    assert after is not None
    assert not any(alive(one.process) for one in after.services if one.process)
    assert not alive(after.launcher)
