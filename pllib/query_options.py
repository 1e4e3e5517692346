"""The query engine that a subcommand of ``pllib`` asks."""

from __future__ import annotations

import argparse
import os
from typing import Optional

from .addresses import FILE, locate
from .errors import TransportError
from .query import Client, QueryUnreachable

QUERY_URL = "http://127.0.0.1:8472"


def add_query_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--query-url", help=f"query engine (PLLIB_QUERY_URL; default {QUERY_URL})")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the answer")


def query_client(chosen: argparse.Namespace) -> Client:
    """The query engine that the command line or the environment names."""
    return client_at(chosen.query_url, chosen.timeout)


def client_at(url: Optional[str], timeout: float = 30.0) -> Client:
    """The query engine at an address; without one, where the environment says, or the file that says where the tracker is."""
    environ = os.environ
    tracker = environ.get("PLLIB_URL", "")
    found = url or environ.get("PLLIB_QUERY_URL") or (tracker if tracker.startswith(FILE) else QUERY_URL)
    try:
        address = locate(found, environ.get("PLLIB_TOKEN"), environ.get("PLLIB_TOKEN_FILE"), "query_engine")
    except TransportError as error:
        raise QueryUnreachable(str(error)) from error
    return Client(address.url, timeout=timeout, token=address.token)
