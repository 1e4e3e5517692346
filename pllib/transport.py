"""Posting batches to a tracker over one kept connection; only the shipper and the command line use it."""

from __future__ import annotations

import datetime
import json
import re
import time
import zlib
from typing import Any, Dict, List, Optional, Protocol
from urllib.parse import urlsplit

from ._version import __version__
from .addresses import FILE, locate
from .errors import TransportError
from .exchange import Connection
from .packing import JSON, LINES, unpacked

GZIP_FROM = 2000
"""Bytes from which a body is compressed; not for a tracker on this machine, where it would cost more than it saves."""
RETRY_STATUS = (429, 502, 503, 504)
"""Answers to requests that may be taken later."""
NEAR = ("localhost", "127.0.0.1", "::1")
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
DATE = re.compile(rf"\w{{3}}, (\d\d) ({'|'.join(MONTHS)}) (\d{{4}}) (\d\d):(\d\d):(\d\d) GMT", re.ASCII)
"""The one form of a date that servers send (RFC 9110, section 5.6.7)."""
PATH = "/v1/captures"
MOVED = (401, 403, 404, 421, 502, 503)
"""Answers after which the address and the token are looked up anew, where a file says them."""

Json = Any


class Transport(Protocol):
    """Takes batches somewhere."""

    def open(self) -> None:
        """Makes the connection, if there is none, so that no batch is made ready for nobody.

        Raises:
            TransportError: nobody is there.
        """

    def post(self, producer: str, payloads: List[bytes], accounting: Optional[Json] = None) -> Dict[str, Any]:
        """Delivers records.

        Args:
            payloads: each JSON, or packed.
            accounting: figures of the producer as of now, for whoever asks the tracker.

        Returns:
            the tracker's answer: ``accepted``, ``rejected`` and ``results``.

        Raises:
            TransportError: the batch was not taken.
        """

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Lets go of the connection in a forked child, to whom it does not belong."""


def body_of(producer: str, payloads: List[bytes], accounting: Optional[Json] = None) -> bytes:
    """The batch as JSON."""
    return _head_of(producer, accounting, b",".join(map(unpacked, payloads)))


def lines_of(producer: str, payloads: List[bytes], accounting: Optional[Json] = None) -> bytes:
    """The batch as lines: what it says without records, and then a record a line, which may be packed."""
    return b"\n".join((_head_of(producer, accounting, b""), *payloads))


def _head_of(producer: str, accounting: Optional[Json], records: bytes) -> bytes:
    told = b"" if accounting is None else b',"accounting":%b' % json.dumps(accounting, separators=(",", ":")).encode()
    return b'{"version":1,"producer":"%b"%b,"records":[%b]}' % (producer.encode("ascii"), told, records)


def gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def retry_after(text: Optional[str], now: Optional[float] = None) -> Optional[float]:
    """Seconds that a Retry-After header asks for, as a whole number or a date; ``None`` for none or nonsense.

    What lies in the past, and a number below zero, ask for nothing.
    """
    text = (text or "").strip()
    if text.lstrip("-").isdigit() and text.isascii() and len(text) < 16:
        return max(0.0, float(text))
    found = DATE.fullmatch(text)
    if found is None:
        return None
    day, month, year, hour, minute, second = found.groups()
    try:
        when = datetime.datetime(
            int(year),
            MONTHS.index(month) + 1,
            int(day),
            int(hour),
            int(minute),
            int(second),
            tzinfo=datetime.timezone.utc,
        )
    except ValueError:
        return None
    return max(0.0, when.timestamp() - (time.time() if now is None else now))


class HttpTransport:
    """Posts to ``{url}/v1/captures``.

    Args:
        url: of the tracker, or of the file that says where it is now: then that is read for each connection.
        timeout: seconds for each exchange from connecting to the last byte of the answer.
        token: sent as ``Authorization: Bearer``.
        ca: file of certificate authorities for ``https``; else the system's.
        token_file: file that holds the token, read for each connection.
    """

    route = PATH

    def __init__(
        self,
        url: str,
        timeout: float,
        token: Optional[str] = None,
        ca: Optional[str] = None,
        token_file: Optional[str] = None,
    ) -> None:
        self.url = url
        self._given = url, token, token_file
        self._told_by_files = url.startswith(FILE) or token_file is not None
        self._timeout, self._ca = timeout, ca
        self._near, self._head = True, b""
        self._takes_lines = False
        self._connection: Optional[Connection] = None

    def _made(self) -> Connection:
        """A connection to where the tracker is now. Raises ``TransportError`` when nothing says so."""
        url, token = locate(*self._given)
        parts = urlsplit(url)
        netloc = parts.netloc.rpartition("@")[2]
        lines = [
            f"POST {parts.path.rstrip('/')}{self.route} HTTP/1.1",
            f"Host: {netloc}",
            f"User-Agent: pllib/{__version__}",
            *([f"Authorization: Bearer {token}"] if token else []),
        ]
        self._head = "\r\n".join(lines).encode("latin-1", "replace")
        self.url, host, tls = url, parts.hostname or "127.0.0.1", None
        self._near = host in NEAR
        if parts.scheme == "https":
            import ssl

            tls = ssl.create_default_context(cafile=self._ca)
        return Connection(host, parts.port or (443 if tls else 80), self._timeout, tls)

    def open(self) -> None:
        try:
            self._connected().open()
        except (OSError, ValueError) as error:
            self.close()
            raise self._no_answer(error) from error

    def post(self, producer: str, payloads: List[bytes], accounting: Optional[Json] = None) -> Dict[str, Any]:
        if self._takes_lines:
            try:
                answer = self._exchange(lines_of(producer, payloads, accounting), LINES)
                return _accounted(answer, len(payloads), self.url)
            except TransportError as error:
                if error.status is not None:
                    self._takes_lines = False  # until it says so again: another tracker may answer there now
                if not error.permanent:
                    raise
        return _accounted(self._exchange(body_of(producer, payloads, accounting)), len(payloads), self.url)

    def _exchange(self, body: bytes, kind: str = JSON) -> Dict[str, Any]:
        """The tracker's answer to a body. Raises ``TransportError`` when it was not taken."""
        return _parsed(self._answered(body, kind=kind), self.url)

    def _answered(self, body: bytes, saves: bool = False, kind: str = JSON) -> bytes:
        """The body of an answer of 200. Raises ``TransportError`` for all others.

        Args:
            saves: compress also for a tracker on this machine.
            kind: media type of ``body``.
        """
        try:
            connection, coding = self._connected(), b""
            if len(body) >= GZIP_FROM and (saves or not self._near):
                body, coding = gzipped(body), b"Content-Encoding: gzip\r\n"
            head = b"%b\r\nContent-Type: %b\r\n%bContent-Length: %d\r\n\r\n"
            answer = connection.post(head % (self._head, kind.encode("ascii"), coding, len(body)), body)
        except (OSError, ValueError) as error:
            self.close()
            raise self._no_answer(error) from error
        if answer.status == 200:
            self._takes_lines = LINES in answer.headers.get("accept-post", "")
            return answer.body
        if answer.status in MOVED and self._told_by_files:
            self.close()
        raise TransportError(
            f"{self.url} answered {answer.status}: {self._told(answer.body)}",
            answer.status,
            retry_after(answer.headers.get("retry-after")),
            from_tracker=_is_refusal(answer.body),
        )

    def _told(self, content: bytes) -> str:
        """What an answer that is an error says."""
        return content[:500].decode("utf-8", "replace")

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._told_by_files:
            self._connection = None

    def abandon(self) -> None:
        if self._connection is not None:
            self._connection.abandon()

    def _connected(self) -> Connection:
        if self._connection is None:
            self._connection = self._made()
        return self._connection

    def _no_answer(self, error: Exception) -> TransportError:
        return TransportError(f"no answer from {self.url}: {error or type(error).__name__}")


def _is_refusal(content: bytes) -> bool:
    """Whether an answer is a tracker's ``{"error": …}``, and not that of something else that stands in its place."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "error" in found


def _parsed(content: bytes, url: str) -> Dict[str, Any]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise TransportError(f"{url} did not answer as a tracker does") from error
    if not isinstance(found, dict) or "accepted" not in found:
        raise TransportError(f"{url} did not answer as a tracker does")
    return found


def _accounted(found: Dict[str, Any], count: int, url: str) -> Dict[str, Any]:
    """A tracker's answer to ``count`` records; other things on the way may say 200 as well."""
    try:
        told = [entry["index"] + entry["status"] for entry in found["results"]]
        fits = found["accepted"] + found["rejected"] == count and all(type(number) is int for number in told)
    except (KeyError, TypeError) as error:
        raise TransportError(f"{url} did not answer as a tracker does") from error
    if not fits:
        raise TransportError(f"{url} did not answer as a tracker does")
    return found
