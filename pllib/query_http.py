"""The HTTP of ``pllib.query``: apart, because ``urllib.request`` takes longer to import than most commands to run."""

from __future__ import annotations

import http.client
import json
from typing import Iterator, Mapping, Optional
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

from .query import QueryRefused, QueryUnreachable

_CHUNK = 262_144
# No proxy from the environment: the services are on the user's own network, and a proxy would get the token.
_opener = build_opener(ProxyHandler({}))


def fetched(address: str, headers: Mapping[str, str], timeout: float, body: Optional[bytes]) -> Iterator[bytes]:
    """The answer to a GET, or a POST of ``body``, in pieces; ``timeout``, in seconds, is for each.

    Raises:
        QueryError: there was none, or it was an error.
    """
    try:
        with _opener.open(Request(address, body, dict(headers)), timeout=timeout) as answer:  # noqa: S310
            while chunk := answer.read(_CHUNK):
                yield chunk
            if answer.length:  # the answer promised more; read() says so only of pieces that have a size of their own
                raise http.client.IncompleteRead(b"", answer.length)
    except HTTPError as error:
        with error:
            raise _refusal(error.code, error.read(100_000)) from error
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        raise QueryUnreachable(f"no answer from {address.split('?')[0]}: {reason}") from error


def _refusal(status: int, content: bytes) -> QueryRefused:
    try:
        told = json.loads(content)["error"]
        return QueryRefused(status, str(told["code"]), str(told["message"]), told.get("field"), told.get("fix"))
    except (ValueError, KeyError, TypeError):
        return QueryRefused(
            status, "http_error", f"status {status}: {content[:300].decode('utf-8', 'replace')}", None, None
        )
