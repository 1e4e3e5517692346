"""JSON text as PROV-JSON and PROV-JSONLD need it read and written."""

from __future__ import annotations

import json
import re
from typing import Any

from .errors import DocumentError

_HALF = re.compile(r"\\u[dD][89a-fA-F]")


def loads(text: str) -> Any:
    """The value of a JSON text.

    Raises:
        DocumentError: it is none, is nested too deep, or holds half of a surrogate pair, which no file can hold.
    """
    try:
        found = json.loads(text)
        if _HALF.search(text):
            dumps(found).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"not JSON: {error}") from error
    return found


_encode = json.JSONEncoder(ensure_ascii=False).encode


def dumps(value: Any) -> str:
    """One line of JSON."""
    return _encode(value)
