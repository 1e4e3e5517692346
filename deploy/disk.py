"""Room on the disk: services that fail for want of it get on once there is some, so they are not given up meanwhile."""

from __future__ import annotations

import shutil
from pathlib import Path

FULL_BYTES = 16_000_000
"""With less than this free, a service that ends may have done so because the disk is full."""
START_BYTES = 1_000_000
"""What the store writes when it starts, beside what it makes of its log."""


def is_full(folder: Path) -> bool:
    """Whether the disk of a folder has next to nothing free."""
    return shutil.disk_usage(folder).free < FULL_BYTES


def store_can_start(folder: Path) -> bool:
    """Whether there is room for the store to start on its folder: it writes tables of what is in its log, then."""
    logged = sum(path.stat().st_size for path in folder.glob("*.log"))
    return shutil.disk_usage(folder).free > logged + START_BYTES
