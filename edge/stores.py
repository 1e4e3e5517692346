"""Where a SPARQL 1.1 server answers, by its kind, and what lets us in.

All that differs between servers is in `KINDS`. Standard library only, since the launcher reads it too, before anything is installed.
"""

from __future__ import annotations

import base64
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

from .errors import SettingsError
from .flags import Flag
from .secret_files import read_secret

DEFAULT_URL = "http://127.0.0.1:8473"
DEFAULT_KIND = "oxigraph"
CREDENTIALS_VARIABLE = "PLLIB_STORE_CREDENTIALS"
_CREDENTIALS_FIX = "give one line, `basic USER:PASSWORD` or `bearer TOKEN`"


class Dialect(NamedTuple):
    """What a kind of server has of its own.

    Attributes:
        query, update, graph: paths of its endpoints below its root.
        bulk: parameter of the graph store endpoint that asks for a faster load, as atomic as any other.
        timeout: parameter of the query endpoint that says after how many seconds to give up.
    """

    query: str = "/query"
    update: str = "/update"
    graph: str = "/store"
    bulk: str = ""
    timeout: str = ""


KINDS: Mapping[str, Dialect] = {
    # The bulk loader. Never `lenient`: that skips lines which it cannot read, and says 204.
    "oxigraph": Dialect(bulk="no_transaction"),
    "fuseki": Dialect(graph="/data", timeout="timeout"),
    "sparql": Dialect(),
}

FLAGS = (
    Flag("--store-url", "PLLIB_STORE_URL", DEFAULT_URL, "root of the SPARQL server; Fuseki's with the dataset's name"),
    Flag("--store-kind", "PLLIB_STORE_KIND", DEFAULT_KIND, f"one of {', '.join(KINDS)}"),
    Flag("--store-query-url", "PLLIB_STORE_QUERY_URL", "", "its query endpoint, where that is not /query below it"),
    Flag("--store-update-url", "PLLIB_STORE_UPDATE_URL", "", "its update endpoint, where that is not /update below it"),
    Flag("--store-graph-url", "PLLIB_STORE_GRAPH_URL", "", "its graph store endpoint, where the kind's is not it"),
    Flag(
        "--store-credentials-file",
        "PLLIB_STORE_CREDENTIALS_FILE",
        "",
        "file with `basic USER:PASSWORD` or `bearer TOKEN`",
    ),
    Flag("--store-ca", "PLLIB_STORE_CA", "", "PEM file of the authorities that vouch for an https store"),
)
"""Of every service that has a store. Credentials can also be in ``PLLIB_STORE_CREDENTIALS``, never on a command line."""


@dataclass(frozen=True, slots=True)
class StoreAddress:
    """A SPARQL 1.1 server whose default graph holds the provenance.

    Attributes:
        url: its root, without a slash at the end.
        kind: one of ``KINDS``.
        query, update, graph: its endpoints where they are not the kind's own; none when empty. A graph store endpoint
            with a ``?`` says itself which graph it is of.
        authorization: value of the header that lets us in; none when empty.
        ca: PEM file of the authorities to trust; the system's when empty.
    """

    url: str = DEFAULT_URL
    kind: str = DEFAULT_KIND
    query: str = ""
    update: str = ""
    graph: str = ""
    authorization: str = field(default="", repr=False)
    ca: str = ""

    @property
    def dialect(self) -> Dialect:
        """What is this kind's own."""
        return KINDS[self.kind]

    @property
    def query_url(self) -> str:
        """Where queries go."""
        return self.query or self.url + self.dialect.query

    @property
    def update_url(self) -> str:
        """Where updates go."""
        return self.update or self.url + self.dialect.update

    @property
    def graph_url(self) -> str:
        """The default graph, to be read and added to."""
        found = self.graph or self.url + self.dialect.graph
        return found if "?" in found else found + "?default"

    @property
    def bulk_url(self) -> str:
        """The same for many triples at a time; ``graph_url`` where nothing is faster."""
        return f"{self.graph_url}&{self.dialect.bulk}" if self.dialect.bulk else self.graph_url

    def query_url_within(self, seconds: float) -> str:
        """Where queries go that the server is to give up after so many seconds, as far as it lets itself be told."""
        if not self.dialect.timeout:
            return self.query_url
        return f"{self.query_url}{'&' if '?' in self.query_url else '?'}{self.dialect.timeout}={seconds:g}"

    @property
    def headers(self) -> dict[str, str]:
        """What goes with every request."""
        return {"Authorization": self.authorization} if self.authorization else {}

    def tls(self) -> ssl.SSLContext:
        """What an https server's certificate is checked with.

        Raises:
            SettingsError: the file of authorities cannot be used.
        """
        try:
            return ssl.create_default_context(cafile=self.ca or None)
        except (OSError, ssl.SSLError) as error:
            raise SettingsError(f"--store-ca {self.ca} cannot be used ({error}): give a PEM file") from error


def from_options(given: Mapping[str, object], environment: Mapping[str, str]) -> StoreAddress:
    """The address in options parsed from ``FLAGS``, and in the environment's credentials.

    Raises:
        SettingsError: it makes no sense; the message says which flag to change.
    """
    texts = {
        name: str(given[f"store_{name}"] or "") for name in ("url", "kind", "query_url", "update_url", "graph_url")
    }
    file = str(given["store_credentials_file"] or "")
    made = address(
        texts["url"],
        texts["kind"],
        query=texts["query_url"],
        update=texts["update_url"],
        graph=texts["graph_url"],
        credentials=read_credentials(file) if file else environment.get(CREDENTIALS_VARIABLE, ""),
        ca=str(given["store_ca"] or ""),
    )
    if made.ca:
        made.tls()
    return made


def address(
    url: str,
    kind: str,
    *,
    query: str = "",
    update: str = "",
    graph: str = "",
    credentials: str = "",
    ca: str = "",
) -> StoreAddress:
    """The address of a store, checked. Raises as ``from_options``."""
    if kind not in KINDS:
        raise SettingsError(f"--store-kind {kind}: give one of {', '.join(KINDS)}")
    for flag, text in (("url", url), ("query-url", query), ("update-url", update), ("graph-url", graph)):
        if text or flag == "url":
            _check_url(f"--store-{flag}", text)
    return StoreAddress(url.rstrip("/"), kind, query, update, graph, authorization(credentials), ca)


def read_credentials(file: str) -> str:
    """The text of a credentials file.

    Raises:
        SettingsError: it cannot be read, or is empty.
    """
    return read_secret("--store-credentials-file", file, _CREDENTIALS_FIX)


def authorization(credentials: str) -> str:
    """The value of the ``Authorization`` header for ``basic USER:PASSWORD`` or ``bearer TOKEN``; empty for nothing.

    Raises:
        SettingsError: it is neither. The message does not repeat it.
    """
    scheme, _, secret = credentials.strip().partition(" ")
    secret = secret.strip()
    if not credentials.strip():
        return ""
    if scheme.lower() == "basic" and ":" in secret:
        return "Basic " + base64.b64encode(secret.encode()).decode()
    if scheme.lower() == "bearer" and secret.isascii() and secret.isprintable() and secret and " " not in secret:
        return f"Bearer {secret}"
    raise SettingsError(f"the store's credentials cannot be used: {_CREDENTIALS_FIX}")


def _check_url(flag: str, url: str) -> None:
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None:
        raise SettingsError(f"{flag}: credentials in an address are seen by others: use --store-credentials-file")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError(f"{flag} {url} is no http(s) URL: write http://HOST:PORT")
