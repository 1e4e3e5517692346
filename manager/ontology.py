"""The ontology and the shapes: Turtle files, read by rdflib and served in any form."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rdflib import OWL, RDF, Graph

from pllib.provml.vocabulary import PROVLAKE, PROVML

FOLDER = Path(__file__).parent / "vocabulary"
FILES = {
    "ontology": ("provlake.ttl", "prov-ml.ttl"),
    "provlake": ("provlake.ttl",),
    "prov-ml": ("prov-ml.ttl",),
    "shapes": ("shapes.ttl",),
}
FORMATS = {
    "text/turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
}

PROV_CLASSES = (
    *("prov:Entity", "prov:Activity", "prov:Agent", "prov:Collection", "prov:Plan"),
    *("prov:Person", "prov:SoftwareAgent", "prov:Organization"),
)
"""Classes of PROV-O that things may be said to be directly."""


@cache
def graph(name: str) -> Graph:
    """The triples of one of ``FILES``."""
    found = Graph()
    for file in FILES[name]:
        found.parse(FOLDER / file, format="turtle")
    return found


@cache
def classes() -> frozenset[str]:
    """CURIEs of the classes that a document may name: those of the vocabulary, and PROV-O's."""
    found = set(PROV_CLASSES)
    for subject in graph("ontology").subjects(RDF.type, OWL.Class):
        name = str(subject)
        for prefix, namespace in (("provlake:", PROVLAKE), ("provml:", PROVML)):
            if name.startswith(namespace):
                found.add(prefix + name[len(namespace) :])
    return frozenset(found)


@cache
def serialize(name: str, form: str) -> bytes:
    """One of ``FILES`` in one of rdflib's forms, UTF-8."""
    return graph(name).serialize(format=form, encoding="utf-8")


def as_ntriples() -> bytes:
    """The whole vocabulary as N-Triples, for the store; it holds no blank node, so loading it again adds nothing."""
    return serialize("ontology", "nt")
