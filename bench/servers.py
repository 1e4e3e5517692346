"""Trackers that misbehave: what a client may meet, as small servers on loopback in a process of their own.

python -m bench.servers STATE     prints the port and serves until standard input is closed
"""

from __future__ import annotations

import json
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from subprocess import PIPE, Popen

from pllib.packing import JSON, LINES

CHECKOUT = Path(__file__).resolve().parents[1]

Answer = Callable[[socket.socket], None]


def _reply(status: str, body: bytes = b"{}", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode() + body


def _taken(request: bytes) -> bytes:
    """A tracker's answer to a batch, of JSON or of lines. Records begin with number and kind; in a text the quotes would be escaped."""
    count = len(re.findall(rb'\{"n":\d+,"op":', request))
    told = json.dumps({"accepted": count, "rejected": 0, "results": []}).encode()
    return _reply("200 OK", told, f"Accept-Post: {JSON}, {LINES}")


def _request(connection: socket.socket) -> bytes:
    """Reads one request; its body, of one that is not compressed. Empty when there was none."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(65536)
        if not more:
            return b""
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    size = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
    parts = [body]
    left = size - len(body)
    while left > 0:
        parts.append(connection.recv(65536))
        left -= len(parts[-1]) or left
    return b"".join(parts)


def _take(connection: socket.socket) -> None:
    while request := _request(connection):
        connection.sendall(_taken(request))


def _always(answer: bytes) -> Answer:
    def serve(connection: socket.socket) -> None:
        while _request(connection):
            connection.sendall(answer)

    return serve


def _byte_a_second(connection: socket.socket) -> None:
    while request := _request(connection):
        for byte in _taken(request):
            connection.sendall(bytes([byte]))
            time.sleep(1)


def _every_second(connection: socket.socket) -> None:
    while _request(connection):
        connection.sendall(_reply("503 Service Unavailable"))
        if request := _request(connection):
            connection.sendall(_taken(request))


def _never(connection: socket.socket) -> None:
    time.sleep(3600)


STATES: dict[str, Answer] = {
    "up": _take,
    "slow": _byte_a_second,
    "hung": _never,
    "flapping": _take,
    "unavailable": _always(_reply("503 Service Unavailable", b"{}")),
    "every-second": _every_second,
    "busy": _always(_reply("429 Too Many Requests", b"{}", "Retry-After: 3600")),
    "garbage": _always(_reply("429 Too Many Requests", b"{}", "Retry-After: soon")),
}


def _serve(listener: socket.socket, answer: Answer, open_connections: list[socket.socket]) -> None:
    while True:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        open_connections.append(connection)
        threading.Thread(target=_quietly, args=(answer, connection), daemon=True).start()


def _quietly(answer: Answer, connection: socket.socket) -> None:
    with suppress(OSError), connection:
        answer(connection)


def _flap(port: int, answer: Answer) -> None:
    """Half a second up, half a second gone."""
    while True:
        connections: list[socket.socket] = []
        with socket.create_server(("127.0.0.1", port)) as listener:
            threading.Thread(target=_serve, args=(listener, answer, connections), daemon=True).start()
            time.sleep(0.5)
            listener.shutdown(socket.SHUT_RDWR)
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        time.sleep(0.5)


def main(state: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0), backlog=1 if state == "full" else 128)
    port = listener.getsockname()[1]
    held = []
    if state == "full":  # nobody accepts, and the queue of waiting connections is full: SYNs are dropped
        for _ in range(3):
            held.append(socket.socket())
            held[-1].setblocking(False)
            held[-1].connect_ex(("127.0.0.1", port))
    elif state == "flapping":
        listener.close()
        threading.Thread(target=_flap, args=(port, STATES[state]), daemon=True).start()
    else:
        threading.Thread(target=_serve, args=(listener, STATES[state], []), daemon=True).start()
    print(port, flush=True)
    sys.stdin.read()


@contextmanager
def server(state: str) -> Iterator[str]:
    """A server in that state, in a process that ends with the block; gives its address. ``down``: nobody is there."""
    if state == "down":
        yield "http://127.0.0.1:1"
        return
    process = Popen([sys.executable, "-m", "bench.servers", state], cwd=CHECKOUT, stdin=PIPE, stdout=PIPE, text=True)
    inlet, outlet = process.stdin, process.stdout
    if inlet is None or outlet is None:
        raise AssertionError("pipes were asked for")
    try:
        yield f"http://127.0.0.1:{int(outlet.readline())}"
    finally:
        inlet.close()
        outlet.close()
        try:
            process.wait(10)
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main(sys.argv[1])
