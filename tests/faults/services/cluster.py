"""The services as plain processes on fixed ports, each to be killed and started again by the test at any instant.

::

    Load ──▶ [front] ──▶ tracker … ──▶ [middle] ──▶ manager … ──▶ [back] ──▶ store
                            │
                          queue: a file, or a Redis-compatible server

The names in brackets are relays (tests/faults/proxy.py), which only a ``RelayedCluster`` has in the way.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from deploy import health, logs, plan, processes
from deploy.stores import Oxigraph
from tests.faults.proxy import Proxy, relay, until
from tests.redis_process import SAFE

CHECKOUT = Path(__file__).resolve().parents[3]
PATIENCE = 90.0
"""Seconds after which something is in vain; a bound for hangs, no measure."""


@dataclass(frozen=True)
class Layout:
    """What runs, and how.

    Attributes:
        queue: ``sqlite`` or ``redis``.
        trackers, managers: how many.
        flags: more flags of the trackers.
        folders: where a service (``tracker``, ``store``, ``redis``) keeps its data, if not in a folder of the cluster's.
        wraps: by service, the arguments of Python that run it in place of ``-m``: a script that takes the module's name.
        environment: by service, variables beside those of this process.
    """

    queue: str = "sqlite"
    trackers: int = 1
    managers: int = 1
    flags: Sequence[str] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    wraps: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    environment: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Process:
    """One service. Start it from the main thread: the kernel ends it with the thread that started it."""

    def __init__(
        self, service: plan.Service, log: Path, crashes: list[str], environment: Mapping[str, str] | None = None
    ) -> None:
        self.service = service
        self._crashes = crashes
        self.environment = dict(environment or {})
        self._log = log
        self._log_from = 0
        self._process: Any = None

    @property
    def kind(self) -> str:
        """``store``, ``redis``, ``manager`` or ``tracker``."""
        return self.service.name.partition("-")[0]

    @property
    def url(self) -> str:
        return self.service.url

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def told(self) -> str:
        """The end of what it logged since it was started last."""
        return "\n".join(logs.tail(self._log, 40, self._log_from))

    def start(self) -> None:
        """Starts it where it does not run; does not wait for it to be usable."""
        if not self.running:
            if self.crashed:
                self._crashes.append(f"{self.kind}: {processes.describe_exit(self._process.returncode)}")
            with self._log.open("ab") as log:
                self._log_from = log.tell()
                environment = {**surroundings(), **self.environment}
                self._process = processes.spawn(self.service.command, log.fileno(), CHECKOUT, environment)

    @property
    def crashed(self) -> bool:
        """Whether a signal ended it that nobody here sent."""
        return self._process is not None and (self._process.poll() or 0) < 0

    def end(self, how: int = signal.SIGKILL) -> int:
        """Its exit code, negative when a signal ended it; 0 when it was not started."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(how)
        try:
            return int(process.wait(PATIENCE))
        finally:
            process.kill()
            process.wait()

    def usable(self) -> bool:
        return health.trouble(self.service.health_url) is None

    def wait(self) -> Self:
        """Returns when it is usable."""
        assert until(self._comes_up, PATIENCE), f"{self.service.name} does not become usable\n{self.told}"
        assert self.running, f"{self.service.name} ended\n{self.told}"
        return self

    def _comes_up(self) -> bool:
        """Whether it is usable, or has ended by itself."""
        if self.crashed:
            self.start()
        return self.usable() or not self.running

    def ask(self, how: int = signal.SIGTERM) -> None:
        """Sends it a signal, and does not wait."""
        assert self._process is not None
        self._process.send_signal(how)

    def exit_code(self) -> int:
        """How it ended, or ends now."""
        assert self._process is not None
        return int(self._process.wait(PATIENCE))


