"""Keeping the services of a plan running: started in order, started again when they end, stopped in reverse order."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy import disk, health, logs, processes
from deploy.errors import FolderUnusable, ServiceFailed
from deploy.plan import Service
from deploy.processes import Identity
from deploy.restarts import RestartPolicy
from deploy.state import ServiceState

TICK_SECONDS = 0.1
PROBE_SECONDS = 1.0
WRITE_PROBE_SECONDS = 10.0
FIRST_WORD_SECONDS = 5.0
"""A service that is not usable by then is told of; and again each time it has taken twice as long."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds for a service to become usable after its first start, and to end when it is asked to."""

    usable: float = 120.0
    stop: float = 10.0


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the services run: the checkout they are started in, the data folder of their logs, their environment."""

    checkout: Path
    data: Path
    environment: Mapping[str, str]


@dataclass(slots=True)
class _Watched:
    service: Service
    process: subprocess.Popen[bytes] | None = None
    identity: Identity | None = None
    started_at: float = 0.0
    ends: int = 0
    start_at: float | None = None
    usable: bool = False
    probe_at: float = 0.0
    write_probe_at: float = 0.0
    log_from: int = 0


class Supervisor:
    """Runs the services of a plan. Call everything from the main thread; `request_stop` also from a signal handler.

    `report` gets one line of text for each thing that happens; `changed` is called whenever `states` is another.
    """

    def __init__(
        self,
        services: Sequence[Service],
        surroundings: Surroundings,
        report: Callable[[str], None],
        *,
        changed: Callable[[], None] = lambda: None,
        policy: RestartPolicy | None = None,
        limits: Limits | None = None,
    ) -> None:
        self._watched = [_Watched(service) for service in services]
        self._surroundings = surroundings
        self._report = report
        self._changed = changed
        self._policy = policy or RestartPolicy()
        self._limits = limits or Limits()
        self._stop_requests = 0

    def request_stop(self) -> None:
        """Asks for the end. A second request no longer lets the services finish what they are doing."""
        self._stop_requests += 1

    def states(self) -> tuple[ServiceState, ...]:
        """The services that have been started, in order."""
        return tuple(
            ServiceState(one.service.name, one.identity, one.service.url, one.service.health_url)
            for one in self._watched
            if one.started_at
        )

    def start(self) -> bool:
        """Starts each service once the one before it is usable. False when the end was asked for meanwhile.

        Raises:
            ServiceFailed: a service keeps ending, or is not usable within the limit.
            FolderUnusable: a log cannot be written.
        """
        return all(self._start_first(one) for one in self._watched)

    def watch(self) -> None:
        """Returns once the end was asked for; until then a service that ends is started again.

        Raises:
            ServiceFailed: a service keeps ending.
        """
        while not self._stop_requests:
            self._tick()
            time.sleep(TICK_SECONDS)

    def stop(self) -> None:
        """Ends all services, the last first. None of their processes is left when this returns."""
        for one in reversed(self._watched):
            self._stop_one(one)

    def _start_first(self, one: _Watched) -> bool:
        if self._stop_requests:
            return False
        name = one.service.name
        self._report(f"starting {name} on port {one.service.port}")
        self._spawn(one)
        began = time.monotonic()
        tell_at = began + FIRST_WORD_SECONDS
        while not one.usable:
            if self._stop_requests:
                return False
            self._tick()
            now = time.monotonic()
            if now > began + self._limits.usable:
                raise self._not_usable(one)
            if now >= tell_at:
                tell_at = now + (now - began)
                self._report(f"  {name} {health.trouble(one.service.health_url, PROBE_SECONDS) or 'is usable'}")
            time.sleep(0 if one.usable else TICK_SECONDS)
        return True

    def _tick(self) -> None:
        now = time.monotonic()
        for one in self._watched:
            if one.process is not None and processes.ended(one.process):
                self._ended(one, one.process.returncode, now)
            elif one.process is not None and not one.usable and now >= one.probe_at:
                self._probe(one)
            elif one.start_at is not None and now >= one.start_at:
                self._spawn(one)
            elif one.service.update_path and one.usable and now >= one.write_probe_at:
                self._probe_writes(one)

    def _probe(self, one: _Watched) -> None:
        one.probe_at = time.monotonic() + TICK_SECONDS
        if health.trouble(one.service.health_url, PROBE_SECONDS) is None and one.identity is not None:
            one.usable = True
            self._report(f"  {one.service.name} is usable (process {one.identity.pid})")

    def _probe_writes(self, one: _Watched) -> None:
        """Starts a store again that goes on refusing what it had no room for once, now that there is room."""
        one.write_probe_at = time.monotonic() + WRITE_PROBE_SECONDS
        why = health.write_trouble(f"{one.service.url}{one.service.update_path}", PROBE_SECONDS)
        if why is None or not disk.store_can_start(self._data_of(one)):
            return
        self._report(f"  {one.service.name} takes no updates though there is room; starting it again ({why})")
        self._stop_one(one)
        one.identity, one.usable, one.start_at = None, False, time.monotonic()
        self._changed()

    def _ended(self, one: _Watched, code: int, now: float) -> None:
        name = one.service.name
        one.ends = self._policy.ends_in_a_row(one.ends, now - one.started_at)
        one.process = one.identity = None
        one.usable = False
        delay = self._policy.delay(one.ends)
        if delay is None and disk.is_full(self._data_of(one)):
            delay = self._policy.longest_delay  # it may get on once there is room
        how = processes.describe_exit(code)
        if delay is None:
            raise ServiceFailed(
                f"{name} ended {one.ends} times in a row, the last time with {how}{self._last_words(one)}",
                f"the whole log is {logs.log_path(self._surroundings.data, name)}",
            )
        one.start_at = now + delay
        words = self._last_words(one) if one.ends == 1 else ""
        self._report(f"  {name} ended with {how}; starting it again in {delay:g} s{words}")
        self._changed()

    def _data_of(self, one: _Watched) -> Path:
        return one.service.location or self._surroundings.data

    def _spawn(self, one: _Watched) -> None:
        around = self._surroundings
        path = logs.log_path(around.data, one.service.name)
        try:
            log = logs.open_log(around.data, one.service.name)
        except OSError as error:
            raise FolderUnusable(
                f"the log {path} cannot be written ({error.strerror})", "give another folder with --data DIR"
            ) from error
        try:
            one.log_from = os.fstat(log).st_size
            one.process = processes.spawn(one.service.command, log, around.checkout, around.environment)
        except (OSError, subprocess.SubprocessError) as error:
            raise ServiceFailed(
                f"{one.service.name} cannot be started: {error}", f"its command is {' '.join(one.service.command)}"
            ) from error
        finally:
            os.close(log)
        one.identity = processes.identify(one.process.pid)
        one.started_at, one.start_at, one.usable = time.monotonic(), None, False
        self._changed()

    def _stop_one(self, one: _Watched) -> None:
        process = one.process
        one.process = one.start_at = None
        if process is None or processes.ended(process):
            return
        self._report(f"stopping {one.service.name}")
        process.send_signal(signal.SIGTERM)
        patience = self._limits.stop
        if not processes.wait_until(lambda: processes.ended(process) or self._stop_requests > 1, patience):
            self._report(f"  {one.service.name} did not end within {patience:g} s: killing it")
        # The group, not only its leader: what a service started ends with it.
        while not processes.ended(process):
            processes.signal_group(process.pid, signal.SIGKILL)
            time.sleep(TICK_SECONDS / 10)

    def _not_usable(self, one: _Watched) -> ServiceFailed:
        why = health.trouble(one.service.health_url, PROBE_SECONDS) or "became usable too late"
        return ServiceFailed(
            f"{one.service.name} is not usable after {self._limits.usable:g} s: it {why}{self._last_words(one)}",
            f"the whole log is {logs.log_path(self._surroundings.data, one.service.name)}",
        )

    def _last_words(self, one: _Watched) -> str:
        lines = logs.tail(logs.log_path(self._surroundings.data, one.service.name), since=one.log_from)
        return "".join(f"\n    | {line}" for line in lines)
