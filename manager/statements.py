"""Statements of PROV documents as triples (docs/reference/rdf-model.md, *PROV documents*).

Each statement is there twice: as PROV-O, for queries, joined with all else that is known of the same resources; and word
by word, as one literal of the document, so that the document can be had again as it was. Both follow from the statement
alone, so it may come any number of times, from any document, in any order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256

from msgspec import UNSET

from pllib.prov import DocumentError as NoStatement
from pllib.prov import Literal, Ref, Statement
from pllib.prov.model import LANG_STRING, LANGUAGE, XSD_STRING, Value
from pllib.prov.names import BLANK
from pllib.prov.normal import decode, encode
from pllib.prov.rdf import TYPE, is_qualified, triples
from pllib.provml import iris
from pllib.provml.vocabulary import PROV, PROVLAKE, RDF, RDFS

from .documents import Document, Statements
from .errors import DocumentError
from .store import TripleStore, for_queries
from .terms import integer_literal, text_literal

CACHE_SIZE = 100_000
_FIX = "send what POST /v1/prov of the tracker makes of a document"
_DIGEST = re.compile(r"[0-9a-f]{64}")
_IRI = re.compile(r'[A-Za-z][A-Za-z0-9+.\-]*:[^\x00-\x20<>"{}|^`\\]*')
_TYPE, _LABEL = f"<{TYPE}>", f"<{RDFS}label>"
_JSON = f"^^<{RDF}JSON>"
_SETTLED = frozenset(
    (
        *(f"<{PROV}{name}>" for name in ("startedAtTime", "endedAtTime", "value")),
        *(f"<{PROVLAKE}{name}>" for name in ("duration", "status", "errorType", "errorMessage")),
        *(f"<{PROVLAKE}{name}>" for name in ("latest", "lastStep", "lastTime", "minimum", "maximum")),
    )
)
"""What a resource of our own has one value of."""
_KNOWN = "SELECT ?s ?p WHERE { VALUES (?s ?p) { %s } FILTER EXISTS { ?s ?p ?o } }"


def _own(name: str) -> str:
    return f"<{PROVLAKE}{name}>"


class StatementWriter:
    """Makes the triples of statements under one base."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._iris: dict[str, str] = {}

    def write(self, item: Statements, found: list[str]) -> None:
        """Adds N-Triples lines, without line ends.

        Raises:
            DocumentError: it holds what is no statement; the field says which.
        """
        node = self._describe(item, found)
        for index, text in enumerate(item.texts):
            try:
                found += self._lines(decode(text))
            except NoStatement as error:
                raise DocumentError(f"texts[{index}]", str(error), _FIX) from error
            found.append(f"{node} {_own('statement')} {text_literal(text)}{_JSON} .")

    def _describe(self, item: Statements, found: list[str]) -> str:
        """What there is to say of the document and the bundle; the node that the statements are of."""
        if not _DIGEST.fullmatch(item.document):
            raise DocumentError("document", f"{item.document[:100]!r} is no digest", _FIX)
        identifier = iris.document(item.document)
        document = f"<{self._base}{identifier}>"
        found += (
            f"{document} {_TYPE} {_own('ImportedDocument')} .",
            f"{document} {_TYPE} <{PROV}Bundle> .",
            f"{document} {_own('sha256')} {text_literal(item.document)} .",
            f"{document} {_own('statements')} {integer_literal(item.count)} .",
        )
        if item.label is not UNSET:
            found.append(f"{document} {_LABEL} {text_literal(item.label)} .")
        if item.bundle is UNSET:
            return document
        bundle = self._iri(item.bundle)
        part = f"<{self._base}{iris.document(item.document, item.bundle)}>"
        found += (
            f"{bundle} {_TYPE} <{PROV}Bundle> .",
            f"{part} {_TYPE} {_own('ImportedBundle')} .",
            f"{part} {_own('bundleOf')} {document} .",
            f"{part} {_own('bundle')} {bundle} .",
        )
        return part

    def _lines(self, each: Statement) -> Iterator[str]:
        if each.id is None and is_qualified(each):
            each = each._replace(id=self._base + iris.relation(_digest(each)))
        for subject, predicate, value in triples((each,)):
            yield f"{self._iri(subject)} {self._iri(_predicate(predicate, value))} {self._term(value)} ."

    def _term(self, value: Value) -> str:
        if isinstance(value, Ref):
            return self._iri(value.iri)
        text = text_literal(value.text)
        if value.datatype == XSD_STRING:
            return text
        if value.lang is None or value.datatype != LANG_STRING:
            return f"{text}^^{self._iri(value.datatype)}"
        if not LANGUAGE.fullmatch(value.lang):
            raise NoStatement(f"{value.lang[:100]!r} is no language")
        return f"{text}@{value.lang}"

    def _iri(self, iri: str) -> str:
        found = self._iris.get(iri)
        if found is None:
            full = self._base + iris.blank(iri[len(BLANK) :]) if iri.startswith(BLANK) else iri
            if not _IRI.fullmatch(full):
                raise NoStatement(f"{iri[:100]!r} is no IRI")
            if len(self._iris) >= CACHE_SIZE:
                self._iris.clear()
            found = self._iris[iri] = f"<{full}>"
        return found


def _digest(each: Statement) -> str:
    return sha256(encode(each).encode()).hexdigest()[:32]


def _predicate(predicate: str, value: Value) -> str:
    """In the graph only resources are classes; a type that is a text stays PROV's attribute."""
    return PROV + "type" if predicate == TYPE and isinstance(value, Literal) else predicate


# -- what a document may not change


async def without_held_back(
    store: TripleStore, base: str, documents: Sequence[Document], groups: list[list[str]]
) -> list[list[str]]:
    """Groups of lines, one a document, without what would give one of our own resources a second value of what it has one of.

    Times, states and latest values of what was captured are settled by what was captured. The document itself keeps what
    it says.
    """
    lines = (line for document, group in zip(documents, groups, strict=True) if document.statements for line in group)
    held = await _held_back(store, base, lines)
    return [
        [line for line in group if line not in held] if document.statements else group
        for document, group in zip(documents, groups, strict=True)
    ]


async def _held_back(store: TripleStore, base: str, lines: Iterable[str]) -> set[str]:
    about: dict[tuple[str, str], set[str]] = {}
    for line in lines:
        subject, predicate, _ = line.split(" ", 2)
        if predicate in _SETTLED and subject.startswith(f"<{base}"):
            about.setdefault((subject, predicate), set()).add(line)
    found = {line for several in about.values() for line in sorted(several)[1:]}
    for some in for_queries(list(about)):
        values = " ".join(f"({subject} {predicate})" for subject, predicate in some)
        for row in await store.select(_KNOWN % values):
            found |= about[f"<{row['s']}>", f"<{row['p']}>"]
    return found
