"""The same values in one text: stores write back the doubles and times that they took by texts of their own."""

from __future__ import annotations

import re
from decimal import Decimal

_XSD = "http://www.w3.org/2001/XMLSchema#"
_LITERAL = re.compile(rf'"([^"\\]*)"\^\^<({_XSD}(?:double|dateTime))>')
_FRACTION = re.compile(r"\.(\d*?)0*(?=Z|[+-]|$)")


def as_oxigraph(text: str, datatype: str | None) -> str:
    """A literal's text as Oxigraph writes it."""
    if datatype == _XSD + "dateTime" and "." in text:
        return _FRACTION.sub(lambda found: f".{found[1]}" if found[1] else "", text)
    if datatype != _XSD + "double" or "N" in text:
        return text
    written = format(Decimal(repr(float(text))), "f")
    return written.rstrip("0").removesuffix(".") if "." in written else written


def lines_as_oxigraph(ntriples: str) -> set[str]:
    """Lines of N-Triples, with such literals."""
    return {
        _LITERAL.sub(lambda found: f'"{as_oxigraph(found[1], found[2])}"^^<{found[2]}>', line)
        for line in ntriples.split("\n")
        if line
    }
