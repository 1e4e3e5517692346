"""The transport to the store, against a server that answers in every way that HTTP/1.1 has."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

import httpx
import pytest

from query_engine.transport import Transport

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"
LARGE = b"x" * 9_000_000


def chunked(body: bytes, size: int) -> bytes:
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


ANSWERS = {
    "/sized": HEAD + b"Content-Length: 5\r\n\r\nhello",
    "/empty": HEAD + b"Content-Length: 0\r\n\r\n",
    "/chunked": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(b"hello", 2),
    "/large": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunked(LARGE, 1024),
    "/interim": b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD + b"Content-Length: 5\r\n\r\nhello",
    "/until-closed": HEAD + b"Connection: close\r\n\r\nhello",
    "/broken": HEAD + b"Content-Length: 50\r\n\r\nhello",
    "/nothing": b"",
    "/garbage": b"no HTTP at all\r\n\r\n",
    "/once": HEAD + b"Content-Length: 4\r\n\r\nonce",  # and closes, though it has not said so
}
CLOSES = {"/until-closed", "/broken", "/nothing", "/garbage", "/once"}


async def with_server(work: Callable[[httpx.AsyncClient, list[str]], Awaitable[None]]) -> None:
    """Runs ``work`` with a client, and the list of what has been asked of the server, a line a connection or request."""
    told: list[str] = []
    handlers: list[asyncio.Task[None] | None] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handlers.append(asyncio.current_task())
        told.append("connection")
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split()[1].decode()
                told.append(path)
                writer.write(ANSWERS[path])
                await writer.drain()
                if path in CLOSES:
                    break
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        writer.close()
        with suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    base = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    transport = Transport(ssl.create_default_context())
    async with server, httpx.AsyncClient(transport=transport, base_url=base, timeout=20) as client:
        await work(client, told)
        await transport.aclose()
        await asyncio.gather(*(each for each in handlers if each is not None))


@pytest.mark.parametrize("path", ["/sized", "/chunked", "/interim", "/until-closed"])
def test_answers_are_read_to_their_end(path):
    async def work(client: httpx.AsyncClient, told: list[str]) -> None:
        assert (await client.get(path)).content == b"hello"

    asyncio.run(with_server(work))


def test_a_connection_is_kept_and_used_again():
    async def work(client: httpx.AsyncClient, told: list[str]) -> None:
        for path in ("/sized", "/chunked", "/empty", "/sized"):
            await client.get(path)
        assert told.count("connection") == 1

    asyncio.run(with_server(work))


def test_a_large_answer_comes_whole_to_a_slow_reader():
    async def work(client: httpx.AsyncClient, told: list[str]) -> None:
        size = 0
        async with client.stream("GET", "/large") as answer:
            async for part in answer.aiter_bytes():
                size += len(part)
                await asyncio.sleep(0)
        assert size == len(LARGE)

    asyncio.run(with_server(work))


def test_a_connection_that_the_server_closed_meanwhile_is_replaced():
    async def work(client: httpx.AsyncClient, told: list[str]) -> None:
        await client.get("/once")
        await asyncio.sleep(0.05)
        assert (await client.get("/sized")).content == b"hello"
        assert told.count("/sized") == 1

    asyncio.run(with_server(work))


@pytest.mark.parametrize("path", ["/broken", "/nothing", "/garbage"])
def test_answers_that_are_none_are_told(path):
    async def work(client: httpx.AsyncClient, told: list[str]) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(path)
        assert (await client.get("/sized")).content == b"hello"

    asyncio.run(with_server(work))


def test_a_server_that_is_not_there_is_told():
    async def work() -> None:
        async with httpx.AsyncClient(transport=Transport(ssl.create_default_context()), timeout=5) as client:
            with pytest.raises(httpx.ConnectError):
                await client.get("http://127.0.0.1:1/")

    asyncio.run(work())


def test_silence_ends_in_time():
    async def work(client: httpx.AsyncClient, told: list[str]) -> None:
        ANSWERS["/silent"] = b""
        with pytest.raises(httpx.ReadTimeout):
            await client.get("/silent", timeout=httpx.Timeout(20, read=0.2))  # only the answer is late

    asyncio.run(with_server(work))
