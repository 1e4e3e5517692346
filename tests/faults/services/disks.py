"""A small disk of its own that can be filled and emptied: a tmpfs, which only root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

CHUNK = 65_536


class Disk:
    """A mounted file system of few megabytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self) -> None:
        """Takes all space."""
        with self._filler.open("ab", buffering=0) as file, pytest.raises(OSError, match="No space left"):
            while file.write(bytes(CHUNK)):
                continue

    def free(self) -> None:
        """Gives the space back."""
        self._filler.unlink(missing_ok=True)

    def read_only(self, so: bool) -> None:
        """Mounts it read-only, or not; no file of it may be open for writing."""
        _run("mount", "-o", f"remount,{'ro' if so else 'rw'}", str(self.folder))


@contextmanager
def mounted(folder: Path, megabytes: int) -> Iterator[Disk]:
    """A new disk at a folder. Skips the test where that is not permitted; in CI, as root, that is a failure."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "pllib-test", str(folder))
    except (OSError, subprocess.CalledProcessError) as error:
        told = f"a small disk cannot be mounted here: {error}"
        if os.environ.get("CI", "") not in ("", "0", "false") and os.geteuid() == 0:
            pytest.fail(told)
        pytest.skip(told)
    try:
        yield Disk(folder)
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, timeout=30)
