"""Which services a machine runs, in which order, and with which commands: pure, nothing here touches the machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

HOST = "127.0.0.1"
"""Every service listens here and nowhere else, but for a tracker and a query engine that were given another host."""

STORE_QUERY_SECONDS = 30
"""How long the store works on one query."""


@dataclass(frozen=True, slots=True)
class Ports:
    """The TCP ports of the four services on the loopback interface."""

    tracker: int = 8470
    manager: int = 8471
    query: int = 8472
    store: int = 8473


@dataclass(frozen=True, slots=True)
class Settings:
    """What `up` was asked for. `data` is absolute; what is None has the services' own default.

    `store_url` is the address of an outside store, of the kind `store_kind`; without it `store` says which to start.
    `queue` is the address of a server for the work queue, `keep_delivered` the seconds for which it keeps what it delivered.
    `host` is where the tracker and the query engine listen; they want the token in `token_file`, where that is given.
    """

    data: Path
    ports: Ports = field(default_factory=Ports)
    base: str | None = None
    store: str | None = None
    store_url: str | None = None
    store_kind: str = "oxigraph"
    queue: str | None = None
    keep_delivered: int | None = None
    host: str = HOST
    token_file: Path | None = None


@dataclass(frozen=True, slots=True)
class Service:
    """One process to run: `health_path` answers 200 once it is usable, `port_option` is the flag that moves it.

    `path` is what its address has after the port, before any other path. `location` is the folder of its data. A store
    with an `update_path` is started again when it takes no SPARQL updates there though there is room.
    """

    name: str
    command: tuple[str, ...]
    port: int
    port_option: str
    health_path: str = "/health"
    location: Path | None = None
    update_path: str | None = None
    path: str = ""
    host: str = HOST

    @property
    def url(self) -> str:
        """The service's address, with no slash at its end."""
        return f"http://{self.host}:{self.port}{self.path}"

    @property
    def health_url(self) -> str:
        """What to GET to learn whether the service is usable."""
        return self.url + self.health_path


class StoreProgram(Protocol):
    """A store's server that is on this machine.

    `kind` is how the services call it, `folder` the part of the data folder that is its own, `path` its root on its port.
    """

    @property
    def kind(self) -> str: ...

    @property
    def folder(self) -> str: ...

    @property
    def path(self) -> str: ...

    def service(self, data: Path, port: int) -> Service:
        """It as a service over the database of a data folder."""

    def prepare(self, data: Path) -> None:
        """Writes what the service reads when it starts. Raises FolderUnusable."""

    def database(self, data: Path) -> Path:
        """Where the database of a data folder is."""

    def loading(self, triples: Path, location: Path) -> list[str]:
        """The command that makes a database of a file of N-Triples."""


def loopback_url(port: int) -> str:
    """The address of a service of this machine."""
    return f"http://{HOST}:{port}"


def services(settings: Settings, python: str, store: StoreProgram | None) -> tuple[Service, ...]:
    """The services in the order they are started; each may lean on those before it.

    `python` runs the services; `store` is the store's server, which is not needed where the settings name a store.
    """
    own = store if not settings.store_url else None
    store_url = settings.store_url or loopback_url(settings.ports.store) + (store.path if store else "")
    store_kind = own.kind if own else settings.store_kind
    run = (python, "-m")
    base = ("--base", settings.base) if settings.base else ()
    at_store = ("--store-url", store_url, "--store-kind", store_kind, *base)
    ports = settings.ports
    manager = (*run, "manager", *_listen(HOST, ports.manager), *at_store)
    of_query, of_tracker = settings.data / "query", settings.data / "tracker"
    host = settings.host
    token = ("--token-file", str(settings.token_file)) if settings.token_file else ()
    query = (*run, "query_engine", *_listen(host, ports.query), *at_store, "--data", str(of_query), *token)
    to_manager = ("--manager-url", loopback_url(ports.manager))
    queue = (
        *(("--queue", settings.queue) if settings.queue else ()),
        *(("--keep-delivered", str(settings.keep_delivered)) if settings.keep_delivered is not None else ()),
    )
    tracker = (*run, "tracker", *_listen(host, ports.tracker), *to_manager, "--data", str(of_tracker), *queue, *token)
    return (
        *((own.service(settings.data, settings.ports.store),) if own else ()),
        Service("manager", manager, ports.manager, "--manager-port"),
        Service("query_engine", query, ports.query, "--query-port", location=of_query, host=host),
        Service("tracker", tracker, ports.tracker, "--tracker-port", location=of_tracker, host=host),
    )


def folders(settings: Settings, store: StoreProgram | None) -> tuple[Path, ...]:
    """The folders that must be there before the services start."""
    own = () if settings.store_url or store is None else (store.folder,)
    return tuple(settings.data / name for name in (*own, "tracker", "query", "logs"))


def addresses(running: Sequence[Service], store_url: str | None = None) -> dict[str, str]:
    """Where each service answers, by name; an outside store is listed under `store` too."""
    found = {service.name: service.url for service in running}
    return {**found, "store": store_url} if store_url else found


def _listen(host: str, port: int) -> tuple[str, ...]:
    return ("--host", host, "--port", str(port))
