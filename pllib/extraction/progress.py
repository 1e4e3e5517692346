"""How far an extraction has come: a bar on a terminal, a plain line every few seconds elsewhere; nothing in the first two seconds."""

from __future__ import annotations

import time
from typing import Callable, Optional, TextIO

from ..progress import BAR_SECONDS, LINE_SECONDS, QUIET_SECONDS, WIDTH


class Steps:
    """Writes how many things of which kind are done, of how many."""

    def __init__(self, what: str, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._out, self._clock = what, out, clock
        self._terminal = out.isatty()
        self._shown = False
        self._next = clock() + QUIET_SECONDS

    def update(self, kind: str, done: int, total: Optional[int]) -> None:
        """So many of a kind are done by now, of so many if that is known."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (BAR_SECONDS if self._terminal else LINE_SECONDS)
        text = f"{done:,} of {max(done, total):,} {kind}" if total else f"{done:,} {kind}"
        if self._terminal:
            full = int(WIDTH * min(1.0, done / total)) if total else 0
            self._out.write(f"\r\033[K[{'#' * full}{'.' * (WIDTH - full)}] {text}" if total else f"\r\033[K{text}")
        else:
            self._out.write(f"{self._what}: {text}\n")
        self._out.flush()
        self._shown = True

    def end(self) -> None:
        """Takes the bar away."""
        if self._terminal and self._shown:
            self._out.write("\r\033[K")
            self._out.flush()
