"""Large answers of the store as plain tables: tab-separated, a third of the bytes of JSON and no object a term."""

from __future__ import annotations

import re
from functools import lru_cache
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
_NUMBER = re.compile(r"([+-]?[0-9]{1,300})|[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,2})?")
"""Integers, and numbers that a float can say."""
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
    lines = (await store.read(bind(query, bindings), _TSV)).decode().replace("\r\n", "\n").split("\n")
    if lines[-1]:  # every row ends its line; what follows the last one is the store saying why it broke off
        raise broken_off(lines[-1][-TAIL:].encode())
    rows: list[Sequence[str]] = [line.split("\t") for line in lines[1:-1]]
    if not set(map(len, rows)) <= {width}:
        raise StoreFailed("the store's answer is no table of what was asked")
    return rows


def iri(cell: str) -> str:
    """The IRI in a cell; the empty text when there is none."""
    return cell[1:-1] if cell.startswith("<") else ""


@lru_cache(maxsize=4096)
def value(cell: str) -> Any:
    """What a literal in a cell says, as JSON has it; ``None`` for an unbound one."""
    if not cell:
        return None
    number = _NUMBER.fullmatch(cell)  # most values are numbers; read so, a tenth of the time of a term
    if number is not None and len(cell) <= 200:
        return int(cell) if number[1] else float(cell)
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
