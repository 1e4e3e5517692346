"""``pllib stores``: the data stores that are known, and two names of one store."""

from __future__ import annotations

import argparse
from typing import Any

from .addresses import tracker_of
from .command_line import add_command, print_table, settings_of
from .query import post_json
from .query_options import add_query_options, query_client


def add_commands(commands: Any) -> None:
    """Adds ``pllib stores`` with its subcommands."""
    text = "Lists the data stores: type, other names, how much data is known in each."
    parser = add_command(commands, "stores", stores, text, "pllib stores same archive scratch")
    add_query_options(parser)
    actions = parser.add_subparsers(dest="action", metavar="ACTION")
    told = "Says that two names are of one store, after a move or a rename. It cannot be taken back."
    same = add_command(actions, "same", same_store, told, "pllib stores same archive scratch")
    same.add_argument("new", help="name that the store has now")
    same.add_argument("old", help="name that it had")
    same.add_argument("--url", help="tracker (PLLIB_URL; default http://127.0.0.1:8470)")


def stores(chosen: argparse.Namespace) -> int:
    rows = [
        [
            each["name"],
            each["type"],
            " ".join(each["hosts"]),
            ", ".join(each["same_as"]),
            each["references"],
            ", ".join(schema["name"] for schema in each["schemas"]),
        ]
        for each in query_client(chosen).stores()
    ]
    print_table(["name", "type", "host", "same as", "references", "schemas"], rows)
    return 0


def same_store(chosen: argparse.Namespace) -> int:
    settings = settings_of(argparse.Namespace(url=chosen.url, timeout=chosen.timeout))
    body = {"name": chosen.new, "same_as": [chosen.old]}
    address = tracker_of(settings)
    kept = post_json(address.url, "/v1/stores", body, timeout=settings.timeout, token=address.token)
    print(f"{kept['name']} is the same store as: {', '.join(kept['same_as'])}")
    return 0
