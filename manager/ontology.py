"""The ontology and the shapes: Turtle files, read by rdflib and served in any form."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from rdflib import Graph

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


@cache
def graph(name: str) -> Graph:
    """The triples of one of ``FILES``."""
    found = Graph()
    for file in FILES[name]:
        found.parse(FOLDER / file, format="turtle")
    return found


@cache
def serialize(name: str, form: str) -> bytes:
    """One of ``FILES`` in one of rdflib's forms, UTF-8."""
    return graph(name).serialize(format=form, encoding="utf-8")


def as_ntriples() -> bytes:
    """The whole vocabulary as N-Triples, for the store; it holds no blank node, so loading it again adds nothing."""
    return serialize("ontology", "nt")
