"""Calls to the services over HTTP: an answer, or an error that says who did not give it and what to do."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from deploy.errors import ServiceRefused, ServiceUnreachable
from edge.stores import StoreAddress

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Straight to the service: a proxy named in the environment has no business here."""

MAX_TOLD = 65536
MAX_PLAIN = 500
SECONDS = 60.0
PIECE_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Access:
    """What a server wants of those who call it: headers, and a check of its certificate."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    opener: urllib.request.OpenerDirector = OPENER


FREE = Access()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A service: its address, without a slash at the end, and what it wants of those who call it."""

    url: str
    access: Access = FREE


def with_token(url: str, token: str) -> Endpoint:
    """A service that wants a token; none where that is empty."""
    return Endpoint(url, Access({"Authorization": f"Bearer {token}"}) if token else FREE)


def access_to(store: StoreAddress) -> Access:
    """How to call a store. Redirects are followed nowhere: credentials are for the server that was named."""
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({}), _NoRedirect()]
    if store.url.startswith("https:"):
        handlers.append(urllib.request.HTTPSHandler(context=store.tls()))
    return Access(store.headers, urllib.request.build_opener(*handlers))


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def call(
    method: str,
    url: str,
    body: bytes | None = None,
    content_type: str = "application/json",
    *,
    access: Access = FREE,
    accept: str = "*/*",
) -> bytes:
    """The body of a 2xx answer.

    Raises:
        ServiceUnreachable: there was no answer.
        ServiceRefused: another answer; its own words are in the message.
    """
    headers = {"Accept": accept, **({"Content-Type": content_type} if body is not None else {})}
    with _opened(_request(method, url, body, headers, access), access) as answer:
        return bytes(answer.read())


def call_json(method: str, service: Endpoint, path: str, body: Any = None) -> Any:
    """What a JSON answer says. Raises as ``call``."""
    url = service.url + path
    told = call(method, url, None if body is None else json.dumps(body).encode(), access=service.access)
    try:
        return json.loads(told)
    except ValueError as error:
        raise ServiceRefused(f"{url} does not answer with JSON", "see whether this is the service's address") from error


def pieces(url: str, accept: str, access: Access = FREE) -> Iterator[bytes]:
    """The body of an answer, piece by piece. Raises as ``call``, also when it ends too early."""
    with _opened(_request("GET", url, None, {"Accept": accept}, access), access) as answer:
        while piece := answer.read(PIECE_BYTES):
            yield piece


def pages(service: Endpoint, path: str, name: str) -> Iterator[dict[str, Any]]:
    """All members of a list that is told page by page."""
    after = ""
    while True:
        page = call_json("GET", service, f"{path}?limit=500{after}")
        yield from page[name]
        if page["next"] is None:
            return
        after = f"&after={page['next']}"


def said(body: bytes) -> tuple[str, str]:
    """What is wrong and what to do about it, in a service's own words; empty where it says nothing."""
    try:
        told = json.loads(body)
    except ValueError:
        return "", ""
    if not isinstance(told, dict):
        return "", ""
    error = told.get("error")
    if not isinstance(error, dict):
        return str(told.get("reason") or told.get("detail") or ""), ""
    return str(error.get("message") or ""), str(error.get("fix") or "")


def _request(
    method: str, url: str, body: bytes | None, headers: dict[str, str], access: Access
) -> urllib.request.Request:
    made = urllib.request.Request(url, body, headers, method=method)  # noqa: S310  (http, see the arguments' types)
    for name, text in access.headers.items():
        made.add_unredirected_header(name, text)
    return made


@contextmanager
def _opened(request: urllib.request.Request, access: Access) -> Iterator[Any]:
    url = request.full_url
    try:
        with access.opener.open(request, timeout=SECONDS) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        with error:
            words = error.read(MAX_TOLD)
        message, fix = said(words)
        if not message and error.headers.get_content_type() == "text/plain":  # as stores say it
            message = words.decode(errors="replace").strip()[:MAX_PLAIN]
        raise ServiceRefused(
            f"{url} answered {error.code}{': ' if message else ''}{message}", fix or "see the service's log"
        ) from error
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "reason", None) or error or type(error).__name__
        raise ServiceUnreachable(
            f"{url} does not answer ({why})", "see with `python -m deploy status` whether it runs"
        ) from error


def joined(lines: Iterable[bytes], size: int) -> Iterator[bytes]:
    """Lines in bodies of about so many bytes."""
    body: list[bytes] = []
    held = 0
    for line in lines:
        body.append(line)
        held += len(line)
        if held >= size:
            yield b"".join(body)
            body, held = [], 0
    if body:
        yield b"".join(body)
