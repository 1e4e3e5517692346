"""What a query must be before the store sees it: a read, of bounded size, that reaches nothing outside.

The store is trusted with meaning but not with hostile text: parsers and optimisers of SPARQL recurse, and a text of a
few kilobytes can exhaust their stack or keep them busy for minutes where no time limit looks. So a query has a budget
(:data:`MAX_WEIGHT`) in which every bracket, joined pattern and operator counts; data in ``VALUES`` blocks and
arguments in lists are flat and free.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, Optional, cast

from query_engine.errors import BadQuery, ReadOnly, TooLarge
from query_engine.tokens import Token, place, tokens

MAX_BYTES = 64 * 1024
MAX_NESTING = 100
MAX_WEIGHT = 320
"""About 150 triple patterns. Measured with Oxigraph 0.5.13: 240 joined patterns (weight 480) exhaust its stack, 224
take it 19 s to plan, 128 take 2 s; deep chains of all other kinds hold to a weight of 550 at least."""

Form = Literal["SELECT", "ASK", "CONSTRUCT", "DESCRIBE"]

_UPDATES = frozenset({"INSERT", "DELETE", "LOAD", "CLEAR", "DROP", "CREATE", "ADD", "MOVE", "COPY", "WITH", "USING"})
_REACHES_OUT = re.compile("SERVICE|FROM", re.IGNORECASE)
# Some parsers need no space after a keyword: they read "SERVICEex:a" as SERVICE and ex:a.
_GLUED_PREFIX = re.compile(r"[^:]*SERVICE|(?:.*\.)?(?:SELECT|ASK|CONSTRUCT|DESCRIBE)?FROM", re.IGNORECASE)
_CODEPOINT = re.compile(r"\\u([0-9A-Fa-f]{4})|\\U([0-9A-Fa-f]{8})")
_PAIRS = {")": "(", "]": "[", "}": "{"}
_TERMS = frozenset({"iri", "variable", "bnode", "name", "string", "number"})
_TERM_WORDS = frozenset({"A", "TRUE", "FALSE"})
_FREE_MARKS = frozenset({"."})
_BRACKET_WEIGHT = 2


@dataclass(frozen=True, slots=True)
class Query:
    """A query that may be passed on: its text as it came, and its form."""

    text: str
    form: Form


def check(text: str) -> Query:
    """The query, if it is one that the store may be asked.

    Raises:
        TooLarge: more than 64 KB of text.
        ReadOnly: an update.
        BadQuery: no SPARQL tokens; unbalanced or too deep brackets; too many patterns; ``SERVICE``, ``FROM`` or
            ``FROM NAMED``; the message names what and where.
    """
    try:
        size = len(text.encode())
    except UnicodeEncodeError as error:
        raise BadQuery("the query holds half a surrogate pair") from error
    if size > MAX_BYTES:
        raise TooLarge(f"the query has {size} bytes; at most {MAX_BYTES} are read", field="query")
    _check_codepoints(text)
    scan = _Scan(text)
    for token in tokens(text):
        scan.take(token)
    return Query(text, scan.result())


def _check_codepoints(text: str) -> None:
    """Refuses escapes that would become syntax in a store that replaces them before it cuts tokens."""
    for match in _CODEPOINT.finditer(text):
        code = int(match.group(1) or match.group(2), 16)
        if code > 0x10FFFF or (code < 0x80 and not chr(code).isalnum()):
            where = place(text, match.start())
            raise BadQuery(
                f'codepoint escape {match.group()} at {where}: write that character itself, or as \\" or \\n'
            )


class _Scan:
    """One pass over the tokens of a query."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._open: list[Token] = []
        self._weight = 0
        self._before: Optional[Token] = None
        self._form: Optional[str] = None
        self._data_from = 0  # nesting at which the block of a VALUES clause began; 0 outside
        self._values_heading = False

    def take(self, token: Token) -> None:
        in_data = bool(self._data_from)
        if token.kind == "word":
            self._word(token)
        elif token.kind == "name":
            self._name(token)
        elif token.kind == "open":
            self._bracket(token)
        elif token.kind == "close":
            self._unbracket(token)
        if not in_data:
            self._weigh(token)
        self._before = token

    def result(self) -> Form:
        if self._open:
            left = self._open[-1]
            raise BadQuery(f"{left.text} at {place(self._text, left.start)} is not closed")
        if self._form is None:
            raise BadQuery("no SELECT, ASK, CONSTRUCT or DESCRIBE in the text")
        return cast(Form, self._form)

    def _word(self, token: Token) -> None:
        word = token.text.upper()
        if word in _UPDATES:
            raise ReadOnly(f"{word} at {place(self._text, token.start)}: updates are not taken here")
        if _REACHES_OUT.search(word):
            raise BadQuery(
                f"{word} at {place(self._text, token.start)} is refused: queries read this store's default graph only",
                fix="Leave out SERVICE, FROM and FROM NAMED.",
            )
        if self._form is None and word in ("SELECT", "ASK", "CONSTRUCT", "DESCRIBE"):
            self._form = word
        self._values_heading = self._values_heading or word == "VALUES"

    def _name(self, token: Token) -> None:
        prefix = token.text.partition(":")[0]
        if _GLUED_PREFIX.match(prefix):
            raise BadQuery(
                f"prefix {prefix}: at {place(self._text, token.start)} is refused: some stores read a keyword in it",
                fix="Give that prefix another name, with neither SERVICE nor FROM in it.",
            )

    def _bracket(self, token: Token) -> None:
        self._open.append(token)
        if len(self._open) > MAX_NESTING:
            raise BadQuery(f"brackets nested deeper than {MAX_NESTING} at {place(self._text, token.start)}")
        if self._values_heading and token.text == "{":
            self._values_heading = False
            self._data_from = len(self._open)

    def _unbracket(self, token: Token) -> None:
        if not self._open or self._open[-1].text != _PAIRS[token.text]:
            raise BadQuery(f"{token.text} at {place(self._text, token.start)} closes nothing")
        if len(self._open) == self._data_from:
            self._data_from = 0
        self._open.pop()

    def _weigh(self, token: Token) -> None:
        self._weight += self._weight_of(token)
        if self._weight > MAX_WEIGHT:
            raise BadQuery(
                f"too many patterns and operators, at {place(self._text, token.start)}",
                fix=f"Ask in several queries; a query may have about {MAX_WEIGHT // 2} triple patterns.",
            )

    def _weight_of(self, token: Token) -> int:
        in_list = bool(self._open) and self._open[-1].text == "("
        if token.kind == "open":
            return _BRACKET_WEIGHT
        if token.kind == "mark":
            if token.text == ",":
                return 0 if in_list else 2
            return 0 if token.text in _FREE_MARKS else 1
        if self._is_term(token) and self._before is not None and self._ends_term(self._before):
            return 2 if in_list else 1
        return 0

    def _is_term(self, token: Token) -> bool:
        return token.kind in _TERMS or (token.kind == "word" and token.text.upper() in _TERM_WORDS)

    def _ends_term(self, token: Token) -> bool:
        return token.kind in ("close", "language") or self._is_term(token)
