"""What git repositories and the stores of their files are called: one rule for scripts, histories, MLflow's tags and OpenLineage's events.

A repository is called by host and path of its remote, so that every clone of it has one name. Pure.
"""

from __future__ import annotations

import posixpath
from typing import Optional

PREFIX = "git:"


def repository_name(address: Optional[str]) -> Optional[str]:
    """``example.org/lab/code`` of the address of a remote: a URL, ``git@host:path``, or a folder. No credentials, no query, no ``.git``."""
    if not address:
        return None
    _, sign, rest = address.partition("://")
    if sign:
        rest = rest.partition("?")[0].partition("#")[0]
        authority, slash, path = rest.partition("/")
        rest = authority.rpartition("@")[2] + slash + path
    else:
        # The short form of ssh has a host before the first colon; anything else is a path.
        host, colon, path = address.partition(":")
        rest = f"{host.rpartition('@')[2]}/{path}" if colon and "/" not in host else address
    name = posixpath.normpath(rest.replace("\\", "/")).strip("/")
    name = posixpath.basename(name) if name.startswith(".") else name  # a folder, seen from another one
    return (name[: -len(".git")] if name.endswith(".git") else name).strip("./") or None


def code_store(repository: str) -> str:
    """The store that the files of a repository lie in, by the repository's name."""
    return PREFIX + repository


def is_code_store(store: Optional[str]) -> bool:
    """Whether a store is a git repository."""
    return store is not None and store.startswith(PREFIX)


def remote_store(address: str) -> Optional[str]:
    """The store of the repository at an address of a remote; ``None`` for one that names no host and path."""
    name = repository_name(address)
    return code_store(name) if name is not None and "/" in name else None
