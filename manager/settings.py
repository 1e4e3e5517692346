"""Settings of the manager: flags first, then the environment, then the defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from edge.errors import SettingsError
from edge.exposure import exposure
from edge.flags import Flag, host_names, parser
from edge.stores import FLAGS as STORE_FLAGS
from edge.stores import StoreAddress, from_options
from pllib.provml.iris import DEFAULT_BASE


@dataclass(frozen=True, slots=True)
class Settings:
    """How one manager works.

    Attributes:
        store: the SPARQL server.
        base: beginning of all IRIs.
        allowed_hosts: names in the Host header that are served beside loopback.
        insecure: listen beyond loopback although anyone could then write.
    """

    store: StoreAddress = field(default_factory=StoreAddress)
    base: str = DEFAULT_BASE
    host: str = "127.0.0.1"
    port: int = 8471
    allowed_hosts: tuple[str, ...] = ()
    insecure: bool = False


_DESCRIPTION = """\
Turns PROV-ML JSON into RDF and commits it to a SPARQL 1.1 server. Keeps no state: run as many as you like.

  python -m manager --store-url http://127.0.0.1:8473
  curl 127.0.0.1:8471/health       is it usable, and its store?
  curl 127.0.0.1:8471/ontology     the vocabulary, as Turtle

Every flag can be given by the environment as well; a flag wins.
"""


_FLAGS = (
    Flag("--host", "PLLIB_MANAGER_HOST", "127.0.0.1", "address to listen on"),
    Flag("--port", "PLLIB_MANAGER_PORT", 8471, "port to listen on"),
    *STORE_FLAGS,
    Flag("--base", "PLLIB_BASE", DEFAULT_BASE, "beginning of the IRIs of all resources, with a / at its end"),
)


def from_arguments(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings in a command line.

    Raises:
        SettingsError: they make no sense together, or cannot be served safely.
        SystemExit: ``--help`` was asked for, or a flag is unknown.
    """
    given = parser("python -m manager", _DESCRIPTION, environment, _FLAGS).parse_args(arguments)
    settings = Settings(
        store=from_options(vars(given), environment),
        base=given.base,
        host=given.host,
        port=given.port,
        allowed_hosts=host_names(given.allowed_hosts),
        insecure=given.insecure,
    )
    _check(settings)
    return settings


def _check(settings: Settings) -> None:
    exposed = exposure(settings.host, settings.insecure)
    if exposed is not None:
        raise SettingsError(exposed)
    if not settings.base.startswith(("http://", "https://")) or not settings.base.endswith(("/", "#")):
        raise SettingsError(f"--base {settings.base}: give an http(s) IRI that ends with / or #")
    if any(character in settings.base for character in ' <>"{}|\\^`\n\r\t'):
        raise SettingsError(f"--base {settings.base!r} is no IRI")
