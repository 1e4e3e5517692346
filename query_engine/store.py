"""The triple store, asked over the SPARQL 1.1 Protocol; the one place where the query engine does network I/O."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any, AsyncGenerator, AsyncIterator, Optional

import httpx
import orjson

from query_engine.binding import Binding, bind
from query_engine.errors import BadQuery, QueryTimeout, StoreFailed, StoreUnavailable
from query_engine.terms import Term, term

Row = dict[str, Term]
"""One solution: variable name (no ``?``) to term; unbound variables are absent."""

JSON_RESULTS = "application/sparql-results+json"
N_TRIPLES = "application/n-triples"
_EVERYTHING = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"
_MESSAGE_LIMIT = 2000


class StoreClient:
    """Read access to a SPARQL 1.1 server.

    Queries hold an empty block ``VALUES ?name {}`` for each keyword argument (see :mod:`query_engine.binding`).
    One client is shared by all requests of an event loop; close it with :meth:`aclose`.

    Args:
        query_url: the server's query endpoint.
        timeout: seconds a query may take, until its answer has been read.
        transport: replaces the network, for tests.

    Every method raises ``BadQuery`` (with the store's message), ``QueryTimeout``, ``StoreUnavailable``,
    ``StoreFailed``, and ``BadTerm`` for a value that cannot be bound.
    """

    def __init__(
        self, query_url: str, timeout: float = 30.0, transport: Optional[httpx.AsyncBaseTransport] = None
    ) -> None:
        self.query_url = query_url
        self.timeout = timeout
        limits = httpx.Limits(max_connections=32, max_keepalive_connections=16)
        times = httpx.Timeout(timeout, connect=min(timeout, 5.0))
        self._http = httpx.AsyncClient(timeout=times, limits=limits, transport=transport, trust_env=False)

    async def select(self, query: str, **bindings: Binding) -> list[Row]:
        """All solutions of a SELECT query."""
        document = await self._results(query, bindings)
        try:
            return [{name: term(value) for name, value in row.items()} for row in document["results"]["bindings"]]
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreFailed("the store's answer is no result of a SELECT query") from error

    async def ask(self, query: str, **bindings: Binding) -> bool:
        """The answer of an ASK query."""
        answer = (await self._results(query, bindings)).get("boolean")
        if not isinstance(answer, bool):
            raise StoreFailed("the store's answer is no result of an ASK query")
        return answer

    async def construct(self, query: str, accept: str = N_TRIPLES, **bindings: Binding) -> bytes:
        """The graph of a CONSTRUCT or DESCRIBE query in the media type ``accept`` (N-Triples unless said)."""
        async with self.proxy(bind(query, bindings), accept) as response:
            return await response.aread()

    @asynccontextmanager
    async def proxy(self, query: str, accept: str) -> AsyncIterator[httpx.Response]:
        """The store's own answer to a query, as a response to be streamed."""
        headers = {"Content-Type": "application/sparql-query; charset=utf-8", "Accept": accept}
        request = self._http.build_request("POST", self.query_url, content=query.encode(), headers=headers)
        try:
            async with asyncio.timeout(self.timeout):
                response = await self._http.send(request, stream=True)
                try:
                    await _check(response)
                    yield response
                finally:
                    await response.aclose()
        except (httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise StoreUnavailable(f"no connection to the store at {self.query_url} in time") from error
        except (httpx.TimeoutException, TimeoutError) as error:
            raise QueryTimeout(f"the query took longer than {self.timeout:g} s") from error
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailable(f"the store at {self.query_url} does not answer: {reason}") from error

    async def dump(self) -> AsyncGenerator[bytes, None]:
        """All statements as N-Triples, in pieces, as they are at one moment; however long that takes.

        By the Graph Store Protocol, which has no time limit; where the server has none beside its query endpoint, by a
        query.
        """
        headers = {"Accept": N_TRIPLES}
        graph = self._http.build_request("GET", f"{self.query_url.rpartition('/')[0]}/store?default", headers=headers)
        headers = {**headers, "Content-Type": "application/sparql-query; charset=utf-8"}
        query = self._http.build_request("POST", self.query_url, content=_EVERYTHING, headers=headers)
        try:
            response = await self._http.send(graph, stream=True)
            if response.status_code in (400, 404, 405, 406, 501):
                await response.aclose()
                response = await self._http.send(query, stream=True)
            try:
                await _check(response)
                async for chunk in response.aiter_bytes():
                    yield chunk
            finally:
                await response.aclose()
        except httpx.HTTPError as error:
            reason = str(error) or type(error).__name__
            raise StoreUnavailable(f"the store at {self.query_url} does not answer: {reason}") from error

    async def aclose(self) -> None:
        """Closes all connections."""
        await self._http.aclose()

    async def _results(self, query: str, bindings: dict[str, Any]) -> dict[str, Any]:
        async with self.proxy(bind(query, bindings), JSON_RESULTS) as response:
            body = await response.aread()
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise StoreFailed("the store's answer is no JSON") from error
        if not isinstance(document, dict):
            raise StoreFailed("the store's answer is no SPARQL result")
        return document


async def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    text = (await response.aread())[:_MESSAGE_LIMIT].decode("utf-8", "replace").strip()
    if response.status_code in (400, 413, 414):
        raise BadQuery(text or "the store refused the query")
    if response.status_code in (408, 504):
        raise QueryTimeout(text or "the query took longer than the store allows")
    if response.status_code in (429, 503):
        raise StoreUnavailable(text or "the store has too much to do")
    raise StoreFailed(f"the store answered {response.status_code}: {text}")
