"""Asking a service whether it is usable."""

from __future__ import annotations

import http.client
import urllib.error

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
