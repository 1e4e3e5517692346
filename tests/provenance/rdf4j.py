"""A real RDF4J server: a SPARQL 1.1 server that is neither Oxigraph nor Jena, for which the product has not a line of its own."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import httpx

from deploy import fuseki, maven
from edge.stores import StoreAddress

PATIENCE = 180.0
SERVER = (
    "org.eclipse.rdf4j:rdf4j-http-server:3.7.7:war",
    "726c54a99684905e4141e195f51beba47020467e111e61b6d1d73a718ded12c5f9737ec3e271b9415f54d707eef2643dc909cc5b480f3a6b1223b5aa87af4d1e",
)
CONTAINER = (
    "org.eclipse.jetty:jetty-runner:9.4.54.v20240208:jar",
    "8301661de5b120592b55f8e86c2423ed56b4ad655e50188d4d189b5fa4f6be8153092e01754bb1e8817f5af9564545fee19159e950ed4932c7cfcf9f21b1bc68",
)
REPOSITORY = """\
@prefix rep: <http://www.openrdf.org/config/repository#> .
@prefix sr: <http://www.openrdf.org/config/repository/sail#> .
@prefix sail: <http://www.openrdf.org/config/sail#> .
@prefix ns: <http://www.openrdf.org/config/sail/native#> .
[] a rep:Repository ; rep:repositoryID "%s" ;
   rep:repositoryImpl [ rep:repositoryType "openrdf:SailRepository" ;
     sr:sailImpl [ sail:sailType "openrdf:NativeStore" ; ns:tripleIndexes "spoc,posc,ospc" ] ] .
"""


class Programs(NamedTuple):
    """Java's program, the container, and the server in it."""

    java: str
    container: Path
    server: Path


def programs() -> Programs:
    """What an RDF4J server needs. Raises ServerMissing."""
    otherwise = "these tests are run by `make test-stores` alone"
    files = [maven.artifact(*each, otherwise, print) for each in (CONTAINER, SERVER)]
    return Programs(fuseki.java(), *files)


class Rdf4jServer:
    """A server of repositories in a folder. It runs between ``start`` and ``end``."""

    def __init__(self, found: Programs, folder: Path, port: int) -> None:
        self._root = f"http://127.0.0.1:{port}/rdf4j"
        self._log = folder / "rdf4j.log"
        self._command = [
            *(found.java, "-Xmx1g", f"-Dorg.eclipse.rdf4j.appdata.basedir={folder / 'data'}"),
            *("-jar", str(found.container), "--host", "127.0.0.1", "--port", str(port)),
            *("--path", "/rdf4j", str(found.server)),
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, cwd=self._log.parent, stdout=log, stderr=log)
        until = time.monotonic() + PATIENCE
        while not self._answers():
            assert self._process.poll() is None, self._log.read_text(errors="replace")
            assert time.monotonic() < until, "the store does not start"
            time.sleep(0.1)

    def _answers(self) -> bool:
        try:
            return httpx.get(f"{self._root}/protocol", trust_env=False).is_success
        except httpx.TransportError:
            return False

    def repository(self, name: str) -> StoreAddress:
        """A new repository of this name."""
        url = f"{self._root}/repositories/{name}"
        headers = {"Content-Type": "text/turtle"}
        httpx.put(url, content=REPOSITORY % name, headers=headers, trust_env=False, timeout=60).raise_for_status()
        return StoreAddress(url, "sparql", url, f"{url}/statements", f"{url}/rdf-graphs/service")

    def end(self, how: int = signal.SIGTERM) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None
