"""Asking a service whether it is usable."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request

from deploy.http_calls import MAX_TOLD, OPENER, said


def trouble(url: str, seconds: float = 2.0) -> str | None:
    """None when a GET of `url` answers 2xx within `seconds`; else why not, in a few words."""
    try:
        with OPENER.open(url, timeout=seconds) as answer:
            answer.read(MAX_TOLD)
            return None
    except urllib.error.HTTPError as error:
        with error:
            message, _ = said(error.read(MAX_TOLD))
            return f"answers {error.code}{': ' if message else ''}{message}"
    except (OSError, http.client.HTTPException) as error:
        return f"does not answer yet ({getattr(error, 'reason', None) or error or type(error).__name__})"


def write_trouble(update_url: str, seconds: float = 2.0) -> str | None:
    """Why a store that answers takes no updates, in its own words; None when it takes them, or does not answer in time.

    A store whose disk was full refuses even an update that changes nothing, until it is started again.
    """
    headers = {"Content-Type": "application/sparql-update"}
    try:
        asked = urllib.request.Request(update_url, b"INSERT DATA {}", headers)  # noqa: S310  (http: a service of ours)
        with OPENER.open(asked, timeout=seconds):
            return None
    except urllib.error.HTTPError as error:
        with error:
            return error.read(MAX_TOLD).decode(errors="replace").strip()[:300] if error.code >= 500 else None
    except (OSError, http.client.HTTPException):
        return None