class Redis(Process):
    """A Redis-compatible server."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.service.port}/0"

    def usable(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.service.port), 2) as connection:
                connection.sendall(b"PING\r\n")
                return connection.recv(100).startswith(b"+PONG")
        except OSError:
            return False


class Cluster:
    """The services on one set of ports; ``fresh`` starts them with nothing in them, ``close`` ends them.

    Args:
        folder: for data and logs.
        free_port: gives a port that nobody listens on.
        oxigraph: path of the store's program.
        redis_program: gives the path of the Redis-compatible server's program.
    """

    def __init__(
        self, folder: Path, free_port: Callable[[], int], oxigraph: str, redis_program: Callable[[], str] = str
    ) -> None:
        self.folder = folder
        self.data = folder
        self.crashes: list[str] = []
        """How services ended by signals that nobody here sent. They were started again, as a launcher does."""
        self.trackers: list[Process] = []
        self.managers: list[Process] = []
        self.redis: Redis | None = None
        self._free_port = free_port
        self._ports: dict[str, int] = {}
        self._oxigraph, self._redis_program = oxigraph, redis_program
        self._folders = 0
        self.store = self._service("store", Layout())

    # -- where things are; a RelayedCluster says otherwise

    @property
    def urls(self) -> list[str]:
        """Where captures are posted to."""
        return [tracker.url for tracker in self.trackers]

    def port(self, name: str) -> int:
        """The port of a service of this name, for good."""
        if name not in self._ports:
            self._ports[name] = self._free_port()
        return self._ports[name]

    def manager_port(self, number: int) -> int:
        """The port that the tracker of this number takes for the manager's."""
        return self.port(f"manager-{number % max(len(self.managers), 1)}")

    def store_url(self) -> str:
        """Where managers think that the store is."""
        return plan.loopback_url(self.port("store"))

    # -- running

    def fresh(self, layout: Layout | None = None) -> None:
        """Starts everything with nothing in it; returns when it is usable. Managers hold nothing, so they go on."""
        layout = layout or Layout()
        self.end(*self.trackers, self.store, *([self.redis] if self.redis else []))
        shutil.rmtree(self.data, ignore_errors=True)
        self._folders += 1
        self.data = self.folder / f"run-{self._folders}"
        self.data.mkdir(parents=True)
        self.store = self._service("store", layout)
        self.redis = self._redis(layout) if layout.queue == "redis" else None
        self._keep_managers(layout)
        self.trackers = [self._service(f"tracker-{number}", layout) for number in range(layout.trackers)]
        self.start()

    def _keep_managers(self, layout: Layout) -> None:
        wanted = [self._service(f"manager-{number}", layout) for number in range(layout.managers)]
        for number, new in enumerate(wanted):
            old = self.managers[number] if number < len(self.managers) else None
            same = old is not None and (old.service, old.environment) == (new.service, new.environment)
            if old is not None and same:
                wanted[number] = old
        self.end(*[old for old in self.managers if old not in wanted])
        self.managers = wanted

    @property
    def everything(self) -> list[Process]:
        """All services, each after those that it leans on."""
        return [self.store, *([self.redis] if self.redis else []), *self.managers, *self.trackers]

    def start(self) -> None:
        """Starts what does not run, and what ends because it finds nothing to lean on; returns when all is usable."""
        assert until(self._runs_well, PATIENCE, 0.05), "\n".join(
            one.told for one in self.everything if not one.usable()
        )

    def _runs_well(self) -> bool:
        for process in self.everything:
            process.start()
        return all(process.usable() for process in self.everything)

    def end(self, *which: Process, how: int = signal.SIGKILL) -> None:
        """Ends these."""
        for process in which:
            process.end(how)

    def close(self) -> None:
        """Ends all."""
        self.end(*reversed(self.everything))

    # -- what came of it

    def stats(self, number: int = 0) -> dict[str, Any]:
        """A tracker's own numbers."""
        found = httpx.get(self.trackers[number].url + "/v1/stats", trust_env=False, timeout=30)
        return dict(found.raise_for_status().json())

    def drained(self) -> bool:
        """Whether nothing waits in any queue."""
        return all(self.stats(number)["queue"]["depth"] == 0 for number in range(len(self.trackers)))

    def settle(self) -> set[str]:
        """The graph, when everything runs and nothing waits."""
        self.start()
        done = until(lambda: self._runs_well() and self.drained(), PATIENCE, 0.05)
        assert done, "\n".join(["the queue does not drain", *(one.told for one in self.everything)])
        return self.graph()

    def graph(self) -> set[str]:
        """What is in the store now, as lines of N-Triples."""
        found = httpx.get(
            self.store.url + "/store?default",
            headers={"Accept": "application/n-triples"},
            trust_env=False,
            timeout=PATIENCE,
        )
        return set(found.raise_for_status().text.splitlines())

    # -- how services are made

    def _service(self, name: str, layout: Layout) -> Process:
        """A process of the plan's: ``store``, ``manager-0``, ``tracker-1``…"""
        kind, _, number = name.partition("-")
        ports = plan.Ports(
            tracker=self.port(name) if kind == "tracker" else 0,
            manager=self.port(name) if kind == "manager" else self.manager_port(int(number or 0)),
            store=self.port("store"),
        )
        folder = layout.folders.get(kind, self.data / (number or "0"))
        outside = self.store_url() if kind == "manager" else None
        queue = self.redis.url if self.redis and layout.queue == "redis" else None
        settings = plan.Settings(folder, ports, store_url=outside, queue=queue)
        (service,) = (
            one for one in plan.services(settings, sys.executable, Oxigraph(self._oxigraph)) if one.name == kind
        )
        command = service.command
        if kind in layout.wraps:
            command = (command[0], *layout.wraps[kind], *command[2:])
        if kind == "tracker":
            command = (*command, *layout.flags)
        folder.mkdir(parents=True, exist_ok=True)
        made = replace(service, name=name, command=command)
        return Process(made, self.folder / f"{name}.log", self.crashes, layout.environment.get(kind))

    def _redis(self, layout: Layout) -> Redis:
        port = self.port("redis")
        folder = layout.folders.get("redis", self.data / "redis")
        folder.mkdir(exist_ok=True)
        command = (
            *(self._redis_program(), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)),
            *(word for name, value in SAFE.items() for word in (f"--{name}", value)),
        )
        return Redis(plan.Service("redis", command, port, "--port"), self.folder / "redis.log", self.crashes)


