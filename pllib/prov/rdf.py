"""PROV-O (REC-prov-o-20130430) written as text: N-Triples, Turtle, TriG. One pass, nothing is kept.

A relation with a time, an identifier or attributes is written in both forms: directly (``?a prov:used ?e``) and
qualified (``?a prov:qualifiedUsage ?u``), so that simple queries find it and nothing is lost.
"""

from __future__ import annotations

import re
from itertools import count
from typing import Callable, Dict, Iterable, Iterator, List, NamedTuple, Optional, TextIO, Tuple

from ..provml.vocabulary import PROV, RDF, RDFS, XSD
from .errors import DocumentError
from .model import KINDS, LANG_STRING, XSD_STRING, Attribute, Document, Kind, Literal, Ref, Statement, Value
from .names import BLANK, Names

TYPE = RDF + "type"
_DATE_TIME = XSD + "dateTime"
_PREDICATES = {
    PROV + "type": TYPE,
    PROV + "label": RDFS + "label",
    PROV + "location": PROV + "atLocation",
    PROV + "role": PROV + "hadRole",
}
"""PROV-DM's attributes that PROV-O calls by another name."""
_ELEMENT_TIMES = {"startTime": PROV + "startedAtTime", "endTime": PROV + "endedAtTime"}
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_TO_ESCAPE = re.compile(r'["\\\n\r\t\x00-\x08\x0b\x0c\x0e-\x1f\x7f]')
_NOT_IN_IRI = re.compile(r'[\x00-\x20<>"{}|^`\\]')
_LOCAL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_\-.]*[A-Za-z0-9_\-])?|")

Shorten = Callable[[str], str]
_REMEMBERED = 100_000
"""IRIs whose text is kept while writing; the memory that a document of any length needs."""


class Triple(NamedTuple):
    """A statement of RDF; the object is an IRI (or blank id) as ``Ref``, or a literal."""

    subject: str
    predicate: str
    object: Value


# -- PROV to RDF


def triples(statements: Iterable[Statement], blank: Optional[Iterator[int]] = None) -> Iterator[Triple]:
    """The triples of statements, in order.

    Args:
        blank: numbers for blank nodes; share one where several bundles go into one document.
    """
    numbers = blank if blank is not None else count(1)
    for each in statements:
        kind = KINDS[each.kind]
        if kind.element:
            yield from _element(each, kind)
        else:
            yield from _relation(each, kind, numbers)


def _element(each: Statement, kind: Kind) -> Iterator[Triple]:
    subject = each.id or ""
    yield Triple(subject, TYPE, Ref(PROV + kind.type))
    for name, value in zip(kind.arguments, each.arguments):
        if value is not None:
            yield Triple(subject, _ELEMENT_TIMES[name], Literal(value, _DATE_TIME))
    yield from _attributes(subject, each.attributes)


def is_qualified(each: Statement) -> bool:
    """Whether a statement is a relation that one triple cannot say, and so has a node of its own."""
    kind = KINDS[each.kind]
    if not kind.qualified:
        return False
    subject, target, *more = each.arguments
    whole = subject is not None and target is not None
    return not whole or each.id is not None or bool(each.attributes) or any(more)


def _relation(each: Statement, kind: Kind, numbers: Iterator[int]) -> Iterator[Triple]:
    subject, target, *more = each.arguments
    if subject is not None and target is not None:
        yield Triple(subject, PROV + kind.direct, Ref(target))
    if kind.name == "mentionOf" and subject is not None and more[0] is not None:
        yield Triple(subject, PROV + "asInBundle", Ref(more[0]))
    if not is_qualified(each):
        return
    node = each.id if each.id is not None else f"{BLANK}r{next(numbers)}"
    yield Triple(node, TYPE, Ref(PROV + kind.type))
    if subject is not None:
        yield Triple(subject, PROV + kind.qualified, Ref(node))
    if target is not None:
        yield Triple(node, PROV + kind.influencer, Ref(target))
    for name, value in zip(kind.arguments[2:], more):
        if value is not None:
            term: Value = Literal(value, _DATE_TIME) if name == "time" else Ref(value)
            yield Triple(node, PROV + kind.extra[name], term)
    yield from _attributes(node, each.attributes)


def _attributes(subject: str, attributes: Tuple[Attribute, ...]) -> Iterator[Triple]:
    for name, value in attributes:
        yield Triple(subject, _PREDICATES.get(name, name), value)


