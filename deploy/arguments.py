"""The launcher's command line: its words, their options, and what each says with --help."""

from __future__ import annotations

import argparse
import os
from typing import Any
from urllib.parse import urlsplit

from edge.stores import DEFAULT_KIND, KINDS

TEACHING = """\
PLLib on one machine: the store, the manager, the query engine and the tracker, on the loopback interface.

  python -m deploy up                     start all, watch them; Ctrl-C stops all
  python -m deploy up --detach            the same in the background
  python -m deploy status                 what runs, and how it is
  python -m deploy down                   stop what runs; --drain delivers first what waits

  python -m deploy queue                  what waits, what was given up, what producers say
  python -m deploy dead-letters           documents that the manager would not take; `replay` delivers them again
  python -m deploy quarantine             records that were refused
  python -m deploy drain                  take no more captures, wait until all is delivered
  python -m deploy backup FOLDER          everything, while it runs
  python -m deploy restore FOLDER         into a data folder
  python -m deploy move-store FOLDER      from one store into another, checked
  python -m deploy compact                disk space of the store that is not needed any more

Then tell your scripts where the tracker is: export PLLIB_URL=http://127.0.0.1:8470
"""

UP = """\
Starts the services in the order store, manager, query engine, tracker, each once the one before it is usable, and
starts again the ones that end. A service that ends five times in a row is given up, and all are stopped.
Logs are in DIR/logs. Several stacks run side by side, each with its own --data and its own four ports.

Exit codes: 0 stopped as asked; 2 could not begin (a port or the folder is in use, the store is not installed);
3 a service kept ending or did not become usable.
"""

DEAD_LETTERS = """\
Documents that the manager would not take, oldest first, with the reason. They are kept until they are replayed.

  python -m deploy dead-letters                  list them
  python -m deploy dead-letters show ID          one in full
  python -m deploy dead-letters replay [ID ...]  deliver these again, or all
  python -m deploy dead-letters export FILE      write all to a new file, a line of JSON each

Exit codes: 0; 1 when an ID to replay is no dead letter; 2 when the tracker does not answer.
"""

DRAIN = """\
The tracker answers captures with 503 (clients keep what they have and send it later), and goes on delivering. Returns once
nothing waits. --resume takes captures again; so does a restart of the tracker.

Exit codes: 0 nothing waits; 1 something still waits after --timeout; 2 the tracker does not answer.
"""

BACKUP = """\
Writes a backup of a stack that runs: the queue, the store, the query engine's own files. What was accepted before it
began is in it. FOLDER is made; it must not hold anything. It can be read by this user only.

Exit codes: 0 the backup is whole; 2 it could not be made (FOLDER then holds no manifest.json).
"""

RESTORE = """\
Checks a backup and makes a data folder of it that nothing runs on; `up` starts it. Or gives it to services that run:

  python -m deploy restore FOLDER --data DIR                         the usual way; --store fuseki for that store
  python -m deploy restore FOLDER --data DIR --store-url URL         the graph into that server, the rest into DIR
  python -m deploy restore FOLDER --tracker-url URL --store-url URL  into services that run

Exit codes: 0; 2 when the backup is not whole, or the target holds something and --anyway was not given.
"""

MOVE_STORE = """\
Everything of one store into another that runs as well: an export, an import, and a proof that both hold the same. FOLDER
keeps the export and how far it is; the same command goes on where it was. Nothing is taken from the first store.

  python -m deploy move-store FOLDER --from http://127.0.0.1:8473 --to http://127.0.0.1:3030/pllib --to-kind fuseki

What is written to the first store after the export began is not moved: `drain` first. Credentials are read from the files
that are named; a file has one line, `basic USER:PASSWORD` or `bearer TOKEN`.

Exit codes: 0 both hold the same; 1 all was sent, and they differ; 2 it could not be done; run it again to go on.
"""

COMPACT = """\
TDB2, the database of Fuseki, grows with each commit. This has the store make it anew without what nobody needs, while it
answers queries; what is to be written waits in the queue until it is done, and captures go on. Meanwhile old and new are
both on the disk. A store that ends in the middle goes on with the old one. `drain` first where there is very much in it.

Fuseki that others run must have its compaction switched on (`fuseki:compactEP true`, or the option --compact).

Exit codes: 0 done, or not needed (Oxigraph); 1 the store gave up; 2 it could not be asked.
"""


def parser() -> argparse.ArgumentParser:
    """The parser of the launcher's command line."""
    made = argparse.ArgumentParser(prog="python -m deploy", description=TEACHING, formatter_class=_RAW)
    words = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_up(_word(words, "up", "start all and watch them", UP))
    down = _word(words, "down", "stop what runs", "Stops what runs on the data folder.")
    down.add_argument("--drain", action="store_true", help="first take no more captures and deliver what waits")
    _add_timeout(down)
    _word(words, "status", "what runs, and how it is", "Exit code 0 when all services are usable, else 1.")
    for word in (
        _word(words, "queue", "what waits, what was given up, what producers say", "The state of the tracker's queue."),
        _word(words, "quarantine", "records that were refused", "Records that were refused for good, and why."),
        _add_dead_letters(_word(words, "dead-letters", "documents that were given up", DEAD_LETTERS)),
        _add_drain(_word(words, "drain", "take no more captures, deliver what waits", DRAIN)),
        _add_backup(_word(words, "backup", "save everything while it runs", BACKUP)),
        _add_restore(_word(words, "restore", "put a backup back", RESTORE)),
    ):
        word.add_argument(
            "--tracker-url", metavar="URL", type=_url, help="the tracker (default: that of the data folder)"
        )
        _add_token_file(
            word, "the file with the token it wants (default: PLLIB_TOKEN_FILE, else the data folder's own)"
        )
    _add_move(_word(words, "move-store", "from one store into another, checked", MOVE_STORE))
    _add_its_store(_word(words, "compact", "give back disk space of the store", COMPACT))
    return made


