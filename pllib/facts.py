"""Facts about an activity as fields of its records: names, stages, ranks, errors, metadata."""

from __future__ import annotations

import os
import sys
from operator import index
from typing import Any, Dict, Mapping, Optional, Tuple

from . import values
from ._boundary import complain, shielded
from .errors import CaptureError
from .provml.iris import encode

STAGES = ("learning", "training", "validation", "evaluation", "feature_extraction")

_texts: Dict[str, str] = {}


def quoted(name: str) -> str:
    """The name as a part of an id; remembered, since scripts use few names many times."""
    found = _texts.get(name)
    if found is None:
        if len(_texts) > 10_000:
            _texts.clear()
        found = _texts[name] = encode(values.bounded_name(name))
    return found


def script_name() -> str:
    """What the script is called, with no folder and no ending."""
    script = os.path.basename(sys.argv[0]) if sys.argv and sys.argv[0] not in ("", "-c") else "interactive"
    return os.path.splitext(script)[0] or "script"


def parsed_token(token: str) -> Tuple[str, str, Optional[str], str, bool]:
    """What the token of an activity says: workflow execution, id in it, stage, kind, whether nothing of it is recorded.

    Raises:
        CaptureError: it is no such token.
    """
    wf, identifier, stage, kind, silent, *_ = [*token.split(" "), "", "", "", ""]
    if wf.count("/") != 1 or (identifier and identifier.count("/") != 1):
        raise CaptureError(f"not the token of an activity: {token[:100]!r}")
    kind = kind or ("task" if identifier else "workflow")
    return wf, identifier, None if stage in ("", "-") else stage, kind, silent == "silent"


def checked_stage(stage: Optional[str]) -> Optional[str]:
    """The stage; an unknown one is complained of."""
    if stage is not None and stage not in STAGES:
        complain("stage", CaptureError(f"no stage is called {stage!r}; there are: {', '.join(STAGES)}"))
        return "learning"
    return stage


def checked_rank(rank: Any) -> Optional[int]:
    """The rank as a number; what is none is complained of."""
    try:
        if rank is None or index(rank) >= 0:
            return None if rank is None else index(rank)
    except TypeError:
        pass
    complain("rank", CaptureError(f"rank is {rank!r:.100}; it takes a whole number, from 0"))
    return None


def with_text_names(given: Mapping[str, Any]) -> Mapping[str, Any]:
    """The mapping with names that are text, and not too long (nearly always it is the very one)."""
    try:
        names = "".join(given)  # the quickest way to see that all are text
        if len(names) <= values.MAX_NAME and names.isascii() and "" not in given:
            return given
        names.encode("utf-8")
    except (TypeError, UnicodeEncodeError):
        return {values.bounded_name(name): value for name, value in given.items()}
    if "" not in given and len(max(given, key=len, default="")) <= values.MAX_NAME:
        return given
    return {values.bounded_name(name): value for name, value in given.items()}


def error_facts(error: BaseException) -> Dict[str, str]:
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return {"type": name, "message": _message(error)}


@shielded(lambda error: "(its message could not be made)")
def _message(error: BaseException) -> str:
    return values._utf8(str(error))[:2000]


def meta_facts(meta: Mapping[str, Any]) -> Dict[str, Any]:
    return {values.bounded_name(name): values.exact(value) for name, value in meta.items()}
