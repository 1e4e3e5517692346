"""Who may reach a service: where it may listen, and the token in a file that it asks of those who call.

Standard library only, since the launcher reads it too.
"""

from __future__ import annotations

import ipaddress
import os
import secrets
from pathlib import Path

from .errors import SettingsError
from .secret_files import read_secret

SHORTEST = 16
_FIX = "give a file with one line, a random token of at least 16 letters, digits and signs"


def is_loopback(host: str) -> bool:
    """Whether an address to listen on can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def read_token(file: str) -> str:
    """The token in a file; empty where no file is named.

    Raises:
        SettingsError: the file cannot be read, or holds no token. The message does not repeat what it holds.
    """
    if not file:
        return ""
    token = read_secret("--token-file", file, _FIX)
    if len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token:
        raise SettingsError(f"--token-file {file} holds no token: {_FIX}")
    return token


def make_token(file: Path) -> None:
    """Makes the file, readable by this user alone, with a new token; one that is there stays as it is.

    Raises:
        SettingsError: it cannot be made.
    """
    try:
        fd = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return
    except OSError as error:
        raise SettingsError(
            f"--token-file {file} cannot be made ({error.strerror}): name a file in a folder of yours"
        ) from error
    with os.fdopen(fd, "w", encoding="ascii") as made:
        made.write(secrets.token_urlsafe(32) + "\n")


def exposure(host: str, insecure: bool, token: str | None = None) -> str | None:
    """Why a service must not listen there, with what to do about it; ``None`` when it may.

    Args:
        token: what those who call must send, empty when nothing; ``None`` of a service that never asks for one.
    """
    if insecure or token or is_loopback(host):
        return None
    asks = "" if token is None else "give --token-file FILE, "
    return (
        f"--host {host} can be reached from other machines, and anyone who reaches it can use it: "
        f"use 127.0.0.1, {asks}or add --insecure if the network is yours"
    )
