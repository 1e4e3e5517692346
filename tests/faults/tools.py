"""Programs and rights that a fault needs: where they are missing the test is skipped and says why; under CI it fails."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

CI = os.environ.get("CI", "") not in ("", "0", "false")
INSTALL_SECONDS = 240


def missing(why: str) -> None:
    """Ends the test: skipped on a laptop, failed under CI, where everything is to be tried."""
    if CI:
        pytest.fail(why)
    pytest.skip(why)


def require_root() -> None:
    """Where the process may not mount and make networks the test ends here."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        missing("only root may mount and make networks")


def require_program(name: str, package: str) -> str:
    """Path of a program; root under CI installs its Debian package."""
    if (found := shutil.which(name)) is None and CI:
        install(package)
        found = shutil.which(name)
    if found is None:
        missing(f"`{name}` is not installed (Debian: {package})")
    return str(found)


def require_library(name: str, package: str) -> Path:
    """Path of a shared library below ``/usr/lib``; root under CI installs its Debian package."""
    found = _library(name)
    if found is None and CI:
        install(package)
        found = _library(name)
    if found is None:
        missing(f"{name} is not installed (Debian: {package})")
    return Path(str(found))


def _library(name: str) -> Path | None:
    return next(iter([*Path("/usr/lib").glob(f"*/{name}"), *Path("/usr/lib").glob(f"*/*/{name}")]), None)


def install(package: str) -> None:
    """Installs a Debian package, in bounded time; the test fails when that cannot be done."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60", package]
    for step in (["apt-get", "update"], command):
        try:
            done = subprocess.run(step, env=environment, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except (OSError, subprocess.TimeoutExpired) as error:
            pytest.fail(f"{package} could not be installed: {error}")
    if done.returncode:
        pytest.fail(f"{package} could not be installed: {done.stderr[-1000:]}")


@contextlib.contextmanager
def small_disk(folder: Path, size: int, *options: str) -> Iterator[Path]:
    """A file system in memory of so many bytes, mounted on a folder that is made."""
    require_root()
    folder.mkdir(parents=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", ",".join([f"size={size}", *options]), "none", str(folder)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        missing(f"mount is not permitted here: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(path: Path) -> None:
    """Writes a file until the disk has no byte left."""
    with open(path, "wb", buffering=0) as file:
        for size in (100_000, 1_000, 1):
            try:
                while True:
                    file.write(b"x" * size)
            except OSError:
                continue
