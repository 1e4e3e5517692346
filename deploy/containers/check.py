"""``python -m deploy.containers.check``: builds the images, runs the services, and proves what the how-to promises.

With Docker or with Podman; under a name, ports and volumes of its own, so that it may run beside others. Prints what it
found, with sizes and times; the exit code is 0 when all was as promised, and 1 else.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.containers import local_bases
from deploy.containers.engine import CheckFailed, Engine, find
from deploy.containers.stack import SERVICES, Stack, ended_with_it

BUILD_SECONDS = 1800.0
GRACE = {"fuseki": 60.0}
"""Seconds that a service has to end by itself; 30 where it is not listed."""
CLEAN_ENDS = (0, 143)
"""Exit codes of a stop in order. Java says 143, as if the signal had killed it, after it has ended in order."""
MEGABYTE = 1_000_000
AT_SERVICES = ("--tracker-url", "http://tracker:8470", "--store-url", "http://fuseki:3030/pllib")
TOKEN = "a-token-that-only-this-check-knows"  # noqa: S105  (asked of nothing else)
_METRIC = "pllib_manager_documents_total"
_STATUS = """\
import sys
from urllib.error import HTTPError
from urllib.request import urlopen

try:
    print(urlopen(sys.argv[1], timeout=5).status)
except HTTPError as error:
    print(error.code)
