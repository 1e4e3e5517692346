"""The command line of a service: its own flags, and those that every service has."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Flag(NamedTuple):
    """A flag, the variable of the environment that stands for it, and what it means; its type is the default's."""

    name: str
    variable: str
    default: str | int
    text: str


ALLOWED_HOSTS = Flag(
    "--allowed-hosts", "PLLIB_ALLOWED_HOSTS", "", "host names it may be called by beside loopback, with commas"
)


def parser(
    program: str, description: str, environment: Mapping[str, str], flags: Iterable[Flag]
) -> argparse.ArgumentParser:
    """A parser of these flags, and of ``--allowed-hosts`` and ``--insecure``; a flag wins over its variable."""
    made = argparse.ArgumentParser(
        program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for flag in (*flags, ALLOWED_HOSTS):
        made.add_argument(
            flag.name,
            type=type(flag.default),
            default=environment.get(flag.variable) or flag.default,
            help=f"{flag.text} (default {flag.default}; {flag.variable})",
        )
    made.add_argument(
        "--insecure",
        action="store_true",
        default=environment.get("PLLIB_INSECURE", "") not in ("", "0"),
        help="listen beyond loopback although anyone who reaches the port can write (PLLIB_INSECURE=1)",
    )
    return made


def host_names(text: str) -> tuple[str, ...]:
    """The names in the value of ``--allowed-hosts``."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
