"""A relay between a client and a service that misbehaves as it is told: real sockets, real HTTP, one fault at a time.

It listens on one port for as long as it lives, so that a service can seem to go and come back::

    with Proxy(tracker_url) as proxy:
        proxy.behave(answer(503, {"Retry-After": "1"}))
        ...
        proxy.behave(relay)
"""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self
from urllib.parse import urlsplit

from pllib.packing import JSON, LINES, unpacked

TIMEOUT = 60.0


class Request(NamedTuple):
    """A request that came in: its number from 0, method, path, headers with lower-case names, and body."""

    number: int
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


class Reply(NamedTuple):
    """What is sent back; ``None`` for the status closes the connection without a word."""

    status: int | None
    headers: Mapping[str, str]
    body: bytes
    pause: float = 0.0
    """Seconds before each byte of the reply."""
    raw: bytes | None = None
    """Sent as it is in place of all the others, after which the connection is closed."""


Behaviour = Callable[["Proxy", Request], Reply]

SILENCE = Reply(None, {}, b"")


def relay(proxy: Proxy, request: Request) -> Reply:
    """What the service itself answers; 502 when it cannot be reached."""
    return proxy.forward(request)


def answer(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"{}") -> Behaviour:
    """The same answer to everything; the service is not asked."""
    return lambda proxy, request: Reply(status, headers or {}, body)


def black_hole(proxy: Proxy, request: Request) -> Reply:
    """Takes the request and never answers, for as long as the relay lives."""
    proxy.ended.wait(TIMEOUT)
    return SILENCE


def slow(seconds: float, behaviour: Behaviour = relay) -> Behaviour:
    """Behaves in the given way, so many seconds later."""

    def behave(proxy: Proxy, request: Request) -> Reply:
        proxy.ended.wait(seconds)
        return behaviour(proxy, request)

    return behave


def raw(data: bytes) -> Behaviour:
    """These bytes to everything, then the connection is closed; the service is not asked."""
    return lambda proxy, request: SILENCE._replace(raw=data)


def hanging_up(behaviour: Behaviour = relay) -> Behaviour:
    """Behaves in the given way and then closes the connection without having said so, as servers do with idle ones."""
    return lambda proxy, request: SILENCE._replace(raw=_bytes_of(behaviour(proxy, request)))


def keeping(records: dict[tuple[str, int], bytes], behaviour: Behaviour = relay) -> Behaviour:
    """Behaves in the given way and notes each capture record that comes by: producer and number to its JSON."""

    def behave(proxy: Proxy, request: Request) -> Reply:
        if request.path.endswith("/v1/captures"):
            batch = batch_of(plain_body(request), request.headers.get("content-type", JSON))
            for record in batch["records"]:
                records[batch["producer"], record["n"]] = json.dumps(record).encode()
        return behaviour(proxy, request)

    return behave


def batch_of(body: bytes, kind: str) -> dict[str, Any]:
    """A batch as it is as JSON; ``kind``: its media type."""
    head, *lines = body.split(b"\n") if kind == LINES else [body]
    batch: dict[str, Any] = json.loads(head)
    return {**batch, "records": [*batch["records"], *(json.loads(unpacked(line)) for line in lines)]}


def plain_body(request: Request) -> bytes:
    """The body of a request, inflated where it was compressed."""
    return gzip.decompress(request.body) if request.headers.get("content-encoding") == "gzip" else request.body


def dripping(seconds: float) -> Behaviour:
    """The service's answer, a byte every so many seconds."""
    return lambda proxy, request: proxy.forward(request)._replace(pause=seconds)


def alternating(first: Behaviour, second: Behaviour) -> Behaviour:
    """Behaves in one way for requests 0, 2, 4 … and in the other for the rest."""
    return lambda proxy, request: (second if request.number % 2 else first)(proxy, request)


