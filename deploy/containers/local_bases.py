"""Stands in for the base images where no registry of images can be reached: Debian's packages, under the official names.

`debootstrap` makes a small Debian; from it come one image with Python, one with Redis, one with Java and one with Maven.
They hold what this machine trusts and how its pip is set up, as a company's own bases would. For checks, not for use:
the versions are Debian's.
"""

from __future__ import annotations

import shutil
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from deploy.containers.engine import CheckFailed, Engine

SUITE = "bookworm"
MINIMAL = f"localhost/pllib-minimal:{SUITE}"
MACHINES_OWN = ("/etc/ssl/certs/ca-certificates.crt", "/etc/ssl/certs/java/cacerts", "/etc/pip.conf")
"""What this machine trusts, and where it gets packages."""


class Base(NamedTuple):
    """An image to stand in for another: Debian's packages, and a command that makes the two alike."""

    image: str
    packages: str
    then: str = "true"


BASES = (
    Base("python:3.13-slim", "python3 python3-pip python3-venv"),
    Base(
        "redis:7.2-alpine",
        "redis-server",
        "groupadd --gid 1000 redis-official && mkdir -p /data && chown 999:1000 /data",
    ),
    Base("maven:3-eclipse-temurin-17", "maven openjdk-17-jre-headless"),
    Base("eclipse-temurin:17-jre-alpine", "openjdk-17-jre-headless wget"),
)


def make(engine: Engine) -> None:
    """Makes those that the engine does not have yet. Raises CheckFailed."""
    missing = [base for base in BASES if not engine.has_image(base.image)]
    if missing and not engine.has_image(MINIMAL):
        _bootstrap(engine)
    for base in missing:
        with tempfile.TemporaryDirectory() as folder:
            _describe(base, Path(folder))
            engine.run("build", *engine.build_options, "--tag", engine.full_name(base.image), folder, seconds=1200)


def _bootstrap(engine: Engine) -> None:
    program = shutil.which("debootstrap") or shutil.which("debootstrap", path="/usr/sbin")
    if program is None:
        raise CheckFailed("--local-bases needs debootstrap: apt install debootstrap")
    with tempfile.TemporaryDirectory() as folder:
        root, archive = Path(folder) / "root", Path(folder) / "root.tar"
        engine.other(program, "--variant=minbase", "--include=ca-certificates", SUITE, str(root), seconds=1200)
        with tarfile.open(archive, "w") as tar:
            tar.add(root, arcname=".")
        engine.run("import", str(archive), MINIMAL, seconds=600)


def _describe(base: Base, folder: Path) -> None:
    """What the engine builds the image from."""
    held = [name for name in MACHINES_OWN if Path(name).is_file()]
    for number, name in enumerate(held):
        shutil.copyfile(name, folder / str(number))
    lines = (
        f"FROM {MINIMAL}",
        "RUN apt-get update -q && apt-get install -qy --no-install-recommends "
        f"{base.packages} && rm -rf /var/lib/apt/lists/* /var/cache/apt && {base.then}",
        *(f"COPY {number} {name}" for number, name in enumerate(held)),
    )
    (folder / "Dockerfile").write_text("\n".join(lines) + "\n", encoding="utf-8")
