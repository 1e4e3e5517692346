"""Posts reach every manager that shares a name, whatever the system's order of its addresses."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from tracker.manager_addresses import SpreadTransport, addresses

HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Replica:
    """A server at one of the addresses of a name; it notes by which name it was called, and how often."""

    def __init__(self, address: str, port: int) -> None:
        self.called: list[str] = []
        called = self.called

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                called.append(self.headers["Host"])
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer((address, port), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def end(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def replicas(free_port: Callable[[], int]) -> Iterator[tuple[int, list[Replica]]]:
    port = free_port()
    started = [Replica(address, port) for address in HOSTS[:2]]
    yield port, started
    for each in started:
        each.end()


async def of_the_name(host: str, port: int) -> list[str]:
    assert host == "managers.internal"
    return list(HOSTS)


def post(url: str, times: int, transport: httpx.AsyncBaseTransport) -> list[int]:
    async def posts() -> list[int]:
        async with httpx.AsyncClient(base_url=url, transport=transport, trust_env=False) as client:
            return [(await client.post("/v1/prov-ml", content=b"{}")).status_code for _ in range(times)]

    return asyncio.run(posts())


def test_posts_go_to_all_that_take_connections(replicas: tuple[int, list[Replica]]) -> None:
    port, (one, two) = replicas  # nobody listens at the third address
    transport = SpreadTransport(httpx.AsyncHTTPTransport(), of_the_name)
    assert post(f"http://managers.internal:{port}", 60, transport) == [200] * 60
    assert len(one.called) + len(two.called) == 60
    assert min(len(one.called), len(two.called)) > 5
    assert {*one.called, *two.called} == {f"managers.internal:{port}"}


def test_nobody_there_is_no_connection(free_port: Callable[[], int]) -> None:
    transport = SpreadTransport(httpx.AsyncHTTPTransport(), of_the_name)
    with pytest.raises(httpx.ConnectError):
        post(f"http://managers.internal:{free_port()}", 1, transport)


def test_a_name_without_an_address_is_no_connection() -> None:
    with pytest.raises(httpx.ConnectError, match=r"nowhere\.invalid has no address"):
        post("http://nowhere.invalid:1", 1, SpreadTransport(httpx.AsyncHTTPTransport()))


def test_an_address_is_taken_as_it_is(replicas: tuple[int, list[Replica]]) -> None:
    port, (one, two) = replicas
    post(f"http://127.0.0.2:{port}", 3, SpreadTransport(httpx.AsyncHTTPTransport(), of_the_name))
    assert (one.called, two.called) == ([], [f"127.0.0.2:{port}"] * 3)


def test_what_was_begun_is_not_sent_to_another(free_port: Callable[[], int]) -> None:
    tried = []

    class Broken(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            tried.append(request.url.host)
            raise httpx.ReadError("the answer was lost", request=request)

    with pytest.raises(httpx.ReadError):
        post(f"http://managers.internal:{free_port()}", 1, SpreadTransport(Broken(), of_the_name))
    assert len(tried) == 1


def test_the_system_is_asked_for_addresses() -> None:
    assert set(asyncio.run(addresses("localhost", 80))) <= {"127.0.0.1", "::1"}


def test_addresses_of_the_sixth_version(free_port: Callable[[], int]) -> None:
    sent: list[httpx.Request] = []

    class Noted(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return httpx.Response(200)

    async def sixth(host: str, port: int) -> list[str]:
        return ["fd00::7"]

    post("https://managers.internal:8471", 1, SpreadTransport(Noted(), sixth))
    assert str(sent[0].url) == "https://[fd00::7]:8471/v1/prov-ml"
    assert sent[0].extensions["sni_hostname"] == "managers.internal"
    assert sent[0].headers["Host"] == "managers.internal:8471"
