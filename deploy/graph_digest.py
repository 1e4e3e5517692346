"""What a graph comes to, whichever store wrote it down and in whichever order: a count, and a checksum of its canonical triples.

Stores keep the values of literals and some choose their text anew: ``"0.25e0"^^xsd:double`` comes back as ``"2.5E-1"``, seconds lose
zeros at their end. So each triple is first written in one canonical way. The checksum is the sum of the triples' SHA-256
modulo 2²⁵⁶: it needs no order and no memory.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

_XSD = "http://www.w3.org/2001/XMLSchema#"
_MODULUS = 1 << 256
_IRI = r"<[^>]*>"
_LINE = re.compile(
    rf"(?P<subject>{_IRI}|_:\S+)[ \t]*(?P<predicate>{_IRI})[ \t]*"
    rf'(?:(?P<resource>{_IRI}|_:[^\s.]+)|"(?P<text>(?:[^"\\]|\\.)*)"(?:@(?P<language>[A-Za-z0-9-]+)|\^\^<(?P<type>[^>]*)>)?)'
    r"[ \t]*\.[ \t]*\Z",
    re.DOTALL,
)
_ESCAPE = re.compile(r'\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([tbnrf"\'\\]))')
_ESCAPED = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_INTEGER = re.compile(r"([+-]?)0*(\d+)")
_SECONDS = re.compile(r"(-?\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)?", re.ASCII)


class NoTriple(ValueError):
    """A line that is no N-Triples."""


@dataclass(slots=True)
class GraphDigest:
    """Count and checksum of triples, added line by line."""

    triples: int = 0
    total: int = 0

    def add(self, lines: Iterable[bytes]) -> None:
        """Adds lines of N-Triples; empty ones and comments count nothing. Raises NoTriple."""
        for line in lines:
            text = line.decode().rstrip("\r\n")
            if text and not text.startswith("#"):
                self.total += int.from_bytes(
                    hashlib.sha256(canonical(text).encode("utf-8", "surrogatepass")).digest(), "big"
                )
                self.triples += 1
        self.total %= _MODULUS

    @property
    def checksum(self) -> str:
        """In hexadecimal."""
        return f"{self.total:064x}"


def canonical(line: str) -> str:
    """A triple in one way of writing; what is no number, time, boolean or text is as it was.

    Raises:
        NoTriple: it is none.
    """
    found = _LINE.match(line)
    if found is None:
        raise NoTriple(f"no triple: {line[:200]}")
    subject, predicate = _resource(found["subject"]), _resource(found["predicate"])
    if found["resource"] is not None:
        return f"{subject} {predicate} {_resource(found['resource'])}"
    text = _unescaped(found["text"])
    if found["language"]:
        return f"{subject} {predicate} {text!r}@{found['language'].lower()}"
    datatype = _unescaped(found["type"]) if found["type"] else _XSD + "string"
    value = _VALUES.get(datatype)
    return f"{subject} {predicate} {value(text) if value else text!r}^^{datatype}"


def _resource(term: str) -> str:
    # Names of blank nodes are each store's own. This system mints none; of others' graphs only their number is compared.
    return "_:" if term.startswith("_:") else _unescaped(term)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda each: _ESCAPED[each[3]] if each[3] else chr(int(each[1] or each[2], 16)), text)


def _integer(text: str) -> str:
    found = _INTEGER.fullmatch(text)
    return text if found is None else ("-" if found[1] == "-" and found[2] != "0" else "") + found[2]


def _double(text: str) -> str:
    try:
        return repr(float(text.replace("INF", "inf")))
    except ValueError:
        return text


def _decimal(text: str) -> str:
    try:
        return str(Decimal(text).normalize()) if text.isascii() else text
    except InvalidOperation:
        return text


def _boolean(text: str) -> str:
    return {"1": "true", "0": "false"}.get(text, text)


def _time(text: str) -> str:
    found = _SECONDS.fullmatch(text)
    if found is None:
        return text
    zone = "Z" if found[3] in ("+00:00", "-00:00") else found[3] or ""
    return found[1] + (found[2] or "").rstrip("0").rstrip(".") + zone


_VALUES: dict[str, Callable[[str], str]] = {
    _XSD + "integer": _integer,
    _XSD + "double": _double,
    _XSD + "decimal": _decimal,
    _XSD + "boolean": _boolean,
    _XSD + "dateTime": _time,
}
