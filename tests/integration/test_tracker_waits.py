"""A tracker and the server of its queue may be started in any order."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.test_tracker_process import CHECKOUT, PATIENCE, wait_until
from tests.redis_process import SAFE, RedisProcess

PASSWORD = "of-the-queue"


class Waiting:
    """A tracker whose queue's server is perhaps not there yet."""

    def __init__(self, folder: Path, queue: int, port: int) -> None:
        (folder / "password").write_text(PASSWORD + "\n")
        self._log = folder / "tracker.log"
        self._url = f"http://127.0.0.1:{port}/health"
        words = [sys.executable, "-m", "tracker", "--data", str(folder / "data"), "--port", str(port)]
        words += ["--queue", f"redis://127.0.0.1:{queue}/0", "--queue-password-file", str(folder / "password")]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(words, cwd=CHECKOUT, stdout=log, stderr=log)
        wait_until(lambda: self.told("waiting for the queue's server"), "the tracker waits")

    def told(self, text: str) -> bool:
        said = self._log.read_text()
        assert self.process.poll() is None, said
        assert PASSWORD not in said
        return text in said

    def healthy(self) -> bool:
        assert self.process.poll() is None, self._log.read_text()
        try:
            return httpx.get(self._url, trust_env=False).status_code == 200
        except httpx.TransportError:
            return False


@pytest.fixture
def queue(redis_program: str, tmp_path: Path, free_port: Callable[[], int]) -> Iterator[RedisProcess]:
    """A server with a password; the test starts it."""
    (tmp_path / "redis").mkdir()
    server = RedisProcess(redis_program, tmp_path / "redis", free_port(), {**SAFE, "requirepass": PASSWORD})
    server.client.connection_pool.connection_kwargs["password"] = PASSWORD
    yield server
    server.close()


@pytest.fixture
def waiting(tmp_path: Path, queue: RedisProcess, free_port: Callable[[], int]) -> Iterator[Waiting]:
    tracker = Waiting(tmp_path, queue.port, free_port())
    yield tracker
    tracker.process.kill()
    tracker.process.wait()


def test_a_tracker_waits_for_its_queue(queue: RedisProcess, waiting: Waiting) -> None:
    assert not waiting.healthy()
    queue.start()
    wait_until(waiting.healthy, "the tracker works")


def test_a_tracker_that_waits_ends_when_it_is_told_to(waiting: Waiting) -> None:
    waiting.process.send_signal(signal.SIGTERM)
    assert waiting.process.wait(PATIENCE) == 0
