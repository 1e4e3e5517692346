"""A power cut may take the last commits of the store, of which the tracker was told that they are done.

Here the store's folder goes back to an earlier state while everything is killed. What the queue keeps of what it delivered
makes the graph whole again; a queue that keeps nothing shows that something was missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.state import read_run

PATIENCE = 60.0


def send(url: str, execution: str, numbers: range) -> None:
    """Posts one task for each number; returns when they are acknowledged."""
    records = [
        {
            "n": number, "op": "end", "t": 1_700_000_000_000_000 + number, "m": number, "kind": "task",
            "wf": f"train/{execution}", "id": f"fit/{number}", "status": "finished",
            "used": {"lr": 0.1}, "generated": {"loss": 1 / (number + 1)},
        }
        for number in numbers
    ]  # fmt: skip
    batch = {"version": 1, "producer": "5" * 32, "records": records}
    answer = httpx.post(f"{url}/v1/captures", json=batch, timeout=PATIENCE, trust_env=False)
    assert answer.json()["accepted"] == len(records), answer.text


def settle(url: str) -> None:
    """Returns when the queue is empty."""
    until = time.monotonic() + PATIENCE
    while httpx.get(f"{url}/v1/stats", trust_env=False).json()["queue"]["depth"]:
        assert time.monotonic() < until, "the queue does not get empty"
        time.sleep(0.05)


def graph(url: str) -> set[str]:
    answer = httpx.get(f"{url}/store?default", headers={"Accept": "application/n-triples"}, timeout=60, trust_env=False)
    return set(answer.raise_for_status().text.splitlines())


def kill_all(data: Path) -> None:
    """As a power cut ends them: the kernel kills the services with their launcher."""
    run = read_run(data)
    assert run is not None
    os.kill(run.launcher.pid, signal.SIGKILL)
    until = time.monotonic() + PATIENCE
    for one in run.services:
        while one.process and Path(f"/proc/{one.process.pid}").exists():
            assert time.monotonic() < until
            time.sleep(0.02)


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel kills the services with their launcher")
@pytest.mark.parametrize(("keep", "whole"), [("300", True), ("0", False)])
def test_commits_that_the_store_lost_come_back_from_the_queue(
    stack: Callable[..., AbstractContextManager[Any]], tmp_path: Path, keep: str, whole: bool
) -> None:
    data = tmp_path / "data"
    with stack(tmp_path, "--keep-delivered", keep) as services:
        send(services.tracker_url, "first", range(50))
        settle(services.tracker_url)
        shutil.copytree(data / "store", tmp_path / "earlier", ignore=shutil.ignore_patterns("LOCK"))
        send(services.tracker_url, "second", range(50, 100))
        settle(services.tracker_url)
        complete = graph(services.store_url)
        kill_all(data)
    shutil.rmtree(data / "store")
    (tmp_path / "earlier").rename(data / "store")
    (tmp_path / "ready.json").unlink()
    with stack(tmp_path, "--keep-delivered", keep) as services:
        settle(services.tracker_url)
        found = graph(services.store_url)
    assert any("first" in line for line in found)
    assert found <= complete
    assert (found == complete) is whole
