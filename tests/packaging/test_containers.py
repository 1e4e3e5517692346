"""What the Dockerfile and the compose file promise, as Compose and a linter read them; no container is run."""

from __future__ import annotations

import ast
import asyncio
import importlib.metadata
import json
import os
import re
import shlex
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
import tomllib
from packaging.requirements import Requirement

from deploy import fuseki
from deploy.containers import fuseki_settings, local_bases
from tests.redis_process import RedisProcess
from tracker.redis_checks import check_server
from tracker.redis_server import RedisServer

CHECKOUT = Path(__file__).resolve().parents[2]
SCRIPTS = CHECKOUT / "deploy" / "containers"
DOCKERFILE = CHECKOUT / "Dockerfile"
COMPOSE = CHECKOUT / "docker-compose.yml"
HOW_TO = CHECKOUT / "docs" / "how-to" / "run-in-containers.md"
SECONDS = 60
PUBLISHED = {"tracker": 8470, "query_engine": 8472}
SERVICES = {"redis", "fuseki", "manager", *PUBLISHED}
TOOLS = "tools"
"""Not started with the others: it runs a command, and ends."""
USER = "10001:10001"
Require = Callable[[str], str]
Json = Any


def run(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, **more)


@pytest.fixture(scope="session")
def composed(require_server: Require) -> Callable[..., Json]:
    """What Compose makes of the file with these variables."""
    program = require_server("docker-compose")

    def read(**variables: str) -> Json:
        environment = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **variables}
        done = run(
            program,
            "--env-file",
            os.devnull,
            "--profile",
            "tools",
            "config",
            "--format",
            "json",
            cwd=CHECKOUT,
            env=environment,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stderr, "it warns"
        return json.loads(done.stdout)

    return read


# -- docker-compose.yml


def test_every_service_is_guarded(composed: Callable[..., Json]) -> None:
    services = composed()["services"]
    assert set(services) == {*SERVICES, TOOLS}
    assert {name for name, service in services.items() if service.get("profiles")} == {TOOLS}
    for name, service in services.items():
        assert service["user"] == USER, name
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices"} & service.keys(), name
        assert int(service["mem_limit"]) > 0, name
        assert service["cpus"] > 0, name
        assert service["pids_limit"] > 0, name
        assert service["stop_grace_period"], name
    for name in SERVICES:
        assert services[name]["healthcheck"]["test"][0] == "CMD", name
        assert services[name]["restart"] == "unless-stopped", name


def test_two_ports_are_published_and_on_loopback(composed: Callable[..., Json]) -> None:
    services = composed()["services"]
    assert {name for name, service in services.items() if service.get("ports")} == set(PUBLISHED)
    for name, port in PUBLISHED.items():
        (published,) = services[name]["ports"]
        assert (published["host_ip"], published["published"], published["target"]) == ("127.0.0.1", str(port), port)
    moved = composed(PLLIB_PUBLISH="10.1.2.3", PLLIB_TRACKER_PORT="9000")["services"]["tracker"]["ports"][0]
    assert (moved["host_ip"], moved["published"], moved["target"]) == ("10.1.2.3", "9000", 8470)


def test_services_reach_only_those_they_need(composed: Callable[..., Json]) -> None:
    told = composed()
    services, networks = told["services"], told["networks"]
    assert {name for name, network in networks.items() if not network.get("internal")} == {"published"}
    members = {network: {name for name in services if network in services[name]["networks"]} for network in networks}
    assert members == {
        "published": {*PUBLISHED, TOOLS},
        "queue": {"redis", "tracker"},
        "ingest": {"tracker", "manager"},
        "write": {"manager", "fuseki"},
        "read": {"query_engine", "fuseki", TOOLS},
    }


def test_no_service_relies_on_the_order_of_starts(composed: Callable[..., Json]) -> None:
    assert not [name for name, service in composed()["services"].items() if "depends_on" in service]


def test_what_must_last_is_in_volumes_and_only_servers_write_secrets(composed: Callable[..., Json]) -> None:
    told = composed()
    mounts = {
        name: {each["target"]: (each["source"], each.get("read_only", False)) for each in service["volumes"]}
        for name, service in told["services"].items()
    }
    access = {"/secrets/access": ("access", True)}
    assert mounts == {
        "redis": {"/queue": ("queue", False), "/secrets/queue": ("queue-secret", False)},
        "fuseki": {"/data": ("store", False), "/secrets/store": ("store-secret", False)},
        "manager": {"/secrets/store": ("store-secret", True)},
        "tracker": {"/data": ("tracker", False), "/secrets/queue": ("queue-secret", True), **access},
        "query_engine": {"/data": ("query", False), "/secrets/store": ("store-secret", True), **access},
        TOOLS: {
            "/backups": ("backups", False),
            "/query": ("query", False),
            "/secrets/store": ("store-secret", True),
            **access,
        },
    }
    assert {source for each in mounts.values() for source, _ in each.values()} == set(told["volumes"])


def test_secrets_may_be_folders_of_ones_own(composed: Callable[..., Json]) -> None:
    (mount,) = composed(PLLIB_STORE_SECRET="./mine")["services"]["manager"]["volumes"]
    assert (mount["type"], mount["source"], mount["read_only"]) == ("bind", str(CHECKOUT / "mine"), True)


def test_no_password_is_in_the_file(composed: Callable[..., Json]) -> None:
    for name, service in composed()["services"].items():
        for variable, value in service.get("environment", {}).items():
            assert not re.search("password|secret|token|credentials", variable, re.I) or value.startswith("/"), name
            assert "@" not in value, (name, variable)


def test_managers_can_be_scaled(composed: Callable[..., Json]) -> None:
    manager = composed()["services"]["manager"]
    assert "container_name" not in manager
    assert "ports" not in manager


def test_every_variable_is_told(composed: Callable[..., Json]) -> None:
    """At the top of the file, and in the how-to."""
    text = COMPOSE.read_text()
    head, body = text.split("\nname:", 1)
    used = set(re.findall(r"\$\{([A-Z_]+)", body)) | set(
        re.findall(r"[A-Z_]{5,}", " ".join(re.findall(r"args: \[(.*?)\]", body)))
    )
    limits = {name for name in used if name.endswith(("_MEMORY", "_CPUS"))}
    assert len(limits) == 2 * len(SERVICES)
    for where in (head, HOW_TO.read_text()):
        missing = {name for name in used - limits if not re.search(rf"\b{name}\b", where)}
        assert not missing
        for name in limits:
            assert name.split("_")[1] in where


def test_every_target_is_built(composed: Callable[..., Json]) -> None:
    stages = re.findall(r"^FROM \S+ AS (\S+)$", DOCKERFILE.read_text(), re.M)
    for name, service in composed()["services"].items():
        assert service["build"]["target"] == name
        assert name in stages


# -- Dockerfile


def test_the_linter_finds_nothing(require_server: Require) -> None:
    program = require_server("hadolint")
    done = run(program, "--config", os.devnull, DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")
    bad = run(program, "--config", os.devnull, "-", input="FROM debian\nRUN sudo pip install httpx\n")
    assert bad.returncode, "it finds what is wrong"


def test_bases_are_arguments_with_a_version() -> None:
    text = DOCKERFILE.read_text()
    arguments = dict(re.findall(r"^ARG (\w+_IMAGE)=(\S+)$", text, re.M))
    stages = set(re.findall(r"^FROM \S+ AS (\S+)$", text, re.M))
    for source in re.findall(r"^FROM (\S+)", text, re.M):
        assert source in stages or source.strip("${}") in arguments
    for name, image in arguments.items():
        assert re.fullmatch(r"[a-z-]+:\d[\w.-]*", image), name
    assert {base.image for base in local_bases.BASES} == set(arguments.values())


def test_images_run_as_a_user() -> None:
    for stage in re.split(r"^FROM ", DOCKERFILE.read_text(), flags=re.M):
        if "ENTRYPOINT" in stage and " AS " in stage and not stage.startswith("service"):
            assert f"USER {USER}" in stage, stage.splitlines()[0]
    assert re.search(rf"AS service\n(.+\n)*USER {USER}\n", DOCKERFILE.read_text())


def test_only_what_is_needed_goes_to_the_builder() -> None:
    lines = (CHECKOUT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule[1:] for rule in rules if rule.startswith("!")}
    copied = {
        source
        for line in re.findall(r"^COPY (.+)$", DOCKERFILE.read_text(), re.M)
        if "--from" not in line
        for source in [word for word in shlex.split(line) if not word.startswith("--")][:-1]
    }
    assert {source.split("/")[0] for source in copied} == allowed
    assert all((CHECKOUT / source).exists() for source in copied)


# -- what is in the images


@pytest.mark.parametrize(
    ("package", "extras"),
    [("tracker", ["tracker"]), ("manager", ["manager"]), ("query_engine", ["query", "poly"])],
)
def test_an_extra_has_all_that_its_service_imports(package: str, extras: list[str]) -> None:
    told = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    named = {normal(Requirement(need).name) for extra in extras for need in told[extra]}
    installed = named | {normal(name) for need in named for name in needs_of(need)}
    provided = importlib.metadata.packages_distributions()
    for module in sorted(imports(package) | imports("edge")):
        if module in sys.stdlib_module_names or (CHECKOUT / module).is_dir():
            continue
        assert {normal(name) for name in provided[module]} & installed, f"{module} is not in the extra {extras}"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def needs_of(name: str) -> Iterator[str]:
    """The packages that come along with one."""
    for text in importlib.metadata.requires(name) or ():
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            yield need.name
            yield from needs_of(need.name)


def imports(package: str) -> set[str]:
    """The modules, by the first part of their names, that a package's modules import anywhere."""
    found = set()
    for file in (CHECKOUT / package).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                found.add(node.module.split(".")[0])
    return found


@pytest.mark.parametrize("script", sorted(SCRIPTS.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_scripts(script: Path) -> None:
    assert script.read_text().startswith("#!/bin/sh\n")
    done = run("sh", "-n", script)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_secret_is_made_up_once(tmp_path: Path) -> None:
    file = tmp_path / "credentials"
    for _ in range(2):
        assert run("sh", SCRIPTS / "new-secret.sh", file, "basic pllib:").returncode == 0
        made = file.read_text()
        assert re.fullmatch("basic pllib:[0-9a-f]{48}\n", made)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_text() == made
    run("sh", SCRIPTS / "new-secret.sh", tmp_path / "other", "basic pllib:")
    assert (tmp_path / "other").read_text() != made
    assert len(list(tmp_path.iterdir())) == 2


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Starts ``service.sh`` with a module that says something and ends; its secret is a file that is not there yet."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PLLIB_STORE_CREDENTIALS_FILE": str(tmp_path / "credentials"),
    }
    started = []

    def start() -> subprocess.Popen[str]:
        words = ["sh", str(SCRIPTS / "service.sh"), "platform"]
        process = subprocess.Popen(
            words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path
        )
        started.append(process)
        assert process.stderr is not None
        assert "waiting for" in process.stderr.readline()
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_service_waits_for_its_secret(service: Callable[[], subprocess.Popen[str]], tmp_path: Path) -> None:
    process = service()
    time.sleep(0.3)
    assert process.poll() is None
    (tmp_path / "credentials").write_text("basic a:b\n")
    said, _ = process.communicate(timeout=SECONDS)
    assert process.returncode == 0
    assert said.strip(), "the module ran"


def test_a_service_that_waits_for_its_secret_ends_when_it_is_told_to(
    service: Callable[[], subprocess.Popen[str]],
) -> None:
    process = service()
    process.terminate()
    said, _ = process.communicate(timeout=SECONDS)
    assert (process.returncode, said) == (0, "")


def test_the_queues_settings_are_those_that_a_tracker_wants(
    redis_program: str, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    lines = (SCRIPTS / "redis.conf").read_text().splitlines()
    words = [line.split(None, 1) for line in lines if line and not line.startswith(("#", "dir ", "bind "))]
    settings = {name: value.strip('"') for name, value in words}
    server = RedisProcess(redis_program, tmp_path, free_port(), settings)
    try:
        server.start()
        assert asyncio.run(problems_of(server.url)) == []
        server.client.config_set("requirepass", "of-the-queue")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(port=server.port).ping()
        server.client.connection_pool.connection_kwargs["password"] = "of-the-queue"
    finally:
        server.close()


async def problems_of(url: str) -> list[str]:
    server = RedisServer(url)
    try:
        return (await check_server(server, safe=True)).problems
    finally:
        await server.close()


def test_the_store_is_the_launchers() -> None:
    files = fuseki_settings.files()
    assert files["artifact"] == fuseki.ARTIFACT
    assert files["checksum"].split()[0] == fuseki.SHA512
    assert 'fuseki:allowedUsers "*"' in files["config.ttl"]
    assert "--localhost" not in files["arguments"]
