"""A real PostgreSQL server of a test's own, reached by a socket in a folder."""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Postgres:
    """A running server with the database ``postgres`` and a superuser of that name."""

    socket: str
    run: Callable[[str], str]

    def require_password(self, role: str) -> None:
        """From now on that role has to give its password."""
        rules = Path(self.run("SHOW hba_file").splitlines()[2].strip())
        rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")
        self.run("SELECT pg_reload_conf()")


@contextmanager
def postgres() -> Iterator[Postgres]:
    """A server until the end of the block; skipped where it is not installed, but under CI."""
    folder = tempfile.mkdtemp(prefix="pllib-pg-")  # short: the name of a socket has a limit
    os.chmod(folder, 0o755)  # noqa: S103 - as root, the server is run by another user
    try:
        server = _server(f"{folder}/data")
        try:
            yield Postgres(server.get_uri().partition("host=")[2], server.psql)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _server(folder: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs tells of a missing XDG_RUNTIME_DIR
        try:
            import pgserver
        except ImportError:
            told = "the package `pgserver` is not installed"
            if os.environ.get("CI", "") not in ("", "0", "false"):
                pytest.fail(told)
            pytest.skip(told)
        return pgserver.get_server(folder, cleanup_mode="stop")
