"""A real Fuseki server with databases in a folder, which can be killed and started again."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import httpx

from deploy.fuseki import Fuseki, configuration
from edge.stores import StoreAddress
from tests.provenance.literals import lines_as_oxigraph

PATIENCE = 120.0
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g")
"""Of a server that lives for minutes."""


class FusekiServer:
    """A store server. It runs between ``start`` and ``end``.

    Args:
        program: what the launcher would run.
        folder: where its data are kept; its log lies beside it.
        port: loopback port to listen on.
        datasets: names of its databases; ``store`` is of the first.
        seconds: after which it gives up a query.
    """

    def __init__(
        self, program: Fuseki, folder: Path, port: int, datasets: Sequence[str] = ("pllib",), seconds: float = 20
    ) -> None:
        self.root = f"http://127.0.0.1:{port}"
        self._log = folder.parent / f"{folder.name}.log"
        program.prepare(folder)
        databases = {name: folder / name for name in datasets}
        for each in databases.values():
            each.mkdir(exist_ok=True)
        (folder / program.folder / "config.ttl").write_text(configuration(databases, seconds), encoding="utf-8")
        java, *options = program.service(folder, port).command
        at = options.index("-cp")
        self._command = [java, *options[:at], *QUICK_START, *options[at:]]
        self._process: subprocess.Popen[bytes] | None = None
        self.stores = [StoreAddress(f"{self.root}/{name}", "fuseki") for name in datasets]
        self.store = self.stores[0]
        self.url = self.store.url

    def start(self) -> None:
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < until, "the store does not start"
            time.sleep(0.05)

    def _answers(self) -> bool:
        try:
            return httpx.get(self.store.query_url, params={"query": "ASK {}"}, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def end(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None

    def ask(self, query: str) -> bool:
        headers = {"Accept": "application/sparql-results+json"}
        answer = httpx.post(self.store.query_url, data={"query": query}, headers=headers, trust_env=False, timeout=60)
        return bool(answer.raise_for_status().json()["boolean"])

    def lines(self) -> set[str]:
        """Everything in the default graph of the first database, as lines of N-Triples."""
        headers = {"Accept": "application/n-triples"}
        answer = httpx.get(self.store.graph_url, headers=headers, trust_env=False, timeout=60)
        answer.raise_for_status()
        return lines_as_oxigraph(answer.text)
