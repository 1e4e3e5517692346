"""Names of users as parts of paths and as IRIs, and the contexts that they mean. Pure functions."""

from __future__ import annotations

import re
from enum import Enum
from hashlib import sha256
from typing import Any, Optional
from urllib.parse import quote

from ..provml.iris import DEFAULT_BASE

MOST_BYTES = 100
"""Of a part of a path that one name makes; file systems end at 255."""
_KEPT = frozenset(" ._-+=@,()~")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:(?://\S|[^\s/]\S*:)")
_HOST = re.compile(r"(?:(?:[a-z0-9](?:[a-z0-9\-]*[a-z0-9])?\.)+[a-z]{2,63}|localhost)(?::\d+)?(?:/\S*)?", re.IGNORECASE)
_STAGES = {
    "train": "training",
    "training": "training",
    "val": "validation",
    "validation": "validation",
    "test": "testing",
    "testing": "testing",
    "eval": "evaluation",
    "evaluation": "evaluation",
}


def file_name(text: str) -> str:
    """A name as one part of a path: itself, where it is letters, digits and the like.

    What else there is is percent-encoded, as is a point at the beginning, so that two names never give the same part and none leads
    out of its folder. A long one is cut and ends with a checksum.
    """
    encoded = "".join(
        each if each.isalnum() or each in _KEPT else quote(each, safe="", errors="replace") for each in text
    )
    if encoded.startswith((".", " ")) or encoded.endswith((".", " ")):
        encoded = "".join(
            f"%{ord(each):02X}" if each in ". " and at in (0, len(encoded) - 1) else each
            for at, each in enumerate(encoded)
        )
    data = encoded.encode()
    if len(data) <= MOST_BYTES:
        return encoded or "%00"
    return data[:MOST_BYTES].decode("utf-8", "ignore") + "~" + sha256(data).hexdigest()[:12]


def looks_like_namespace(text: Any) -> bool:
    """Whether a text is an IRI or has the form of a host's name, such as ``www.example.org``."""
    return isinstance(text, str) and bool(_SCHEME.match(text) or _HOST.fullmatch(text))


def iri_of(namespace: str) -> str:
    """The beginning of IRIs that a user's namespace stands for; any text makes a valid one."""
    text = namespace.strip()
    if _HOST.fullmatch(text):
        text = f"http://{text}"
    elif not _SCHEME.match(text):
        return f"{DEFAULT_BASE}namespace/{quote(text, safe='')}/"
    encoded = quote(text, safe=":/?#[]@!$&'()*+,;=%-._~", errors="replace")
    return encoded if encoded.endswith(("/", "#", ":")) else encoded + "/"


def context_label(context: Any) -> Optional[str]:
    """A context as it was given, as text: of members of enumerations their value."""
    if context is None or context == "":
        return None
    return str(context.value) if isinstance(context, Enum) else str(context)


def context_name(context: Any) -> Optional[str]:
    """The name of a context among those of ``pllib.run``: ``Training`` and ``Context.TRAINING`` are ``training``."""
    label = context_label(context)
    if label is None:
        return None
    return _STAGES.get(label.rpartition(".")[2].lower() if label.startswith("Context.") else label.lower(), label)
