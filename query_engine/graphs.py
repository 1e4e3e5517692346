"""Graphs as text: N-Triples read, and Turtle, N-Triples, JSON-LD and RDF/XML written, with every literal kept exactly."""

from __future__ import annotations

import re
from typing import Any, Callable, Iterable, Iterator, Mapping, NamedTuple, Optional

import orjson
from rdflib import BNode, Graph, URIRef
from rdflib import Literal as RdfLiteral

from pllib.provml.vocabulary import PREFIXES, RDF, XSD
from query_engine.errors import NotAcceptable, StoreFailed
from query_engine.formats import JSON_LD, N_TRIPLES, RDF_XML, TURTLE, Format
from query_engine.terms import Term


class Triple(NamedTuple):
    """One statement."""

    subject: Term
    predicate: Term
    object: Term


_IRI = r"<([^<>\"{}|^`\\\x00-\x20]*)>"
_LINE = re.compile(
    rf"\s*(?:{_IRI}|_:(\S+))\s*{_IRI}\s*(?:{_IRI}|_:(\S+)"
    rf'|"((?:[^"\\]|\\.)*)"(?:\^\^{_IRI}|@([A-Za-z0-9\-]+))?)\s*\.\s*'
)
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_PLAIN_ESCAPES = {"t": "\t", "b": "\b", "n": "\n", "r": "\r", "f": "\f", '"': '"', "'": "'", "\\": "\\"}
_TO_ESCAPE = re.compile(r'["\\\n\r]')
_ESCAPED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_LOCAL = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_RDF_TYPE = RDF + "type"


def read_ntriples(text: str) -> Iterator[Triple]:
    """The statements of an N-Triples document.

    Raises:
        StoreFailed: a line that is no statement (the document comes from the store).
    """
    # Not splitlines(): characters such as U+2028 may stand in literals.
    for line in text.split("\n"):
        match = _LINE.fullmatch(line)
        if match is not None:
            yield _triple(match)
        elif line.strip() and not line.lstrip().startswith("#"):
            raise StoreFailed(f"the store's answer is no N-Triples: {line[:200]}")


def _triple(match: re.Match[str]) -> Triple:
    subject, subject_label, predicate, iri, label, text, datatype, lang = match.groups()
    if text is None:
        object_ = _resource(iri, label)
    else:
        object_ = Term("literal", _ESCAPE.sub(_unescape, text), None if datatype == XSD + "string" else datatype, lang)
    return Triple(_resource(subject, subject_label), Term("iri", predicate), object_)


def _resource(iri: Optional[str], label: Optional[str]) -> Term:
    return Term("iri", iri) if iri is not None else Term("bnode", label or "")


def _unescape(match: re.Match[str]) -> str:
    short, long, plain = match.groups()
    return _PLAIN_ESCAPES.get(plain, plain) if plain else chr(int(short or long, 16))


def write(triples: Iterable[Triple], form: Format) -> bytes:
    """A graph in one of the formats of :data:`query_engine.formats.GRAPHS`.

    Raises:
        NotAcceptable: RDF/XML cannot say this graph (a property with no XML name, a control character).
    """
    return _WRITERS[form](triples).encode()


def curie(iri: str) -> Optional[str]:
    """The short form of an IRI of a known vocabulary, such as ``prov:used``; ``None`` for others."""
    for prefix, namespace in PREFIXES.items():
        if iri.startswith(namespace) and _LOCAL.fullmatch(iri, len(namespace)):
            return f"{prefix}:{iri[len(namespace) :]}"
    return None


def n3(term: Term, shorten: bool = False) -> str:
    """A term as N-Triples writes it, or with ``shorten`` as Turtle may."""
    if term.kind == "bnode":
        return "_:" + term.value
    if term.kind == "iri":
        return _reference(term.value, shorten)
    quoted = '"' + _TO_ESCAPE.sub(lambda match: _ESCAPED[match.group()], term.value) + '"'
    if term.lang:
        return f"{quoted}@{term.lang}"
    return f"{quoted}^^{_reference(term.datatype, shorten)}" if term.datatype else quoted


def _reference(iri: str, shorten: bool) -> str:
    return (curie(iri) if shorten else None) or f"<{iri}>"


def _ntriples(triples: Iterable[Triple]) -> str:
    return "".join(f"{n3(s)} {n3(p)} {n3(o)} .\n" for s, p, o in triples)


def _turtle(triples: Iterable[Triple]) -> str:
    parts = [f"@prefix {prefix}: <{namespace}> .\n" for prefix, namespace in PREFIXES.items()]
    for subject, pairs in _by_subject(triples).items():
        lines = [f"{'a' if p.value == _RDF_TYPE else n3(p, True)} {n3(o, True)}" for p, o in pairs]
        parts.append(f"\n{n3(subject, True)} " + " ;\n    ".join(lines) + " .\n")
    return "".join(parts)


def _by_subject(triples: Iterable[Triple]) -> dict[Term, list[tuple[Term, Term]]]:
    found: dict[Term, list[tuple[Term, Term]]] = {}
    for subject, predicate, object_ in triples:
        found.setdefault(subject, []).append((predicate, object_))
    return found


def _json_ld(triples: Iterable[Triple]) -> str:
    nodes = []
    for subject, pairs in _by_subject(triples).items():
        node: dict[str, Any] = {"@id": n3(subject) if subject.kind == "bnode" else subject.value}
        for predicate, object_ in pairs:
            if predicate.value == _RDF_TYPE and object_.kind == "iri":
                node.setdefault("@type", []).append(object_.value)
            else:
                node.setdefault(predicate.value, []).append(_json_ld_term(object_))
        nodes.append(node)
    return orjson.dumps(nodes).decode()


def _json_ld_term(term: Term) -> dict[str, str]:
    if term.kind != "literal":
        return {"@id": n3(term) if term.kind == "bnode" else term.value}
    value = {"@value": term.value}
    if term.lang:
        value["@language"] = term.lang
    elif term.datatype:
        value["@type"] = term.datatype
    return value


def _rdf_xml(triples: Iterable[Triple]) -> str:
    graph = Graph()
    for prefix, namespace in PREFIXES.items():
        graph.bind(prefix, namespace)
    for subject, predicate, object_ in triples:
        graph.add((_node(subject), URIRef(predicate.value), _node(object_)))
    try:
        text = graph.serialize(format="xml")
    except ValueError as error:
        raise NotAcceptable(f"RDF/XML cannot say this graph: {error}", field="Accept") from error
    if _NOT_XML.search(text):
        raise NotAcceptable("RDF/XML cannot say this graph: it has control characters", field="Accept")
    return text


def _node(term: Term) -> Any:
    if term.kind == "iri":
        return URIRef(term.value)
    if term.kind == "bnode":
        return BNode(term.value)
    # Not normalised: the lexical form stays as it was captured.
    datatype = URIRef(term.datatype) if term.datatype else None
    return RdfLiteral(term.value, datatype=datatype, lang=term.lang, normalize=False)


_WRITERS: Mapping[Format, Callable[[Iterable[Triple]], str]] = {
    TURTLE: _turtle,
    N_TRIPLES: _ntriples,
    JSON_LD: _json_ld,
    RDF_XML: _rdf_xml,
}
