"""Posts go to all managers that share a name, not only to the one that the system names first."""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Awaitable, Callable

import httpx

Resolve = Callable[[str, int], Awaitable[list[str]]]


class SpreadTransport(httpx.AsyncBaseTransport):
    """Sends each request to one of the addresses that the host of its URL has now, chosen at random.

    An address that takes no connection is passed over. What container engines and Kubernetes call a service with several
    replicas is such a name; a pool of kept connections would stay with the replica it met first.

    Args:
        inner: what sends the requests.
        resolve: the addresses of a name; raises ``OSError``.
        shuffled: the same addresses, in the order in which they are tried.
    """

    def __init__(
        self,
        inner: httpx.AsyncBaseTransport,
        resolve: Resolve | None = None,
        shuffled: Callable[[list[str]], list[str]] = lambda found: random.sample(found, len(found)),
    ) -> None:
        self._inner = inner
        self._resolve = resolve or addresses
        self._shuffled = shuffled

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        host = request.url.host
        if _is_address(host):
            return await self._inner.handle_async_request(request)
        try:
            found = await self._resolve(host, request.url.port or 0)
        except OSError as error:
            raise httpx.ConnectError(f"{host} has no address: {error.strerror or error}", request=request) from error
        *others, last = self._shuffled(found)
        for address in others:
            try:
                return await self._inner.handle_async_request(_sent_to(request, address))
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
        return await self._inner.handle_async_request(_sent_to(request, last))

    async def aclose(self) -> None:
        await self._inner.aclose()


async def addresses(host: str, port: int) -> list[str]:
    """The addresses of a name, at least one. Raises OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _sent_to(request: httpx.Request, address: str) -> httpx.Request:
    """The request, to an address of its host: the ``Host`` header and the name in the certificate stay the host's."""
    return httpx.Request(
        request.method,
        request.url.copy_with(host=address),
        headers=request.headers,
        stream=request.stream,
        extensions={**request.extensions, "sni_hostname": request.url.host},
    )


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
