"""The ontology and the shapes: the files under ``manager/ontology``, in the formats they are asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final

from rdflib import Graph

from pllib.provml.vocabulary import PREFIXES

from .triples import Triples

FOLDER: Final = Path(__file__).parent / "ontology"
SCHEMA: Final = Path(__file__).parent / "schema" / "prov-ml-v1.json"

FILES: Final[dict[str, tuple[str, ...]]] = {
    "ontology": ("provlake.ttl", "prov-ml.ttl"),
    "ontology/provlake": ("provlake.ttl",),
    "ontology/prov-ml": ("prov-ml.ttl",),
    "shapes": ("shapes.ttl",),
}
"""The files that are served together, by path."""

FORMATS: Final = {
    "text/turtle": "turtle",
    "application/n-triples": "nt",
    "application/ld+json": "json-ld",
    "application/rdf+xml": "xml",
}
"""Media types, the preferred one first, and rdflib's names of them."""


def read(*names: str) -> Graph:
    """The files as one graph."""
    graph = Graph(bind_namespaces="none")
    for prefix, iri in PREFIXES.items():
        graph.bind(prefix, iri)
    for name in names:
        graph.parse(FOLDER / name, format="turtle")
    return graph


@lru_cache(maxsize=32)
def serialised(path: str, media_type: str) -> bytes:
    """What is served at a path of ``FILES`` in a media type of ``FORMATS``."""
    names = FILES[path]
    if media_type == "text/turtle" and len(names) == 1:
        return (FOLDER / names[0]).read_bytes()  # as it was written, with its comments
    return read(*names).serialize(format=FORMATS[media_type], encoding="utf-8")


def ontology_triples() -> Triples:
    """The ontology as it goes into the store. It has no blank nodes, so it can be loaded again and again."""
    text = serialised("ontology", "application/n-triples")
    lines = sorted(line for line in text.split(b"\n") if line.strip())
    return Triples(b"\n".join(lines) + b"\n", len(lines))


def preferred(accept: str) -> str | None:
    """The media type of ``FORMATS`` that an Accept header likes best (RFC 9110, 12.5.1); None when it likes none."""
    weights = dict(_weight(part) for part in accept.split(",") if part.strip()) or {"*/*": 1.0}

    def liking(media_type: str) -> float:
        kinds = (media_type, media_type.partition("/")[0] + "/*", "*/*")
        return next((weights[kind] for kind in kinds if kind in weights), 0.0)

    best = max(FORMATS, key=liking)
    return best if liking(best) > 0 else None


def _weight(part: str) -> tuple[str, float]:
    kind, *parameters = (word.strip() for word in part.lower().split(";"))
    for parameter in parameters:
        if parameter.startswith("q="):
            try:
                return kind, float(parameter[2:])
            except ValueError:
                return kind, 0.0
    return kind, 1.0
