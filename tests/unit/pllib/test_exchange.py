"""One HTTP exchange: what servers may answer, and that it ends in time; against sockets that say exactly what they are told."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from pllib.errors import TransportError
from pllib.exchange import Connection
from pllib.transport import HttpTransport

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"
TAKEN = b'{"accepted":1,"rejected":0,"results":[]}\n'
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Server:
    """Says, for each connection, these pieces with a pause before each, whatever it hears."""

    def __init__(self, *connections: list[tuple[float, bytes]], stays: float = 0.0) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.heard: list[bytes] = []
        self._connections, self._stays = connections, stays
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        for pieces in self._connections:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                for pause, piece in pieces:
                    self.heard.append(connection.recv(65536))
                    time.sleep(pause)
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                time.sleep(self._stays)

    def close(self) -> None:
        self._listener.close()


@contextmanager
def talking(*connections: list[tuple[float, bytes]], seconds: float = 5.0, **options: Any) -> Iterator[Connection]:
    server = Server(*connections, **options)
    connection = Connection("127.0.0.1", server.port, seconds, None)
    yield connection
    connection.close()
    server.close()


@pytest.mark.parametrize(
    ("said", "body"),
    [
        (OK, b"ok"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" + OK, b"ok"),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n3;x=y\r\n!!!\r\n0\r\nTrailer: 1\r\n\r\n",
            b"ok!!!",
        ),
        (b"HTTP/1.0 200 OK\r\n\r\nuntil the end", b"until the end"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length:2\r\n\r\nok", b"ok"),
        (b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_answers_of_every_form_are_read(said, body):
    with talking([(0, said)]) as connection:
        answer = connection.post(HEAD, b"body")
    assert answer.body == body
    assert answer.status in (200, 204)


@pytest.mark.parametrize(
    "said",
    [
        b"SSH-2.0-OpenSSH_9.6\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"HTTP/1.1 ok\r\n\r\n",
        b"HTTP/1.1 200",
        b"x" * 200_000,
        b"",
    ],
)
def test_what_is_no_answer_is_an_error_that_is_told(said):
    server = Server([(0, said)], [(0, said)])
    transport = HttpTransport(f"http://127.0.0.1:{server.port}", 5.0)
    with pytest.raises(TransportError, match="no answer from") as caught:
        transport.post("0" * 32, [b"{}"])
    assert not caught.value.permanent
    server.close()


def test_a_connection_is_kept_and_made_anew_when_the_server_has_closed_it():
    with talking([(0, OK), (0, OK)], [(0, OK)]) as connection:
        for _ in range(3):
            assert connection.post(HEAD, b"body").body == b"ok"


def test_a_new_connection_that_is_closed_without_an_answer_is_not_tried_for_ever():
    with talking([(0, b"")], [(0, OK)]) as connection, pytest.raises(ConnectionError):
        connection.post(HEAD, b"body")


def test_an_answer_before_the_end_of_the_request_is_read():
    refusal = b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 2\r\n\r\nno"
    with talking([(0, refusal)]) as connection:
        assert connection.post(HEAD, b"x" * 50_000_000).status == 413


def test_the_time_is_for_the_whole_exchange_and_not_for_each_byte():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=_drip, args=(listener,), daemon=True).start()
        connection = Connection("127.0.0.1", listener.getsockname()[1], 1.0, None)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.post(HEAD, b"body")
        assert time.monotonic() - began < 0.2 * len(OK) / 2
        connection.close()


def _drip(listener: socket.socket) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.recv(65536)
        for byte in OK:
            time.sleep(0.2)
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return


def test_a_server_that_reads_nothing_does_not_hold_a_large_batch():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        connection = Connection("127.0.0.1", listener.getsockname()[1], 0.5, None)
        began = time.monotonic()
        with pytest.raises(TimeoutError):
            connection.post(HEAD, b"x" * 100_000_000)
        assert time.monotonic() - began < 5
        connection.close()


def test_an_address_that_does_not_answer_leaves_time_for_the_next(monkeypatch):
    with socket.create_server(("127.0.0.1", 0), backlog=1) as dead, talking([(0, OK)]) as connection:
        held = [socket.socket() for _ in range(3)]
        for each in held:
            each.setblocking(False)
            each.connect_ex(dead.getsockname())
        port = connection._port
        known = [
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", dead.getsockname()),
            (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port)),
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: known)
        connection._seconds = 2.0
        assert connection.post(HEAD, b"body").body == b"ok"
        for each in held:
            each.close()


def test_a_forked_child_lets_go_of_the_connection_without_a_word():
    with talking([(0, OK), (0, OK)]) as connection:
        connection.post(HEAD, b"body")
        pid = os.fork()
        if not pid:
            connection.abandon()
            os._exit(0 if connection._socket is None else 1)
        assert os.waitpid(pid, 0)[1] == 0
        assert connection.post(HEAD, b"body").body == b"ok"


def test_a_user_and_a_path_in_the_address_are_understood():
    server = Server([(0, b"HTTP/1.1 200 OK\r\nContent-Length: 41\r\n\r\n" + TAKEN)])
    transport = HttpTransport(f"http://me@127.0.0.1:{server.port}/behind/", 5.0, token="secret")
    assert transport.post("0" * 32, [b"{}"])["accepted"] == 1
    head = server.heard[0].split(b"\r\n")
    assert head[0] == b"POST /behind/v1/captures HTTP/1.1"
    assert b"Host: 127.0.0.1:%d" % server.port in head
    assert b"Authorization: Bearer secret" in head
    transport.close()
    server.close()
