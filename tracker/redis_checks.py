"""Whether a server keeps what it has taken: asked before the tracker gives it anything."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import NamedTuple

from .errors import QueueUnavailable
from .redis_server import RedisServer

log = logging.getLogger("tracker.redis")

OLDEST = (6, 2)


class Checked(NamedTuple):
    """What was found.

    Args:
        run: tells this life of the server's process from all others.
        problems: what is wrong, each with what to do about it.
    """

    run: str
    problems: list[str]


async def check_server(server: RedisServer, safe: bool) -> Checked:
    """What is found, when the server may be used.

    Raises:
        QueueUnavailable: it would lose what it has taken (with ``safe``), or cannot do what is needed at all.
    """
    information = await server.information()
    impossible = list(_impossible(information))
    if impossible:
        raise QueueUnavailable(f"{server}: " + "; ".join(impossible))
    problems = [*_unsafe(information), *await _unsafe_settings(server, information)]
    if problems and safe:
        raise QueueUnavailable(
            f"{server} would lose what it has taken: " + "; ".join(problems) + ". Or start with --queue-unsafe"
        )
    for problem in problems:
        log.warning("%s would lose what it has taken, and is used nevertheless: %s", server, problem)
    return Checked(information.get("run_id", ""), problems)


def _impossible(information: dict[str, str]) -> Iterator[str]:
    version = information.get("redis_version", "0")
    if tuple(int(part) for part in version.split(".")[:2] if part.isdecimal()) < OLDEST:
        yield f"version {version} is too old: Redis 6.2 or later, or Valkey, is needed"
    if information.get("role", "master") != "master":
        yield "it is a replica: give the address of the primary"
    if information.get("cluster_enabled", "0") != "0":
        yield "it is part of a cluster: give the address of a server that stands alone (cluster-enabled no)"


def _unsafe(information: dict[str, str]) -> Iterator[str]:
    if information.get("aof_enabled", "1") == "0":
        yield "it writes no log: CONFIG SET appendonly yes"
    if information.get("aof_last_write_status", "ok") != "ok":
        yield "its log cannot be written (aof_last_write_status): make room on its disk"
    policy = information.get("maxmemory_policy", "noeviction")
    if information.get("maxmemory", "0") != "0" and policy != "noeviction":
        yield f"it throws keys away when its memory is full (maxmemory-policy {policy}): CONFIG SET maxmemory-policy noeviction"


async def _unsafe_settings(server: RedisServer, information: dict[str, str]) -> list[str]:
    """What only CONFIG tells."""
    wanted = {"appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
    try:
        found = {name: await server.setting(name) for name in wanted}
    except QueueUnavailable as error:
        return [
            f"its settings cannot be asked for ({error}), so whether it syncs each write is unknown: allow CONFIG GET "
            "(ACL SETUSER name +config|get); of a service that does not, find out that appendfsync is always"
        ]
    return [
        f"{name} is {found[name] or 'unknown'}: CONFIG SET {name} {value}"
        for name, value in wanted.items()
        if found[name] != value and information.get("aof_enabled", "1") != "0"
    ]
