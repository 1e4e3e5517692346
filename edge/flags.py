"""The command line of a service: its own flags, and those that every service has."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Flag(NamedTuple):
    """A flag, the variable of the environment that stands for it, and what it means; its type is the default's.

    A flag that is ``False`` by default takes no value; its variable says yes with anything but nothing and 0.
    """

    name: str
    variable: str
    default: str | int | bool
    text: str


ALLOWED_HOSTS = Flag(
    "--allowed-hosts", "PLLIB_ALLOWED_HOSTS", "", "host names it may be called by beside loopback, with commas"
)
INSECURE = Flag(
    "--insecure", "PLLIB_INSECURE", False, "listen beyond loopback although anyone who reaches the port can use it"
)
TOKEN_FILE = Flag(
    "--token-file",
    "PLLIB_TOKEN_FILE",
    "",
    "file with the token that all who call must send; without it none is asked for",
)


def parser(
    program: str, description: str, environment: Mapping[str, str], flags: Iterable[Flag]
) -> argparse.ArgumentParser:
    """A parser of these flags, and of ``--allowed-hosts`` and ``--insecure``; a flag wins over its variable."""
    made = argparse.ArgumentParser(
        program, description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add(made, (*flags, ALLOWED_HOSTS, INSECURE), environment)
    return made


def add(made: argparse.ArgumentParser, flags: Iterable[Flag], environment: Mapping[str, str]) -> None:
    """Gives a parser these flags."""
    for flag in flags:
        given = environment.get(flag.variable)
        if isinstance(flag.default, bool):
            made.add_argument(
                flag.name,
                action="store_true",
                default=given not in (None, "", "0"),
                help=f"{flag.text} ({flag.variable}=1)",
            )
        else:
            made.add_argument(
                flag.name,
                type=type(flag.default),
                default=given or flag.default,
                help=f"{flag.text} ({_default(flag.default)}{flag.variable})",
            )


def _default(value: str | int) -> str:
    return f"default {value}; " if value != "" else ""


def host_names(text: str) -> tuple[str, ...]:
    """The names in the value of ``--allowed-hosts``."""
    return tuple(name.strip() for name in text.split(",") if name.strip())
