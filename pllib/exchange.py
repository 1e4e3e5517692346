"""One HTTP/1.1 exchange over a kept connection, bounded in time as a whole.

Not ``http.client``, for two reasons that were measured. Its time-out is for each read, so a server that sends a byte a second
holds the caller for ever. And it keeps the interpreter for some 0.2 ms an exchange, in which the script's thread, which this
runs beside, cannot capture.
"""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING, Dict, List, NamedTuple, Optional, Tuple

if TYPE_CHECKING:
    import ssl

MAX_HEAD = 65_536
MAX_BODY = 16_000_000
READ_BYTES = 65_536


class Answer(NamedTuple):
    """``headers``: names in lower case."""

    status: int
    headers: Dict[str, str]
    body: bytes


class Unanswered(ConnectionError):
    """The connection ended before an answer began; where it was an old one, a new one may do."""


class Connection:
    """A connection to one server.

    Args:
        seconds: for the whole of each exchange, connecting included.
        tls: for ``https``.
    """

    def __init__(self, host: str, port: int, seconds: float, tls: Optional[ssl.SSLContext]) -> None:
        self._host, self._port, self._seconds, self._tls = host, port, seconds, tls
        self._socket: Optional[socket.socket] = None
        self._until = 0.0
        self._rest = b""

    def open(self) -> None:
        """Connects, if need be.

        Raises:
            OSError: nobody is there, or not in time.
        """
        self._until = time.monotonic() + self._seconds
        if self._socket is None:
            self._connect()

    def post(self, head: bytes, body: bytes) -> Answer:
        """Sends a request and reads the answer.

        Raises:
            OSError: there is none, or not in time.
            ValueError: it is no HTTP.
        """
        self._until = time.monotonic() + self._seconds
        kept = self._socket is not None
        try:
            return self._exchanged(head, body)
        except Unanswered:
            self.close()
            if not kept:
                raise
        return self._exchanged(head, body)  # the server had closed what we kept

    def close(self) -> None:
        found, self._socket, self._rest = self._socket, None, b""
        if found is not None:
            found.close()

    def abandon(self) -> None:
        """Lets go of the socket in a forked child: closes its copy without a word to the server."""
        found, self._socket = self._socket, None
        if found is not None:
            os.close(found.detach())

    # -- connecting ---------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        """Tries the host's addresses in turn, each with its share of the time."""
        # As bytes, else the codec of international names is imported, which in a forked child may wait for ever.
        host = self._host.encode("ascii") if self._host.isascii() else self._host
        found = socket.getaddrinfo(host, self._port, type=socket.SOCK_STREAM)
        for position, (family, kind, protocol, _, address) in enumerate(found):
            plain = socket.socket(family, kind, protocol)
            try:
                plain.settimeout(self._left() / (len(found) - position))
                plain.connect(address)
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                plain.settimeout(self._left())
                self._socket = self._tls.wrap_socket(plain, server_hostname=self._host) if self._tls else plain
            except OSError:
                plain.close()
                if position == len(found) - 1:
                    raise
            else:
                return

    def _left(self) -> float:
        """Seconds until the exchange must be over."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError(f"not done within {self._seconds:g} s")
        return left

    # -- one exchange -------------------------------------------------------------------------------------------

    def _exchanged(self, head: bytes, body: bytes) -> Answer:
        if self._socket is None:
            self._connect()
        self._send(head + body)
        status, headers = self._head()
        while status < 200:  # 100 Continue and the like
            status, headers = self._head()
        content = self._body(headers)
        if headers.get("connection", "").lower() == "close" or headers[""] == "HTTP/1.0":
            self.close()
        return Answer(status, headers, content)

    def _send(self, data: bytes) -> None:
        """Over TLS in blocks, since there the time-out is for each; a server may answer, and close, before it has read all."""
        block = len(data) if self._tls is None else READ_BYTES
        try:
            for start in range(0, len(data), block):
                self._socket.settimeout(self._left())  # type: ignore[union-attr]
                self._socket.sendall(data[start : start + block])  # type: ignore[union-attr]
        except ConnectionError:
            return  # told by what is read, or not read, next

    def _more(self) -> bytes:
        self._socket.settimeout(self._left())  # type: ignore[union-attr]
        return self._socket.recv(READ_BYTES)  # type: ignore[union-attr]

    def _head(self) -> Tuple[int, Dict[str, str]]:
        """Status and headers of an answer; under "" the version."""
        data = self._rest
        while b"\r\n\r\n" not in data:
            try:
                more = self._more()
            except ConnectionError as error:
                raise Unanswered(str(error)) from error
            if not more:
                raise Unanswered("the connection was closed") if not data else ValueError("the answer was cut off")
            data += more
            if len(data) > MAX_HEAD:
                raise ValueError("the answer's headers have no end")
        head, _, self._rest = data.partition(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("this is no HTTP server")
        named = (line.partition(":") for line in lines)
        return int(rest[:3]), {"": version, **{name.strip().lower(): value.strip() for name, _, value in named}}

    def _body(self, headers: Dict[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", "").lower():
            return self._chunks()
        size = headers.get("content-length")
        return self._until_closed() if size is None else self._exactly(int(size))

    def _exactly(self, size: int) -> bytes:
        if not 0 <= size <= MAX_BODY:
            raise ValueError(f"an answer of {size} bytes")
        parts = [self._rest]
        left = size - len(self._rest)
        while left > 0:
            parts.append(self._more())
            if not parts[-1]:
                raise ValueError("the answer was cut off")
            left -= len(parts[-1])
        data = b"".join(parts)
        self._rest = data[size:]
        return data[:size]

    def _chunks(self) -> bytes:
        parts: List[bytes] = []
        while True:
            size = int(self._line().partition(b";")[0], 16)
            if not size:
                while self._line():
                    pass  # trailers
                return b"".join(parts)
            parts.append(self._exactly(size))
            if self._line() or sum(map(len, parts)) > MAX_BODY:
                raise ValueError("the answer's chunks are not right")

    def _line(self) -> bytes:
        while b"\r\n" not in self._rest:
            more = self._more()
            if not more or len(self._rest) > MAX_HEAD:
                raise ValueError("the answer was cut off")
            self._rest += more
        line, _, self._rest = self._rest.partition(b"\r\n")
        return line

    def _until_closed(self) -> bytes:
        parts = [self._rest]
        while parts[-1] or len(parts) == 1:
            parts.append(self._more())
            if sum(map(len, parts)) > MAX_BODY:
                raise ValueError("the answer has no end")
        self.close()
        return b"".join(parts)