class RelayedCluster(Cluster):
    """A cluster of one tracker and one manager with a relay in front of each service."""

    def __init__(self, folder: Path, free_port: Callable[[], int], oxigraph: str) -> None:
        ports = {name: free_port() for name in ("tracker-0", "manager-0", "store")}
        self.front, self.middle, self.back = (Proxy(plan.loopback_url(port)) for port in ports.values())
        super().__init__(folder, free_port, oxigraph)
        self._ports.update(ports)

    @property
    def relays(self) -> tuple[Proxy, Proxy, Proxy]:
        """In front of tracker, manager and store."""
        return self.front, self.middle, self.back

    @property
    def urls(self) -> list[str]:
        return [self.front.url]

    def manager_port(self, number: int) -> int:
        return urlsplit(self.middle.url).port or 0

    def store_url(self) -> str:
        return self.back.url

    def fresh(self, layout: Layout | None = None) -> None:
        for one in self.relays:
            heal(one)
        super().fresh(layout)

    def close(self) -> None:
        super().close()
        for one in self.relays:
            one.__exit__()


def heal(one: Proxy) -> None:
    """Lets a relay behave from now on, and breaks the exchanges that it spoiled."""
    one.behave(relay)
    one.down()
    one.up()


def surroundings() -> dict[str, str]:
    """The environment of this process without settings of ours, but with the session's mark."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PLLIB_") or "TEST" in name}
    return {**kept, "PYTHONPATH": str(CHECKOUT)}
