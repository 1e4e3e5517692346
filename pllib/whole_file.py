"""Files that are there whole or not at all."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import Iterator


@contextmanager
def whole_file(path: str, ending: str = ".part") -> Iterator[str]:
    """A path beside ``path`` to write to, which takes its place at the end of the block, and goes away on an error.

    Args:
        ending: of the path beside, for writers that go by it.

    Raises:
        OSError: what was written cannot take the place.
    """
    part = f"{path}.{os.getpid()}{ending}"
    try:
        yield part
        os.replace(part, path)
    finally:
        if os.path.exists(part):
            os.remove(part)