def losing_answers(share: float, seed: int, behaviour: Behaviour = relay) -> Behaviour:
    """Lets the service do its work, then loses its answer in this share of the requests."""
    chance = random.Random(seed)

    def behave(proxy: Proxy, request: Request) -> Reply:
        reply = behaviour(proxy, request)
        return SILENCE if chance.random() < share else reply

    return behave


class Proxy:
    """The relay; ``url`` is where it listens, ``counts`` the requests and bytes it has seen.

    Args:
        upstream: URL of the service.
        listener: a socket that listens already, of another network perhaps; it cannot go down and come back.
    """

    def __init__(self, upstream: str, listener: socket.socket | None = None) -> None:
        self.upstream = upstream.rstrip("/")
        self.counts: Counter[str] = Counter()
        self.ended = threading.Event()
        self._behaviour: Behaviour = relay
        self._numbers = itertools.count()
        self._connections: set[socket.socket] = set()
        self._lock = threading.Lock()
        self._listener: socket.socket | None = None
        self._port = 0
        self.up(listener)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def behave(self, behaviour: Behaviour) -> None:
        """From the next request on."""
        self._behaviour = behaviour

    def up(self, listener: socket.socket | None = None) -> None:
        """Listens, on the same port as before."""
        if self._listener is not None:
            return
        listener = listener or socket.create_server(("127.0.0.1", self._port), backlog=128)
        self._port = listener.getsockname()[1]
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def down(self) -> None:
        """Refuses connections and breaks those that are open."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        with self._lock:
            open_ones = list(self._connections)
        for connection in open_ones:
            _break(connection)

    def forward(self, request: Request) -> Reply:
        """The service's own answer to a request."""
        parts = urlsplit(self.upstream)
        connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=TIMEOUT)
        kept = {name: text for name, text in request.headers.items() if name not in ("host", "connection")}
        try:
            connection.request(request.method, parts.path + request.path, request.body, kept)
            found = connection.getresponse()
            body = found.read()
        except (OSError, http.client.HTTPException):
            return Reply(502, {}, b"{}")
        finally:
            connection.close()
        told = ("content-type", "retry-after", "accept-post")
        named = {name: text for name, text in found.getheaders() if name.lower() in told}
        return Reply(found.status, named, body)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.ended.set()
        self.down()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(connection)
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with connection, connection.makefile("rb") as stream:
                while (request := _read(stream, self._numbers)) is not None:
                    self.counts["requests"] += 1
                    self.counts["bytes"] += len(request.body)
                    reply = self._behaviour(self, request)
                    if reply.status is None:
                        connection.sendall(reply.raw or b"")
                        _break(connection)
                        return
                    self.counts[f"{reply.status}"] += 1
                    self._send(connection, reply)
        except OSError:
            return
        finally:
            with self._lock:
                self._connections.discard(connection)

    def _send(self, connection: socket.socket, reply: Reply) -> None:
        data = _bytes_of(reply)
        if not reply.pause:
            connection.sendall(data)
            return
        for position in range(len(data)):
            if self.ended.wait(reply.pause):
                return
            connection.sendall(data[position : position + 1])


def _bytes_of(reply: Reply) -> bytes:
    """A reply as it goes over the wire."""
    headers = {"Content-Length": str(len(reply.body)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} told", *(f"{name}: {text}" for name, text in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + reply.body


def _read(stream: object, numbers: itertools.count[int]) -> Request | None:
    """The next request of a connection; ``None`` when it ends."""
    line = stream.readline()  # type: ignore[attr-defined]
    if not line.strip():
        return None
    method, path, _ = line.decode("latin-1").split(" ", 2)
    headers = {name.lower(): text for name, text in http.client.parse_headers(stream).items()}  # type: ignore[arg-type]
    body = stream.read(int(headers.get("content-length", "0")))  # type: ignore[attr-defined]
    return Request(next(numbers), method, path, headers, body)


def _break(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


def until(condition: Callable[[], bool], seconds: float, pause: float = 0.02) -> bool:
    """Whether something came true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(pause)
    return True
