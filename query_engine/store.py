"""The triple store, asked over the SPARQL 1.1 Protocol; the one place where the query engine does network I/O."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import Any, AsyncGenerator, AsyncIterator, Optional

import httpx
import orjson

from edge.stores import StoreAddress
from query_engine.binding import Binding, bind
from query_engine.errors import BadQuery, QueryTimeout, StoreFailed, StoreUnavailable
from query_engine.terms import Term, term
from query_engine.transport import Transport

Row = dict[str, Term]
"""One solution: variable name (no ``?``) to term; unbound variables are absent."""

TAIL = 200
"""Bytes of the end of an answer that tell whether it was broken off."""
JSON_RESULTS = "application/sparql-results+json"
N_TRIPLES = "application/n-triples"
_EVERYTHING = "CONSTRUCT { ?s ?p ?o } WHERE { ?s ?p ?o }"
_MESSAGE_LIMIT = 2000
_INCOMPLETE = b"Incomplete results           ****   ##"
"""The end of what Fuseki adds to an answer that it gives up after it has begun: as text, whatever the format."""


class StoreClient:
    """Read access to a SPARQL 1.1 server.

    Queries hold an empty block ``VALUES ?name {}`` for each keyword argument (see :mod:`query_engine.binding`).
    One client is shared by all requests of an event loop; close it with :meth:`aclose`.

    Args:
        address: where the server answers, and what lets us in.
        timeout: seconds a query may take, until its answer has been read.
        transport: replaces the network, for tests.

    Every method raises ``BadQuery`` (with the store's message), ``QueryTimeout``, ``StoreUnavailable``,
    ``StoreFailed``, and ``BadTerm`` for a value that cannot be bound.
    """

    def __init__(
        self, address: StoreAddress, timeout: float = 30.0, transport: Optional[httpx.AsyncBaseTransport] = None
    ) -> None:
        self.query_url = address.query_url
        self._graph_url = address.graph_url
        self._timed_url = address.query_url_within(timeout)
        self.timeout = timeout
        times = httpx.Timeout(timeout, connect=min(timeout, 5.0))
        self._http = httpx.AsyncClient(
            timeout=times,
            transport=transport or Transport(address.tls()),
            trust_env=False,
            headers=address.headers,
        )

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
        return await self.read(bind(query, bindings), accept)

    async def read(self, query: str, accept: str) -> bytes:
        """The whole of the store's own answer to a query."""
        async with self.proxy(query, accept) as response:
            body = await response.aread()
        if ends_early(body[-TAIL:]):
            raise broken_off(body[-TAIL:])
        return body

    @asynccontextmanager
    async def proxy(self, query: str, accept: str) -> AsyncIterator[httpx.Response]:
        """The store's own answer to a query, as a response to be streamed."""
        headers = {"Content-Type": "application/sparql-query; charset=utf-8", "Accept": accept}
        request = self._http.build_request("POST", self._timed_url, content=query.encode(), headers=headers)
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
        graph = self._http.build_request("GET", self._graph_url, headers=headers)
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
        body = await self.read(bind(query, bindings), JSON_RESULTS)
        try:
            document = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise StoreFailed("the store's answer is no JSON") from error
        if not isinstance(document, dict):
            raise StoreFailed("the store's answer is no SPARQL result")
        return document


def ends_early(last: bytes) -> bool:
    """Whether an answer with this end was given up by a store that says so in it."""
    return last.rstrip().endswith(_INCOMPLETE)


def broken_off(last: bytes) -> StoreFailed | QueryTimeout:
    """The error for an answer that ended too early, by its end."""
    text = last.decode("utf-8", "replace")
    if "cancel" in text or "timeout" in text or "timed out" in text:
        return QueryTimeout("the query took longer than the store allows")
    return StoreFailed(f"the store broke off its answer: …{text}")


async def _check(response: httpx.Response) -> None:
    if response.is_success:
        return
    text = (await response.aread())[:_MESSAGE_LIMIT].decode("utf-8", "replace").strip()
    if response.status_code in (400, 413, 414):
        raise BadQuery(text or "the store refused the query")
    # Fuseki says of a query that took too long what others say of a server that has too much to do.
    if response.status_code in (408, 504) or (response.status_code == 503 and "timed out" in text):
        raise QueryTimeout(text or "the query took longer than the store allows")
    if response.status_code in (429, 503):
        raise StoreUnavailable(text or "the store has too much to do")
    raise StoreFailed(f"the store answered {response.status_code}: {text}")
