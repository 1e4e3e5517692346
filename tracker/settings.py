"""Settings of the tracker: flags first, then the environment, then the defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edge.errors import SettingsError
from edge.exposure import exposure, read_token
from edge.flags import TOKEN_FILE, Flag, host_names, parser
from edge.secret_files import read_secret

from .redis_url import check_url, with_password


@dataclass(frozen=True, slots=True)
class Settings:
    """How one tracker works.

    Attributes:
        data: folder of the queue's file.
        manager_url: where documents are posted to: the manager's root.
        host: address to listen on.
        port: TCP port to listen on.
        partitions: number of dispatchers that work side by side.
        queue: address of the server that keeps the queue; empty: a file in ``data``. It may hold a password.
        queue_unsafe: use that server although it may lose what it has taken.
        name: what this tracker is called on that server; empty: the one kept in ``data``.
        max_backlog: entries in the queue above which captures get 429.
        keep_delivered: seconds for which delivered entries are kept, to be delivered again after an unclean stop.
        group_entries: documents in one post at most.
        group_bytes: bytes in one post at most, but for a single larger document.
        post_timeout: seconds until a post that got no answer is sent again.
        allowed_hosts: names in the Host header that are served beside loopback.
        token: what those who call must send; empty when anyone may call.
        insecure: listen beyond loopback although anyone could then write.
    """

    data: Path
    manager_url: str = "http://127.0.0.1:8471"
    host: str = "127.0.0.1"
    port: int = 8470
    partitions: int = 4
    queue: str = field(default="", repr=False)
    queue_unsafe: bool = False
    name: str = ""
    max_backlog: int = 100_000
    keep_delivered: int = 300
    group_entries: int = 500
    group_bytes: int = 4_000_000
    post_timeout: float = 60.0
    allowed_hosts: tuple[str, ...] = ()
    token: str = field(default="", repr=False)
    insecure: bool = False


_DESCRIPTION = """\
Takes batches of capture records, keeps them in a durable queue, and posts them as PROV-ML JSON to the manager.

  python -m tracker --data ./data/tracker --manager-url http://127.0.0.1:8471
  python -m tracker --data ./data/tracker --queue redis://127.0.0.1:6379/0     shared with other trackers
  curl 127.0.0.1:8470/health            is it usable?
  curl 127.0.0.1:8470/v1/stats          what was accepted, what waits, what was delivered
  curl 127.0.0.1:8470/v1/dead-letters   what the manager would not take

Every flag can be given by the environment as well; a flag wins. An address with a password belongs there, since
others on the machine can read command lines.
"""


_FLAGS = (
    Flag("--host", "PLLIB_TRACKER_HOST", "127.0.0.1", "address to listen on"),
    Flag("--port", "PLLIB_TRACKER_PORT", 8470, "port to listen on"),
    Flag("--manager-url", "PLLIB_MANAGER_URL", "http://127.0.0.1:8471", "where the manager is"),
    Flag("--data", "PLLIB_TRACKER_DATA", "data/tracker", "folder of the queue and the name; made if it is not there"),
    Flag(
        "--queue",
        "PLLIB_TRACKER_QUEUE",
        "",
        "redis://, rediss:// or unix:// address of a Redis or Valkey server that keeps the queue, shared by all trackers "
        "that name it; without it, a file in the data folder keeps the queue of this one",
    ),
    Flag(
        "--queue-password-file",
        "PLLIB_TRACKER_QUEUE_PASSWORD_FILE",
        "",
        "file with the password of that server, where it is not in the address",
    ),
    Flag(
        "--queue-unsafe",
        "PLLIB_TRACKER_QUEUE_UNSAFE",
        False,
        "use that server although its settings let it lose what it has taken",
    ),
    Flag(
        "--name",
        "PLLIB_TRACKER_NAME",
        "",
        "name of this tracker on that server, by which it finds again what it had claimed; without it, one is made and "
        "kept in the data folder",
    ),
    Flag("--partitions", "PLLIB_TRACKER_PARTITIONS", 4, "dispatchers that work side by side, 1 to 64"),
    Flag("--max-backlog", "PLLIB_TRACKER_MAX_BACKLOG", 100_000, "entries in the queue above which captures get 429"),
    Flag(
        "--keep-delivered",
        "PLLIB_TRACKER_KEEP_DELIVERED",
        300,
        "seconds for which delivered entries are kept, to be delivered again after a power cut; 0 keeps none",
    ),
    TOKEN_FILE,
)


def from_arguments(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """The settings in a command line.

    Args:
        arguments: without the program's name.
        environment: ``PLLIB_*`` variables, see ``--help``.

    Raises:
        SettingsError: they make no sense together, or cannot be served safely.
        SystemExit: ``--help`` was asked for, or a flag is unknown.
    """
    given = parser("python -m tracker", _DESCRIPTION, environment, _FLAGS).parse_args(arguments)
    settings = Settings(
        data=Path(given.data),
        manager_url=given.manager_url.rstrip("/"),
        host=given.host,
        port=given.port,
        partitions=given.partitions,
        queue=_queue(given.queue, given.queue_password_file),
        queue_unsafe=given.queue_unsafe,
        name=given.name,
        max_backlog=given.max_backlog,
        keep_delivered=given.keep_delivered,
        allowed_hosts=host_names(given.allowed_hosts),
        token=read_token(given.token_file),
        insecure=given.insecure,
    )
    _check(settings)
    return settings


def _queue(url: str, password_file: str) -> str:
    """The checked address of the queue's server, with the password of the file."""
    if url:
        check_url("--queue", url)
    if not password_file:
        return url
    if not url:
        raise SettingsError(f"--queue-password-file {password_file} is of no use without --queue: give that, too")
    password = read_secret("--queue-password-file", password_file, "give a file with the password and nothing else")
    return with_password(url, password)


def _check(settings: Settings) -> None:
    exposed = exposure(settings.host, settings.insecure, settings.token)
    if exposed is not None:
        raise SettingsError(exposed)
    if not settings.manager_url.startswith(("http://", "https://")):
        raise SettingsError(f"--manager-url {settings.manager_url} is no http(s) URL: write http://HOST:PORT")
    if not 1 <= settings.partitions <= 64:
        raise SettingsError(f"--partitions {settings.partitions}: give 1 to 64")
    if len(settings.name) > 100 or not settings.name.isprintable() or " " in settings.name:
        raise SettingsError(
            f"--name {settings.name[:100]!r}: give at most 100 letters, digits and signs, without spaces"
        )
    if settings.max_backlog < 1:
        raise SettingsError(f"--max-backlog {settings.max_backlog}: give at least 1")
    if settings.keep_delivered < 0:
        raise SettingsError(f"--keep-delivered {settings.keep_delivered}: give seconds, or 0 to keep none")
