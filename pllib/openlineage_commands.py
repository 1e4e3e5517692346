"""``pllib openlineage``: executions as OpenLineage events, in a file or sent to a backend such as Marquez."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from typing import Any, Callable, Dict, Iterable, Iterator, Optional, TextIO, Tuple
from urllib.parse import SplitResult, urlsplit

from ._version import __version__
from .command_line import add_command
from .errors import ConfigurationError, TransportError
from .exchange import Answer, Connection
from .query_options import add_query_options, query_client
from .transport import RETRY_STATUS, retry_after

Event = Dict[str, Any]

PATH = "/api/v1/lineage"
ATTEMPTS = 6
"""At one event, where the backend asks to be patient."""
MAX_WAIT = 30.0


def add_commands(commands: Any) -> None:
    """Adds ``pllib openlineage`` with its subcommands."""
    text = "Executions as OpenLineage events. Sending them again changes nothing."
    parser = add_command(commands, "openlineage", _no_action, text, "pllib openlineage export train/9f2c-1 -o run.json")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    text = "Writes the events of a workflow execution and its tasks as a JSON array."
    export_parser = add_command(actions, "export", export, text, "pllib openlineage export train/9f2c-1 -o run.json")
    export_parser.add_argument("-o", "--output", metavar="FILE", help="write them there (default: standard output)")
    text = "Posts the events of a workflow execution and its tasks to an OpenLineage backend, one by one."
    emit_parser = add_command(
        actions, "emit", emit, text, "pllib openlineage emit train/9f2c-1 --to http://marquez:5000 --api-key-file key"
    )
    emit_parser.add_argument(
        "--to", required=True, metavar="URL", help=f"backend; {PATH} is added where it has no path"
    )
    emit_parser.add_argument("--api-key-file", metavar="FILE", help="file with the key, sent as bearer token")
    emit_parser.add_argument("--ca", metavar="FILE", help="certificate authorities for https (default: the system's)")
    for each in (export_parser, emit_parser):
        each.add_argument("execution", metavar="WORKFLOW/EXECUTION", help="id of the execution, or its IRI")
        each.add_argument("--namespace", default="pllib", help="of the jobs (default pllib)")
        add_query_options(each)


def _no_action(chosen: argparse.Namespace) -> int:
    raise ConfigurationError("say what to do: export or emit")


def _events(chosen: argparse.Namespace) -> Iterator[Event]:
    return query_client(chosen).openlineage(chosen.execution, namespace=chosen.namespace)


# -- export


def export(chosen: argparse.Namespace) -> int:
    found = _events(chosen)
    if chosen.output is None:
        _write(found, sys.stdout)
    else:
        _replace(chosen.output, lambda file: _write(found, file))
    return 0


def _write(events: Iterable[Event], file: TextIO) -> None:
    opening = "[\n"
    for event in events:
        file.write(opening + json.dumps(event, ensure_ascii=False))
        opening = ",\n"
    file.write("[]\n" if opening == "[\n" else "\n]\n")


def _replace(path: str, write: Callable[[TextIO], None]) -> None:
    """Writes a file beside its place first, so that what was there stays until the new one is whole."""
    beside = f"{path}.{os.getpid()}.part"
    with open(beside, "x", encoding="utf-8") as file:
        try:
            write(file)
            file.close()
            os.replace(beside, path)
        finally:
            if os.path.exists(beside):
                os.unlink(beside)


# -- emit


def emit(chosen: argparse.Namespace) -> int:
    backend = Backend(chosen.to, _key(chosen.api_key_file), chosen.timeout, chosen.ca)
    sent = 0
    try:
        for event in _events(chosen):
            backend.send(event)
            sent += 1
    except TransportError as error:
        raise TransportError(f"{error}; {sent} events were taken before: the same command sends all again") from error
    finally:
        backend.close()
    print(f"{sent} events to {backend.name}")
    return 0


def _key(path: Optional[str]) -> Optional[str]:
    """The key in a file; a key in an argument could be read by everybody on this machine."""
    if path is None:
        return None
    with open(path, encoding="utf-8", errors="replace") as file:
        key = file.read(10_000).strip()
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigurationError(f"--api-key-file: {path} holds no key: put one line of text with no blank in it")
    return key


def _address(url: str) -> Tuple[SplitResult, str, Optional[int]]:
    """An address, its host, and the port where it names one. Raises ``ConfigurationError``, which does not repeat a password."""
    if "@" in url:
        raise ConfigurationError("--to: leave name and password out, and give the key with --api-key-file")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ConfigurationError(f"--to: {url!r} is no address: {error}") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or not url.isascii() or not url.isprintable():
        raise ConfigurationError(f"--to: {url!r} is no address: write http://HOST:PORT")
    return parts, parts.hostname, port


class Backend:
    """Takes OpenLineage events over HTTP.

    Args:
        url: its address; the path of its route too, where that is another than usual.
        key: sent as bearer token.
        timeout: seconds for each exchange.
        ca: file of certificate authorities; else the system's.
        sleep: waits so many seconds.

    Raises:
        ConfigurationError: the address is none, or holds a password.
    """

    def __init__(
        self,
        url: str,
        key: Optional[str],
        timeout: float,
        ca: Optional[str] = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts, host, port = _address(url)
        self.name = f"{parts.scheme}://{parts.netloc}"
        path = parts.path if parts.path.strip("/") else PATH
        lines = [
            f"POST {path}{'?' + parts.query if parts.query else ''} HTTP/1.1",
            f"Host: {parts.netloc}",
            f"User-Agent: pllib/{__version__}",
            "Content-Type: application/json",
            *([f"Authorization: Bearer {key}"] if key else []),
        ]
        self._head = "\r\n".join(lines).encode("ascii")
        self._sleep = sleep
        tls = None
        if parts.scheme == "https":
            import ssl

            tls = ssl.create_default_context(cafile=ca)
        self._connection = Connection(host, port or (443 if tls else 80), timeout, tls)

    def send(self, event: Event) -> None:
        """Posts one event; it was taken when this returns.

        Raises:
            TransportError: it was not.
        """
        body = json.dumps(event, ensure_ascii=False).encode("utf-8")
        head = b"%b\r\nContent-Length: %d\r\n\r\n" % (self._head, len(body))
        for attempt in range(ATTEMPTS):
            answer = self._posted(head, body)
            if 200 <= answer.status < 300:
                return
            if answer.status not in RETRY_STATUS or attempt == ATTEMPTS - 1:
                break
            asked = retry_after(answer.headers.get("retry-after"))
            self._sleep(min(MAX_WAIT, 2.0**attempt if asked is None else asked))
        told = answer.body[:300].decode("utf-8", "replace")
        raise TransportError(f"{self.name} answered {answer.status}: {told}", answer.status)

    def close(self) -> None:
        self._connection.close()

    def _posted(self, head: bytes, body: bytes) -> Answer:
        try:
            return self._connection.post(head, body)
        except (OSError, ValueError) as error:
            self._connection.close()
            raise TransportError(f"no answer from {self.name}: {error or type(error).__name__}") from error
