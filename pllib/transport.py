"""Posting batches to a tracker over one kept connection; only the shipper and the command line use it."""

from __future__ import annotations

import http.client
import json
import ssl
import zlib
from typing import Any, Dict, List, Optional, Protocol
from urllib.parse import urlsplit

from .errors import TransportError

GZIP_FROM = 2000
MAX_ANSWER = 16_000_000


class Transport(Protocol):
    """Takes batches somewhere."""

    def post(self, producer: str, payloads: List[bytes]) -> Dict[str, Any]:
        """Delivers records.

        Returns:
            the tracker's answer: ``accepted``, ``rejected`` and ``results``.

        Raises:
            TransportError: the batch was not taken.
        """

    def close(self) -> None: ...


def body_of(producer: str, payloads: List[bytes]) -> bytes:
    """The batch in the capture format; payloads are already JSON."""
    return b'{"version":1,"producer":"%b","records":[%b]}' % (producer.encode("ascii"), b",".join(payloads))


def gzipped(body: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()


def retry_after(text: Optional[str]) -> Optional[float]:
    """Seconds that a Retry-After header asks for, as a number or a date; ``None`` for none or nonsense."""
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    from email.utils import parsedate_to_datetime

    try:
        when = parsedate_to_datetime(text)
        import datetime

        return max(0.0, (when - datetime.datetime.now(when.tzinfo)).total_seconds())
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


class HttpTransport:
    """Posts to ``{url}/v1/captures``.

    Args:
        timeout: seconds for connecting and for each wait on the answer.
        token: sent as ``Authorization: Bearer``.
        ca: file of certificate authorities for ``https``; else the system's.
    """

    def __init__(self, url: str, timeout: float, token: Optional[str] = None, ca: Optional[str] = None) -> None:
        parts = urlsplit(url)
        self.url = url
        self._path = parts.path.rstrip("/") + "/v1/captures"
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._tls = ssl.create_default_context(cafile=ca) if parts.scheme == "https" else None
        self._timeout, self._token = timeout, token
        self._connection: Optional[http.client.HTTPConnection] = None

    def post(self, producer: str, payloads: List[bytes]) -> Dict[str, Any]:
        body = body_of(producer, payloads)
        headers = {"Content-Type": "application/json"}
        if len(body) >= GZIP_FROM:
            body = gzipped(body)
            headers["Content-Encoding"] = "gzip"
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        return self._exchange(body, headers)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _connect(self) -> http.client.HTTPConnection:
        if self._connection is None:
            if self._tls is not None:
                self._connection = http.client.HTTPSConnection(
                    self._host, self._port, timeout=self._timeout, context=self._tls
                )
            else:
                self._connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)
        return self._connection

    def _exchange(self, body: bytes, headers: Dict[str, str]) -> Dict[str, Any]:
        connection = self._connect()
        try:
            connection.request("POST", self._path, body, headers)
            answer = connection.getresponse()
            content = answer.read(MAX_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise TransportError(f"no answer from {self.url}: {error or type(error).__name__}") from error
        if answer.will_close:
            self.close()
        if answer.status == 200:
            return _parsed(content, self.url)
        text = content[:500].decode("utf-8", "replace")
        raise TransportError(
            f"{self.url} answered {answer.status}: {text}", answer.status, retry_after(answer.getheader("Retry-After"))
        )


def _parsed(content: bytes, url: str) -> Dict[str, Any]:
    try:
        found = json.loads(content)
    except ValueError as error:
        raise TransportError(f"{url} did not answer as a tracker does") from error
    if not isinstance(found, dict) or "accepted" not in found:
        raise TransportError(f"{url} did not answer as a tracker does")
    return found
