"""The scripts for Slurm as far as they go without Slurm; ``make test-slurm`` runs them on a cluster."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]
SERVICES = CHECKOUT / "deploy" / "slurm" / "services.sbatch"
SCRIPTS = [SERVICES, *sorted((CHECKOUT / "examples" / "slurm").glob("*.sbatch"))]
PATIENCE = 120.0
CAPTURE = "import pllib\nwith pllib.workflow('w') as wf:\n    with wf.task('t', used={'n': 1}): pass\n"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_the_scripts_are_sound(script: Path) -> None:
    subprocess.run(["bash", "-n", script], check=True, timeout=30)
    lines = script.read_text().splitlines()
    commands = [number for number, line in enumerate(lines) if line and not line.startswith("#")]
    assert max(number for number, line in enumerate(lines) if line.startswith("#SBATCH")) < commands[0]
    if shutil.which("shellcheck"):
        subprocess.run(["shellcheck", script], check=True, timeout=60)


def test_on_the_signal_before_the_time_limit_it_drains_and_ends_well(tmp_path: Path, require_server) -> None:
    require_server("oxigraph")
    shared = tmp_path / "shared folder"
    own = {name: value for name, value in os.environ.items() if not name.startswith("PLLIB_") or "TEST" in name}
    own |= {"PYTHONPATH": str(CHECKOUT), "PLLIB_SHARED": str(shared)}
    job = {
        "SLURM_JOB_ID": "7",
        "SLURM_SUBMIT_DIR": str(CHECKOUT),
        "PLLIB_PYTHON": sys.executable,
        "PLLIB_HOST": "127.0.0.1",
    }
    log = tmp_path / "job.log"
    with log.open("wb") as output:
        running = subprocess.Popen(["bash", SERVICES], env={**own, **job}, stdout=output, stderr=output)
    try:
        until = time.monotonic() + PATIENCE
        while not (shared / "services.json").exists():
            assert running.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        settings = {"PLLIB_URL": (shared / "services.json").as_uri(), "PLLIB_SPOOL": str(shared / "spool")}
        done = subprocess.run(
            [sys.executable, "-c", CAPTURE], env={**own, **settings}, capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (0, "")
        running.send_signal(signal.SIGTERM)
        assert running.wait(PATIENCE) == 0, log.read_text()
    finally:
        running.kill()
        running.wait()
    told = log.read_text()
    assert "job 7: asked to stop" in told
    assert (
        told.index("the tracker takes no more captures")
        < told.index("drained: nothing waits")
        < told.index("stopping tracker")
    )
    assert not (shared / "services.json").exists()
    assert (shared / "data" / "tracker" / "tracker.sqlite").exists()
