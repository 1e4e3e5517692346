"""A store's server as a process, which can be killed and started again: what those of all kinds share."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx

from edge.stores import StoreAddress

PATIENCE = 60.0


class StoreServer:
    """A store server. It runs between ``start`` and ``end``.

    Args:
        command: that runs it.
        store: where its default graph answers, once it runs.
        log: file for what it says; it works in the folder of that.
        patience: seconds until it must have started, or ended.
    """

    def __init__(self, command: Sequence[str], store: StoreAddress, log: Path, patience: float = PATIENCE) -> None:
        self.store = store
        self.url = store.url
        self._command = [*command]
        self._log = log
        self._patience = patience
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._log.parent, stdout=log, stderr=log)
        until = time.monotonic() + self._patience
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < until, "the store does not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return self._ping().is_success
        except httpx.TransportError:
            return False

    def _ping(self) -> httpx.Response:
        return self._call("GET", self.store.query_url, params={"query": "ASK {}"})

    def _call(self, method: str, url: str, headers: dict[str, str] | None = None, **more: Any) -> httpx.Response:
        verify = self.store.tls() if url.startswith("https:") else True
        headers = self.store.headers | (headers or {})
        return httpx.request(method, url, headers=headers, verify=verify, trust_env=False, timeout=60, **more)

    def end(self, how: int = signal.SIGTERM) -> None:
        """Ends it, by a signal."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(self._patience)
            self._process = None

    def text(self) -> str:
        """Everything in the default graph, as N-Triples."""
        answer = self._call("GET", self.store.graph_url, {"Accept": "application/n-triples"})
        return answer.raise_for_status().text

    def lines(self) -> set[str]:
        """The same, as lines."""
        return {*self.text().splitlines()}

    def ask(self, query: str) -> bool:
        headers = {"Accept": "application/sparql-results+json"}
        answer = self._call("POST", self.store.query_url, headers, data={"query": query})
        return bool(answer.raise_for_status().json()["boolean"])
