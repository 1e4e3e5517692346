"""SPARQL 1.1 text cut into tokens, in linear time, with no recursion.

Enough of the grammar's terminals to know for sure what is a string, an IRI, a comment or a prefixed name and what is
a keyword; whether the tokens make a query is for the store to say.
"""

from __future__ import annotations

import re
from typing import Iterator, NamedTuple

from query_engine.errors import BadQuery


class Token(NamedTuple):
    """One token: its kind (a key of the table below), its text and where it begins (characters, from 0)."""

    kind: str
    text: str
    start: int


_ECHAR = r"""\\[tbnrf\\"']"""
_CODEPOINT = r"\\u[0-9A-Fa-f]{4}|\\U[0-9A-Fa-f]{8}"
_NAME_START = "A-Za-z_\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02ff\u0370-\u037d\u037f-\u1fff\u200c-\u200d\u2070-\u218f" + (
    "\u2c00-\u2fef\u3001-\ud7ff\uf900-\ufdcf\ufdf0-\ufffd\U00010000-\U000effff"
)
_NAME = _NAME_START + "0-9\u00b7\u0300-\u036f\u203f-\u2040"
_LOCAL = rf"(?:[{_NAME}:\-]|%[0-9A-Fa-f]{{2}}|\\[_~.\-!$&'()*+,;=/?#@%])"

_PREFIX_LENGTH = 100  # bounded, so that text that only looks like a prefix is not scanned again and again

_TABLE = {
    "space": r"[ \t\r\n]+",
    "comment": r"\#[^\r\n]*",
    "string": rf'''"""(?:[^"\\]|{_ECHAR}|{_CODEPOINT}|"(?!""))*"""'''
    rf"""|\'\'\'(?:[^'\\]|{_ECHAR}|{_CODEPOINT}|'(?!''))*\'\'\'"""
    rf'''|"(?!"")(?:[^"\\\r\n]|{_ECHAR}|{_CODEPOINT})*"'''
    rf"""|'(?!'')(?:[^'\\\r\n]|{_ECHAR}|{_CODEPOINT})*'""",
    "iri": rf"""<(?:[^\x00-\x20<>"{{}}|^`\\]|{_CODEPOINT})*>""",
    "variable": rf"[?$][{_NAME}]+",
    "language": r"@[A-Za-z]+(?:-[A-Za-z0-9]+)*",
    "bnode": rf"_:[{_NAME}](?:[{_NAME}.\-]*[{_NAME}\-])?",
    "name": rf"(?:[{_NAME_START}](?:[{_NAME}.\-]{{0,{_PREFIX_LENGTH}}}[{_NAME}\-])?)?:(?:{_LOCAL}+(?:\.+{_LOCAL}+)*)?",
    "number": r"(?:[0-9]*\.[0-9]+|[0-9]+\.(?=[eE])|[0-9]+)(?:[eE][+-]?[0-9]+)?",
    "word": r"[A-Za-z][A-Za-z0-9_]*",
    "open": r"[({\[]",
    "close": r"[)}\]]",
    "mark": r"\^\^|&&|\|\||[!<>]=|[!<>=+\-*/|^.,;?]",
}
_TOKEN = re.compile("|".join(f"(?P<{kind}>{pattern})" for kind, pattern in _TABLE.items()))


def place(text: str, start: int) -> str:
    """Where an offset is, for people: line and column, from 1."""
    line = text.count("\n", 0, start) + 1
    return f"line {line}, column {start - text.rfind(chr(10), 0, start)}"


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a SPARQL text, without spaces and comments.

    Raises:
        BadQuery: at a character that begins no token, for example an unfinished string.
    """
    position = 0
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise BadQuery(f"no SPARQL token at {place(text, position)}: {text[position : position + 20]!r}")
        kind = match.lastgroup or ""
        if kind not in ("space", "comment"):
            yield Token(kind, match.group(), position)
        position = match.end()
