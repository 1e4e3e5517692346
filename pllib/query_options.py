"""The query engine that a subcommand of ``pllib`` asks."""

from __future__ import annotations

import argparse
import os

from .query import Client

QUERY_URL = "http://127.0.0.1:8472"


def add_query_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--query-url", help=f"query engine (PLLIB_QUERY_URL; default {QUERY_URL})")
    parser.add_argument("--timeout", type=float, default=60.0, help="seconds to wait for the answer")


def query_client(chosen: argparse.Namespace) -> Client:
    """The query engine that the command line or the environment names."""
    url = chosen.query_url or os.environ.get("PLLIB_QUERY_URL") or QUERY_URL
    return Client(url, timeout=chosen.timeout, token=os.environ.get("PLLIB_TOKEN"))
