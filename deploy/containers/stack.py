"""The services as `docker-compose.yml` describes them, under a name, ports and volumes of their own, and what they say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from deploy.containers.engine import CHECKOUT, CheckFailed, Engine
from deploy.processes import wait_until

SERVICES = ("redis", "fuseki", "manager", "tracker", "query_engine")
HEALTH = {
    "redis": ("redis-healthy.sh",),
    "fuseki": ("fuseki-healthy.sh",),
    "manager": ("healthy.py", "8471"),
    "tracker": ("healthy.py", "8470"),
    "query_engine": ("healthy.py", "8472"),
}
"""The commands of the health checks. They are run here one by one, since not every engine runs them by itself."""
PATIENCE = 180.0
ANSWER_SECONDS = 20.0

_COUNT = """\
SELECT (COUNT(DISTINCT ?value) AS ?n) {{ ?e <http://www.w3.org/ns/prov#value> ?value FILTER(?value > 0 && ?value < {below}) }}"""
_SCRIPT = """\
import sys

import pllib

first, count = map(int, sys.argv[1:])
with pllib.workflow("container-check") as workflow:
    value = -1
    for number in range(first, first + count):
        with workflow.task("step", used={"x": value}) as task:
            value = number + 0.5
            task.generated(y=value)
"""
_open = build_opener(ProxyHandler({})).open


class Stack:
    """The services of one project.

    Args:
        engine: that runs them; its environment must name the project and the ports.
        project: name of the project.
        tracker, query: ports on this machine.
        folder: for the spool of the script.
    """

    def __init__(self, engine: Engine, project: str, tracker: int, query: int, folder: Path) -> None:
        self.engine = engine
        self.project = project
        self.tracker_url = f"http://127.0.0.1:{tracker}"
        self.query_url = f"http://127.0.0.1:{query}"
        self._folder = folder
        self._captured = 0

    def up(self, *services: str, managers: int = 1) -> None:
        """Starts services, or all; returns when their containers run."""
        scale = ("--scale", f"manager={managers}") if not services or "manager" in services else ()
        self.engine.composed("up", "--detach", *scale, *services, seconds=600)

    def use_token(self, token: str) -> None:
        """Puts a token where the services look for one when they start."""
        (self._folder / "access" / "token").write_text(token + "\n", encoding="ascii")

    def down(self, *, volumes: bool = False) -> None:
        """Ends all containers and takes them away."""
        # Podman's tool takes a manager beyond the first for an orphan.
        self.engine.composed("down", "--remove-orphans", *(["--volumes"] if volumes else []), seconds=300)

    def only(self, service: str) -> str:
        """The container of a service that has one."""
        found = self.engine.containers(self.project, service)
        if len(found) != 1:
            raise CheckFailed(f"{service} has {len(found)} running containers, not one")
        return found[0]

    def healthy(self, container: str, service: str) -> bool:
        """Whether the service's own health check passes."""
        return self.engine.try_run("exec", container, *HEALTH[service]).returncode == 0

    def all_healthy(self) -> bool:
        """Whether every container of every service is there and healthy."""
        return all(
            bool(found := self.engine.containers(self.project, service))
            and all(self.healthy(each, service) for each in found)
            for service in SERVICES
        )

    def wait_until_healthy(self) -> float:
        """Seconds until all services were. Raises CheckFailed when that takes too long."""
        began = time.monotonic()
        self.wait(self.all_healthy, "all services are healthy")
        return time.monotonic() - began

    def wait(self, true: Callable[[], bool], what: str) -> None:
        """Returns when something is so. Raises CheckFailed when it does not become so."""
        if not wait_until(true, PATIENCE, 0.5):
            raise CheckFailed(f"not within {PATIENCE:g} s: {what}\n{self.last_words()}")

    def last_words(self) -> str:
        """The ends of the logs, for messages."""
        told = []
        for container in self.engine.containers(self.project, ended=True):
            said = self.engine.try_run("logs", "--tail", "15", container)
            told.append(f"--- {container[:12]}\n{said.stdout}{said.stderr}")
        return "\n".join(told)

    def tool(self, *words: str) -> str:
        """What a command of `python -m deploy` prints that runs beside the services."""
        return self.engine.composed("--profile", "tools", "run", "--rm", "-T", "tools", *words)

    def capture(self, count: int = 50) -> None:
        """Runs a real script, which captures so many tasks. What it has accepted is in the tracker when it ends."""
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PLLIB_")},
            **{"PLLIB_URL": self.tracker_url, "PLLIB_SPOOL": str(self._folder), "PYTHONPATH": str(CHECKOUT)},
        }
        words = [sys.executable, "-c", _SCRIPT, str(self._captured), str(count)]
        done = subprocess.run(  # noqa: S603  (the script above)
            words, env=environment, cwd=self._folder, capture_output=True, text=True, timeout=120, check=False
        )
        if done.returncode or done.stderr:
            raise CheckFailed(f"the script ended with {done.returncode}: {done.stderr[-2000:]}")
        self._captured += count

    def stored(self) -> int:
        """How many of the captured values the query engine finds."""
        query = _COUNT.format(below=self._captured)
        url = f"{self.query_url}/sparql?{urlencode({'query': query})}"
        return int(self.get(url)["results"]["bindings"][0]["n"]["value"])

    def wait_until_stored(self) -> None:
        """Returns when the query engine finds all that was captured. Raises CheckFailed."""
        self.wait(lambda: self._finds(self._captured), f"the query engine finds all {self._captured} captured values")

    def _finds(self, count: int) -> bool:
        try:
            return self.stored() == count
        except (URLError, OSError):
            return False

    def refuses(self, url: str, token: str = "") -> bool:
        """Whether an address answers 401 to a call with this token, or with none."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        try:
            with _open(Request(url, headers=headers), timeout=ANSWER_SECONDS):  # noqa: S310
                return False
        except HTTPError as error:
            with error:
                return error.code == 401

    def get(self, url: str) -> Any:
        """The JSON at an address."""
        with _open(url, timeout=ANSWER_SECONDS) as answer:
            return json.load(answer)

    def answers(self, url: str) -> bool:
        """Whether anything answers there, with whatever status below 400."""
        try:
            with _open(url, timeout=ANSWER_SECONDS):
                return True
        except (URLError, OSError):
            return False


@contextmanager
def ended_with_it(stack: Stack, keep: bool) -> Iterator[Stack]:
    """The stack; its containers, networks and volumes are gone at the end, unless they are to be kept."""
    try:
        yield stack
    finally:
        if not keep:
            stack.down(volumes=True)
