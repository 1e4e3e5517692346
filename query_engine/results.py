"""Answers of the store cut to a number of rows while they stream by, in each format of SPARQL results.

Each cutter is fed the parts of an answer and gives back what may be passed on. It also knows whether the answer came
to its proper end: a store whose own time limit strikes in the middle of an answer can only break off, and half an
answer must not look like a whole one.
"""

from __future__ import annotations

import re
from typing import Protocol

from query_engine.formats import CSV, N_TRIPLES, RESULTS_JSON, RESULTS_XML, TSV, Format
from query_engine.store import TAIL, ends_early


class Cutter(Protocol):
    """Cuts one answer.

    Attributes:
        full: the row after the last allowed one was met; nothing more needs to be fed.
    """

    full: bool

    def feed(self, part: bytes) -> bytes:
        """What of ``part`` belongs to the allowed rows."""
        ...

    def close(self) -> bytes:
        """What ends the answer properly after it was cut; nothing if it was not."""
        ...

    def complete(self) -> bool:
        """Whether the answer was whole, or was cut."""
        ...


class LineCutter:
    """TSV and N-Triples (a row is a line), and CSV (a row may hold line ends in quotes).

    Args:
        rows: rows allowed, without the heading.
        heading: lines before the first row.
        quotes: whether quotes keep line ends together.
    """

    def __init__(self, rows: int, *, heading: int, quotes: bool) -> None:
        self._left = rows + heading
        self._marks = re.compile(rb'["\n]' if quotes else rb"\n")
        self._quoted = False
        self._tail = b""
        self.full = False

    def feed(self, part: bytes) -> bytes:
        if self.full or not part:
            return b""
        if self._left == 0:
            self.full = True
            return b""
        kept = part[: self._end(part)]
        self._tail = (self._tail + kept)[-TAIL:]
        return kept

    def _end(self, part: bytes) -> int:
        for mark in self._marks.finditer(part):
            if mark.group() == b'"':
                self._quoted = not self._quoted
            elif not self._quoted:
                self._left -= 1
                if self._left == 0:
                    self.full = mark.end() < len(part)
                    return mark.end()
        return len(part)

    def close(self) -> bytes:
        return b""

    def complete(self) -> bool:
        return self.full or (self._tail[-1:] in (b"\n", b"") and not ends_early(self._tail))


class XmlCutter:
    """SPARQL results in XML: a row is a ``result`` element; text cannot hold the mark, its ``<`` is escaped."""

    _ROW = b"</result>"
    _END = b"</sparql>"

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._left = rows
        self._carry = b""
        self._tail = b""
        self.full = False

    def feed(self, part: bytes) -> bytes:
        if self.full:
            return b""
        text = self._carry + part
        position = 0
        while (start := text.find(self._ROW, position)) >= 0:
            if self._left == 0:
                self.full = True
                return text[:position]
            position = start + len(self._ROW)
            self._left -= 1
        # After the last allowed row nothing is passed on before it is known whether a further row comes.
        hold = position if self._left == 0 else max(position, len(text) - len(self._ROW) + 1)
        self._carry, kept = text[hold:], text[:hold]
        self._tail = (self._tail + kept)[-64:]
        return kept

    def close(self) -> bytes:
        if self.full:
            return b"</results><!-- cut after %d rows --></sparql>" % self._rows
        return self._carry

    def complete(self) -> bool:
        return self.full or (self._tail + self._carry).rstrip().endswith(self._END)


class JsonCutter:
    """SPARQL results in JSON: a row is an object in the array ``results.bindings``."""

    # The last alternative is a string that goes on in the next part.
    _MARKS = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[{}\[\]]|"', re.DOTALL)
    _ROW_DEPTH = 4  # {"results": {"bindings": [{

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._left = rows
        self._depth = 0
        self._carry = b""
        self._closed = False
        self._rubbish = False
        self.full = False

    def feed(self, part: bytes) -> bytes:
        if self.full:
            return b""
        text, position = self._carry + part, 0
        for mark in self._MARKS.finditer(text):
            if mark.group() == b'"':
                break
            position = mark.end()
            self._step(text[mark.start() : mark.start() + 1])
            if self.full:
                # The comma before the row too many stays out.
                return text[: mark.start()].rstrip().removesuffix(b",")
        return self._hold(text, position)

    def _hold(self, text: bytes, position: int) -> bytes:
        self._rubbish = self._closed and bool(text[position:].strip())
        start = text.find(b'"', position)
        # A comma is held too: the row after it may be one too many.
        hold = start if start >= 0 else len(text)
        comma = text.rfind(b",", position, hold)
        hold = comma if comma >= 0 and not text[comma + 1 : hold].strip() else hold
        self._carry = text[hold:]
        return text[:hold]

    def _step(self, mark: bytes) -> None:
        if mark in (b"{", b"["):
            self._depth += 1
            if mark == b"{" and self._depth == self._ROW_DEPTH:
                self.full = self._left == 0
                self._left -= 1
        elif mark in (b"}", b"]"):
            self._depth -= 1
            self._closed = self._depth == 0

    def close(self) -> bytes:
        return b']},"truncated":{"rows":%d}}' % self._rows if self.full else self._carry

    def complete(self) -> bool:
        return self.full or (self._closed and not self._rubbish)


def cutter(form: Format, rows: int) -> Cutter:
    """The cutter of one format (a results format, or N-Triples)."""
    if form == RESULTS_JSON:
        return JsonCutter(rows)
    if form == RESULTS_XML:
        return XmlCutter(rows)
    assert form in (CSV, TSV, N_TRIPLES)  # noqa: S101 - no other has lines
    return LineCutter(rows, heading=0 if form == N_TRIPLES else 1, quotes=form == CSV)
