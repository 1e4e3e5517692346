"""The peers' own environments: made once by the package index's client, at versions that are written down here, and kept.

python -m bench.peers.environments         makes all that are not there yet, and says what cannot be had
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

CONSTRAINTS = Path(__file__).resolve().parent / "constraints"
SECONDS = 1200
PYTHONS = ("python3.12", "python3.13", "python3.14")


class Peer(NamedTuple):
    """What is installed, beyond the versions in ``constraints/NAME.txt``, and with what."""

    needs: tuple[str, ...]
    python: tuple[int, int] = (3, 10)
    options: tuple[str, ...] = ()


PEERS = {
    "provlake": Peer(
        # Its metadata excludes Python from 3.9 on, and it runs there.
        ("provlake", "requests-futures", "pandas", "numpy"),
        options=("--ignore-requires-python",),
    ),
    "flowcept": Peer(("flowcept", "redis", "lmdb", "pandas", "numpy")),
    "mlflow": Peer(("mlflow", "numpy")),
    "opentelemetry": Peer(("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "numpy")),
    "openlineage": Peer(("openlineage-python", "numpy")),
    # 3.2.8 is written in the syntax of 3.12; it needs PyTorch, some five gigabytes, and xarray, which it does not ask for.
    "yprov4ml": Peer(("yprov4ml", "xarray", "numpy"), python=(3, 12)),
}


class Missing(Exception):
    """The peer cannot be had here; the message says why in one line."""


def home() -> Path:
    """The folder of all peers' environments; shared by all checkouts of a user."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(cache) / "pllib" / "peers"


def interpreter(name: str) -> str:
    """The Python of a peer's environment, which is made when it is not there yet.

    Raises:
        Missing: there is no Python that the peer runs on, or its packages cannot be installed.
    """
    peer = PEERS[name]
    base = _base(peer.python)
    folder = _folder(name, base)
    python = folder / "bin" / "python"
    with _alone(folder):
        if not (folder / "ready").exists():
            _make(name, base, peer, folder, python)
            (folder / "ready").write_text(_told(python, peer.needs), encoding="utf-8")
    return str(python)


def _folder(name: str, base: str) -> Path:
    """Of an environment with just these versions."""
    peer = PEERS[name]
    pins = (CONSTRAINTS / f"{name}.txt").read_text(encoding="utf-8")
    wanted = "\n".join((base, *peer.needs, *peer.options, pins))
    return home() / f"{name}-{hashlib.sha256(wanted.encode()).hexdigest()[:12]}"


def _told(python: Path, needs: tuple[str, ...]) -> str:
    """The versions that were installed, and of which Python."""
    code = (
        "import importlib.metadata as m, sys; print(*(f'{n} {m.version(n)}' for n in sys.argv[1:]), sep=', ', end='')"
    )
    code += "; print(', Python', sys.version.split()[0], end='')"
    done = subprocess.run([str(python), "-c", code, *needs], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout


def versions() -> dict[str, str]:
    """By peer: the versions of what its environment was asked for, of those that are there."""
    found = {}
    for name, peer in PEERS.items():
        try:
            folder = _folder(name, _base(peer.python))
        except Missing:
            continue
        if (folder / "ready").exists():
            found[name] = (folder / "ready").read_text(encoding="utf-8")
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


@functools.cache
def _base(least: tuple[int, int]) -> str:
    """The path of this Python, or of the first one on this machine that is recent enough."""
    if sys.version_info[:2] >= least:
        return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}")
    for name in PYTHONS:
        for found in (shutil.which(name), _of_pyenv(name)):
            if found and _runs(found):
                return found
    raise Missing(f"needs Python {least[0]}.{least[1]} or later, and none was found")


def _of_pyenv(name: str) -> str | None:
    folders = sorted((Path.home() / ".pyenv" / "versions").glob(f"{name.removeprefix('python')}.*"))
    return str(folders[-1] / "bin" / name) if folders else None


def _runs(python: str) -> bool:
    """A name may stand for a version that is not chosen here, as pyenv's do."""
    return subprocess.run([python, "-c", "import venv"], capture_output=True, timeout=30).returncode == 0


def _make(name: str, base: str, peer: Peer, folder: Path, python: Path) -> None:
    print(f"installing {name} into {folder} ...", file=sys.stderr, flush=True)
    start = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    pip = [
        str(python),
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-cache-dir",
    ]
    try:
        _run([base, "-m", "venv", str(folder)])
        _run([*pip, *peer.options, "-c", str(CONSTRAINTS / f"{name}.txt"), *peer.needs])
    except Missing:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    print(f"  {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except (subprocess.TimeoutExpired, OSError) as error:
        raise Missing(f"cannot be installed: {error}") from error
    if done.returncode:
        said = [line for line in (done.stderr + done.stdout).splitlines() if line.startswith("ERROR")]
        raise Missing(f"cannot be installed: {(said or ['no reason given'])[-1][:300]}")


def main() -> int:
    lacking = 0
    for name in PEERS:
        try:
            print(f"{name}: {interpreter(name)}")
        except Missing as why:
            lacking += 1
            print(f"{name}: {why}")
    return int(lacking > 0)


if __name__ == "__main__":
    raise SystemExit(main())
