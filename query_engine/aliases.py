"""Data stores that were moved or renamed: one statement joins what is known under all their names.

``<store/new> provlake:sameStoreAs <store/old>`` says that a key in the one is the same data as that key in the other
(identity rule 10). Nothing is rewritten in the graph: questions are asked under all names, and of the answers each
piece of data keeps the first name it was met by.
"""

from __future__ import annotations

from typing import Iterable, Optional, Sequence

from pllib.provml import iris
from pllib.provml.store_names import other_names
from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.names import Names, plain
from query_engine.store import StoreClient

_DATA, _STORE = "data/", "store/"
_SAME = f"{SPARQL_PREFIXES}SELECT ?a ?b WHERE {{ ?a provlake:sameStoreAs ?b }} LIMIT 10000"


class Aliases:
    """Which names data may have, and which one stands for all of them.

    Args:
        pairs: ids of stores (``store/{name}``) that are the same; the relation is taken as symmetric and transitive.
    """

    def __init__(self, names: Names, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._names = names
        self._others = other_names((_segment(a), _segment(b)) for a, b in pairs)
        self._chosen: dict[tuple[str, str], str] = {}

    def __bool__(self) -> bool:
        return bool(self._others)

    def spellings(self, iri: str) -> list[str]:
        """All IRIs that mean the same data, this one first; of anything else, only itself."""
        found = self._parts(iri)
        if found is None:
            return [iri]
        store, rest = found
        return [iri, *(self._names.iri(f"{_DATA}{name}/{rest}").value for name in self._others[store])]

    def chosen(self, iri: str) -> str:
        """The one IRI that stands for this data in an answer: the first of its spellings that this was asked of."""
        found = self._parts(iri)
        if found is None:
            return iri
        store, rest = found
        return self._chosen.setdefault((min(store, self._others[store][0]), rest), iri)

    def rows(self, rows: list[Sequence[str]]) -> list[Sequence[str]]:
        """A table of the store's in which each piece of data has the IRI that stands for it."""
        if not self:
            return rows
        return [[f"<{self.chosen(cell[1:-1])}>" if cell[:1] == "<" else cell for cell in row] for row in rows]

    def stores(self, name: str) -> list[str]:
        """All names of a store, decoded, this one first."""
        return [name, *map(plain, self._others.get(iris.encode(name), ()))]

    def _parts(self, iri: str) -> Optional[tuple[str, str]]:
        """Store and the rest of the id, encoded, of data in a store that has several names."""
        identifier = self._names.id(iri)
        if not self._others or not identifier.startswith(_DATA):
            return None
        store, slash, rest = identifier[len(_DATA) :].partition("/")
        return (store, rest) if slash and store in self._others else None


async def load(store: StoreClient, names: Names) -> Aliases:
    """The aliases that the graph tells of now."""
    rows = await store.select(_SAME)
    pairs = ((names.id(row["a"].value), names.id(row["b"].value)) for row in rows)
    return Aliases(names, (pair for pair in pairs if all(each.startswith(_STORE) for each in pair)))


def _segment(identifier: str) -> str:
    return identifier.removeprefix(_STORE)
