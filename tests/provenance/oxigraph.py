"""A real Oxigraph server on a folder, which can be killed and started again."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import httpx

from edge.stores import StoreAddress

PATIENCE = 60.0


class Oxigraph:
    """A store server. It runs between ``start`` and ``end``.

    Args:
        program: path of the ``oxigraph`` program.
        folder: where its data are kept; its log lies beside it.
        port: loopback port to listen on.
    """

    def __init__(self, program: str, folder: Path, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.store = StoreAddress(self.url, "oxigraph")
        self._command = [program, "serve", "--location", str(folder), "--bind", f"127.0.0.1:{port}"]
        self._log = folder.parent / f"{folder.name}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < until, "the store does not start"
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return httpx.get(self.url + "/query", params={"query": "ASK {}"}, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def end(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def lines(self) -> set[str]:
        """Everything in the default graph, as lines of N-Triples."""
        answer = httpx.get(
            self.url + "/store?default", headers={"Accept": "application/n-triples"}, trust_env=False, timeout=60
        )
        answer.raise_for_status()
        return set(answer.text.splitlines())

    def ask(self, query: str) -> bool:
        headers = {"Accept": "application/sparql-results+json"}
        answer = httpx.post(self.url + "/query", data={"query": query}, headers=headers, trust_env=False, timeout=60)
        return bool(answer.raise_for_status().json()["boolean"])
