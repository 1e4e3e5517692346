"""Where the tracker is, as a file says, and the token that it wants: real scripts, while the tracker moves and the token changes."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Services, Stack
from tests.unit.pllib.receiver import Receiver

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
SCRIPT = """
import sys, time
import pllib
with pllib.workflow("moved") as wf:
    for line in sys.stdin:
        with wf.task("t", used={"n": int(line)}):
            pass
        print(line, end="", flush=True)
"""


@pytest.fixture
def receivers() -> Iterator[Callable[[], Receiver]]:
    made: list[Receiver] = []

    def make() -> Receiver:
        made.append(Receiver())
        return made[-1]

    yield make
    for receiver in made:
        receiver.stop()


def environment(folder: Path, **settings: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PLLIB_") or "TEST" in name}
    return {**kept, "PYTHONPATH": str(ROOT), "PLLIB_SPOOL": str(folder / "spool"), **settings}


class Script:
    """A script that captures a task for each ``capture``."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self._count = 0

    def capture(self) -> None:
        """Returns when the next task was accepted."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{self._count}\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline() == f"{self._count}\n"
        self._count += 1

    def end(self) -> str:
        """What it said of itself when it had ended."""
        _, told = self._process.communicate(timeout=PATIENCE)
        assert self._process.returncode == 0
        return told


@contextmanager
def script(folder: Path, **settings: str) -> Iterator[Script]:
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(
        [sys.executable, "-c", SCRIPT], env=environment(folder, **settings), text=True, **pipes
    ) as process:
        try:
            yield Script(process)
        finally:
            process.kill()


def tasks(*receivers: Receiver) -> set[int]:
    """The tasks whose begin somebody has."""
    found = [record for receiver in receivers for record in receiver.records]
    return {record["used"]["n"] for record in found if record["op"] == "begin" and "n" in record.get("used", {})}


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.02)


def command(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    line = [sys.executable, "-m", *words]
    run = {"cwd": ROOT, "capture_output": True, "text": True, "timeout": PATIENCE, "check": False}
    return subprocess.run(line, env=environment(folder, **settings), **run)  # type: ignore[call-overload,no-any-return]


def test_a_script_finds_the_tracker_wherever_it_moves(tmp_path: Path, receivers: Callable[[], Receiver]) -> None:
    file = tmp_path / "services.json"
    with script(tmp_path, PLLIB_URL=f"file://{file}") as running:
        running.capture()  # nobody has said yet where the tracker is
        first = receivers()
        first.answers_a_connection = 1
        file.write_text(json.dumps({"tracker": first.url, "token": "first-token"}))
        wait_for(lambda: tasks(first) == {0})
        assert first.headers[-1]["Authorization"] == "Bearer first-token"
        first.stop()
        running.capture()
        second = receivers()
        file.write_text(json.dumps({"tracker": second.url, "token": "second-token"}))
        wait_for(lambda: tasks(second) == {1})
        assert second.headers[-1]["Authorization"] == "Bearer second-token"
        second.plan = [(503, {"Retry-After": "0"}, b'{"error":{"code":"draining"}}')] * 1000
        third = receivers()
        file.write_text(json.dumps({"tracker": third.url}))
        running.capture()
        wait_for(lambda: tasks(third) == {2})  # though the second one still answers
        assert "Authorization" not in third.headers[-1]
        assert running.end() == ""
    assert tasks(first, second, third) == {0, 1, 2}


def test_a_file_that_says_nothing_keeps_all_in_the_spool_and_is_told(
    tmp_path: Path, receivers: Callable[[], Receiver]
) -> None:
    file = tmp_path / "services.json"
    for text, told in (
        (None, "is not there (yet)"),
        ("{", "does not say where the tracker is"),
        ("{}", "does not say"),
    ):
        if text is not None:
            file.write_text(text)
        with script(tmp_path, PLLIB_URL=f"file://{file}") as running:
            running.capture()
            assert "records were not sent and are kept" in running.end()
        done = command(tmp_path, "pllib", "ship", str(tmp_path / "spool"), PLLIB_URL=f"file://{file}")
        assert done.returncode == 1
        assert told in done.stderr
    receiver = receivers()
    file.write_text(json.dumps({"tracker": receiver.url}))
    assert command(tmp_path, "pllib", "ship", str(tmp_path / "spool"), PLLIB_URL=f"file://{file}").returncode == 0
    assert tasks(receiver) == {0}


@pytest.fixture(scope="module")
def guarded(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """A stack that wants a token, which it has made itself."""
    folder = tmp_path_factory.mktemp("guarded")
    with stack(folder, "--token-file", str(folder / "token")) as running:
        yield running


def announced(guarded: Services) -> Path:
    return guarded.data.parent / "ready.json"


def token_file(guarded: Services) -> Path:
    return guarded.data.parent / "token"


def test_the_announcement_and_the_token_are_their_owners_alone(guarded: Services) -> None:
    assert stat.S_IMODE(announced(guarded).stat().st_mode) == 0o600
    assert stat.S_IMODE(token_file(guarded).stat().st_mode) == 0o600
    assert json.loads(announced(guarded).read_text())["token"] == token_file(guarded).read_text().strip()


def test_a_wrong_token_costs_nothing_and_the_right_one_sends_all(guarded: Services, tmp_path: Path) -> None:
    own = tmp_path / "token"
    own.write_text("not-the-right-token\n")
    settings = {"PLLIB_URL": guarded.tracker_url, "PLLIB_TOKEN_FILE": str(own)}
    with script(tmp_path, **settings) as running:
        running.capture()
        refused = command(tmp_path, "pllib", "ship", str(tmp_path / "spool"), **settings)
        assert refused.returncode == 1
        assert "answered 401" in refused.stderr
        assert "PLLIB_TOKEN_FILE" in refused.stderr
        own.write_text(token_file(guarded).read_text())
        running.capture()
        assert running.end() == ""
    assert not [path for path in (tmp_path / "spool").rglob("*") if path.is_file()]
    status = command(tmp_path, "pllib", "status", **settings)
    assert (status.returncode, "up" in status.stdout) == (0, True)


def test_one_variable_serves_captures_questions_and_commands(guarded: Services, tmp_path: Path) -> None:
    url = f"file://{announced(guarded)}"
    with script(tmp_path, PLLIB_URL=url, PLLIB_EXECUTION="by-file") as running:
        running.capture()
        assert running.end() == ""
    count = "SELECT (COUNT(?t) AS ?n) { ?t provlake:isPartOf ?e FILTER(CONTAINS(STR(?e), 'by-file')) }"
    wait_for(lambda: '{"n": 1}' in command(tmp_path, "pllib", "query", "--json", count, PLLIB_URL=url).stdout)
    without = command(tmp_path, "pllib", "query", PLLIB_QUERY_URL=guarded.query_url)
    assert without.returncode == 1
    assert "wants a token" in without.stderr
    plan = tmp_path / "plan.json"
    plan.write_text('{"workflow": "by-file-plan", "transformations": {"t": {"inputs": {"n": {}}}}}')
    pushed = command(tmp_path, "pllib", "prospective", "push", str(plan), PLLIB_URL=url)
    assert (pushed.returncode, pushed.stderr) == (0, "")


def test_those_who_run_it_get_in_by_its_folder_or_by_the_token(guarded: Services, tmp_path: Path) -> None:
    own = ("--data", str(guarded.data))
    by_url = ("--tracker-url", guarded.tracker_url)
    for word in (["queue"], ["dead-letters"], ["quarantine"], ["backup", str(tmp_path / "backup")]):
        done = command(tmp_path, "deploy", *word, *own)
        assert done.returncode == 0, done.stderr
    assert command(tmp_path, "deploy", "queue", *by_url, "--token-file", str(token_file(guarded))).returncode == 0
    refused = command(tmp_path, "deploy", "queue", *by_url)
    assert refused.returncode == 2
    assert "401" in refused.stderr
    assert "Authorization: Bearer TOKEN" in refused.stderr


def test_the_token_is_in_no_log_and_on_no_command_line(guarded: Services) -> None:
    token = token_file(guarded).read_text().strip()
    logs = [*(guarded.data / "logs").iterdir(), guarded.data.parent / "launcher.log", guarded.data / "run.json"]
    assert len(logs) > 4
    for log in logs:
        assert token not in log.read_text(errors="replace")
    for process in Path("/proc").glob("[0-9]*"):
        try:
            assert token.encode() not in (process / "cmdline").read_bytes()
        except OSError:
            continue
