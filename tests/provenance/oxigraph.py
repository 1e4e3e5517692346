"""A real Oxigraph server on a folder, which can be killed and started again."""

from __future__ import annotations

from pathlib import Path

from edge.stores import StoreAddress
from tests.provenance.store_server import PATIENCE as PATIENCE
from tests.provenance.store_server import StoreServer


class Oxigraph(StoreServer):
    """A store server.

    Args:
        program: path of the ``oxigraph`` program.
        folder: where its data are kept; its log lies beside it.
        port: loopback port to listen on.
    """

    def __init__(self, program: str, folder: Path, port: int) -> None:
        command = [program, "serve", "--location", str(folder), "--bind", f"127.0.0.1:{port}"]
        store = StoreAddress(f"http://127.0.0.1:{port}", "oxigraph")
        super().__init__(command, store, folder.parent / f"{folder.name}.log")
