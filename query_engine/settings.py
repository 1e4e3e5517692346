"""Settings of the query engine, read once when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Optional

from edge.stores import StoreAddress
from pllib.provml.iris import DEFAULT_BASE
from query_engine.poly.registry import Registry

LOOPBACK_HOSTS = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True, slots=True)
class Settings:
    """How one query engine runs.

    Attributes:
        store: the SPARQL server.
        base: what all IRIs begin with; the same as the tracker's and the manager's.
        timeout: seconds a query may take.
        max_rows: rows of an answer of the SPARQL endpoint (statements, of a graph).
        max_bytes: bytes of an answer of the SPARQL endpoint.
        data: folder for what the query engine keeps itself (stored queries); none when not given.
        stores: the data stores that queries may read beside the provenance.
        hosts: names that requests may call this server by, without port.
        token: what those who ask must send; empty when anyone may ask.
    """

    store: StoreAddress = field(default_factory=StoreAddress)
    base: str = DEFAULT_BASE
    timeout: float = 30.0
    max_rows: int = 100_000
    max_bytes: int = 256 * 1024 * 1024
    data: Optional[Path] = None
    stores: Registry = field(default_factory=Registry)
    hosts: tuple[str, ...] = field(default=LOOPBACK_HOSTS)
    token: str = field(default="", repr=False)
