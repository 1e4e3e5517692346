"""Parameters of queries: typed values that are bound, never pasted.

A query says where a parameter's values go by an empty block, ``VALUES ?name {}``, as often as it needs them (once in
each sub-query that shall see them). :func:`bind` fills the blocks. As SPARQL an empty block has no solutions, so a
query that was not bound is valid and answers nothing. A block ``VALUES (?name ?number) {}`` also gets the number of
each value, from 0: by it an answer can tell the value in few bytes. Blocks are found among the *tokens* of the text:
what looks like one inside a string, an IRI or a comment is none.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import lru_cache
from typing import Any, Iterable, Mapping, NamedTuple, Optional, Sequence, TypeVar, Union

from pllib.prov.model import LANGUAGE
from pllib.provml.vocabulary import RDF, XSD
from query_engine.errors import BadTerm
from query_engine.tokens import Token, tokens

_UCS = "\u00a0-\ud7ff\uf900-\ufdcf\ufdf0-\uffef" + "".join(
    f"{chr(plane + (0x1000 if plane == 0xE0000 else 0))}-{chr(plane + 0xFFFD)}"
    for plane in range(0x10000, 0xF0000, 0x10000)
)
_CHARACTER = rf"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/{_UCS}]|%[0-9A-Fa-f]{{2}})"
# RFC 3987; square brackets only around the IPv6 address of a host.
_IRI = re.compile(
    rf"[A-Za-z][A-Za-z0-9+.\-]*:(?://\[[0-9A-Fa-f:.]+\](?=[:/?\#]|\Z))?{_CHARACTER}*+"
    rf"(?:\?(?:{_CHARACTER}|\?)*+)?(?:\#(?:{_CHARACTER}|\?)*+)?"
)
_SURROGATE = re.compile("[\ud800-\udfff]")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_TO_ESCAPE = re.compile(r'\\[uU]|["\\\n\r\t\b\f]')
T = TypeVar("T")


def is_iri(text: str) -> bool:
    """Whether a text is an absolute IRI."""
    return _IRI.fullmatch(text) is not None


@dataclass(frozen=True, slots=True)
class Iri:
    """An absolute IRI.

    Raises:
        BadTerm: ``value`` is none, or holds what RDF does not allow in one.
    """

    value: str

    def __post_init__(self) -> None:
        if not is_iri(self.value):
            raise BadTerm(f"not an absolute IRI: {self.value[:200]!r}")

    def __str__(self) -> str:
        return f"<{self.value}>"


@dataclass(frozen=True, slots=True)
class Literal:
    """A literal by its lexical form, with a datatype (full IRI) or a language or neither.

    Raises:
        BadTerm: the text holds half of a surrogate pair, which no UTF-8 can say, or the datatype is no IRI.
    """

    lexical: str
    datatype: Optional[str] = None
    lang: Optional[str] = None

    def __post_init__(self) -> None:
        if _SURROGATE.search(self.lexical):
            raise BadTerm(f"text with half a surrogate pair: {self.lexical[:200]!r}")
        if self.lang is not None and LANGUAGE.fullmatch(self.lang) is None:
            raise BadTerm(f"not a language tag: {self.lang[:50]!r}")
        if self.datatype is not None:
            Iri(self.datatype)

    @classmethod
    def of(cls, value: Any) -> Literal:
        """The literal of a Python value, as the manager writes it (``docs/reference/rdf-model.md``).

        Raises:
            BadTerm: there is none for this type.
        """
        for kind, datatype, text in _PYTHON:
            if isinstance(value, kind):
                return cls(text(value), datatype)
        raise BadTerm(f"no literal for a {type(value).__name__}")

    def __str__(self) -> str:
        quoted = f'"{_TO_ESCAPE.sub(_escape, self.lexical)}"'
        if self.lang is not None:
            return f"{quoted}@{self.lang}"
        return f"{quoted}^^<{self.datatype}>" if self.datatype else quoted


class Unbound(Enum):
    """No value: the parameter's variable stays unbound, so that it fits everything."""

    UNBOUND = "UNDEF"

    def __str__(self) -> str:
        return self.value


