"""The resources of a lineage, described: what clients and drawings get."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from typing import Any, NamedTuple, Optional, Sequence

from pllib.provml.vocabulary import PROVLAKE, SPARQL_PREFIXES
from query_engine.binding import Iri, slices
from query_engine.lineage import Known, Lineage
from query_engine.names import Names, plain, short
from query_engine.store import StoreClient
from query_engine.tables import table, value

CHUNK = 1000
_SERIES = f"<{PROVLAKE}Series>"
_ACTIVITIES = """
SELECT ?x ?type ?started ?ended ?seconds ?status WHERE {
  VALUES ?x {} OPTIONAL { ?x a ?type } OPTIONAL { ?x prov:startedAtTime ?started }
  OPTIONAL { ?x prov:endedAtTime ?ended } OPTIONAL { ?x provlake:duration ?seconds }
  OPTIONAL { ?x provlake:status ?status } }"""
_ENTITIES = "SELECT ?x ?type ?value WHERE { VALUES ?x {} OPTIONAL { ?x prov:value ?value } OPTIONAL { ?x a ?type } }"


class Parts(NamedTuple):
    """What the id of a resource says by itself (``pllib/provml/iris.py``); decoded."""

    label: str
    workflow: Optional[str] = None
    execution: Optional[str] = None
    number: Optional[str] = None
    store: Optional[str] = None
    version: Optional[str] = None

    @property
    def is_data(self) -> bool:
        return self.store is not None


def parts(identifier: str) -> Parts:
    """The parts of an id; of anything else, its last segment as label."""
    if ":" in identifier:  # an IRI that is not ours
        return Parts(re.split("[/#:]", identifier.rstrip("/#:"))[-1])
    pieces = identifier.split("/")
    head, *rest = map(plain, pieces) if "%" in identifier else pieces
    if head == "execution" and len(rest) in (2, 3, 4, 5):
        label = rest[0] if len(rest) == 2 else rest[-1] if len(rest) in (3, 5) else rest[2]
        return Parts(label, rest[0], rest[1], rest[3] if len(rest) == 4 else None)
    if head == "value" and len(rest) == 4:
        return Parts(rest[2], rest[0], rest[1])
    if head == "data" and len(rest) in (2, 3):
        return Parts(rest[1], store=rest[0], version=rest[2] if len(rest) == 3 else None)
    if head == "data" and len(rest) == 5:
        return Parts(rest[3])
    return Parts(rest[-1] if rest else head)


class Ids(dict[str, str]):
    """The id of each IRI, reckoned once."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, iri: str) -> str:
        self[iri] = identifier = self._names.id(iri)
        return identifier


class Nodes:
    """Describes resources.

    Args:
        parallel: how many queries may run at once.
    """

    def __init__(self, store: StoreClient, ids: Ids, parallel: int = 4) -> None:
        self._store, self._ids = store, ids
        self._turns = asyncio.Semaphore(parallel)

    def data_of(self, found: Lineage) -> set[str]:
        """The entities of a lineage that are data, or are not of our making."""
        entities = (iri for iri, kind in found.kinds.items() if kind == "entity")
        return {iri for iri in entities if self._is_data(iri) or self._ids[iri] == iri}

    async def describe(
        self, found: Lineage, known: Known, classes: Optional[frozenset[str]] = None
    ) -> list[dict[str, Any]]:
        """The nodes of an answer, nearest first.

        Args:
            known: what the walk has learnt by the way, which is not asked for again.
            classes: full IRIs; only nodes that are of one of them. ``None``: all.
        """
        said: dict[str, _Said] = {}
        activities = [iri for iri, kind in found.kinds.items() if kind == "activity"]
        asked = []
        for entity in (iri for iri, kind in found.kinds.items() if kind == "entity"):
            # A generated value and the equal-value entity it is a special case of have one value (identity rule 5).
            same = next((each for each in (entity, *known.general.of(entity)) if each in known.values), None)
            if same is None or (same != entity and self._is_data(entity)):
                asked.append(entity)
                continue
            if same not in said:
                said[same] = about = _Said()
                for cells in known.values[same]:
                    about.add(cells.type, value=cells.value)
            said[entity] = said[same]
        rows, more = await asyncio.gather(self._rows(_ACTIVITIES, 6, activities), self._rows(_ENTITIES, 3, asked))
        for resource, class_, started, ended, seconds, status in rows:
            about = said.setdefault(resource[1:-1], _Said())
            about.add(class_, started=started, ended=ended, seconds=seconds, status=status)
        for resource, class_, text in more:
            said.setdefault(resource[1:-1], _Said()).add(class_, value=text)
        nodes = [
            self._node(iri, found, said.get(iri) or _Said())
            for iri in found.depths
            if classes is None or (iri in said and said[iri].is_one_of(classes))
        ]
        return sorted(nodes, key=lambda node: int(node["depth"]))

    def _is_data(self, entity: str) -> bool:
        return parts(self._ids[entity]).is_data

    async def _rows(self, query: str, width: int, iris: Sequence[str]) -> list[Sequence[str]]:
        found = await asyncio.gather(*(self._chunk(query, width, chunk) for chunk in slices(iris, CHUNK)))
        return [row for rows in found for row in rows]

    async def _chunk(self, query: str, width: int, iris: Sequence[str]) -> list[Sequence[str]]:
        async with self._turns:
            return await table(self._store, SPARQL_PREFIXES + query, width, x=[Iri(iri) for iri in iris])

    def _node(self, iri: str, found: Lineage, said: _Said) -> dict[str, Any]:
        identifier = self._ids[iri]
        about = parts(identifier)
        node: dict[str, Any] = {
            "id": identifier,
            "iri": iri,
            "kind": found.kinds[iri],
            "type": _best(tuple(said.types)),
            "label": about.label,
            "depth": found.depths[iri],
            "workflow": about.workflow,
            "execution": about.execution,
        }
        if node["kind"] == "activity":
            node |= {
                "started": said.one("started"),
                "ended": said.one("ended", last=True),
                "seconds": said.one("seconds"),
                "status": said.one("status"),
            }
        elif about.is_data:
            node |= {"value": about.label, "store": about.store, "version": about.version}
        else:
            node["value"] = said.one("value")
            if _SERIES in said.types:
                node["points"] = f"/v1/series/{identifier}"
        return node


class _Said:
    """What the graph says of one resource: its classes and other facts, as cells of a table."""

    __slots__ = ("_facts", "types")

    def __init__(self) -> None:
        self.types: dict[str, None] = {}
        self._facts: dict[str, list[str]] = {}

    def add(self, kind: str, **facts: str) -> None:
        if kind:
            self.types[kind] = None
        for name, cell in facts.items():
            if cell:
                self._facts.setdefault(name, []).append(cell)

    def is_one_of(self, classes: frozenset[str]) -> bool:
        return any(cell[1:-1] in classes for cell in self.types)

    def one(self, name: str, last: bool = False) -> Any:
        """The value of a fact; the first in order of text (or the last) when there are several."""
        cells = self._facts.get(name)
        return value((max if last else min)(cells)) if cells else None


@lru_cache(maxsize=256)
def _best(cells: tuple[str, ...]) -> Optional[str]:
    """The class that says most: one of PROV-ML before one of PROVLake."""
    names = sorted(short(cell[1:-1]) for cell in cells)
    return next((name for name in names if name.startswith("provml:")), names[0] if names else None)
