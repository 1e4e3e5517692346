"""The launcher's command line: what is done for each of its words (`arguments` has their spelling)."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from deploy import arguments, commands, move, queue, stores
from deploy.backup import backup
from deploy.compact import compact
from deploy.errors import DeployError, UsageError
from deploy.http_calls import Endpoint
from deploy.plan import Ports, Settings
from deploy.restore import into_folder, into_services
from edge.stores import DEFAULT_KIND


def main(given: list[str] | None = None) -> int:
    """Runs a command; returns its exit code, with one `error:` and one `fix:` line on stderr where it was refused."""
    asked = arguments.parser().parse_args(sys.argv[1:] if given is None else given)
    data = _path(asked.data)
    try:
        return _COMMANDS[asked.command](asked, data)
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
        store=asked.store,
        store_url=asked.store_url,
        store_kind=asked.store_kind,
        queue=asked.queue,
        keep_delivered=asked.keep_delivered,
        host=asked.host,
        token_file=_token_file(asked),
    )
    ready_file = _path(asked.ready_file) if asked.ready_file else None
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
        "--store": settings.store,
        "--store-url": settings.store_url,
        "--store-kind": settings.store_kind,
        "--queue": settings.queue,
        "--keep-delivered": settings.keep_delivered,
        "--host": settings.host,
        "--token-file": settings.token_file,
        "--ready-file": ready_file,
    }
    return [text for option, value in options.items() if value is not None for text in (option, str(value))]


def _down(asked: argparse.Namespace, data: Path) -> int:
    if asked.drain and commands.running(data):
        code = queue.drain(commands.tracker(data, None, None), asked.timeout, _print)
        if code:
            _print("nothing was stopped; `down` without --drain stops at once, and the next `up` delivers the rest")
            return code
    return commands.down(data, _print)


def _status(asked: argparse.Namespace, data: Path) -> int:
    return commands.status(data, _print)


def _queue(asked: argparse.Namespace, data: Path) -> int:
    return queue.show(_tracker(asked, data), _print)


def _quarantine(asked: argparse.Namespace, data: Path) -> int:
    return queue.list_quarantine(_tracker(asked, data), _print)


def _dead_letters(asked: argparse.Namespace, data: Path) -> int:
    tracker = _tracker(asked, data)
    if asked.action == "replay":
        return queue.replay_dead_letters(tracker, asked.names, _print)
    if asked.action == "list":
        return queue.list_dead_letters(tracker, _print)
    if len(asked.names) != 1:
        raise UsageError(
            f"dead-letters {asked.action} takes one name, not {len(asked.names)}",
            f"write `dead-letters {asked.action} {'ID' if asked.action == 'show' else 'FILE'}`",
        )
    if asked.action == "show":
        return queue.show_dead_letter(tracker, asked.names[0], _print)
    return queue.export_dead_letters(tracker, _path(asked.names[0]), _print)


def _drain(asked: argparse.Namespace, data: Path) -> int:
    tracker = _tracker(asked, data)
    return queue.resume(tracker, _print) if asked.resume else queue.drain(tracker, asked.timeout, _print)


def _backup(asked: argparse.Namespace, data: Path) -> int:
    store = commands.store_address(data, asked.store_url, asked.store_kind)
    ours = data / "query" if not asked.tracker_url else None
    query = _path(asked.query_data) if asked.query_data else ours
    return backup(_path(asked.folder), _tracker(asked, data), store, query, _print)


def _restore(asked: argparse.Namespace, data: Path) -> int:
    folder = _path(asked.folder)
    outside = stores.outside(asked.store_url, asked.store_kind) if asked.store_url else None
    if asked.tracker_url:
        return into_services(folder, _tracker(asked, data), outside, asked.anyway, _print)
    own = None if outside else stores.find(asked.store or DEFAULT_KIND, _print)
    if outside:
        into_services(folder, None, outside, asked.anyway, _print)
    return into_folder(folder, data, own, asked.anyway, _print)


def _compact(asked: argparse.Namespace, data: Path) -> int:
    store = commands.store_address(data, asked.store_url, asked.store_kind)
    return compact(store, commands.own_database(data, store), _print)


def _move_store(asked: argparse.Namespace, _data: Path) -> int:
    source, target = (stores.end_of_move(vars(asked), end) for end in ("from", "to"))
    return move.move(_path(asked.folder), source, target, asked.anyway, _print)


def _tracker(asked: argparse.Namespace, data: Path) -> Endpoint:
    return commands.tracker(data, asked.tracker_url, _token_file(asked))


def _token_file(asked: argparse.Namespace) -> Path | None:
    return _path(asked.token_file) if asked.token_file else None


def _path(text: str) -> Path:
    return Path(text).expanduser().resolve()


_COMMANDS: dict[str, Callable[[argparse.Namespace, Path], int]] = {
    "up": _up,
    "down": _down,
    "status": _status,
    "queue": _queue,
    "quarantine": _quarantine,
    "dead-letters": _dead_letters,
    "drain": _drain,
    "backup": _backup,
    "restore": _restore,
    "move-store": _move_store,
    "compact": _compact,
}


def _print(line: str) -> None:
    try:
        print(line, flush=True)
    except OSError:
        # Whoever read our output has gone (a closed terminal, `| head`); the services do not depend on it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
