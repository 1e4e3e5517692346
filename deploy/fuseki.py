"""Apache Jena Fuseki with a TDB2 database: got once and checked, set up in the data folder, run by the launcher.

DIR/fuseki/config.ttl         what it serves; written anew at each start
DIR/fuseki/log4j2.properties  what it says in its log: warnings, no line a request
DIR/fuseki/tdb2/              the database

The program is one file of some 48 MB, which Maven gets the first time. Of the server only queries, updates and graph
requests to the one dataset are switched on, and its compaction: no other administration, no page, no other origin.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy import maven
from deploy.errors import FolderUnusable, ServerMissing
from deploy.plan import STORE_QUERY_SECONDS, Service

# 5.4 to 5.6 answer some joins of sub-queries that find nothing with an error (apache/jena#3516); 6 needs Java 21.
VERSION = "5.3.0"
SHA512 = "f4d067016c2e55fc8c2bc77c57d0995012a6489c34dcfcbafa8a6fb02594be0f0ce95c87bfa36037d02dd4cdc6b0eff3cf6784060484fd39045fd45caaa43167"
ARTIFACT = f"org.apache.jena:jena-fuseki-server:{VERSION}:jar"
DATASET = "/pllib"
LEAST_JAVA = 17
MEGABYTE = 1_000_000
LEAST_HEAP, MOST_HEAP = 512 * MEGABYTE, 4_000 * MEGABYTE

_SERVER = "org.apache.jena.fuseki.main.cmds.FusekiMainCmd"
_LOADER = "tdb2.tdbloader"
_NO_FUSEKI = "or leave --store fuseki out, or name a running server with --store-url"

# The stack is deep because Jena follows a property path by a call for each step.
_JAVA_OPTIONS = ("-Xss64m", "-XX:+ExitOnOutOfMemoryError", "-Dfile.encoding=UTF-8")

_CONFIG = """\
PREFIX fuseki: <http://jena.apache.org/fuseki#>
PREFIX ja:     <http://jena.hpl.hp.com/2005/11/Assembler#>
PREFIX tdb2:   <http://jena.apache.org/2016/tdb#>

[] a fuseki:Server ;{access} fuseki:compactEP true ; fuseki:services ( {names} ) .
"""
_SERVICE = """
<#{number}> a fuseki:Service ; fuseki:name "{name}" ;
  fuseki:endpoint [ fuseki:operation fuseki:query ; fuseki:name "query" ] ,
    [ fuseki:operation fuseki:update ; fuseki:name "update" ] ,
    [ fuseki:operation fuseki:gsp-rw ; fuseki:name "data" ] ;
  fuseki:dataset [ a tdb2:DatasetTDB2 ; tdb2:location {location} ;
    ja:context [ ja:cxtName "arq:queryTimeout" ; ja:cxtValue "{milliseconds}" ] ] .
"""
LOGGING = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{yyyy-MM-dd HH:mm:ss} %-5p %c{1}: %m%n
rootLogger.level = WARN
rootLogger.appenderRef.out.ref = out
"""

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Fuseki:
    """A Fuseki that can be run: Java's program, and the server's."""

    java: str
    jar: str
    kind: str = "fuseki"
    folder: str = "fuseki"
    path: str = DATASET

    def service(self, data: Path, port: int) -> Service:
        """It as a service over the database of a data folder."""
        own = data / self.folder
        command = (self.java, _heap(), *arguments(self.jar, own, port), "--localhost")
        return Service(
            "store", command, port, "--store-port", "/query?query=ASK%7B%7D", own / "tdb2", "/update", self.path
        )

    def prepare(self, data: Path) -> None:
        """Writes what the service reads when it starts. Raises FolderUnusable."""
        own = data / self.folder
        try:
            (own / "tdb2").mkdir(parents=True, exist_ok=True)
            (own / "config.ttl").write_text(configuration({DATASET.strip("/"): own / "tdb2"}), encoding="utf-8")
            (own / "log4j2.properties").write_text(LOGGING, encoding="utf-8")
        except OSError as error:
            raise FolderUnusable(
                f"the folder {own} cannot be written ({error.strerror})", "give another data folder with --data DIR"
            ) from error

    def database(self, data: Path) -> Path:
        """Where the database of a data folder is."""
        return data / self.folder / "tdb2"

    def loading(self, triples: Path, location: Path) -> list[str]:
        """The command that makes a database of a file of N-Triples."""
        return [self.java, _heap(), *_JAVA_OPTIONS, "-cp", self.jar, _LOADER, f"--loc={location}", str(triples)]


def arguments(jar: str, settings: Path, port: int) -> tuple[str, ...]:
    """Java's arguments that run the server on all addresses, but for the size of its heap.

    Args:
        settings: folder of `config.ttl` and `log4j2.properties`.
    """
    return (
        *(*_JAVA_OPTIONS, f"-Dlog4j2.configurationFile={settings / 'log4j2.properties'}", "-cp", jar, _SERVER),
        *(f"--config={settings / 'config.ttl'}", "--port", str(port), "--no-cors", "--modules=false", "--quiet"),
    )


def configuration(datasets: Mapping[str, Path], seconds: float = STORE_QUERY_SECONDS, users: str = "") -> str:
    """The server's settings, as an assembler file: the databases by the names that they are served by.

    Args:
        seconds: after which a query is given up.
        users: who may use the server, `*` for each whose password the server is told when it starts; without it, everybody.
    """
    access = f" fuseki:allowedUsers {_quoted(users)} ;" if users else ""
    names = " ".join(f"<#{number}>" for number in range(len(datasets)))
    return _CONFIG.format(names=names, access=access) + "".join(
        _SERVICE.format(number=number, name=name, location=_quoted(str(folder)), milliseconds=round(seconds * 1000))
        for number, (name, folder) in enumerate(datasets.items())
    )


def find(report: Report) -> Fuseki:
    """The server, which is fetched the first time.

    Raises:
        ServerMissing: it cannot be had; the message says what is missing, and how to get it.
    """
    return Fuseki(java(), str(maven.artifact(ARTIFACT, SHA512, _NO_FUSEKI, report)))


def java() -> str:
    """Java's program, of a version that Fuseki runs on. Raises ServerMissing."""
    home = os.environ.get("JAVA_HOME")
    found = shutil.which("java", path=str(Path(home) / "bin")) if home else None
    found = found or shutil.which("java")
    fix = f"install a Java runtime {LEAST_JAVA} or later (Debian: `apt install openjdk-17-jre-headless`), {_NO_FUSEKI}"
    if found is None:
        raise ServerMissing("Fuseki needs Java, and there is no `java` in JAVA_HOME or on PATH", fix)
    version = _java_version(found)
    if version < LEAST_JAVA:
        raise ServerMissing(
            f"Fuseki needs Java {LEAST_JAVA} or later, and {found} is {version or 'none that runs'}", fix
        )
    return found


def _java_version(java: str) -> int:
    """Its major version; 0 when it does not say."""
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return 0
    found = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    return int(found[1]) if found else 0


def _heap() -> str:
    """A quarter of the machine's memory, within bounds: TDB2 reads its files through the system's cache beside it."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    heap = min(max(memory // 4, LEAST_HEAP), MOST_HEAP)
    return f"-Xmx{heap // MEGABYTE}m"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
