"""The virtual environment of a checkout: ``python -m deploy.environment [GROUP ...]`` makes `.venv` fit.

It holds the library in place of development, the services' needs, and the named dependency groups, in the versions
of `constraints.txt`. What was installed is noted in `.venv/installed.json` with a fingerprint of what was asked for, so
that a second run has nothing to do. Only the standard library is used: nothing else is there yet.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

from deploy.errors import DeployError, EnvironmentUnprepared
from deploy.logs import tail
from deploy.processes import wait_until

CHECKOUT = Path(__file__).resolve().parent.parent
PAUSES = (5, 20)
"""Seconds between the tries of an installation: package indexes have bad minutes."""


@dataclass(frozen=True, slots=True)
class Installed:
    """What a virtual environment holds: the groups, and the fingerprint of the files they were installed by."""

    fingerprint: str
    groups: frozenset[str]


def fingerprint(pyproject: dict[str, Any], constraints: str, checkout: Path) -> str:
    """A digest that differs when something else is to be installed, or the checkout was moved."""
    asked = {table: pyproject.get(table) for table in ("project", "dependency-groups", "build-system")}
    told = json.dumps([asked, sorted(constraints.split()), str(checkout)], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def missing(installed: Installed | None, wanted: Installed) -> frozenset[str] | None:
    """The groups an installation must name so that nothing is lost; None when all that is wanted is there."""
    if installed is None:
        return wanted.groups
    if installed.fingerprint == wanted.fingerprint and wanted.groups <= installed.groups:
        return None
    return wanted.groups | installed.groups


def pinned(constraints: str, name: str) -> str:
    """The requirement `name==version` as the constraints give it; the bare name when they do not."""
    lines = (line.strip() for line in constraints.splitlines())
    return next((line for line in lines if line.partition("==")[0] == name), name)


def pip_commands(python: str, constraints: str, groups: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """The installer's commands, in order: first itself, in the version that knows the options of the second."""
    patient = ("--retries", "8", "--timeout", "60", "--progress-bar", "off")
    pip = (python, "-m", "pip", "install", "--disable-pip-version-check", "--no-input", *patient)
    named = [word for group in sorted(groups) for word in ("--group", group)]
    held = ("-c", "constraints.txt", "--build-constraint", "constraints.txt")
    return ((*pip, pinned(constraints, "pip")), (*pip, *held, "-e", ".[server]", *named))


def prepare(checkout: Path, groups: Sequence[str]) -> None:
    """The checkout's `.venv` holds the groups. Raises EnvironmentUnprepared where that cannot be had."""
    folder = checkout / ".venv"
    constraints = (checkout / "constraints.txt").read_text(encoding="utf-8")
    pyproject = tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = Installed(fingerprint(pyproject, constraints, checkout), frozenset(groups))
    note = folder / "installed.json"
    with _one_at_a_time(checkout):
        works = _works(folder)
        to_install = missing(_read(note) if works else None, wanted)
        if to_install is None:
            return
        if not works:
            _create(folder)
        note.unlink(missing_ok=True)
        count = len(constraints.splitlines())
        _say(f"installing the needs of {', '.join(['the services', *sorted(to_install)])} (up to {count} packages) ...")
        for command in pip_commands(str(folder / "bin" / "python"), constraints, to_install):
            _install(command, checkout, folder / "setup.log")
        told = {"fingerprint": wanted.fingerprint, "groups": sorted(to_install)}
        note.write_text(json.dumps(told) + "\n", encoding="utf-8")


@contextlib.contextmanager
def _one_at_a_time(checkout: Path) -> Iterator[None]:
    with (checkout / "pyproject.toml").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _works(folder: Path) -> bool:
    """Whether the environment is there, recent enough, has an installer, and was made where it is now."""
    probe = "import sys, pip; print(sys.prefix if sys.version_info >= (3, 11) else '')"
    try:
        told = subprocess.run(  # noqa: S603  (the environment's own Python)
            [folder / "bin" / "python", "-c", probe], capture_output=True, text=True, check=False
        )
        made_for = (folder / "bin" / "activate").read_text(encoding="utf-8")
    except OSError:
        return False
    return told.returncode == 0 and told.stdout.strip() == str(folder) and str(folder) in made_for


def _read(note: Path) -> Installed | None:
    try:
        told = json.loads(note.read_text(encoding="utf-8"))
        return Installed(str(told["fingerprint"]), frozenset(told["groups"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _create(folder: Path) -> None:
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        raise EnvironmentUnprepared(
            f"this Python ({sys.executable}) cannot make virtual environments: its `ensurepip` is not installed",
            f"on Debian and Ubuntu run `apt install python{version}-venv`; elsewhere install a whole Python {version}",
        )
    _say(f"making the virtual environment {folder} ...")
    command = [sys.executable, "-m", "venv", "--clear", str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if made.returncode:
        raise EnvironmentUnprepared(
            f"the virtual environment {folder} cannot be made: {(made.stdout + made.stderr).strip()}",
            "see that the folder can be written and the disk is not full",
        )


def _install(command: Sequence[str], checkout: Path, log: Path) -> None:
    for pause in (*PAUSES, None):
        began = log.stat().st_size if log.exists() else 0
        if _run(command, checkout, log) == 0:
            return
        if pause is not None:
            _say(f"  that did not work ({_reason(log, began)}); again in {pause} s")
            time.sleep(pause)
    raise EnvironmentUnprepared(
        "the packages cannot be installed:\n    | " + "\n    | ".join(tail(log, 8, began)),
        f"see that the package index can be reached, and run it again; the whole log is {log}",
    )


def _run(command: Sequence[str], checkout: Path, log: Path) -> int:
    """The installer's exit code; tells every ten seconds that it is still at work."""
    began = time.monotonic()
    with log.open("ab") as output:
        started = log.stat().st_size
        process = subprocess.Popen(  # noqa: S603  (one of `pip_commands`)
            command, cwd=checkout, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            while not wait_until(lambda: process.poll() is not None, 10, 0.1):
                _say(f"  {time.monotonic() - began:.0f} s, {_found(log, started)} packages found so far")
        finally:
            process.kill()
            process.wait()
    return process.returncode


def _found(log: Path, started: int) -> int:
    return log.read_bytes()[started:].count(b"\nCollecting ")


def _reason(log: Path, began: int) -> str:
    errors = [line for line in tail(log, 40, began) if line.startswith("ERROR")]
    return (errors or tail(log, 1, began) or ["no reason given"])[-1]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(groups: Sequence[str]) -> int:
    """Prepares the environment of this checkout; the exit code."""
    try:
        prepare(CHECKOUT, groups)
    except DeployError as error:
        print(f"error: {error.message}\nfix: {error.fix}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
