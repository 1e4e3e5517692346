"""Sampling in the background: a thread that comes round on a schedule that does not drift, and the readings it hands on."""

from __future__ import annotations

import os
import threading
import time
from typing import Callable, Iterable, Optional, Sequence

from .._boundary import report, shielded
from ..errors import ConfigurationError
from .machine import Machine
from .readings import GROUPS, Reading, Reasons

SHORTEST = 0.1
"""Seconds; a sample of all groups takes about a thousandth of this."""
LAST_SECONDS = 1.0
"""How long the end of a sampler waits for a sample that is being taken."""

Sink = Callable[[Sequence[Reading], int], None]


def checked_interval(interval: float) -> float:
    """Seconds between samples.

    Raises:
        ConfigurationError: it is no number, or too short.
    """
    try:
        seconds = float(interval)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"interval is {interval!r}; it takes a number of seconds, like 5.0") from error
    if not SHORTEST <= seconds < float("inf"):
        raise ConfigurationError(f"interval is {interval!r}; it takes seconds from {SHORTEST} on")
    return seconds


class Ticker:
    """A daemon thread that calls ``tick`` every ``interval`` seconds, counted from the start; with ``at_once`` at the start too.

    A round that takes too long leaves out those that it misses, and they are counted. A forked child has no such thread; there
    the ticker is off, and may be started.
    """

    def __init__(self, tick: Callable[[], None], interval: float, *, at_once: bool = False) -> None:
        self._tick, self._interval, self._at_once = tick, interval, at_once
        self.missed = 0
        self._pid = 0
        self._thread: Optional[threading.Thread] = None
        self._stopping = threading.Event()

    @property
    def running(self) -> bool:
        """Whether the thread goes on, in this process."""
        return self._pid == os.getpid() and self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Starts the thread, unless it runs. At the end of the interpreter, where none can be started, nothing happens."""
        if self.running:
            return
        self._stopping, self._pid = threading.Event(), os.getpid()
        self._thread = threading.Thread(target=self._run, args=(self._stopping,), name="pllib-telemetry", daemon=True)
        try:
            self._thread.start()
        except RuntimeError as error:  # the interpreter ends, or there are too many threads already
            self._thread = None
            report("telemetry", error)

    def stop(self, timeout: float = LAST_SECONDS) -> bool:
        """Stops at once; whether the thread is over, for which a tick under way is waited for ``timeout`` seconds at most."""
        if not self.running or self._thread is None:
            return True
        self._stopping.set()
        if self._thread is not threading.current_thread():  # else it is over after this tick
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self, stopping: threading.Event) -> None:
        began, turn = time.monotonic(), 0
        if not self._at_once:
            turn = 1
            if stopping.wait(self._interval):
                return
        while True:
            self._guarded()
            now = time.monotonic()
            following = max(turn, int((now - began) / self._interval)) + 1
            self.missed += following - turn - 1
            turn = following
            if stopping.wait(began + turn * self._interval - now):
                return

    @shielded(lambda self: None, always=True)
    def _guarded(self) -> None:
        self._tick()


class Sampler:
    """Reads the machine every ``interval`` seconds in the background and hands the readings on.

    The first sample is taken at once, the last when it stops. Nothing is raised into the script: an error of the sink is counted
    and the next sample taken as if there were none. A forked child has no sampler unless it starts one.

    Args:
        sink: gets the readings and the time, in microseconds since 1970 UTC; called in the background, and for the last sample
            by who stops the sampler.
        interval: seconds, from 0.1 on.
        groups: of ``GROUPS``.
        children: whether ``process`` counts the children of this process too.

    Attributes:
        samples: how many were handed on.
        failures: how many were not, since the sink raised.

    Raises:
        ConfigurationError: the interval is too short, or a group not known.
    """

    def __init__(
        self, sink: Sink, interval: float, groups: Iterable[str] = GROUPS, *, children: bool = False, root: str = "/"
    ) -> None:
        self._sink = sink
        self._machine = Machine(groups, children=children, root=root)
        self._ticker = Ticker(self._sample, checked_interval(interval), at_once=True)
        self.samples = self.failures = 0

    @property
    def unavailable(self) -> Reasons:
        """Group or series to the reason why it is not read."""
        return self._machine.unavailable

    @property
    def running(self) -> bool:
        return self._ticker.running

    @property
    def missed(self) -> int:
        """Samples left out, since the one before took too long."""
        return self._ticker.missed

    def start(self) -> Sampler:
        self._ticker.start()
        return self

    def stop(self) -> None:
        """Takes a last sample and ends the thread; in a forked child nothing."""
        if self._ticker.running and self._ticker.stop():
            self._sample()

    def __enter__(self) -> Sampler:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _failed(self) -> None:
        self.failures += 1

    @shielded(_failed, always=True)
    def _sample(self) -> None:
        self._sink(self._machine.read(), time.time_ns() // 1000)
        self.samples += 1
