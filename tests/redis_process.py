"""A Redis-compatible server as a process of its own, which tests can kill, stop for a while and start again."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import redis

SAFE = {"appendonly": "yes", "appendfsync": "always", "save": ""}
"""Settings under which the tracker takes it."""
PATIENCE = 30.0


class RedisProcess:
    """A server on a folder of its own; it listens on the loopback interface only.

    Args:
        program: the server's program.
        folder: where its log file of writes goes; must exist.
        port: where it listens.
        settings: by name, instead of ``SAFE``.
    """

    def __init__(self, program: str, folder: Path, port: int, settings: dict[str, str] | None = None) -> None:
        self.port = port
        self.url = f"redis://127.0.0.1:{port}/0"
        password = (settings or {}).get("requirepass")
        self.client = redis.Redis(port=port, password=password, socket_timeout=PATIENCE)
        self._folder = folder
        self._command = [program, "--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder)]
        for name, value in (SAFE if settings is None else settings).items():
            self._command += [f"--{name}", value]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> RedisProcess:
        """Starts it, and returns when it answers."""
        with (self._folder / "server.log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                self.client.ping()
            except redis.ConnectionError:
                assert self._process.poll() is None, (self._folder / "server.log").read_text()
                assert time.monotonic() < until, "the server does not start"
                time.sleep(0.02)
            else:
                return self

    def kill(self, how: int = signal.SIGKILL) -> None:
        """Ends it, without a warning if not told otherwise."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def signal(self, what: int) -> None:
        """Sends it a signal."""
        assert self._process is not None
        self._process.send_signal(what)

    def close(self) -> None:
        """Ends it, and the connection to it."""
        self.client.close()
        self.kill()
