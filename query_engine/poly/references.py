"""What cells of provenance rows point at, as the graph says: only data that it knows is ever looked for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, Optional

from pllib.provml import iris
from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.aliases import Aliases
from query_engine.binding import Iri, slices
from query_engine.errors import BadTerm, NotFound, TooLarge
from query_engine.poly.form import Place
from query_engine.reading import Reader

MOST_REFERENCES = 1000
_CHUNK = 1000
_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
# A state says its data's store and key by the data it is a state of; a fact about data is none.
_KNOWN = f"""{SPARQL_PREFIXES}SELECT DISTINCT ?x ?store ?key ?version WHERE {{
  VALUES ?x {{}}
  ?x a provlake:DataReference ; prov:specializationOf? ?data .
  ?data provlake:key ?key ; provlake:store ?store . FILTER NOT EXISTS {{ ?data prov:specializationOf ?whole }}
  OPTIONAL {{ ?x provlake:version ?version }}
}} LIMIT {4 * _CHUNK}"""


class Reference(NamedTuple):
    """One data reference: as the provenance row writes it, and where the data is."""

    cell: str
    store: str
    key: str
    version: Optional[str]


async def in_column(values: Iterable[Any], read: Reader) -> list[Reference]:
    """The data that the cells of a column point at, each once; cells that are no data of the graph are passed over.

    Raises:
        TooLarge: they are too many.
    """
    cells = list(dict.fromkeys(value for value in values if isinstance(value, str)))
    by_iri: dict[str, list[str]] = {}
    for cell in cells:
        meant = _iri(cell, read)
        if meant is not None:
            by_iri.setdefault(meant.value, []).append(cell)
    found: list[Reference] = []
    for some in slices(list(by_iri), _CHUNK):
        for iri, place in (await _known(some, read)).items():
            found += [place._replace(cell=cell) for cell in by_iri[iri]]
        if len(found) > MOST_REFERENCES:
            raise TooLarge(
                f"the provenance rows point at more than {MOST_REFERENCES} data references",
                field="provenance",
                fix="Ask for fewer: add conditions or a LIMIT to the provenance question.",
            )
    return found


async def of_place(place: Place, read: Reader, aliases: Aliases) -> list[Reference]:
    """The data reference of a store and key. Raises ``NotFound`` when the graph has none."""
    spellings = aliases.spellings(read.names.iri(iris.data(place.store, place.key)).value)
    known = await _known(spellings, read)
    for iri in spellings:
        if iri in known:
            return [known[iri]]
    raise NotFound(
        f"provenance knows no data {place.key[:500]!r} in the store {place.store[:200]!r}",
        field="data.reference",
        fix="Only data that a script has referred to is read; see /v1/data for what there is.",
    )


async def _known(wanted: Sequence[str], read: Reader) -> dict[str, Reference]:
    rows = await read.store.select(_KNOWN, x=[Iri(iri) for iri in wanted])
    found: dict[str, Reference] = {}
    for row in rows:
        version = row["version"].value if "version" in row else None
        iri = row["x"].value
        found.setdefault(
            iri, Reference(read.names.id(iri), read.names.name(row["store"].value), row["key"].value, version)
        )
    return found


def _iri(cell: str, read: Reader) -> Optional[Iri]:
    """The IRI that a cell is, or is the id of."""
    try:
        if _ABSOLUTE.match(cell):
            return Iri(cell)
        return read.names.iri(cell) if cell.startswith("data/") and iris.is_id(cell) else None
    except BadTerm:
        return None
