"""A container engine and its compose tool, as commands: Docker, or Podman with podman-compose."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHECKOUT = Path(__file__).resolve().parent.parent.parent
COMMAND_SECONDS = 120.0
MAX_WORDS = 3000
_RESTRICTED = """\
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
[engine]
runtime = "runc"
"""
"""Settings of Podman for a machine that lets nobody, not even root, raise limits; crun would try."""


class CheckFailed(Exception):
    """Something is not as it was promised; the message says what."""


@dataclass(frozen=True)
class Engine:
    """Commands to one engine.

    Args:
        program: `docker` or `podman`.
        compose: how its compose tool is called.
        environment: of all commands.
    """

    program: str
    compose: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def build_options(self) -> tuple[str, ...]:
        """Of its `build`: where the network of a build comes from."""
        return ("--network", "host")

    def full_name(self, image: str) -> str:
        """The name by which an official image is found without asking a registry which one is meant."""
        return image if self.program == "docker" else f"docker.io/library/{image}"

    def has_image(self, image: str) -> bool:
        """Whether an image is on this machine."""
        name = image if "/" in image else self.full_name(image)
        return self.try_run("image", "inspect", name).returncode == 0

    def run(self, *words: str, seconds: float = COMMAND_SECONDS) -> str:
        """What a command of the engine prints. Raises CheckFailed."""
        return self.other(self.program, *words, seconds=seconds)

    def try_run(self, *words: str, seconds: float = COMMAND_SECONDS) -> subprocess.CompletedProcess[str]:
        """A command of the engine that may fail."""
        return self._finished((self.program, *words), seconds)

    def composed(self, *words: str, seconds: float = COMMAND_SECONDS) -> str:
        """What a command of the compose tool prints, in the checkout. Raises CheckFailed."""
        return self.other(*self.compose, *words, seconds=seconds)

    def other(self, *words: str, seconds: float = COMMAND_SECONDS) -> str:
        """What any command prints. Raises CheckFailed."""
        done = self._finished(words, seconds)
        if done.returncode:
            said = (done.stdout + done.stderr).strip()[-MAX_WORDS:]
            raise CheckFailed(f"`{' '.join(words)}` ended with {done.returncode}:\n{said}")
        return done.stdout

    def inspect(self, container: str) -> dict[str, Any]:
        """All that the engine knows of a container."""
        found: list[dict[str, Any]] = json.loads(self.run("container", "inspect", container))
        return found[0]

    def containers(self, project: str, service: str = "", *, ended: bool = False) -> list[str]:
        """Ids of a project's containers, or of those of one of its services."""
        labels = {"project": project, **({"service": service} if service else {})}
        filters = [f"label=com.docker.compose.{name}={value}" for name, value in labels.items()]
        words = [word for each in filters for word in ("--filter", each)]
        return self.run("ps", "--quiet", "--no-trunc", *(["--all"] if ended else []), *words).split()

    def _finished(self, words: Sequence[str], seconds: float) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, **self.environment}
        try:
            return subprocess.run(  # noqa: S603  (commands of the check)
                words,
                cwd=CHECKOUT,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise CheckFailed(f"`{' '.join(words)}` did not end within {seconds:g} s") from error
        except OSError as error:
            raise CheckFailed(f"`{words[0]}` cannot be run: {error.strerror}") from error


def find(name: str, environment: Mapping[str, str], restricted_in: Path | None = None) -> Engine:
    """The engine of that name, or the one that is there.

    Args:
        environment: of its commands.
        restricted_in: folder in which settings of Podman for a restricted machine are written.

    Raises:
        CheckFailed: there is none, or not its compose tool.
    """
    names = [name] if name else ["docker", "podman"]
    reasons = []
    for each in names:
        more: dict[str, str] = {}
        if each == "podman" and restricted_in is not None:
            (restricted_in / "containers.conf").write_text(_RESTRICTED, encoding="utf-8")
            more = {"CONTAINERS_CONF": str(restricted_in / "containers.conf")}
        engine = Engine(each, _compose(each), {**environment, "BUILDAH_FORMAT": "docker", **more})
        if shutil.which(each) and engine.try_run("info").returncode == 0 and engine.compose:
            return engine
        reasons.append(f"{each} does not run, or has no compose tool")
    raise CheckFailed("; ".join(reasons) + ": install Docker with its compose plugin, or podman and podman-compose")


def _compose(program: str) -> tuple[str, ...]:
    if program == "docker":
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)  # noqa: S607
        return ("docker", "compose") if plugin.returncode == 0 else ()
    beside = Path(sys.executable).parent / "podman-compose"
    found = str(beside) if beside.exists() else shutil.which("podman-compose")
    return (found,) if found else ()
