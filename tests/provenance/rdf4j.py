"""A real RDF4J server: a SPARQL 1.1 server that is neither Oxigraph nor Jena, for which the product has not a line of its own."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import httpx

from deploy import fuseki, maven
from edge.stores import StoreAddress
from tests.provenance.store_server import StoreServer

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


class Rdf4jServer(StoreServer):
    """A server of repositories in a folder."""

    def __init__(self, found: Programs, folder: Path, port: int) -> None:
        command = [
            *(found.java, "-Xmx1g", f"-Dorg.eclipse.rdf4j.appdata.basedir={folder / 'data'}"),
            *("-jar", str(found.container), "--host", "127.0.0.1", "--port", str(port)),
            *("--path", "/rdf4j", str(found.server)),
        ]
        store = StoreAddress(f"http://127.0.0.1:{port}/rdf4j", "sparql")
        super().__init__(command, store, folder / "rdf4j.log", PATIENCE)

    def _ping(self) -> httpx.Response:
        return httpx.get(f"{self.url}/protocol", trust_env=False)

    def repository(self, name: str) -> StoreAddress:
        """A new repository of this name."""
        url = f"{self.url}/repositories/{name}"
        headers = {"Content-Type": "text/turtle"}
        httpx.put(url, content=REPOSITORY % name, headers=headers, trust_env=False, timeout=60).raise_for_status()
        return StoreAddress(url, "sparql", url, f"{url}/statements", f"{url}/rdf-graphs/service")