# -- RDF as text


def write_ntriples(document: Document, out: TextIO) -> None:
    """Writes N-Triples.

    Raises:
        DocumentError: the document has bundles, which N-Triples has no form for.
    """
    if document.bundles:
        raise DocumentError("N-Triples cannot hold bundles; write TriG")
    whole = shortener({})
    for each in triples(document.statements):
        out.write(_line(each, whole))


def write_graph(document: Document, out: TextIO) -> None:
    """Writes Turtle.

    Raises:
        DocumentError: the document has bundles, which Turtle has no form for.
    """
    if document.bundles:
        raise DocumentError("Turtle cannot hold bundles; write TriG")
    write_turtle(document, out)


def write_turtle(document: Document, out: TextIO) -> None:
    """Writes Turtle, or TriG where the document has bundles."""
    names = Names(document.namespaces)
    blank = count(1)
    for bundle in (document, *document.bundles):
        for prefix, iri in Names(bundle.namespaces, names if bundle is not document else None).declared.items():
            names.all.setdefault(prefix, iri)
    shorten = shortener(names.all)
    for prefix, iri in names.all.items():
        out.write(f"@prefix {prefix}: <{_iri(iri)}> .\n")
    out.write("\n")
    for each in _described(document):
        out.write(_line(each, shorten))
    _write_grouped(triples(document.statements, blank), out, shorten)
    for bundle in document.bundles:
        out.write(f"\n{shorten(bundle.id or '')} {{\n")
        _write_grouped(triples(bundle.statements, blank), out, shorten)
        out.write("}\n")


def _described(document: Document) -> Iterator[Triple]:
    for bundle in document.bundles:
        yield Triple(bundle.id or "", TYPE, Ref(PROV + "Bundle"))


def _write_grouped(found: Iterable[Triple], out: TextIO, shorten: Shorten) -> None:
    """Writes triples, those of one subject that follow each other as one Turtle statement."""
    last: Optional[str] = None
    write = out.write
    for subject, predicate, value in found:
        pair = f"{'a' if predicate == TYPE else shorten(predicate)} {_term(value, shorten)}"
        if subject == last:
            write(f" ;\n    {pair}")
        else:
            write(f"{'' if last is None else ' .'}\n{shorten(subject)} {pair}")
            last = subject
    if last is not None:
        write(" .\n")


def _line(each: Triple, shorten: Shorten) -> str:
    return f"{shorten(each.subject)} {shorten(each.predicate)} {_term(each.object, shorten)} .\n"


def shortener(namespaces: Dict[str, str]) -> Shorten:
    """IRIs as text: prefixed names in a declared namespace where the rest needs no escape. Each IRI is looked at once."""
    known: Dict[str, str] = {}
    spaces = sorted(((iri, prefix) for prefix, iri in namespaces.items() if iri), key=lambda one: -len(one[0]))

    def shorten(iri: str) -> str:
        text = known.get(iri)
        if text is None:
            if len(known) > _REMEMBERED:
                known.clear()
            text = known[iri] = _shortened(iri, spaces)
        return text

    return shorten


def _shortened(iri: str, spaces: List[Tuple[str, str]]) -> str:
    if iri.startswith(BLANK):
        return iri
    fit = next(((prefix, iri[len(space) :]) for space, prefix in spaces if iri.startswith(space)), None)
    return f"{fit[0]}:{fit[1]}" if fit is not None and _LOCAL.fullmatch(fit[1]) else f"<{_iri(iri)}>"


def _term(value: Value, shorten: Shorten) -> str:
    if isinstance(value, Ref):
        return shorten(value.iri)
    text = f'"{_TO_ESCAPE.sub(_escaped, value.text)}"'
    if value.lang is not None and value.datatype == LANG_STRING:
        return f"{text}@{value.lang}"
    return text if value.datatype == XSD_STRING else f"{text}^^{shorten(value.datatype)}"


def _escaped(match: re.Match[str]) -> str:
    return _ESCAPES.get(match[0]) or f"\\u{ord(match[0]):04X}"


def _iri(iri: str) -> str:
    """An IRI as it may stand between angle brackets."""
    return _NOT_IN_IRI.sub(lambda match: f"\\u{ord(match[0]):04X}", iri)
