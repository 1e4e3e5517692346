"""Programs that Maven gets, from the repository that it is set up for: once, into the user's cache, and checked at each use."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from deploy.errors import ServerMissing

FETCH_SECONDS = 900
MAX_WORDS = 500

Report = Callable[[str], None]


def cache_folder() -> Path:
    """Where the files are kept: the user's cache."""
    root = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(root) / "pllib"


def artifact(coordinates: str, sha512: str, otherwise: str, report: Report) -> Path:
    """The file of an artifact, byte for byte as it was released.

    Args:
        coordinates: group, artifact, version and packaging, with colons.
        sha512: its checksum, in hexadecimal.
        otherwise: what a user may do without it; the end of an error's fix.

    Raises:
        ServerMissing: it cannot be had; the message says why.
    """
    _, name, version, packaging = coordinates.split(":")
    path = cache_folder() / f"{name}-{version}.{packaging}"
    if not path.exists():
        report(f"getting {name} {version} with Maven into {path.parent}, once")
        _fetch(coordinates, path, otherwise)
    if _digest(path, otherwise) != sha512:
        raise ServerMissing(
            f"{path} is not what was released: its SHA-512 checksum is another",
            f"remove the file, see which repository Maven is set up for, and try again; {otherwise}",
        )
    return path


def _fetch(coordinates: str, path: Path, otherwise: str) -> None:
    """The file is there, whole; its checksum is not looked at."""
    maven = shutil.which("mvn")
    if maven is None:
        raise ServerMissing(
            f"{path.name} is not in {path.parent} yet, and there is no `mvn` on PATH to get it with",
            f"install Maven (Debian: `apt install maven`), or put the file there yourself; {otherwise}",
        )
    fix = (
        f"see that this machine reaches Maven's repository (`mvn dependency:get -Dartifact={coordinates}`); {otherwise}"
    )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as draft:
            command = [maven, "-q", "-B", "dependency:copy", f"-Dartifact={coordinates}", f"-DoutputDirectory={draft}"]
            said = subprocess.run(  # noqa: S603
                command, cwd=draft, capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
            )
            if said.returncode:
                raise ServerMissing(f"Maven did not get {coordinates}: {_reason(said.stdout + said.stderr)}", fix)
            (Path(draft) / path.name).replace(path)
    except subprocess.TimeoutExpired as error:
        raise ServerMissing(f"Maven did not get {coordinates} within {FETCH_SECONDS} s", fix) from error
    except OSError as error:
        raise ServerMissing(
            f"{path.name} cannot be kept in {path.parent}: {error.strerror}", "set XDG_CACHE_HOME to another folder"
        ) from error


def _reason(said: str) -> str:
    errors = [line.partition("[ERROR]")[2].strip() for line in said.splitlines() if "[ERROR]" in line]
    return (errors or ["it does not say why"])[0][:MAX_WORDS]


def _digest(path: Path, otherwise: str) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha512").hexdigest()
    except OSError as error:
        fix = f"remove it, and try again; {otherwise}"
        raise ServerMissing(f"{path} cannot be read ({error.strerror})", fix) from error