"""


def say(text: str) -> None:
    print(text, flush=True)


def require(true: object, what: str) -> None:
    """Raises CheckFailed where it is not so."""
    if not true:
        raise CheckFailed(f"not so: {what}")


def build(stack: Stack) -> None:
    """All images, and how large they are."""
    began = time.monotonic()
    stack.engine.composed("--profile", "tools", "build", seconds=BUILD_SECONDS)
    say(f"built in {time.monotonic() - began:.0f} s")


def sizes(stack: Stack) -> None:
    """How large the images are, without what lies beneath."""
    for service in SERVICES:
        image = stack.engine.inspect(stack.only(service))["Image"]
        size = json.loads(stack.engine.run("image", "inspect", image))[0]["Size"]
        say(f"  image of {service}: {size / MEGABYTE:.0f} MB")


def starts_in_the_wrong_order(stack: Stack) -> None:
    """What needs others is started first, and waits; the others come later, and all is well."""
    stack.up("tracker", "manager", "query_engine")
    time.sleep(10)
    for service in ("tracker", "manager", "query_engine"):
        container = stack.only(service)
        require(not stack.healthy(container, service), f"{service} alone says that it is not usable")
        restarts = stack.engine.inspect(container).get("RestartCount", 0)
        require(restarts == 0, f"{service} waits and does not end ({restarts} restarts)")
    stack.up("redis", "fuseki")
    say(
        f"tracker, manager and query engine waited for redis and fuseki; healthy {stack.wait_until_healthy():.0f} s later"
    )


def captures_and_answers(stack: Stack) -> None:
    stack.capture()
    stack.wait_until_stored()
    say(f"a script's tasks went in, and the query engine finds them: {stack.stored()} values")


def is_guarded(stack: Stack) -> None:
    """What the compose file says of each container is so in it."""
    for service in SERVICES:
        for container in stack.engine.containers(stack.project, service):
            status = dict(
                line.split(":\t", 1)
                for line in stack.engine.run("exec", container, "cat", "/proc/1/status").splitlines()
                if ":\t" in line
            )
            require(set(status["Uid"].split()) == {"10001"}, f"{service} runs as user 10001, not {status['Uid']}")
            require(int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 0, f"{service} has no capability")
            require(status["NoNewPrivs"] == "1", f"{service} cannot gain privileges")
            for folder in ("/", "/usr/local/bin", "/etc"):
                wrote = stack.engine.try_run("exec", container, "sh", "-c", f"touch {folder}/written 2>&1")
                require("Read-only file system" in wrote.stdout, f"{service} cannot write to {folder}: {wrote.stdout}")
            limits = stack.engine.inspect(container)["HostConfig"]
            for name in ("Memory", "PidsLimit", "NanoCpus"):
                require(limits[name], f"{service} has a limit of its own ({name})")
            _publishes_only_what_it_should(stack.engine.inspect(container), service)
    say("all run as user 10001, without capabilities, on read-only files, within limits; two ports, on loopback")


def _publishes_only_what_it_should(inspected: dict[str, Any], service: str) -> None:
    published = [each for ports in inspected["NetworkSettings"]["Ports"].values() for each in ports or ()]
    expected = 1 if service in ("tracker", "query_engine") else 0
    require(len(published) == expected, f"{service} publishes {expected} ports, not {published}")
    require(all(each["HostIp"] == "127.0.0.1" for each in published), f"{service} is published on loopback only")


def keeps_secrets(stack: Stack) -> None:
    """The store and the queue let nobody in without the password, and it is neither in arguments nor in the environment."""
    redis, fuseki = stack.only("redis"), stack.only("fuseki")
    refused = stack.engine.run("exec", redis, "redis-cli", "ping")
    require("NOAUTH" in refused, f"redis wants a password, and does not say {refused}")
    url = "http://fuseki:3030/pllib/query?query=ASK%7B%7D"
    status = stack.engine.run("exec", stack.only("query_engine"), "python3", "-c", _STATUS, url).strip()
    require(status == "401", f"fuseki wants a password, and does not answer {status}")
    password = stack.engine.run("exec", redis, "cat", "/secrets/queue/password").strip()
    credentials = stack.engine.run("exec", fuseki, "cat", "/secrets/store/credentials").strip()
    secrets = (password, credentials.rpartition(":")[2])
    require(all(len(each) == 48 for each in secrets), "secrets are made up of 192 bits")
    for container in stack.engine.containers(stack.project):
        shown = stack.engine.run("exec", container, "sh", "-c", "cat /proc/1/cmdline /proc/1/environ")
        logged = stack.engine.try_run("logs", container)
        told = json.dumps(stack.engine.inspect(container)) + shown + logged.stdout + logged.stderr
        require(not any(each in told for each in secrets), f"no secret is shown by {container[:12]}")
    say("redis and fuseki want the passwords that they made up, which nothing shows")


def stays_apart(stack: Stack) -> None:
    """A container reaches only those that it has to do with."""
    reach = "import socket, sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 3)"
    queries = stack.only("query_engine")
    for name, port, expected in (("fuseki", "3030", True), ("redis", "6379", False), ("manager", "8471", False)):
        reached = stack.engine.try_run("exec", queries, "python3", "-c", reach, name, port).returncode == 0
        require(reached == expected, f"the query engine {'reaches' if expected else 'does not reach'} {name}")
    say("the query engine reaches the store and neither the queue nor a manager")


def scales(stack: Stack) -> None:
    """Two managers share the work, and one does all when the other is killed."""
    stack.up(managers=2)
    stack.wait(lambda: len(stack.engine.containers(stack.project, "manager")) == 2, "there are two managers")
    stack.wait_until_healthy()
    for _ in range(5):
        stack.capture(200)
        stack.wait_until_stored()
    managers = stack.engine.containers(stack.project, "manager")
    shares = [_documents(stack.engine, each) for each in managers]
    require(all(shares), f"both managers took documents: {shares}")
    stack.engine.run("kill", managers[0])
    stack.capture(200)
    stack.wait_until_stored()
    say(f"two managers took {shares[0]} and {shares[1]} documents; one was killed, and the other went on")


def _documents(engine: Engine, container: str) -> int:
    read = (
        "from urllib.request import urlopen; print(urlopen('http://127.0.0.1:8471/metrics', timeout=5).read().decode())"
    )
    lines = engine.run("exec", container, "python3", "-c", read).splitlines()
    return round(sum(float(line.split()[-1]) for line in lines if line.startswith(_METRIC)))


def goes_on_when_servers_do_not(stack: Stack) -> None:
    """The store is restarted and the queue killed: what was captured meanwhile arrives."""
    stack.engine.run("stop", stack.only("fuseki"))
    stack.capture()
    stack.up("fuseki")
    stack.wait_until_stored()
    stack.engine.run("kill", stack.only("redis"))
    stack.up("redis")
    stack.wait_until_healthy()
    stack.capture()
    stack.wait_until_stored()
    say("the store was away and came back, the queue was killed and came back: all arrived")


def asks_for_the_token(stack: Stack) -> None:
    """With a folder that holds a token, tracker and query engine let in only who sends it."""
    stack.down()
    stack.use_token(TOKEN)
    stack.up()
    stack.wait_until_healthy()
    for url in (stack.tracker_url + "/v1/stats", stack.query_url + "/v1/executions"):
        require(stack.refuses(url), f"{url} wants the token")
        require(stack.refuses(url, "another-token-of-its-length"), f"{url} wants no other token")
        require(not stack.refuses(url, TOKEN), f"{url} takes the token")
    require("queue of the tracker" in stack.tool("queue", *AT_SERVICES[:2]), "the tools send the token")
    say("with a token, tracker and query engine let in only who sends it")


def stops_in_order(stack: Stack) -> None:
    """Each service ends by itself within its time when it is told to."""
    took = {}
    for service in ("tracker", "manager", "query_engine", "fuseki", "redis"):
        container = stack.engine.containers(stack.project, service)[0]
        began = time.monotonic()
        stack.engine.run("stop", container)
        took[service] = time.monotonic() - began
        code = stack.engine.inspect(container)["State"]["ExitCode"]
        require(code in CLEAN_ENDS, f"{service} ended in order, not with {code}")
        require(took[service] < GRACE.get(service, 30.0), f"{service} ended in time, not in {took[service]:.0f} s")
    say("stopped in order: " + ", ".join(f"{name} in {seconds:.1f} s" for name, seconds in took.items()))


def stops_while_it_waits(stack: Stack) -> None:
    """A tracker that waits for its queue ends as fast as any other."""
    stack.down()
    stack.up("tracker")
    time.sleep(5)
    container = stack.only("tracker")
    began = time.monotonic()
    stack.engine.run("stop", container)
    took = time.monotonic() - began
    require(took < 5, f"a waiting tracker ends at once, not in {took:.0f} s")
    require(stack.engine.inspect(container)["State"]["ExitCode"] == 0, "a waiting tracker ends in order")


def keeps_data(stack: Stack) -> None:
    """What was stored is there after everything was taken down and started again."""
    before = stack.stored()
    stack.down()
    require(not stack.answers(stack.query_url + "/health"), "nothing answers after `down`")
    stack.up()
    took = stack.wait_until_healthy()
    require(stack.stored() == before, f"all {before} values are there, not {stack.stored()}")
    stack.capture()
    stack.wait_until_stored()
    say(f"after down and up, {took:.0f} s until healthy, all {before} values were there, and more came")


def is_backed_up(stack: Stack) -> None:
    """A backup, and what it holds in a stack whose volumes are all new."""
    before = stack.stored()
    stack.tool("backup", "/backups/check", "--query-data", "/query", *AT_SERVICES)
    require("queue of the tracker" in stack.tool("queue", *AT_SERVICES[:2]), "the queue can be looked at")
    stack.down()
    for name in stack.engine.run("volume", "ls", "--quiet").split():
        if name.startswith(stack.project) and not name.endswith("_backups"):
            stack.engine.run("volume", "rm", name)
    stack.up()
    stack.wait_until_healthy()
    require(stack.stored() == 0, "new volumes hold nothing")
    stack.tool("restore", "/backups/check", "--anyway", *AT_SERVICES)
    require(stack.stored() == before, f"all {before} values are restored, not {stack.stored()}")
    say(f"a backup brought all {before} values into new volumes")


CHECKS = (
    starts_in_the_wrong_order,
    sizes,
    captures_and_answers,
    is_guarded,
    keeps_secrets,
    stays_apart,
    scales,
    goes_on_when_servers_do_not,
    keeps_data,
    is_backed_up,
    asks_for_the_token,
    stops_in_order,
    stops_while_it_waits,
)


def check(given: argparse.Namespace, folder: Path) -> None:
    """Everything. Raises CheckFailed at the first that is not as promised."""
    project = f"pllib-check-{os.getpid()}"
    tracker, query = _free_ports(2)
    environment = {
        "COMPOSE_PROJECT_NAME": project,
        "PLLIB_TRACKER_PORT": str(tracker),
        "PLLIB_QUERY_PORT": str(query),
        "PLLIB_ACCESS": str(_token_folder(folder)),
    }
    engine = find(given.engine, environment, folder if given.local_bases else None)
    say(f"with {engine.program} and {' '.join(engine.compose)}, as {project}")
    if given.local_bases:
        local_bases.make(engine)
    stack = Stack(engine, project, tracker, query, folder)
    with ended_with_it(stack, given.keep):
        build(stack)
        for each in CHECKS:
            each(stack)


def _token_folder(folder: Path) -> Path:
    """A folder that containers may read, with no token in it yet."""
    folder.chmod(0o755)
    made = folder / "access"
    made.mkdir()
    return made


def _free_ports(count: int) -> list[int]:
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(probe.getsockname()[1]) for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def main(arguments: Sequence[str]) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python -m deploy.containers.check", description=__doc__)
    parser.add_argument("--engine", choices=("docker", "podman"), default="", help="which one; else the one that runs")
    parser.add_argument(
        "--local-bases",
        action="store_true",
        help="make stand-ins for the base images from Debian's packages, where no registry of images can be reached",
    )
    parser.add_argument("--keep", action="store_true", help="leave containers and volumes as they are at the end")
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as folder:
            check(given, Path(folder))
    except CheckFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    say("all as promised")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
