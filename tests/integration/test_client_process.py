"""Scripts as processes: what they leave behind when they end well, badly, or at once; no server is there."""

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

ROOT = Path(__file__).parents[2]
SCRIPT = """
import os, sys, signal, time
import pllib
with pllib.workflow("w") as wf:
    for n in range({count}):
        with wf.task("t", used={{"n": n}}) as task:
            task.generated(m=n)
        if n == {at}:
            print(pllib.stats()["accepted"], flush=True)
            {how}
"""


def run(tmp_path: Path, how: str, count: int = 100, at: int = 50, **environ: str) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(count=count, at=at, how=how))
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PLLIB_SPOOL": str(tmp_path / "spool"),
        "PLLIB_URL": "http://127.0.0.1:1",
        **environ,
    }
    return subprocess.run(
        [sys.executable, "-W", "error", str(script)], env=environment, capture_output=True, text=True, timeout=60
    )


def left(tmp_path: Path) -> list[dict[str, object]]:
    folder = str(tmp_path / "spool")
    found = []
    for producer in spool.producers(folder):
        for number in spool.segments(folder, producer):
            found += [frame.payload for frame in spool.read_segment(folder, producer, number)]
    assert None not in found
    return [json.loads(payload) for payload in found]


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
        ("os.kill(os.getpid(), signal.SIGTERM); time.sleep(5)", -signal.SIGTERM),
        ("os._exit(3)", 3),
        ("sys.exit(4)", 4),
        ("raise ValueError('own')", 1),
    ],
)
def test_what_was_accepted_is_on_disk_however_the_process_ends(tmp_path, how, code):
    done = run(tmp_path, how)
    assert done.returncode == code
    found = left(tmp_path)
    assert len(found) >= int(done.stdout)
    assert [r["n"] for r in found] == list(range(len(found)))


def test_the_end_says_in_one_line_what_remains_and_how_to_send_it(tmp_path):
    done = run(tmp_path, "pass")
    assert done.returncode == 0
    assert done.stderr.count("\n") == 1
    assert f"pllib: 203 records were not sent and are kept in {tmp_path / 'spool'}" in done.stderr
    assert f"pllib ship {tmp_path / 'spool'}" in done.stderr


def test_a_black_hole_does_not_hold_the_end(tmp_path):
    import socket

    with socket.create_server(("127.0.0.1", 0), backlog=1) as hole:
        started = time.monotonic()
        done = run(tmp_path, "pass", PLLIB_URL=f"http://127.0.0.1:{hole.getsockname()[1]}", PLLIB_EXIT_TIMEOUT="0.5")
        assert done.returncode == 0
        # bounded by the setting, far from the 10 s that the tracker would be waited for
        assert time.monotonic() - started < 8
    assert "203 records were not sent" in done.stderr


def test_an_unwritable_spool_never_harms_the_script(tmp_path):
    (tmp_path / "spool").write_text("a file, not a folder")
    done = run(tmp_path, "pass", TMPDIR=str(tmp_path))
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("setting", [{"PLLIB_MODE": "wrong"}, {"PLLIB_URL": "nonsense"}, {"PLLIB_CONFIG": "/none"}])
def test_a_wrong_setting_never_harms_the_script(tmp_path, setting):
    done = run(tmp_path, "pass", XDG_STATE_HOME=str(tmp_path / "state"), **setting)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_forked_child_has_a_producer_of_its_own_and_ends_nothing_of_its_parent(tmp_path):
    done = run(tmp_path, "pid = os.fork(); pid or sys.exit(0); os.waitpid(pid, 0)", count=52, at=51)
    assert done.returncode == 0
    found = left(tmp_path)
    assert len(spool.producers(str(tmp_path / "spool"))) == 1  # the child began nothing
    assert sum(r["op"] == "end" and r["kind"] == "workflow" for r in found) == 1
    done = run(tmp_path, "pid = os.fork(); pid and os.waitpid(pid, 0)", count=60, at=51)
    assert done.returncode == 0
    assert len(spool.producers(str(tmp_path / "spool"))) == 3
    ids = [(r["op"], r["wf"], r.get("id")) for r in left(tmp_path) if r["op"] != "producer"]
    assert len(ids) == len(set(ids))


def test_the_command_line_shows_a_spool(tmp_path):
    run(tmp_path, "pass", PLLIB_MODE="disk")
    command = [sys.executable, "-m", "pllib", "inspect", str(tmp_path / "spool")]
    shown = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert "203" in shown.stdout
    assert "script.py" in shown.stdout
    shown = subprocess.run([*command, "--records"], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert len(shown.stdout.splitlines()) == 203
    missing = subprocess.run(
        [sys.executable, "-m", "pllib", "inspect", str(tmp_path / "none")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
    )
    assert missing.returncode == 1
    assert "there is no folder" in missing.stderr
