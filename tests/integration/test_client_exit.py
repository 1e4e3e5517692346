"""The end of a script is bounded in time whatever state the tracker is in, however the script ends; and it says what remains."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.servers import server

ROOT = Path(__file__).parents[2]
EXIT_TIMEOUT = 1.0
MARGIN = 0.5
RECORDS = 43
SCRIPT = """
import os, signal, sys, threading, time
import pllib
with pllib.workflow("w") as wf:
    for n in range(20):
        with wf.task("t", used={{"n": n}}) as task:
            pass
{more}
print(time.monotonic(), flush=True)
{how}
"""
STATES = ["up", "slow", "hung", "full", "down", "unavailable", "busy", "garbage", "every-second", "flapping"]


class Ended:
    """A script that has ended.

    Attributes:
        seconds: from its last line to the end of the process.
    """

    def __init__(self, folder: Path, url: str, how: str = "", more: str = "", **environ: str) -> None:
        script = folder / "script.py"
        script.write_text(SCRIPT.format(how=how, more=more))
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "PLLIB_SPOOL": str(folder / "spool"),
            "PLLIB_URL": url,
            "PLLIB_EXIT_TIMEOUT": str(EXIT_TIMEOUT),
            **environ,
        }
        command = [sys.executable, "-W", "error", str(script)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
        ended = time.monotonic()
        self.code, self.stderr = done.returncode, done.stderr
        self.seconds = ended - float(done.stdout.split()[0])

    @property
    def left(self) -> int:
        """How many records the one line says are left."""
        found = re.fullmatch(r"(pllib: (\d+) records were not sent .*\n)?", self.stderr)
        assert found, self.stderr
        return int(found[2] or 0)


@pytest.fixture
def floor(tmp_path: Path) -> float:
    """What the end of the same script takes when nothing is shipped."""
    (tmp_path / "floor").mkdir()
    return Ended(tmp_path / "floor", "http://127.0.0.1:1", PLLIB_MODE="disk").seconds


@pytest.mark.parametrize("state", STATES)
def test_the_end_is_bounded_and_says_what_is_left(tmp_path, floor, state):
    with server(state) as url:
        ended = Ended(tmp_path, url)
    assert ended.code == 0
    assert ended.seconds - floor < EXIT_TIMEOUT + MARGIN
    if state == "up":
        assert ended.left == 0
    elif state not in ("every-second", "flapping"):
        assert ended.left == RECORDS
        assert f"pllib ship {tmp_path / 'spool'}" in ended.stderr


@pytest.mark.parametrize("state", ["hung", "full"])
def test_a_hanging_tls_handshake_does_not_hold_the_end(tmp_path, floor, state):
    with server(state) as url:
        ended = Ended(tmp_path, url.replace("http://", "https://"))
    assert ended.seconds - floor < EXIT_TIMEOUT + MARGIN
    assert ended.left == RECORDS


def test_when_nobody_answers_the_end_does_not_even_wait(tmp_path, floor):
    ended = Ended(tmp_path, "http://127.0.0.1:1", PLLIB_EXIT_TIMEOUT="30")
    assert ended.left == RECORDS
    assert ended.seconds - floor < 5


def test_a_tracker_that_asks_for_an_hour_is_not_asked_again_and_not_waited_for(tmp_path, floor):
    with server("busy") as url:
        ended = Ended(tmp_path, url, more="time.sleep(0.5)", PLLIB_EXIT_TIMEOUT="30")
    assert ended.left == RECORDS
    assert ended.seconds - floor < 5


def test_a_tracker_that_is_busy_for_a_moment_gets_everything_before_the_end(tmp_path):
    with server("every-second") as url:
        ended = Ended(tmp_path, url, PLLIB_EXIT_TIMEOUT="20")
    assert ended.left == 0


def test_an_idle_connection_that_the_server_has_closed_costs_nothing(tmp_path):
    from tests.unit.pllib.receiver import Receiver

    receiver = Receiver()
    receiver.answers_a_connection = 1
    try:
        ended = Ended(tmp_path, receiver.url, more="pllib.flush(5)\nwith pllib.workflow('again'): pass")
    finally:
        receiver.stop()
    assert ended.left == 0
    assert len(receiver.records) == RECORDS + 2


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("sys.exit(4)", 4),
        ("raise ValueError('own')", 1),
        (
            "signal.signal(signal.SIGTERM, lambda *_: sys.exit(5)); os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)",
            5,
        ),
        ("os.kill(os.getpid(), signal.SIGINT); time.sleep(9)", 130),
        ("threading.Thread(target=time.sleep, args=(0.3,)).start()", 0),
        ("threading.Thread(target=time.sleep, args=(300,), daemon=True).start()", 0),
    ],
)
def test_every_normal_end_is_bounded_and_says_what_is_left(tmp_path, floor, how, code):
    with server("hung") as url:
        ended = Ended(tmp_path, url, how)
    assert ended.code in (code, -signal.SIGINT if code == 130 else code)
    assert ended.seconds - floor < EXIT_TIMEOUT + MARGIN + 0.3
    assert f"{RECORDS} records were not sent and are kept" in ended.stderr


@pytest.mark.parametrize(
    ("how", "code"), [("os._exit(3)", 3), ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(9)", -signal.SIGTERM)]
)
def test_an_end_without_a_chance_to_speak_leaves_all_on_disk(tmp_path, how, code):
    from pllib import spool, spool_reader

    with server("hung") as url:
        ended = Ended(tmp_path, url, how)
    assert (ended.code, ended.stderr) == (code, "")
    folder = str(tmp_path / "spool")
    (producer,) = spool.producers(folder)
    assert spool_reader.SpoolReader(folder, producer).left() == RECORDS


def test_a_forked_child_ends_in_time_too(tmp_path, floor):
    fork = """
pid = os.fork()
if not pid:
    with pllib.workflow("child"):
        pass
    began = time.monotonic()
    sys.exit(0)
os.waitpid(pid, 0)
"""
    with server("hung") as url:
        ended = Ended(tmp_path, url, more=fork)
    assert ended.stderr.count("pllib: 3 records were not sent") == 1
    assert ended.stderr.count(f"pllib: {RECORDS} records were not sent") == 1
    assert ended.seconds - floor < EXIT_TIMEOUT + MARGIN
