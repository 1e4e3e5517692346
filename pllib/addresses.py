"""Where the services are: at an address, or where a file says that they are now; and the token that they want.

A service that moves, as a job of a cluster does, writes its address into a file in a shared folder: the ready file of ``python -m
deploy up``, one JSON object with ``tracker``, ``query_engine`` and, where they want one, ``token``. ``url=file:///path`` names that
file. It is read anew for each connection, so whoever waits for a tracker finds the next one.
"""

from __future__ import annotations

import json
from typing import NamedTuple, Optional

from .errors import TransportError
from .settings import Settings

FILE = "file://"


class Address(NamedTuple):
    """Where a service is now, and the token to send."""

    url: str
    token: Optional[str]

    def __repr__(self) -> str:
        return f"Address({self.url!r})"


def locate(url: str, token: Optional[str], token_file: Optional[str] = None, service: str = "tracker") -> Address:
    """The address of a service as of now.

    Args:
        url: the address itself, or ``file:///path`` of the file that has it.
        token: to send; else what ``token_file`` holds; else what the file of the address says.
        service: which of those in that file.

    Raises:
        TransportError: a file is not there (yet), or does not say it. That may be another in a moment.
    """
    token = token or (_text(token_file, "token_file").strip() if token_file else None)
    if url.startswith(FILE):
        url, token = _announced(_path(url), token, service)
    if token is not None and not (token.isascii() and token.isprintable()):
        raise TransportError("the token holds signs that cannot be sent; nothing was sent")
    return Address(url, token)


def tracker_of(settings: Settings) -> Address:
    """The tracker that the settings name. Raises as ``locate``."""
    return locate(settings.url, settings.token, settings.token_file)


def _announced(path: str, token: Optional[str], service: str) -> Address:
    try:
        found = json.loads(_text(path, "the file of the address"))
        url, named = found[service], found.get("token")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise TransportError(f"{path} does not say where the {service} is") from error
    if not isinstance(url, str) or not url.startswith(("http://", "https://")):
        raise TransportError(f"{path} does not say where the {service} is")
    return Address(url, token or (named if isinstance(named, str) else None))


def _path(url: str) -> str:
    from urllib.parse import unquote, urlsplit

    return unquote(urlsplit(url).path)


def _text(path: str, what: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except FileNotFoundError:
        raise TransportError(f"{what} {path} is not there (yet)") from None
    except (OSError, ValueError) as error:
        raise TransportError(f"{what} {path} cannot be read: {error}") from error