UNBOUND = Unbound.UNBOUND
Value = Union[Iri, Literal]
Binding = Union[Iri, Literal, Unbound, str, int, float, bool, datetime, Sequence[Union[Iri, Literal]]]
"""What a parameter may be bound to; Python values stand for their literals."""


def _escape(match: re.Match[str]) -> str:
    found = match.group()
    # A backslash before a "u": SPARQL replaces \uXXXX before it looks at strings, so the two must not touch.
    if len(found) == 2:
        return f"\\\\\\U{ord(found[1]):08X}"
    return _ESCAPES[found]


def _float_text(value: float) -> str:
    return repr(value).replace("inf", "INF").replace("nan", "NaN")


_PYTHON: tuple[tuple[type, Optional[str], Any], ...] = (
    (bool, XSD + "boolean", lambda value: "true" if value else "false"),
    (int, XSD + "integer", str),
    (float, XSD + "double", _float_text),
    (str, None, str),
    (datetime, XSD + "dateTime", lambda value: value.isoformat().replace("+00:00", "Z")),
    (bytes, XSD + "base64Binary", lambda value: base64.b64encode(value).decode("ascii")),
    (dict, RDF + "JSON", json.dumps),
    (list, RDF + "JSON", json.dumps),
)


def bind(query: str, bindings: Mapping[str, Binding]) -> str:
    """The query with the blocks ``VALUES ?name {}`` filled.

    Args:
        query: SPARQL text with an empty block for each parameter.
        bindings: name (with no ``?``) to an IRI, a literal, a Python value, or a list of IRIs and literals.

    Raises:
        BadTerm: a name that the query has no block for, or a value that RDF has no term for.
    """
    blocks = _blocks(query)
    unknown = set(bindings) - {block.name for block in blocks}
    if unknown:
        raise BadTerm(f"the query has no block VALUES ?{min(unknown)} {{}}", field=min(unknown))
    parts, position = [], 0
    for name, inside, numbered in blocks:
        if name in bindings:
            terms = _terms(bindings[name])
            told = (f"({term} {number})" for number, term in enumerate(terms)) if numbered else terms
            parts += [query[position:inside], " ".join(told)]
            position = inside
    return "".join([*parts, query[position:]])


def parameters(query: str) -> frozenset[str]:
    """Names of the parameters that a query has blocks for."""
    return frozenset(block.name for block in _blocks(query))


def slices(values: Sequence[T], size: int) -> list[Sequence[T]]:
    """Values in parts of at most so many, to be bound in one query each."""
    return [values[begin : begin + size] for begin in range(0, len(values), size)]


class _Block(NamedTuple):
    """An empty block: its name, the offset of its inside, and whether values are numbered in it."""

    name: str
    inside: int
    numbered: bool


@lru_cache(maxsize=512)
def _blocks(query: str) -> tuple[_Block, ...]:
    found, window = [], list[Token]()
    for token in tokens(query):
        window = [*window[-6:], token]
        plain, numbered = window[-4:], _is_numbered(window)
        if numbered or _is_block(plain):
            found.append(_Block(window[2 if numbered else -3].text[1:], token.start, numbered))
    return tuple(found)


def _is_block(window: list[Token]) -> bool:
    if len(window) < 4 or (window[2].text, window[3].text) != ("{", "}"):
        return False
    return window[0].text.upper() == "VALUES" and window[1].kind == "variable"


def _is_numbered(window: list[Token]) -> bool:
    if len(window) < 7 or [window[each].text for each in (1, 4, 5, 6)] != ["(", ")", "{", "}"]:
        return False
    return window[0].text.upper() == "VALUES" and window[2].kind == window[3].kind == "variable"


def _terms(binding: Binding) -> list[str]:
    values: Iterable[Any] = binding if isinstance(binding, (list, tuple, set, frozenset)) else (binding,)
    return [str(value if isinstance(value, (Iri, Literal, Unbound)) else Literal.of(value)) for value in values]
