"""Media types the query engine answers in, and the choice between them by ``Accept``."""

from __future__ import annotations

import re
from typing import NamedTuple, Optional, Sequence

from query_engine.errors import NotAcceptable


class Format(NamedTuple):
    """One format: the media type to answer with, and other names that clients ask for it by."""

    media_type: str
    aliases: tuple[str, ...] = ()


RESULTS_JSON = Format("application/sparql-results+json", ("application/json", "text/json"))
RESULTS_XML = Format("application/sparql-results+xml", ("application/xml", "text/xml"))
CSV = Format("text/csv")
TSV = Format("text/tab-separated-values")
TURTLE = Format("text/turtle", ("application/turtle", "application/x-turtle"))
N_TRIPLES = Format("application/n-triples", ("text/plain",))
JSON_LD = Format("application/ld+json", ("application/json", "application/x-json+ld"))
RDF_XML = Format("application/rdf+xml", ("application/xml", "text/xml"))
HTML = Format("text/html", ("application/xhtml+xml",))
JSON = Format("application/json")

SOLUTIONS: Sequence[Format] = (RESULTS_JSON, RESULTS_XML, CSV, TSV)
GRAPHS: Sequence[Format] = (TURTLE, N_TRIPLES, JSON_LD, RDF_XML)

_QUALITY = re.compile(r";\s*q\s*=\s*(1(?:\.0{0,3})?|0(?:\.[0-9]{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def choose(accept: Optional[str], offered: Sequence[Format]) -> Format:
    """The offered format that ``Accept`` prefers (RFC 9110): by quality, then as it names one more exactly, then as offered.

    Raises:
        NotAcceptable: none of them.
    """
    ranges = _ranges(accept or "*/*")
    scores = [(_score(candidate, ranges), -position) for position, candidate in enumerate(offered)]
    best = max(scores)
    if best[0][0] <= 0:
        names = ", ".join(candidate.media_type for candidate in offered)
        raise NotAcceptable(f"this answer comes as {names}", field="Accept")
    return offered[-best[1]]


def _ranges(accept: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in accept.lower().split(",")[:100]:
        name = part.partition(";")[0].strip()
        quality = _QUALITY.search(part)
        if name:
            found[name] = float(quality.group(1)) if quality else 1.0
    return found


def _score(candidate: Format, ranges: dict[str, float]) -> tuple[float, int]:
    """Quality, and how exactly it was asked for: by its own name, by an alias, by ``type/*``, by ``*/*``."""
    if candidate.media_type in ranges:
        return ranges[candidate.media_type], 3
    aliases = [ranges[alias] for alias in candidate.aliases if alias in ranges]
    if aliases:
        return max(aliases), 2
    family = candidate.media_type.partition("/")[0] + "/*"
    if family in ranges:
        return ranges[family], 1
    return ranges.get("*/*", 0.0), 0
