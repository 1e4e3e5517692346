"""The launcher over small real servers: what it starts runs, comes back, and is gone when the launcher is."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy.processes import Identity, alive, identify
from deploy.state import Run, read_run

CHECKOUT = Path(__file__).resolve().parents[2]
STACK = Path(__file__).with_name("launcher_stack.py")
SECONDS = 30


class Launcher:
    """A launcher process over a plan of small servers; `names` are those of `launcher_stack.py`."""

    def __init__(self, data: Path, names: list[str]) -> None:
        self.data = data
        self.output = data.with_suffix(".out")
        environment = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, str(STACK), str(data), *names], env=environment, stdout=output, stderr=output
            )

    @property
    def told(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def ready(self) -> Run:
        within(lambda: (self.data / "ready.json").exists() or self.process.poll() is not None)
        run = read_run(self.data)
        assert run is not None, self.told
        return run

    def ended(self) -> int:
        return self.process.wait(SECONDS)


def within(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.02)


def get(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=5) as answer:
        return bytes(answer.read())


def usable(url: str) -> bool:
    try:
        get(url)
    except OSError:
        return False
    return True


def processes_of(run: Run) -> list[Identity]:
    return [service.process for service in run.services if service.process]


def all_gone(run: Run) -> bool:
    return not any(alive(process) for process in processes_of(run))


@pytest.fixture
def launch(tmp_path: Path) -> Iterator[Callable[..., Launcher]]:
    started: list[Launcher] = []

    def begin(*names: str, data: Path = tmp_path / "data") -> Launcher:
        started.append(Launcher(data, list(names)))
        return started[-1]

    yield begin
    for launcher in started:
        launcher.process.kill()
        launcher.process.wait()


def deploy(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "deploy", *words]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, timeout=SECONDS, check=False)


def test_services_start_in_order_and_one_interrupt_stops_all_in_reverse(launch, free_port):
    launcher = launch(f"first:{free_port()}", f"second:{free_port()}")
    run = launcher.ready()
    assert [service.name for service in run.services] == ["first", "second"]
    assert json.loads((launcher.data / "ready.json").read_text()) == run.urls
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.ended() == 0
    assert all_gone(run)
    told = launcher.told
    assert told.index("first is usable") < told.index("starting second") < told.index("ready;")
    assert told.index("stopping second") < told.index("stopping first") < told.index("\nstopped")
    assert not (launcher.data / "run.json").exists()
    assert not (launcher.data / "ready.json").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_also_what_the_services_started_or_refuse(launch, free_port, number):
    port = free_port()
    launcher = launch(f"stubborn:{free_port()}:stubborn", f"parent:{port}:parent")
    run = launcher.ready()
    family = [identify(pid) for pid in json.loads(get(f"http://127.0.0.1:{port}/health"))["family"]]
    assert family
    assert all(family)
    launcher.process.send_signal(number)
    assert launcher.ended() == 0
    assert all_gone(run)
    assert not any(alive(child) for child in family if child)
    assert "stubborn did not end" in launcher.told


def test_a_service_that_crashes_is_started_again(launch, free_port):
    port = free_port()
    launcher = launch(f"steady:{free_port()}", f"shaky:{port}")
    before = launcher.ready()
    with pytest.raises((OSError, urllib.error.URLError)):
        get(f"http://127.0.0.1:{port}/crash")
    within(lambda: launcher.told.count("shaky is usable") == 2)
    after = read_run(launcher.data)
    assert after is not None
    assert processes_of(after)[0] == processes_of(before)[0]
    assert processes_of(after)[1] != processes_of(before)[1]
    assert usable(f"http://127.0.0.1:{port}/health")
    assert "shaky ended with exit code 9" in launcher.told
    assert "| going down" in launcher.told


def test_a_service_that_keeps_ending_is_given_up_with_its_last_words(launch, free_port):
    launcher = launch(f"steady:{free_port()}", f"hopeless:{free_port()}:broken")
    assert launcher.ended() == 3
    assert "error: hopeless ended 3 times in a row, the last time with exit code 1" in launcher.told
    assert "| this server cannot start" in launcher.told
    assert "stopping steady" in launcher.told
    assert str(launcher.data / "logs" / "hopeless.log") in launcher.told


def test_a_service_that_never_becomes_usable_is_given_up_with_its_reason(launch, free_port):
    launcher = launch(f"slow:{free_port()}:late")
    assert launcher.ended() == 3
    assert "slow is not usable after 5 s: it answers 503: still reading the index" in launcher.told


def test_a_store_that_goes_on_refusing_updates_though_there_is_room_is_started_again(launch, free_port):
    launcher = launch(f"steady:{free_port()}", f"store:{free_port()}:stuck")
    within(lambda: launcher.told.count("store is usable") == 2)
    assert "store takes no updates though there is room; starting it again (No space left on device)" in launcher.told
    assert len(set(re.findall(r"store is usable \(process (\d+)\)", launcher.told))) == 2
    assert launcher.told.count("steady is usable") == 1


def test_an_interrupt_while_starting_stops_what_is_there(launch, free_port):
    launcher = launch(f"steady:{free_port()}", f"slow:{free_port()}:late")
    within(lambda: "starting slow" in launcher.told)
    run = read_run(launcher.data)
    assert run is not None
    launcher.process.send_signal(signal.SIGINT)
    assert launcher.ended() == 0
    assert all_gone(run)
    assert "ready;" not in launcher.told


@pytest.mark.skipif(sys.platform != "linux", reason="only there the kernel ends the services with their launcher")
def test_killing_the_launcher_leaves_no_orphan(launch, free_port):
    launcher = launch(f"one:{free_port()}", f"two:{free_port()}:stubborn")
    run = launcher.ready()
    launcher.process.kill()
    launcher.process.wait()
    within(lambda: all_gone(run))
    assert deploy("status", "--data", str(launcher.data)).returncode == 1
    down = deploy("down", "--data", str(launcher.data))
    assert (down.returncode, down.stderr) == (0, "")
    assert not (launcher.data / "run.json").exists()


def test_the_next_launcher_ends_what_a_killed_one_left(launch, free_port, tmp_path):
    left = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    try:
        run = launch(f"one:{free_port()}").ready()
        stale = json.loads((tmp_path / "data" / "run.json").read_text())
        stale["launcher"]["started"] = "long ago"
        process = identify(left.pid)
        assert process is not None
        stale["services"][0]["process"] = {"pid": process.pid, "started": process.started}
        other = tmp_path / "other"
        other.mkdir()
        (other / "run.json").write_text(json.dumps(stale))
        launch(f"two:{free_port()}", data=other).ready()
        assert left.wait(SECONDS) == -signal.SIGTERM
        assert not all_gone(run)
    finally:
        left.kill()
        left.wait()


def test_a_number_that_was_given_to_another_process_is_left_alone(launch, free_port, tmp_path):
    launcher = launch(f"one:{free_port()}")
    launcher.ready()
    told = json.loads((launcher.data / "run.json").read_text())
    # The pids are those of living processes, but not the moments they were started at.
    told["launcher"]["started"] = told["services"][0]["process"]["started"] = "another/1"
    stale = tmp_path / "stale"
    stale.mkdir()
    (stale / "run.json").write_text(json.dumps(told))
    assert "nothing is running" in deploy("status", "--data", str(stale)).stdout
    assert deploy("down", "--data", str(stale)).returncode == 0
    assert not (stale / "run.json").exists()
    assert launcher.process.poll() is None
    assert not all_gone(read_run(launcher.data) or pytest.fail("the record is gone"))


def test_a_second_launcher_on_the_same_folder_is_refused(launch, free_port):
    first = launch(f"one:{free_port()}")
    first.ready()
    second = launch(f"one:{free_port()}")
    assert second.ended() == 2
    assert f"error: another launcher is running on the data folder {first.data} (process " in second.told
    assert first.process.poll() is None
    assert (first.data / "ready.json").exists()


def test_a_port_in_use_is_told_before_anything_is_started(launch, free_port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        launcher = launch(f"one:{free_port()}", f"two:{port}")
        assert launcher.ended() == 2
    assert f"error: port {port} on 127.0.0.1, wanted for the two, is in use" in launcher.told
    assert "--two-port PORT" in launcher.told
    assert "starting" not in launcher.told


def test_status_and_down(launch, free_port):
    launcher = launch(f"one:{free_port()}", f"two:{free_port()}")
    run = launcher.ready()
    where = ("--data", str(launcher.data))
    status = deploy("status", *where)
    assert status.returncode == 0
    assert status.stdout.count("usable") == 2
    down = deploy("down", *where)
    assert down.returncode == 0
    assert launcher.ended() == 0
    assert all_gone(run)
    assert "nothing is running" in deploy("down", *where).stdout
    assert deploy("status", *where).returncode == 1


def test_a_record_that_cannot_be_read_is_no_running_stack(tmp_path):
    (tmp_path / "run.json").write_text('{"version": 1, "launcher": ')
    assert deploy("status", "--data", str(tmp_path)).returncode == 1
    assert deploy("down", "--data", str(tmp_path)).returncode == 0
