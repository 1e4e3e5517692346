"""The triple store, as any SPARQL 1.1 server behind HTTP.

One Protocol, one adapter: triples go in by the Graph Store Protocol, into the default graph. What servers have of their own, such as
Oxigraph's bulk loader for large groups, is in ``edge.stores``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, TypeVar

import httpx

from edge.stores import StoreAddress

from .errors import StoreRejected, StoreUnavailable

BULK_FROM = 2_000
"""Triples from which Oxigraph's bulk loader, which is as atomic, is faster than a transaction."""
MOST_IN_ONE_QUERY = 1_000
MAX_TOLD = 500
NOT_NOW = (401, 403, 404, 405, 408, 425, 429)
"""Answers below 500 that blame the set-up or the moment, not the triples."""


T = TypeVar("T")


def for_queries(values: Sequence[T]) -> list[Sequence[T]]:
    """Values in parts of so many as one query asks for at a time."""
    return [values[begin : begin + MOST_IN_ONE_QUERY] for begin in range(0, len(values), MOST_IN_ONE_QUERY)]


class Term(NamedTuple):
    """A term of an answer: its text, and the IRI of its type where it is a literal that has one."""

    text: str
    datatype: str = ""

    @staticmethod
    def of(json: dict[str, str]) -> Term:
        """From SPARQL's JSON results."""
        return Term(json["value"], json.get("datatype", ""))


class TripleStore(Protocol):
    """Where triples are kept."""

    async def load(self, ntriples: bytes, count: int) -> None:
        """Adds triples to the default graph; returns when they are committed, all or none.

        Args:
            count: how many there are.

        Raises:
            StoreUnavailable: it is not known to have happened; the same call may succeed later.
            StoreRejected: the store refused them.
        """

    async def update(self, update: str) -> None:
        """Carries out a SPARQL UPDATE; returns when it is committed, all of it or nothing. Raises as ``load``."""

    async def ask(self, query: str) -> bool:
        """The answer to a SPARQL ASK. Raises as ``load``."""

    async def select(self, query: str) -> list[dict[str, str]]:
        """The rows of a SPARQL SELECT: the text of each term by its variable. Raises as ``load``."""

    async def terms(self, query: str) -> list[dict[str, Term]]:
        """The same with the kind of each term. Raises as ``load``."""

    async def close(self) -> None:
        """Lets go of connections."""


class SparqlStore:
    """A SPARQL 1.1 server.

    Args:
        address: where it answers, and what lets us in.
        timeout: seconds until an answer is given up.
    """

    def __init__(self, address: StoreAddress, timeout: float = 60.0, transport: Any = None) -> None:
        self.url = address.url
        self._address = address
        self._client = httpx.AsyncClient(
            timeout=timeout, transport=transport, trust_env=False, headers=address.headers, verify=address.tls()
        )

    async def load(self, ntriples: bytes, count: int) -> None:
        if not ntriples:
            return
        url = self._address.bulk_url if count >= BULK_FROM else self._address.graph_url
        await self._send("POST", url, content=ntriples, headers={"Content-Type": "application/n-triples"})

    async def update(self, update: str) -> None:
        headers = {"Content-Type": "application/sparql-update"}
        await self._send("POST", self._address.update_url, content=update.encode(), headers=headers)

    async def ask(self, query: str) -> bool:
        try:
            return bool((await self._query(query))["boolean"])
        except KeyError as error:
            raise StoreRejected(f"{self.url} does not answer as a SPARQL server does") from error

    async def select(self, query: str) -> list[dict[str, str]]:
        return [{name: term.text for name, term in row.items()} for row in await self.terms(query)]

    async def terms(self, query: str) -> list[dict[str, Term]]:
        try:
            rows = (await self._query(query))["results"]["bindings"]
            return [{name: Term.of(term) for name, term in row.items()} for row in rows]
        except (KeyError, TypeError, AttributeError) as error:
            raise StoreRejected(f"{self.url} does not answer as a SPARQL server does") from error

    async def _query(self, query: str) -> dict[str, Any]:
        headers = {"Accept": "application/sparql-results+json"}
        answer = await self._send("POST", self._address.query_url, data={"query": query}, headers=headers)
        try:
            found = answer.json()
        except ValueError as error:
            raise StoreRejected(f"{self.url} does not answer as a SPARQL server does") from error
        return found if isinstance(found, dict) else {}

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, url: str, **options: Any) -> httpx.Response:
        try:
            answer = await self._client.request(method, url, **options)
        except httpx.HTTPError as error:
            raise StoreUnavailable(f"no answer from {self.url}: {error or type(error).__name__}") from error
        if answer.is_success:
            return answer
        told = f"{self.url} answered {answer.status_code}: {answer.text[:MAX_TOLD]}"
        if answer.status_code in NOT_NOW or answer.status_code >= 500:
            raise StoreUnavailable(told)
        raise StoreRejected(told)
