"""Sends log files of the ProvLake client to a tracker: one JSON array of records a line.

A file may be sent any number of times, and after its records came online: what is the same record by its content changes
nothing. Lines are sent as they are and read a few at a time, whatever the size of the file.
"""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any, Callable, Dict, Iterator, List, NamedTuple, Sequence, Tuple

from .errors import ConfigurationError, TransportError
from .settings import Settings
from .shipper import delay
from .transport import HttpTransport

BATCH_RECORDS = 500
BATCH_BYTES = 2_000_000
MAX_LINE = 256_000_000
"""Bytes of a line that is read."""
MAX_TRIES = 100
"""Places in a damaged line at which a whole array is looked for."""
SHOWN = 20
"""Damaged lines, and refused records, that are named one by one."""

_START = re.compile(r'\[\{"')


class Line(NamedTuple):
    """Records of one line: the text between the brackets, and how many they are."""

    number: int
    inner: bytes
    records: int


class Damage(NamedTuple):
    """A line, or the beginning of one, that is no array of records."""

    number: int
    reason: str


class LogTransport(HttpTransport):
    """Posts to ``{url}/retrospective-provenance``; the arguments are those of ``HttpTransport``."""

    route = "/retrospective-provenance"

    def send(self, lines: Sequence[Line]) -> Dict[str, Any]:
        """The tracker's answer to the records of some lines.

        Raises:
            TransportError: they were not taken.
        """
        return self._exchange(b"[%b]" % b",".join(line.inner for line in lines))


def ship_files(
    paths: Sequence[str], settings: Settings, retry: float = 0.0, progress: Callable[[str], None] = lambda text: None
) -> int:
    """Sends log files; what was damaged or refused is told on stderr, by line.

    Args:
        retry: seconds to go on trying when the tracker does not answer.
        progress: told how far it is.

    Returns:
        the exit code: 1 when records were refused, else 0.

    Raises:
        ConfigurationError: no file was named.
        TransportError: the tracker did not take the rest.
        OSError: a file cannot be read.
    """
    if not paths:
        raise ConfigurationError("name the log files: pllib ship --format provlake prov-1.log prov-2.log")
    transport = LogTransport(settings.url, settings.timeout, settings.token, settings.ca, settings.token_file)
    shipment = _Shipment(transport, time.monotonic() + retry, progress)
    try:
        for path in paths:
            shipment.send_file(path)
    except TransportError as error:
        raise TransportError(f"{error}; {shipment.told()}, send the files again") from error
    finally:
        transport.close()
        progress("")
    print(shipment.told())
    return 1 if shipment.refused else 0


class _Shipment:
    """What is sent, and the counts."""

    def __init__(self, transport: LogTransport, deadline: float, progress: Callable[[str], None]) -> None:
        self.sent = self.refused = self.damaged = 0
        self._transport, self._deadline, self._progress = transport, deadline, progress
        self._path = ""

    def told(self) -> str:
        line = f"{self.sent} records sent"
        line += f", {self.refused} refused (kept in the tracker's quarantine, with the reasons)" if self.refused else ""
        return line + (f", {self.damaged} damaged lines passed over" if self.damaged else "")

    def send_file(self, path: str) -> None:
        self._path = path
        batch: List[Line] = []
        records = size = 0
        with open(path, "rb") as file:
            for found in read(file):
                if isinstance(found, Damage):
                    self.damaged += 1
                    self._tell(self.damaged, f"{path}:{found.number}: damaged: {found.reason}")
                    continue
                if batch and (records + found.records > BATCH_RECORDS or size + len(found.inner) > BATCH_BYTES):
                    self._send(batch)
                    batch, records, size = [], 0, 0
                batch.append(found)
                records += found.records
                size += len(found.inner)
        if batch:
            self._send(batch)

    def _send(self, batch: List[Line]) -> None:
        try:
            answer = self._patiently(batch)
        except TransportError as error:
            if not error.permanent:
                raise
            self._isolate(batch, error)
            return
        numbers = [line.number for line in batch for _ in range(line.records)]
        for result in answer.get("results", []):
            self.refused += 1
            index = result.get("index")
            number = numbers[index] if isinstance(index, int) and 0 <= index < len(numbers) else "?"
            reason = f"{result.get('field')}: {result.get('message')}"
            self._tell(self.refused, f"{self._path}:{number}: refused: {reason}")
        self.sent += int(answer.get("accepted", 0))
        self._progress(f"{self._path}: line {batch[-1].number}, {self.sent} records")

    def _isolate(self, batch: List[Line], error: TransportError) -> None:
        """Lines were refused as a whole: halves them until the one that is to blame stands alone."""
        if len(batch) > 1:
            middle = len(batch) // 2
            self._send(batch[:middle])
            self._send(batch[middle:])
            return
        self.refused += batch[0].records
        self._tell(self.refused, f"{self._path}:{batch[0].number}: refused: {error}")

    def _patiently(self, batch: List[Line]) -> Dict[str, Any]:
        failures = 0
        while True:
            try:
                return self._transport.send(batch)
            except TransportError as error:
                failures += 1
                if error.permanent or time.monotonic() >= self._deadline:
                    raise
                time.sleep(delay(failures, error.retry_after))

    def _tell(self, count: int, text: str) -> None:
        if count <= SHOWN:
            print(text, file=sys.stderr)
        elif count == SHOWN + 1:
            print("… and more", file=sys.stderr)


def read(file: Any) -> Iterator[Any]:
    """The ``Line``s of a log, and ``Damage`` in place of what is none. A line of very many records comes in parts.

    Args:
        file: binary, as from ``open(path, "rb")``.
    """
    number = 0
    while True:
        text = file.readline(MAX_LINE)
        if not text:
            return
        number += 1
        yield from _records(number, text)


def _records(number: int, text: bytes) -> Iterator[Any]:
    stripped = text.decode("utf-8", "surrogateescape").strip()
    if not stripped:
        return
    try:
        found = _decoder.decode(stripped)
    except (ValueError, RecursionError) as error:
        torn = "" if text.endswith(b"\n") else ", the line does not end"
        yield Damage(number, f"{error}{torn}")
        for start, end, records in _whole_arrays(stripped):
            yield from _lines(number, stripped[start:end], records)
        return
    if isinstance(found, dict):
        stripped, found = f"[{stripped}]", [found]
    if isinstance(found, list):
        yield from _lines(number, stripped, found)
    else:
        yield Damage(number, "no array of records")


def _lines(number: int, text: str, records: List[Any]) -> Iterator[Line]:
    """Records as they were written; where they are too many for one request, each by itself."""
    if len(records) <= BATCH_RECORDS and len(text) <= BATCH_BYTES:
        if records:
            yield Line(number, text[1:-1].encode("utf-8", "surrogateescape"), len(records))
        return
    for record in records:
        yield Line(number, json.dumps(record).encode("ascii"), 1)


def _whole_arrays(text: str) -> Iterator[Tuple[int, int, List[Any]]]:
    """Arrays of records inside a damaged line: what a killed process began may go on with the next one's."""
    done = 0
    for tries, place in enumerate(_START.finditer(text)):
        if tries >= MAX_TRIES:
            return
        if place.start() < done:
            continue
        try:
            found, end = _decoder.raw_decode(text, place.start())
        except (ValueError, RecursionError):
            continue
        if all(isinstance(record, dict) and "act_type" in record for record in found):
            done = end
            yield place.start(), end, found


def _number(digits: str) -> Any:
    # Python has a limit on the digits of integers that it converts.
    return int(digits) if len(digits) < 4000 else digits


_decoder = json.JSONDecoder(parse_int=_number)
