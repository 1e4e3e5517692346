"""How far something long has come: a bar on a terminal, a plain line every few seconds elsewhere."""

from __future__ import annotations

import time
from typing import Callable, TextIO

QUIET_SECONDS = 2.0
LINE_SECONDS = 5.0
BAR_SECONDS = 0.1
WIDTH = 24


class Progress:
    """Writes how many records and bytes are done, how fast, and how long the rest takes.

    Args:
        total: bytes there are in all.
        out: where to; whether it is a terminal decides on the form.
    """

    def __init__(self, what: str, total: int, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._total, self._out, self._clock = what, total, out, clock
        self._terminal = out.isatty()
        self._began = clock()
        self._next = self._began + (BAR_SECONDS if self._terminal else QUIET_SECONDS)

    def update(self, records: int, size: int) -> None:
        """So much is done by now."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (BAR_SECONDS if self._terminal else LINE_SECONDS)
        text = self._text(records, size, now - self._began)
        if self._terminal:
            done = int(WIDTH * self._share(size))
            text = f"\r\033[K[{'#' * done}{'.' * (WIDTH - done)}] {text}"
        else:
            text = f"{self._what}: {text}\n"
        self._out.write(text)
        self._out.flush()

    def end(self) -> None:
        """Takes the bar away."""
        if self._terminal:
            self._out.write("\r\033[K")
            self._out.flush()

    def _share(self, size: int) -> float:
        return min(1.0, size / self._total) if self._total else 1.0

    def _text(self, records: int, size: int, seconds: float) -> str:
        share = self._share(size)
        left = f", about {seconds / share - seconds:.0f} s left" if share else ""
        rate = f"{records / seconds:,.0f} records/s" if seconds else "–"
        total = max(size, self._total)
        return f"{share:.0%}, {records:,} records, {size / 1e6:,.1f} of {total / 1e6:,.1f} MB, {rate}{left}"


class Counter:
    """Writes how many bytes are done of something whose size nobody knows; as :class:`Progress` otherwise."""

    def __init__(self, what: str, out: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._what, self._out, self._clock = what, out, clock
        self._terminal = out.isatty()
        self._began = clock()
        self._next = self._began + (BAR_SECONDS if self._terminal else QUIET_SECONDS)

    def update(self, size: int) -> None:
        """So many bytes are done by now."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (BAR_SECONDS if self._terminal else LINE_SECONDS)
        text = f"{self._what}: {size / 1e6:,.1f} MB, {size / 1e6 / max(now - self._began, 1e-6):,.1f} MB/s"
        self._out.write(f"\r\033[K{text}" if self._terminal else f"{text}\n")
        self._out.flush()

    def end(self) -> None:
        """Takes the line away."""
        if self._terminal:
            self._out.write("\r\033[K")
            self._out.flush()
