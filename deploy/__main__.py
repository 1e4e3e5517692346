"""The launcher's command line: ``python -m deploy up | down | status``."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from urllib.parse import urlsplit

from deploy import commands
from deploy.errors import DeployError
from deploy.plan import Ports, Settings

TEACHING = """\
PLLib on one machine: the store, the manager, the query engine and the tracker, on the loopback interface.

  python -m deploy up                     start all, watch them; Ctrl-C stops all
  python -m deploy up --detach            the same in the background
  python -m deploy status                 what runs, and how it is
  python -m deploy down                   stop what runs

Then tell your scripts where the tracker is: export PLLIB_URL=http://127.0.0.1:8470
"""

UP = """\
Starts the services in the order store, manager, query engine, tracker, each once the one before it is usable, and
starts again the ones that end. A service that ends five times in a row is given up, and all are stopped.
Logs are in DIR/logs. Several stacks run side by side, each with its own --data and its own four ports.

Exit codes: 0 stopped as asked; 2 could not begin (a port or the folder is in use, the store is not installed);
3 a service kept ending or did not become usable.
"""


def main(arguments: list[str] | None = None) -> int:
    """Runs a command; returns its exit code, with one `error:` and one `fix:` line on stderr where it was refused."""
    given = sys.argv[1:] if arguments is None else arguments
    parser = _parser()
    asked = parser.parse_args(given)
    data = Path(asked.data).expanduser().resolve()
    try:
        if asked.command == "up":
            return _up(asked, data)
        return (commands.down if asked.command == "down" else commands.status)(data, _print)
    except DeployError as error:
        print(f"error: {error.message}\nfix: {error.fix}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return 130


def _up(asked: argparse.Namespace, data: Path) -> int:
    settings = Settings(
        data=data,
        ports=Ports(asked.tracker_port, asked.manager_port, asked.query_port, asked.store_port),
        base=asked.base,
        store_url=asked.store_url,
        queue=asked.queue,
        keep_delivered=asked.keep_delivered,
    )
    ready_file = Path(asked.ready_file).expanduser().resolve() if asked.ready_file else None
    if asked.detach:
        return commands.detach(_again(settings, ready_file), data, _print)
    return commands.up(settings, _print, ready_file)


def _again(settings: Settings, ready_file: Path | None) -> list[str]:
    """The arguments that ask for the same from another folder."""
    ports = settings.ports
    options = {
        "--data": settings.data,
        "--tracker-port": ports.tracker,
        "--manager-port": ports.manager,
        "--query-port": ports.query,
        "--store-port": ports.store,
        "--base": settings.base,
        "--store-url": settings.store_url,
        "--queue": settings.queue,
        "--keep-delivered": settings.keep_delivered,
        "--ready-file": ready_file,
    }
    return [text for option, value in options.items() if value is not None for text in (option, str(value))]


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:
        # Whoever read our output has gone (a closed terminal, `| head`); the services do not depend on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m deploy", description=TEACHING, formatter_class=raw)
    words = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = words.add_parser("up", help="start all and watch them", description=UP, formatter_class=raw)
    down = words.add_parser("down", help="stop what runs", description="Stops what runs on the data folder.")
    status = words.add_parser(
        "status", help="what runs, and how it is", description="Exit code 0 when all services are usable, else 1."
    )
    for word in (up, down, status):
        word.add_argument(
            "--data",
            metavar="DIR",
            default=os.environ.get("PLLIB_DATA") or "data",
            help="the folder of the store, the queues and the logs (default: PLLIB_DATA, else ./data)",
        )
    for name, port in (("tracker", 8470), ("manager", 8471), ("query", 8472), ("store", 8473)):
        up.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help=f"default {port}")
    up.add_argument(
        "--base",
        metavar="IRI",
        default=os.environ.get("PLLIB_BASE") or None,
        help="what the IRIs of all resources begin with (default: PLLIB_BASE, else the services' own)",
    )
    up.add_argument(
        "--store-url",
        metavar="URL",
        type=_store_url,
        default=os.environ.get("PLLIB_STORE_URL") or None,
        help="use this running SPARQL 1.1 server and start none (default: PLLIB_STORE_URL)",
    )
    up.add_argument(
        "--queue",
        metavar="URL",
        help="the server of the tracker's work queue; one with a password belongs in PLLIB_TRACKER_QUEUE (default: a file)",
    )
    up.add_argument(
        "--keep-delivered",
        metavar="SECONDS",
        type=_seconds,
        help="how long the queue keeps what it delivered, to deliver it again after a power cut (default: 300)",
    )
    up.add_argument(
        "--ready-file", metavar="FILE", help="a file that is there while all is ready; it holds the addresses as JSON"
    )
    up.add_argument("--detach", action="store_true", help="return once all is ready, and leave it running")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: give 0 or more")
    return int(text)


def _store_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not the address of a server: give http://HOST:PORT")
    return text.rstrip("/")


if __name__ == "__main__":
    sys.exit(main())
