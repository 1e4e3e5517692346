"""A real Fuseki server with databases in a folder, which can be killed and started again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from deploy.fuseki import Fuseki, configuration
from edge.stores import StoreAddress, authorization
from tests.provenance.literals import lines_as_oxigraph
from tests.provenance.store_server import StoreServer

PATIENCE = 120.0
QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xmx1g")
"""Of a server that lives for minutes."""


class FusekiServer(StoreServer):
    """A store server.

    Args:
        program: what the launcher would run.
        folder: where its data are kept; its log lies beside it.
        port: loopback port to listen on.
        datasets: names of its databases; ``store`` is of the first.
        seconds: after which it gives up a query.
        password: of the user ``pllib``, who alone is let in; without it, everybody is.
        options: further ones of Fuseki.
    """

    def __init__(
        self,
        program: Fuseki,
        folder: Path,
        port: int,
        datasets: Sequence[str] = ("pllib",),
        seconds: float = 20,
        password: str = "",
        options: Sequence[str] = (),
    ) -> None:
        program.prepare(folder)
        databases = {name: folder / name for name in datasets}
        for each in databases.values():
            each.mkdir(exist_ok=True)
        text = configuration(databases, seconds)
        if password:
            users = folder / "users"
            users.write_text(f"pllib: {password}\n", encoding="utf-8")
            access = f'fuseki:passwd "{users}" ; fuseki:auth "basic" ; fuseki:allowedUsers "pllib" ;'
            text = text.replace("a fuseki:Server ;", f"a fuseki:Server ; {access}")
        (folder / program.folder / "config.ttl").write_text(text, encoding="utf-8")
        java, *words = program.service(folder, port).command
        at = words.index("-cp")
        lets_in = authorization(f"basic pllib:{password}" if password else "")
        urls = [f"http://127.0.0.1:{port}/{name}" for name in datasets]
        self.stores = [StoreAddress(url, "fuseki", authorization=lets_in) for url in urls]
        command = [java, *words[:at], *QUICK_START, *words[at:], *options]
        super().__init__(command, self.stores[0], folder.parent / f"{folder.name}.log", PATIENCE)

    def lines(self) -> set[str]:
        return lines_as_oxigraph(self.text())
