"""The services' log files: `DIR/logs/NAME.log`, and older ones as `NAME.log.1` to `NAME.log.3`."""

from __future__ import annotations

import os
from pathlib import Path

KEEP = 3
MAX_BYTES = 10_000_000


def open_log(folder: Path, name: str, max_bytes: int = MAX_BYTES) -> int:
    """A file descriptor that appends to the service's log, which is begun anew once it holds `max_bytes`.

    The caller closes it. Raises OSError when the folder cannot be written.
    """
    path = log_path(folder, name)
    rotate(path, max_bytes)
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def log_path(folder: Path, name: str) -> Path:
    """Where a service of the data folder writes."""
    return folder / "logs" / f"{name}.log"


def rotate(path: Path, max_bytes: int) -> None:
    """Moves a file of `max_bytes` or more to `.1`, what was there to `.2`, and forgets what was in `.3`."""
    if not path.exists() or path.stat().st_size < max_bytes:
        return
    numbered = [path.with_name(f"{path.name}.{n}") for n in range(1, KEEP + 1)]
    for older, newer in reversed(list(zip(numbered[1:], numbered))):
        if newer.exists():
            newer.replace(older)
    path.replace(numbered[0])


def tail(path: Path, lines: int = 8, since: int = 0) -> list[str]:
    """The last lines of a file after byte `since`, empty lines left out; none when the file is not there."""
    try:
        with path.open("rb") as log:
            size = log.seek(0, os.SEEK_END)
            log.seek(max(since, size - 16384))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return []
    return [line for line in text.splitlines() if line.strip()][-lines:]
