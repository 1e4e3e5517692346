"""Trees of files in the place of a machine's ``/proc`` and ``/sys``, which the real readers read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Grow = Callable[[Mapping[str, str]], str]


@pytest.fixture
def grow(tmp_path: Path) -> Grow:
    """Writes files below one root, again and again; the root."""

    def written(files: Mapping[str, str]) -> str:
        for name, text in files.items():
            path = tmp_path / "root" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return str(tmp_path / "root")

    return written
