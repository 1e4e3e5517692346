"""The store servers that the launcher can start: which there are, and which one a data folder has."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import fuseki
from deploy.errors import ServerMissing, TargetInUse, UsageError
from deploy.plan import HOST, STORE_QUERY_SECONDS, Service, StoreProgram
from edge.errors import SettingsError
from edge.stores import CREDENTIALS_VARIABLE, StoreAddress, address, read_credentials

FOLDERS = {"oxigraph": "store", "fuseki": "fuseki"}
"""Kinds of stores, and the folders of the data folder that they keep their data in; the first is the default."""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Oxigraph:
    """Oxigraph's server: one program."""

    program: str
    kind: str = "oxigraph"
    folder: str = FOLDERS["oxigraph"]
    path: str = ""

    def service(self, data: Path, port: int) -> Service:
        """It as a service over the database of a data folder."""
        location = self.database(data)
        command = (
            *(self.program, "serve", "--location", str(location)),
            *("--bind", f"{HOST}:{port}", "--timeout-s", str(STORE_QUERY_SECONDS)),
        )
        return Service("store", command, port, "--store-port", "/query?query=ASK%7B%7D", location, "/update")

    def prepare(self, data: Path) -> None:
        """Nothing has to be written before it starts."""

    def database(self, data: Path) -> Path:
        """Where the database of a data folder is."""
        return data / self.folder

    def loading(self, triples: Path, location: Path) -> list[str]:
        """The command that makes a database of a file of N-Triples."""
        return [self.program, "load", "--location", str(location), "--file", str(triples)]


def find(kind: str, report: Report) -> StoreProgram:
    """The store's server of a kind.

    Raises:
        ServerMissing: it is not there; the message says how to get it.
    """
    return fuseki.find(report) if kind == "fuseki" else Oxigraph(find_oxigraph())


def find_oxigraph(python: str = sys.executable) -> str:
    """The path of Oxigraph's program: the one beside this Python, else the first on PATH.

    Raises:
        ServerMissing: there is none.
    """
    found = shutil.which("oxigraph", path=str(Path(python).parent)) or shutil.which("oxigraph")
    if found is None:
        raise ServerMissing(
            "the store's program `oxigraph` is neither beside this Python nor on PATH",
            f"run `{python} -m pip install oxigraph`, or name a running SPARQL 1.1 server with --store-url URL",
        )
    return found


def kind_for(data: Path, asked: str | None) -> str:
    """The kind of store to run on a data folder: as asked, else the one whose data it holds.

    Raises:
        TargetInUse: it holds the data of another one, which would be left behind.
    """
    held = [kind for kind, folder in FOLDERS.items() if _holds_something(data / folder)]
    kind = asked or (held or [*FOLDERS])[0]
    if held and kind not in held:
        raise TargetInUse(
            f"the data folder {data} holds a store of the kind {held[0]}, which {kind} does not read",
            f"go on with --store {held[0]}, give another folder with --data DIR, "
            "or move what it holds with `python -m deploy move-store`",
        )
    return kind


def outside(url: str, kind: str) -> StoreAddress:
    """A store that others run: the rest of what is to be known of it is in the environment, as for the services.

    Raises:
        UsageError: it makes no sense.
    """
    said = os.environ.get
    file = said("PLLIB_STORE_CREDENTIALS_FILE")
    with _as_usage_error():
        return address(
            url,
            kind,
            query=said("PLLIB_STORE_QUERY_URL", ""),
            update=said("PLLIB_STORE_UPDATE_URL", ""),
            graph=said("PLLIB_STORE_GRAPH_URL", ""),
            credentials=read_credentials(file) if file else said(CREDENTIALS_VARIABLE, ""),
            ca=said("PLLIB_STORE_CA", ""),
        )


def end_of_move(given: Mapping[str, Any], end: str) -> StoreAddress:
    """One of the two stores of a move, by what was given after ``--from`` or ``--to``. Raises UsageError."""
    file = given[f"{end}_credentials_file"]
    with _as_usage_error():
        return address(
            given[f"{end}_url"],
            given[f"{end}_kind"],
            query=given[f"{end}_query_url"],
            graph=given[f"{end}_graph_url"],
            credentials=read_credentials(file) if file else "",
            ca=given[f"{end}_ca"],
        )


@contextmanager
def _as_usage_error() -> Iterator[None]:
    try:
        yield
    except SettingsError as error:
        what, _, fix = str(error).rpartition(": ")
        raise UsageError(what, fix) from error


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())
