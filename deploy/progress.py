"""Saying how far a long piece of work is, every two seconds; short ones say nothing."""

from __future__ import annotations

import time
from collections.abc import Callable

PAUSE_SECONDS = 2.0


class Progress:
    """Tells of one piece of work. `unit` is what is counted; `report` gets a line every two seconds."""

    def __init__(
        self, what: str, unit: str, report: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._what, self._unit, self._report, self._clock = what, unit, report, clock
        self._began = clock()
        self._tell_at = self._began + PAUSE_SECONDS
        self.count = 0

    def add(self, count: int) -> None:
        """So many more are done."""
        self.count += count
        self.tick(f"{self.count:,} {self._unit}")

    def tick(self, how_far: str) -> None:
        """It is still going on."""
        now = self._clock()
        if now >= self._tell_at:
            self._tell_at = now + PAUSE_SECONDS
            self._report(f"  {self._what}: {how_far} ({now - self._began:.0f} s)")
