"""Asking a service whether it is usable."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request

_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Straight to loopback: a proxy named in the environment has no business here."""

_MAX_BODY = 65536


def trouble(url: str, seconds: float = 2.0) -> str | None:
    """None when a GET of `url` answers 2xx within `seconds`; else why not, in a few words."""
    try:
        with _opener.open(url, timeout=seconds) as answer:
            answer.read(_MAX_BODY)
            return None
    except urllib.error.HTTPError as error:
        with error:
            return f"answers {error.code}{_reason(error.read(_MAX_BODY))}"
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer yet ({getattr(error, 'reason', None) or error or type(error).__name__})"


def _reason(body: bytes) -> str:
    """What a service says of itself in a 503: its error message, or the `reason` of its health."""
    try:
        told = json.loads(body)
    except ValueError:
        return ""
    if not isinstance(told, dict):
        return ""
    error = told.get("error")
    said = (error.get("message") if isinstance(error, dict) else None) or told.get("reason") or told.get("detail")
    return f": {said}" if said else ""
