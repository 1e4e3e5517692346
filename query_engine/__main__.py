"""``python -m query_engine``: runs the query engine."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
from pathlib import Path
from typing import Optional, Sequence
from urllib.parse import urlsplit

from edge.errors import SettingsError
from edge.exposure import exposure, read_token
from edge.flags import INSECURE, TOKEN_FILE, host_names
from edge.flags import add as add_flags
from edge.listening import serve
from edge.stores import FLAGS as STORE_FLAGS
from edge.stores import StoreAddress, from_options
from query_engine.app import create_app
from query_engine.poly.registry import Registry, load
from query_engine.settings import LOOPBACK_HOSTS, Settings

_EPILOG = """Each option can also be set in the environment: PLLIB_QUERY_HOST, PLLIB_QUERY_PORT, PLLIB_STORE_*,
PLLIB_BASE, PLLIB_QUERY_TIMEOUT, PLLIB_QUERY_MAX_ROWS, PLLIB_QUERY_MAX_BYTES, PLLIB_QUERY_DATA,
PLLIB_QUERY_STORES, PLLIB_TOKEN_FILE, PLLIB_ALLOWED_HOSTS (names with commas), PLLIB_INSECURE=1; an option given here wins.

Try it: curl 'http://127.0.0.1:8472/v1/executions?status=running'
        curl http://127.0.0.1:8472/sparql --data-urlencode 'query=SELECT * WHERE { ?s ?p ?o } LIMIT 5'"""
_INSECURE = INSECURE._replace(text="listen beyond loopback, where anyone may read everything")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m query_engine",
        description="Answers questions about captured provenance: SPARQL, REST, lineage, analyses. Only reads.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    defaults, env = Settings(), os.environ.get
    add = parser.add_argument
    add("--host", default=env("PLLIB_QUERY_HOST", "127.0.0.1"), help="address to listen on (%(default)s)")
    add("--port", type=int, default=env("PLLIB_QUERY_PORT", "8472"), help="port to listen on (%(default)s)")
    add_flags(parser, (*STORE_FLAGS, TOKEN_FILE, _INSECURE), os.environ)
    add("--base", default=env("PLLIB_BASE") or defaults.base, help="what all IRIs begin with (%(default)s)")
    add("--timeout", type=_positive, default=env("PLLIB_QUERY_TIMEOUT", "30"), help="seconds a query may take")
    add("--max-rows", type=_count, default=env("PLLIB_QUERY_MAX_ROWS", "100000"), help="rows of a SPARQL answer")
    add(
        "--max-bytes",
        type=_count,
        default=env("PLLIB_QUERY_MAX_BYTES", str(defaults.max_bytes)),
        help="bytes of a SPARQL answer (%(default)s)",
    )
    add("--data", type=Path, default=env("PLLIB_QUERY_DATA"), help="folder for stored queries (none: not kept)")
    add("--stores", type=Path, default=env("PLLIB_QUERY_STORES"), help="TOML file of the data stores to read (none)")
    names = list(host_names(env("PLLIB_ALLOWED_HOSTS", "")))
    add("--allowed-host", action="append", default=names, help="a further name that requests may use (repeat)")
    return parser


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"not a number of seconds: {text}")
    return value


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"not a positive number: {text}")
    return value


def _check(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    exposed = exposure(options.host, options.insecure, options.token_file)
    if exposed is not None:
        parser.error(exposed)
    address = urlsplit(options.base)
    if address.scheme not in ("http", "https") or not address.hostname:
        parser.error(f"--base: not an http address: {options.base}")
    if not options.base.endswith(("/", "#")):
        parser.error("--base must end in / or #")


def _store(parser: argparse.ArgumentParser, options: argparse.Namespace) -> StoreAddress:
    try:
        return from_options(vars(options), os.environ)
    except SettingsError as error:
        parser.error(str(error))


def _token(parser: argparse.ArgumentParser, file: str) -> str:
    try:
        return read_token(file)
    except SettingsError as error:
        parser.error(str(error))


def _stores(parser: argparse.ArgumentParser, file: Optional[Path]) -> Registry:
    try:
        return Registry() if file is None else load(file)
    except SettingsError as error:
        parser.error(str(error))


def _collect_seldom() -> None:
    """Fewer rounds of Python's collector of cycles, and none over what is there from the start.

    An answer is made of some hundred thousand objects that hold no cycle; looked through at every 700th, they cost a
    quarter of the time of a large lineage.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs until interrupted; 0 then, 2 for options that cannot be used."""
    parser = _parser()
    options = parser.parse_args(arguments)
    _check(parser, options)
    settings = Settings(
        store=_store(parser, options),
        base=options.base,
        timeout=options.timeout,
        max_rows=options.max_rows,
        max_bytes=options.max_bytes,
        data=options.data,
        stores=_stores(parser, options.stores),
        hosts=(*LOOPBACK_HOSTS, options.host, *options.allowed_host),
        token=_token(parser, options.token_file),
    )
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    app = create_app(settings)
    _collect_seldom()
    serve(app, options.host, options.port)
    return 0


if __name__ == "__main__":
    sys.exit(main())
