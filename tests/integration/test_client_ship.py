"""``pllib ship``, ``inspect`` and ``status`` as processes, over what other processes left behind or still write."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pllib import spool, spool_reader
from tests.unit.pllib.receiver import Receiver

ROOT = Path(__file__).parents[2]
SCRIPT = """
import sys, time
import pllib
with pllib.workflow("w") as wf:
    for n in range({count}):
        with wf.task("t", used={{"n": n, "text": "x" * {size}}}) as task:
            pass
        {each}
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.stop()


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), "PLLIB_SEGMENT_BYTES": "50000", "PLLIB_EXIT_TIMEOUT": "0.2", **more}


def capture(tmp_path: Path, count: int = 100, size: int = 100, each: str = "", **environ: str) -> subprocess.Popen[str]:
    """A script that captures to disk."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(count=count, size=size, each=each))
    settings = {"PLLIB_MODE": "disk", "PLLIB_SPOOL": str(tmp_path / "spool"), **environ}
    command = [sys.executable, str(script)]
    return subprocess.Popen(command, env=environment(**settings), stdout=subprocess.PIPE, text=True)


def captured(tmp_path: Path, **options: Any) -> None:
    with capture(tmp_path, **options) as process:
        assert process.wait(60) == 0


def pllib_command(*arguments: str, **environ: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pllib", *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return subprocess.Popen(command, env=environment(**environ), text=True, **pipes)


def ship(tmp_path: Path, url: str, *options: str, **environ: str) -> tuple[int, str, str]:
    with pllib_command("ship", str(tmp_path / "spool"), "--url", url, *options, **environ) as process:
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err


def numbers(receiver: Receiver) -> Counter[tuple[str, int]]:
    return Counter((batch["producer"], record["n"]) for batch in receiver.batches for record in batch["records"])


def files(tmp_path: Path) -> list[Path]:
    return sorted(path for path in (tmp_path / "spool").rglob("*") if path.is_file())


def test_it_may_be_run_any_number_of_times(tmp_path, receiver):
    captured(tmp_path)
    assert ship(tmp_path, receiver.url)[:2] == (0, "203 records sent\n")
    assert set(numbers(receiver).values()) == {1}
    assert files(tmp_path) == []
    assert ship(tmp_path, receiver.url)[:2] == (0, "0 records sent\n")


def test_what_is_kept_is_not_sent_again(tmp_path, receiver):
    captured(tmp_path)
    assert ship(tmp_path, receiver.url, "--keep")[:2] == (0, "203 records sent\n")
    assert sum(path.suffix == ".frames" for path in files(tmp_path)) > 0
    assert ship(tmp_path, receiver.url, "--keep")[:2] == (0, "0 records sent\n")


def test_killed_in_the_middle_it_goes_on_where_it_was(tmp_path, receiver):
    captured(tmp_path, count=1000)
    receiver.pause = 0.02
    process = pllib_command("ship", str(tmp_path / "spool"), "--url", receiver.url, PLLIB_BATCH_RECORDS="20")
    until = time.monotonic() + 30
    while len(receiver.batches) < 20 and time.monotonic() < until:
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = len(receiver.records)
    assert 200 <= before < 2003
    receiver.pause = 0.0
    code, _, _ = ship(tmp_path, receiver.url)
    assert code == 0
    found = numbers(receiver)
    assert len(found) == 2003
    assert sum(found.values()) <= 2003 + 3 * 20  # at most the batches that were on their way come twice
    assert files(tmp_path) == []


def test_torn_tails_and_files_of_other_hosts(tmp_path, receiver):
    with capture(tmp_path, each="time.sleep(0.001) or print(n, flush=True)", count=10_000) as process:
        assert process.stdout is not None
        while process.stdout.readline() != "50\n":
            pass
        process.kill()
    newest = files(tmp_path)[-1]
    with newest.open("ab") as file:
        file.write(b"2c 00ab")
    (tmp_path / "host").mkdir()
    shutil.move(tmp_path / "spool", tmp_path / "host" / "spool")
    code, _, err = ship(tmp_path / "host", receiver.url)
    assert (code, err) == (0, "")
    (producer,) = {producer for producer, _ in numbers(receiver)}
    found = sorted(number for _, number in numbers(receiver))
    assert found == list(range(len(found)))
    assert len(found) > 100
    left = files(tmp_path / "host")
    assert [path.name for path in left] == [f"{producer}.000001.frames", f"{producer}.acked"]  # kept for a look
    assert ship(tmp_path / "host", receiver.url)[:2] == (0, "0 records sent\n")


def test_two_at_once_over_the_same_folder(tmp_path, receiver):
    for _ in range(6):
        captured(tmp_path, count=300)
    receiver.pause = 0.001
    both = [
        pllib_command("ship", str(tmp_path / "spool"), "--url", receiver.url, PLLIB_BATCH_RECORDS="20") for _ in "ab"
    ]
    for each in both:
        _, err = each.communicate(timeout=60)
        assert (each.returncode, err) == (0, "")
    assert len(numbers(receiver)) == 6 * 603
    assert ship(tmp_path, receiver.url)[0] == 0
    assert files(tmp_path) == []


def test_beside_a_living_process_that_leaves_shipping_to_it(tmp_path, receiver):
    with capture(tmp_path, count=400, each="time.sleep(0.005)", PLLIB_SPOOL_BYTES="400000") as process:
        while process.poll() is None:
            if (tmp_path / "spool").exists():
                assert ship(tmp_path, receiver.url)[0] == 0
        assert process.returncode == 0
    assert ship(tmp_path, receiver.url)[0] == 0
    found = numbers(receiver)
    assert sorted(number for _, number in found) == list(range(803))
    assert set(found.values()) == {1}
    assert files(tmp_path) == []


def test_of_a_living_process_that_ships_itself_nothing_is_taken_away(tmp_path, receiver):
    code = (
        "import pllib, sys\nwith pllib.workflow('w'): pass\nprint(flush=True)\nsys.stdin.read()\nprint(pllib.stats())"
    )
    environ = environment(PLLIB_SPOOL=str(tmp_path / "spool"), PLLIB_URL="http://127.0.0.1:1", PLLIB_MODE="process")
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code], env=environ, text=True, **pipes) as process:
        assert process.stdout is not None
        process.stdout.readline()
        before = files(tmp_path)
        assert ship(tmp_path, receiver.url)[:2] == (0, "3 records sent\n")
        assert files(tmp_path) == before
        assert all("accounting" not in batch for batch in receiver.batches)
        out, err = process.communicate(timeout=30)
    assert "'waiting': 3" in out
    assert "3 records were not sent and are kept" in err
    assert ship(tmp_path, receiver.url)[:2] == (0, "3 records sent\n")
    assert files(tmp_path) == []


def test_files_that_vanish_are_no_error(tmp_path, receiver):
    captured(tmp_path, count=1000, size=400)
    receiver.pause = 0.02
    process = pllib_command("ship", str(tmp_path / "spool"), "--url", receiver.url, PLLIB_BATCH_RECORDS="20")
    until = time.monotonic() + 30
    while len(receiver.batches) < 5 and time.monotonic() < until:
        time.sleep(0.01)
    for path in [path for path in files(tmp_path) if path.suffix == ".frames"][2:-1]:
        path.unlink(missing_ok=True)
    receiver.pause = 0.0
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert numbers(receiver)[next(iter(numbers(receiver)))[0], 2002] == 1  # the last file was still sent


def unprivileged() -> list[str]:
    """What makes permissions count for a command, for which root needs help."""
    if os.getuid():
        return []
    found = shutil.which("setpriv")
    if found is None:
        pytest.skip("running as root, and there is no setpriv")
    return [found, "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"]


def test_what_may_not_be_read_is_told_and_passed_over(tmp_path, receiver):
    captured(tmp_path)
    captured(tmp_path)
    captured(tmp_path)
    whole = files(tmp_path)
    closed = whole[0]
    closed.chmod(0)
    folder = next(path.parent for path in whole if path.parent != closed.parent)
    command = [*unprivileged(), sys.executable, "-m", "pllib", "ship", str(tmp_path / "spool"), "--url", receiver.url]
    folder.chmod(0)
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
        inspected = subprocess.run(
            [*command[:-4], "inspect", command[-3]], env=environment(), capture_output=True, text=True, timeout=60
        )
    finally:
        folder.chmod(0o700)
        closed.chmod(0o600)
    assert done.returncode == inspected.returncode == 1
    for told in (done.stderr, inspected.stderr):
        assert f"{closed}: Permission denied" in told
        assert f"{folder}: Permission denied" in told
    assert "could not be read" in done.stdout
    sent = len({producer for producer, _ in numbers(receiver)})
    assert 1 <= sent <= 2
    assert ship(tmp_path, receiver.url)[0] == 0
    assert len(numbers(receiver)) == 3 * 203


def test_a_folder_that_cannot_be_written_is_sent_and_said_so(tmp_path, receiver):
    captured(tmp_path)
    shard = files(tmp_path)[0].parent
    shard.chmod(0o500)
    command = [*unprivileged(), sys.executable, "-m", "pllib", "ship", str(tmp_path / "spool"), "--url", receiver.url]
    try:
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, timeout=60)
    finally:
        shard.chmod(0o700)
    assert (done.returncode, done.stdout) == (0, "203 records sent\n")
    assert done.stderr.count("could not be noted (Permission denied); another run sends it again") == 1
    assert set(numbers(receiver).values()) == {1}


def test_a_tracker_that_is_not_there_leaves_all_and_says_so(tmp_path):
    captured(tmp_path)
    code, out, err = ship(tmp_path, "http://127.0.0.1:1")
    assert (code, out) == (1, "")
    assert "0 records sent" in err
    assert f"the rest stays in {tmp_path / 'spool'}" in err
    with (
        pytest.raises(subprocess.TimeoutExpired),
        pllib_command("ship", str(tmp_path / "spool"), "--url", "http://127.0.0.1:1", "--retry", "60") as process,
    ):
        try:
            process.communicate(timeout=1.5)
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_the_figures_of_a_dead_process_are_counted_from_its_files(tmp_path, receiver):
    captured(tmp_path, count=400, size=200, PLLIB_SPOOL_BYTES="100000")
    folder = str(tmp_path / "spool")
    (producer,) = spool.producers(folder)
    waiting, figures = spool_reader.SpoolReader(folder, producer).rest()
    assert figures.dropped["full"] > 0
    receiver.reject = lambda record: "odd" if record["n"] == 3 else None
    ship(tmp_path, receiver.url, "--keep", PLLIB_BATCH_RECORDS="50")
    assert len(receiver.batches) > 3
    for position, batch in enumerate(receiver.batches):
        told = batch["accounting"]
        assert told["accepted"] == waiting == told["delivered"] + told["refused"] + told["waiting"]
        assert told["refused"] == (position > 0)
        assert (told["dropped"], told["mode"]) == (figures.dropped, "ship")
    sent = sum(len(batch["records"]) for batch in receiver.batches[:-1])
    assert receiver.batches[-1]["accounting"]["delivered"] == sent - 1


def test_the_command_line_says_the_accounting(tmp_path, receiver):
    captured(tmp_path)
    folder = str(tmp_path / "spool")
    receiver.plan = [(200, {}, b'{"accepted":50,"rejected":0,"results":[]}'), (503, {}, b"")]
    ship(tmp_path, receiver.url, PLLIB_BATCH_RECORDS="50")
    for arguments in (["inspect", folder], ["status", "--spool", folder, "--url", "http://127.0.0.1:1"]):
        with pllib_command(*arguments) as process:
            out, _ = process.communicate(timeout=60)
        assert "accepted 203 = delivered 50 + refused 0 + waiting 153; dropped 0" in out
    with pllib_command("status", "--json", "--spool", folder, "--url", "http://127.0.0.1:1") as process:
        found = json.loads(process.communicate(timeout=60)[0])
    assert found["accounting"]["waiting"] == found["waiting"] == 153


def test_a_plain_line_now_and_then_where_there_is_no_terminal(tmp_path, receiver):
    captured(tmp_path, count=300)
    receiver.pause = 0.08
    _, _, err = ship(tmp_path, receiver.url, PLLIB_BATCH_RECORDS="10")
    assert re.match(r"pllib ship: \d+%, [\d,]+ records, \d\.\d of \d\.\d MB, [\d,]+ records/s, about \d+ s left\n", err)


def test_a_bar_on_a_terminal(tmp_path, receiver):
    captured(tmp_path, count=300)
    receiver.pause = 0.02
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "pllib", "ship", str(tmp_path / "spool"), "--url", receiver.url]
    with subprocess.Popen(
        command, env=environment(PLLIB_BATCH_RECORDS="10"), stdout=subprocess.PIPE, stderr=theirs
    ) as process:
        process.communicate(timeout=60)
    os.close(theirs)
    shown = os.read(ours, 100_000).decode()
    os.close(ours)
    assert re.search(r"\r\x1b\[K\[#+\.+\] \d+%, ", shown)
