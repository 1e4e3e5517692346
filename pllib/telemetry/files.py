"""Reading the small files in which Linux tells what it does."""

from __future__ import annotations

import os
from typing import Optional

CHUNK = 65_536


def contents(path: str) -> bytes:
    """All that is in the file; these give no more than a page at a time, and say no size.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        found = b""
        while True:
            chunk = os.read(descriptor, CHUNK)
            if not chunk:
                return found
            found += chunk
    finally:
        os.close(descriptor)


def head(path: str, size: int = 512) -> bytes:
    """The first bytes of the file."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, size)
    finally:
        os.close(descriptor)


def number(path: str) -> Optional[int]:
    """The whole number that the file holds; ``None`` when there is no such file, or something else in it."""
    try:
        return int(head(path))
    except (OSError, ValueError):
        return None