_RAW = argparse.RawDescriptionHelpFormatter


def _word(words: Any, name: str, text: str, description: str) -> argparse.ArgumentParser:
    word: argparse.ArgumentParser = words.add_parser(name, help=text, description=description, formatter_class=_RAW)
    word.add_argument(
        "--data",
        metavar="DIR",
        default=os.environ.get("PLLIB_DATA") or "data",
        help="the folder of the store, the queues and the logs (default: PLLIB_DATA, else ./data)",
    )
    return word


def _add_up(up: argparse.ArgumentParser) -> None:
    for name, port in (("tracker", 8470), ("manager", 8471), ("query", 8472), ("store", 8473)):
        up.add_argument(f"--{name}-port", type=_port, default=port, metavar="PORT", help=f"default {port}")
    up.add_argument(
        "--base",
        metavar="IRI",
        default=os.environ.get("PLLIB_BASE") or None,
        help="what the IRIs of all resources begin with (default: PLLIB_BASE, else the services' own)",
    )
    _add_store(up, "start this one (default: the one whose data the folder holds, else oxigraph)")
    up.add_argument(
        "--store-url",
        metavar="URL",
        type=_url,
        default=os.environ.get("PLLIB_STORE_URL") or None,
        help="use this running SPARQL 1.1 server and start none (default: PLLIB_STORE_URL)",
    )
    _add_kind(up)
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
        "--host",
        metavar="HOST",
        default="127.0.0.1",
        help="where the tracker and the query engine listen: a name or IPv4 address of this machine (default: 127.0.0.1, "
        "for this machine alone; another one needs --token-file)",
    )
    _add_token_file(
        up,
        "the file with the token that the tracker and the query engine want of all who call; made, readable by you alone, "
        "where it is not there (default: PLLIB_TOKEN_FILE, else none is wanted)",
    )
    up.add_argument(
        "--ready-file",
        metavar="FILE",
        help="a file that is there while all is ready; it holds the addresses as JSON, and the token",
    )
    up.add_argument("--detach", action="store_true", help="return once all is ready, and leave it running")


def _add_token_file(word: argparse.ArgumentParser, text: str) -> None:
    word.add_argument("--token-file", metavar="FILE", default=os.environ.get("PLLIB_TOKEN_FILE") or None, help=text)


def _add_store(word: argparse.ArgumentParser, text: str) -> None:
    word.add_argument("--store", choices=("oxigraph", "fuseki"), help=text)


def _add_kind(word: argparse.ArgumentParser) -> None:
    word.add_argument(
        "--store-kind",
        choices=[*KINDS],
        default=os.environ.get("PLLIB_STORE_KIND") or DEFAULT_KIND,
        help="what is at --store-url (default: PLLIB_STORE_KIND, else oxigraph); its other endpoints and credentials: "
        "PLLIB_STORE_QUERY_URL, …_UPDATE_URL, …_GRAPH_URL, …_CREDENTIALS_FILE, …_CA",
    )


def _add_move(word: argparse.ArgumentParser) -> None:
    word.add_argument("folder", metavar="FOLDER")
    for end in ("from", "to"):
        add = word.add_argument_group(f"the store to move {end}").add_argument
        add(f"--{end}", metavar="URL", dest=f"{end}_url", required=True, type=_url, help="its root")
        add(f"--{end}-kind", choices=[*KINDS], default=DEFAULT_KIND, help=f"default {DEFAULT_KIND}")
        add(f"--{end}-query-url", metavar="URL", default="", help="its query endpoint, where the kind's is not it")
        add(
            f"--{end}-graph-url", metavar="URL", default="", help="its graph store endpoint, where the kind's is not it"
        )
        add(f"--{end}-credentials-file", metavar="FILE", default="", help="what lets us in")
        add(f"--{end}-ca", metavar="FILE", default="", help="PEM file of the authorities to trust")
    word.add_argument("--anyway", action="store_true", help="although the second store holds something")


def _add_dead_letters(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("action", nargs="?", choices=("list", "show", "replay", "export"), default="list")
    word.add_argument("names", nargs="*", metavar="ID|FILE", help="what to show or replay, or the file to export to")
    return word


def _add_drain(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("--resume", action="store_true", help="take captures again")
    _add_timeout(word)
    return word


def _add_timeout(word: argparse.ArgumentParser) -> None:
    word.add_argument(
        "--timeout",
        type=_seconds,
        default=300,
        metavar="SECONDS",
        help="how long to wait until nothing waits (default 300)",
    )


def _add_backup(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("folder", metavar="FOLDER")
    return _add_its_store(word)


def _add_its_store(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("--store-url", metavar="URL", type=_url, help="the store (default: that of the data folder)")
    _add_kind(word)
    word.add_argument(
        "--query-data",
        metavar="DIR",
        help="the query engine's own folder (default: that of the data folder, and none with --tracker-url)",
    )
    return word


def _add_restore(word: argparse.ArgumentParser) -> argparse.ArgumentParser:
    word.add_argument("folder", metavar="FOLDER")
    _add_store(word, "make a database of this one in the data folder (default: oxigraph)")
    word.add_argument("--store-url", metavar="URL", type=_url, help="put the graph into this running SPARQL 1.1 server")
    _add_kind(word)
    word.add_argument(
        "--anyway",
        action="store_true",
        help="although the target holds something: what is in a folder is moved aside, a server's graph is added to",
    )
    return word


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port: give a number from 1 to 65535")
    return int(text)


def _seconds(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds: give 0 or more")
    return int(text)


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text!r} is not the address of a server: give http://HOST:PORT")
    return text.rstrip("/")
