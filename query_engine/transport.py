"""How requests reach the store: HTTP/1.1 over kept connections, read by httptools.

Stores send their answers in pieces of a kilobyte. httpx's own transport handles each by itself in Python, some 25 µs a
piece; here a parser in C takes whatever has come at once. All else of httpx (requests, decoding, errors) stays in use.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Optional, cast

import httptools
import httpx

_HIGH_WATER = 4_000_000
"""Bytes that may wait to be taken before a connection is read no further."""
_ENOUGH = 64_000
"""Bytes that are worth a turn of whoever reads, before the end or a pause."""


class Transport(httpx.AsyncBaseTransport):
    """Connections to one server, for one event loop.

    Args:
        context: for https.
        most: connections at once; requests beyond wait.
        kept: of them, how many stay open while nobody asks.
    """

    def __init__(self, context: ssl.SSLContext, most: int = 32, kept: int = 16) -> None:
        self._context, self._kept = context, kept
        self._turns = asyncio.Semaphore(most)
        self._idle: list[_Connection] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer, whose body comes as it is read."""
        times = request.extensions.get("timeout", {})
        try:
            async with asyncio.timeout(times.get("pool")):
                await self._turns.acquire()
        except TimeoutError as error:
            raise httpx.PoolTimeout("all connections are in use", request=request) from error
        try:
            connection = await self._send(request, times)
        except BaseException:
            self._turns.release()
            raise
        body = _Body(self, connection, request, times.get("read"))
        return httpx.Response(connection.status, headers=connection.headers, stream=body)

    async def _send(self, request: httpx.Request, times: dict[str, Optional[float]]) -> _Connection:
        """A connection on which the head of the answer has come."""
        message = _head(request) + await request.aread()
        while True:
            kept = bool(self._idle)
            connection = self._idle.pop() if kept else await self._connect(request, times.get("connect"))
            try:
                connection.ask(message)
                await connection.wait(connection.is_answered, request, times.get("read"))
                return connection
            except httpx.RemoteProtocolError:
                connection.close()
                if not kept or connection.begun:  # else the server had closed it while nobody asked: another one
                    raise
            except BaseException:
                connection.close()
                raise

    async def _connect(self, request: httpx.Request, seconds: Optional[float]) -> _Connection:
        url = request.url
        context = self._context if url.scheme == "https" else None
        port = url.port or (443 if context else 80)
        try:
            async with asyncio.timeout(seconds):
                loop = asyncio.get_running_loop()
                _, connection = await loop.create_connection(_Connection, url.host, port, ssl=context)
        except TimeoutError as error:
            raise httpx.ConnectTimeout(f"no connection to {url.host}:{port}", request=request) from error
        except (OSError, UnicodeError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return connection

    def give_back(self, connection: _Connection) -> None:
        """Takes a connection that was answered on, or not; it is kept if it can be used again."""
        self._turns.release()
        if connection.reusable and len(self._idle) < self._kept:
            self._idle.append(connection)
        else:
            connection.close()

    async def aclose(self) -> None:
        """Closes the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()


class _Connection(asyncio.Protocol):
    """One request at a time, and its answer as far as it has come."""

    def __init__(self) -> None:
        self._transport: Optional[asyncio.Transport] = None
        self._parser: Optional[httptools.HttpResponseParser] = None
        self._waiter: Optional[asyncio.Future[None]] = None
        self._lost: Optional[str] = None
        self.begun = self._complete_head = self.complete = False
        self.status = 0
        self._told_head = self._kept = False
        self.headers: list[tuple[bytes, bytes]] = []
        self._parts: list[bytes] = []
        self._size, self._paused = 0, False

    def ask(self, message: bytes) -> None:
        """Sends a request."""
        self.begun = self._complete_head = self.complete = False
        self.headers, self._parts, self._size, self._told_head = [], [], 0, False
        self._parser = httptools.HttpResponseParser(self)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(message)

    async def wait(self, there: Callable[[], bool], request: httpx.Request, seconds: Optional[float]) -> None:
        """Returns when something has come. Raises what httpx does when it does not."""
        while not there():
            if self._lost is not None:
                raise httpx.RemoteProtocolError(self._lost, request=request)
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                async with asyncio.timeout(seconds):
                    await self._waiter
            except TimeoutError as error:
                if not there():
                    raise httpx.ReadTimeout("nothing came in time", request=request) from error
            finally:
                self._waiter = None

    def is_answered(self) -> bool:
        return self._complete_head

    def has_more(self) -> bool:
        return bool(self._parts) or self.complete

    def take(self) -> bytes:
        """What has come of the body and was not taken yet."""
        parts, self._parts, self._size = self._parts, [], 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return b"".join(parts)

    @property
    def reusable(self) -> bool:
        return self.complete and self._lost is None and self._kept

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # -- of asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by its methods only

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self.complete:  # nobody asked
            self._lost = "the server sent what nobody asked for"
            self.close()
            return
        self.begun = True
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._lost = f"no HTTP: {error}"
            self.close()
        if self._size >= _ENOUGH or self.complete or self._lost or not self._told_head:
            self._told_head = self._complete_head
            self._wake()

    def connection_lost(self, error: Optional[Exception]) -> None:
        self._lost = self._lost or str(error or "the server closed the connection")
        sized = {b"content-length", b"transfer-encoding"} & {name.lower() for name, _ in self.headers}
        if self._complete_head and error is None and not sized:  # so it says where the answer ends
            self.complete = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- of httptools

    def on_header(self, name: bytes, value: bytes) -> None:
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        if self._parser is not None:
            self.status = self._parser.get_status_code()
        if self.status >= 200:
            self._complete_head = True
        else:
            self.headers = []

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > _HIGH_WATER and not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        self.complete = self._complete_head
        self._kept = self._parser is not None and self._parser.should_keep_alive()


class _Body(httpx.AsyncByteStream):
    """The body of an answer; closing it gives the connection back."""

    def __init__(
        self, transport: Transport, connection: _Connection, request: httpx.Request, seconds: Optional[float]
    ) -> None:
        self._transport, self._connection = transport, connection
        self._request, self._seconds = request, seconds
        self._closed = False

    async def __aiter__(self) -> AsyncIterator[bytes]:
        connection = self._connection
        while True:
            await connection.wait(connection.has_more, self._request, self._seconds)
            if data := connection.take():
                yield data
            elif connection.complete:
                return

    async def aclose(self) -> None:
        if not self._closed:
            self._closed = True
            self._transport.give_back(self._connection)


def _head(request: httpx.Request) -> bytes:
    lines = [request.method.encode() + b" " + request.url.raw_path + b" HTTP/1.1"]
    lines += [name + b": " + value for name, value in request.headers.raw]
    return b"\r\n".join(lines) + b"\r\n\r\n"
