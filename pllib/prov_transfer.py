"""``pllib prov import`` and ``pllib prov export --all``: PROV documents into the store, and the whole store out.

Exit codes: 0 done; 1 a document was not taken, or nobody answered; 2 a document cannot be read.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from typing import Any, Dict, Iterable, List, Mapping
from urllib.parse import urlencode

from .command_line import add_command, add_tracker_options, settings_of
from .errors import ConfigurationError, TransportError
from .progress import Counter, Progress
from .prov import Bundle, Document, DocumentError, normal, read, write
from .prov.commands import print_violations
from .prov.forms import FORMATS, by_ending, by_name, content_of
from .prov.normal import decode
from .query_options import add_query_options, query_client
from .settings import Settings
from .transport import RETRY_STATUS, HttpTransport, gzipped
from .whole_file import whole_file

MAX_BODY = 30_000_000
"""Bytes of a document that is sent in one piece; the tracker takes 32 MB, and 8 MB of them compressed."""
MAX_PACKED = 7_500_000
PIECE = 20_000
"""Statements a piece of one that is not."""
WRITTEN = [name for name, form in FORMATS.items() if form.write and name != "dot"]


def add_import(own: Any) -> None:
    """Adds ``import`` to the commands of ``pllib prov``."""
    text = (
        "Sends PROV documents to the tracker, which keeps them in the store. The same document may be sent any number of\n"
        "times, in any format. A document that is too large for one request goes in pieces, each a document of its own."
    )
    parser = add_command(own, "import", import_files, text, "pllib prov import run.provn other.json --validate error")
    parser.add_argument("files", nargs="+", metavar="FILE", help="documents, or - for standard input")
    reads = ", ".join(name for name, form in FORMATS.items() if form.read)
    parser.add_argument("--from", dest="from_", metavar="FORMAT", help=f"format of the files: {reads}")
    parser.add_argument(
        "--validate", choices=("off", "warn", "error"), default="off", help="check PROV-CONSTRAINTS (off)"
    )
    parser.add_argument("--name", help="what people call the document")
    parser.add_argument("--retry", type=float, default=60.0, metavar="SECONDS", help="go on trying for so long (60)")
    add_tracker_options(parser)


def add_export_options(parser: argparse.ArgumentParser) -> None:
    """Adds to ``pllib prov export``, which writes what spool folders hold, what comes from the services."""
    served = parser.add_argument_group("from the services, by the query engine")
    served.add_argument("--all", action="store_true", help="the whole store")
    served.add_argument("--document", action="append", metavar="ID", help="digest, id or IRI of an imported document")
    served.add_argument("--bundle", action="append", metavar="IRI", help="a bundle of imported documents")
    add_query_options(parser)
    of_spools = parser.get_default("run")
    parser.set_defaults(run=lambda chosen: (export if _is_served(chosen) else of_spools)(chosen))


def _is_served(chosen: argparse.Namespace) -> bool:
    """Whether what is to be exported lies in the services.

    Raises:
        ConfigurationError: part of it lies in a spool folder.
    """
    served = bool(chosen.all or chosen.document or chosen.bundle)
    if served and (chosen.spool or chosen.execution or chosen.list):
        raise ConfigurationError("either --all, --document or --bundle, or --spool, --execution or --list")
    return served


# -- import -------------------------------------------------------------------------------------------------------


class Sender(HttpTransport):
    """Posts documents to a tracker.

    Args:
        options: ``validate`` and ``name``, as the tracker's route takes them.
        retry: seconds for which to try again when nobody answers, or says that it is too much for now.
    """

    def __init__(self, settings: Settings, options: Mapping[str, str], retry: float = 0.0) -> None:
        self.route = f"/v1/prov?{urlencode(options)}"
        super().__init__(settings.url, max(settings.timeout, 60.0), settings.token, settings.ca, settings.token_file)
        self._retry = retry

    def send(self, body: bytes) -> Dict[str, Any]:
        """What the tracker says of a document that it took; by then it is durable.

        Raises:
            TransportError: it was not taken; the message says why.
        """
        until = time.monotonic() + self._retry
        pause = 0.2
        while True:
            try:
                return _taken(self._answered(body, saves=True), self.url)
            except TransportError as error:
                pause = max(error.retry_after or 0.0, pause)
                lasting = error.status is not None and error.status not in RETRY_STATUS
                if lasting or time.monotonic() + pause > until:
                    raise
            time.sleep(pause)
            pause = min(5.0, 2 * pause)

    def _told(self, content: bytes) -> str:
        try:
            found = json.loads(content)
            told = found["error"]
            text = f"{told['message']}{' (' + told['field'] + ')' if told.get('field') else ''}; {told.get('fix')}"
            return "".join([text, *(f"\n    {_violation(each)}" for each in found.get("violations", []))])
        except (ValueError, KeyError, TypeError, RecursionError):
            return super()._told(content)


def _violation(told: Mapping[str, Any]) -> str:
    inside = f" in bundle {told['bundle']}" if told.get("bundle") else ""
    return f"constraint {told['constraint']} ({told['name']}){inside}: {told['message']}"


def _taken(content: bytes, url: str) -> Dict[str, Any]:
    try:
        found: Dict[str, Any] = json.loads(content)
        if not isinstance(found["document"], str):
            raise ValueError("no document")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TransportError(f"{url} did not answer as a tracker does") from error
    return found


def import_files(chosen: argparse.Namespace) -> int:
    worst = 0
    for path in chosen.files:
        try:
            worst = max(worst, _import(path, chosen))
        except DocumentError as error:
            print(f"pllib prov import: {error}", file=sys.stderr)
            worst = 2
        except TransportError as error:
            print(f"pllib prov import: {path}: {error}", file=sys.stderr)
            worst = max(worst, 1)
            if error.status is None or error.status in RETRY_STATUS:
                break  # nobody takes the next one either
    return worst


def _import(path: str, chosen: argparse.Namespace) -> int:
    """Sends one document; the exit code."""
    content = sys.stdin.buffer.read() if path == "-" else content_of(path)
    options = {"validate": chosen.validate}
    if chosen.name:
        options["name"] = chosen.name
    if len(content) <= MAX_BODY and len(gzipped(content)) <= MAX_PACKED:
        form = by_name(chosen.from_) if chosen.from_ else by_ending(path)
        if form is not None and (chosen.from_ or form.name != "json"):  # .json may be either of two
            options["format"] = form.name
        return _send(path, [content], 1, options, chosen)
    document = read(content, chosen.from_ or getattr(by_ending(path), "name", None))
    if chosen.validate != "off" and print_violations(path, document) and chosen.validate == "error":
        return 1
    pieces = _pieces(document)
    return _send(path, map(_text, pieces), len(pieces), {**options, "validate": "off", "format": "json"}, chosen)


def _send(
    path: str, bodies: Iterable[bytes], total: int, options: Mapping[str, str], chosen: argparse.Namespace
) -> int:
    sender = Sender(settings_of(chosen), options, chosen.retry)
    progress = Progress("pllib prov import", total, sys.stderr) if total > 1 else None
    statements = 0
    try:
        for number, body in enumerate(bodies, 1):
            found = sender.send(body)
            statements += found.get("statements", 0)
            if progress is not None:
                progress.update(statements, number)
            print(f"{path}: {found['document']} ({found.get('statements')} statements)")
            for each in found.get("violations", []):
                print(f"{path}: {_violation(each)}", file=sys.stderr)
    finally:
        if progress is not None:
            progress.end()
        sender.close()
    return 0


def _pieces(document: Document) -> List[Document]:
    """A document as several, with statements in the normal form, so that blank identifiers mean the same in each."""
    found: List[Document] = []
    for part in normal(document).parts:
        for start in range(0, max(len(part.texts), 1), PIECE):
            statements = [decode(text) for text in part.texts[start : start + PIECE]]
            if part.bundle is None:
                found.append(Document(statements=statements, namespaces=document.namespaces))
            else:
                found.append(Document(bundles=[Bundle(part.bundle, statements=statements)]))
    return [each for each in found if each.bundles or each.statements]


def _text(document: Document) -> bytes:
    out = io.StringIO()
    write(document, out, "json")
    return out.getvalue().encode("utf-8")


# -- export -------------------------------------------------------------------------------------------------------


def export(chosen: argparse.Namespace) -> int:
    to_stdout = by_name("json") if chosen.output == "-" else None
    form = by_name(chosen.format) if chosen.format else to_stdout or by_ending(chosen.output)
    if form is None or form.write is None or form.name == "dot":
        raise ConfigurationError(f"say the format with --format: one of {', '.join(WRITTEN)}")
    client = query_client(chosen)
    chunks = client.documents(form.name, chosen.document or (), chosen.bundle or ())
    if chosen.output == "-":
        for chunk in chunks:
            sys.stdout.buffer.write(chunk)
        return 0
    counter = Counter("pllib prov export", sys.stderr)
    try:
        with whole_file(chosen.output) as part, open(part, "wb") as file:
            for chunk in chunks:
                file.write(chunk)
                counter.update(file.tell())
    finally:
        counter.end()
    return 0
