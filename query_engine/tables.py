"""Large answers of the store as plain tables: tab-separated, a third of the bytes of JSON and no object a term."""

from __future__ import annotations

import re
from functools import lru_cache
from math import isfinite
from typing import Any, Sequence

from query_engine.binding import Binding, bind
from query_engine.errors import StoreFailed
from query_engine.store import TAIL, StoreClient, broken_off
from query_engine.terms import Term

_TSV = "text/tab-separated-values"
_LITERAL = re.compile(r'"((?:[^"\\]|\\.)*)"(?:\^\^<([^>]*)>|@([A-Za-z0-9-]+))?')
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPES = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}
_XSD = "http://www.w3.org/2001/XMLSchema#"
_DOUBLE = f'"^^<{_XSD}double>'
_NUMBER = re.compile(r"[+-]?[0-9]{1,150}+(\.[0-9]{0,40}+)?([eE][+-]?[0-9]{1,2})?")
"""Integers, which have neither part, and numbers that a float can say."""
_BARE = (
    (re.compile(r"[+-]?[0-9]+"), _XSD + "integer"),
    (re.compile(r"[+-]?[0-9]*\.[0-9]+"), _XSD + "decimal"),
    (re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][+-]?[0-9]+"), _XSD + "double"),
    (re.compile("true|false"), _XSD + "boolean"),
)


async def table(store: StoreClient, query: str, width: int, **bindings: Binding) -> list[Sequence[str]]:
    """The solutions of a SELECT query as rows of cells, in the order of its variables; unbound is the empty text.

    Cells are terms as SPARQL's tab-separated format writes them; :func:`iri` and :func:`value` read them.

    Args:
        width: how many variables the query selects.

    Raises:
        QueryTimeout: the store's time limit struck, perhaps in the middle of the answer.
        StoreFailed: the answer is no such table; and what :meth:`StoreClient.proxy` raises.
    """
    text = (await store.read(bind(query, bindings), _TSV)).decode()
    if "\r" in text:  # which is found sooner than the two together
        text = text.replace("\r\n", "\n")
    lines = text.split("\n")
    if lines[-1]:  # every row ends its line; what follows the last one is the store saying why it broke off
        raise broken_off(lines[-1][-TAIL:].encode())
    rows: list[Sequence[str]] = [line.split("\t") for line in lines[1:-1]]
    if not set(map(len, rows)) <= {width}:
        raise StoreFailed("the store's answer is no table of what was asked")
    return rows


def iri(cell: str) -> str:
    """The IRI in a cell; the empty text when there is none."""
    return cell[1:-1] if cell.startswith("<") else ""


def value(cell: str) -> Any:
    """What a literal in a cell says, as JSON has it; ``None`` for an unbound one."""
    # Most values are numbers, and no two alike; read here, a tenth of the time of a term.
    if cell.endswith(_DOUBLE):
        try:
            number = float(cell[1 : -len(_DOUBLE)])
        except ValueError:
            return _other_value(cell)
        return number if isfinite(number) else _other_value(cell)
    bare = _NUMBER.fullmatch(cell)
    if bare is not None:
        return float(cell) if bare.lastindex else int(cell)
    return _other_value(cell) if cell else None


@lru_cache(maxsize=4096)
def _other_value(cell: str) -> Any:
    return read_term(cell).json


def read_term(cell: str) -> Term:
    """The term in a cell.

    Raises:
        StoreFailed: it is none.
    """
    if cell.startswith("<"):
        return Term("iri", cell[1:-1])
    if cell.startswith("_:"):
        return Term("bnode", cell[2:])
    match = _LITERAL.fullmatch(cell)
    if match is not None:
        datatype = match[2] if match[2] != _XSD + "string" else None
        return Term("literal", _ESCAPE.sub(_unescape, match[1]), datatype, match[3])
    for pattern, datatype in _BARE:
        if pattern.fullmatch(cell):
            return Term("literal", cell, datatype)
    if cell.startswith('"'):
        raise StoreFailed(f"the store's answer holds no term: {cell[:100]!r}")
    return Term("literal", cell)  # RDF4J leaves the quotes of plain words out


def _unescape(match: re.Match[str]) -> str:
    number = match[1] or match[2]
    return chr(int(number, 16)) if number else _ESCAPES.get(match[3], match[3])
