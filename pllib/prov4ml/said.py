"""What a script's author is told on standard error: each thing once a process."""

from __future__ import annotations

import sys
from typing import Set

_said: Set[str] = set()


def once(key: str, text: str) -> None:
    """Says something that was not said under that key before."""
    if key in _said:
        return
    _said.add(key)
    if sys.stderr is None:
        return
    try:
        sys.stderr.write(f"pllib.prov4ml: {text}\n")
    except (OSError, ValueError):
        return
