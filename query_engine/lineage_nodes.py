"""The resources of a lineage, described: what clients and drawings get."""

from __future__ import annotations

import asyncio
import re
from functools import lru_cache
from itertools import islice
from operator import itemgetter
from typing import Any, NamedTuple, Optional, Sequence

from pllib.provml.vocabulary import PROVLAKE, SPARQL_PREFIXES
from query_engine.binding import Iri, slices
from query_engine.lineage import Kind, Known, Lineage, Said
from query_engine.names import Names, plain, short
from query_engine.store import StoreClient
from query_engine.tables import table, value

CHUNK = 1000
_PLAIN = re.compile(r"[A-Za-z0-9\-._~]+").fullmatch
_SERIES = f"<{PROVLAKE}Series>"


class _Query(NamedTuple):
    """Selects resources (``?x``), their types, and facts."""

    text: str
    facts: tuple[str, ...]


_ACTIVITIES = _Query(
    """
SELECT ?x ?type ?started ?ended ?seconds ?status WHERE {
  VALUES ?x {} OPTIONAL { ?x a ?type } OPTIONAL { ?x prov:startedAtTime ?started }
  OPTIONAL { ?x prov:endedAtTime ?ended } OPTIONAL { ?x provlake:duration ?seconds }
  OPTIONAL { ?x provlake:status ?status } }""",
    ("started", "ended", "seconds", "status"),
)
_ENTITIES = _Query(
    "SELECT ?x ?type ?value WHERE { VALUES ?x {} OPTIONAL { ?x prov:value ?value } OPTIONAL { ?x a ?type } }",
    ("value",),
)


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
    if head == "execution" and len(rest) == 5:
        return Parts(rest[4], rest[0], rest[1])
    if head == "execution" and len(rest) in (2, 3, 4):
        label = rest[0] if len(rest) == 2 else rest[2]
        return Parts(label, rest[0], rest[1], rest[3] if len(rest) == 4 else None)
    if head == "value" and len(rest) == 4:
        return Parts(rest[2], rest[0], rest[1])
    if head == "data" and len(rest) in (2, 3):
        return Parts(rest[1], store=rest[0], version=rest[2] if len(rest) == 3 else None)
    if head == "data" and len(rest) == 5:
        return Parts(rest[3])
    return Parts(rest[-1] if rest else head)


class Task(NamedTuple):
    """The execution of a task: its id, and what that says."""

    id: str
    label: str
    workflow: Optional[str]
    execution: Optional[str]


class Tasks(dict[str, Optional[Task]]):
    """The task of each IRI; ``None`` for what is none, or not under the base."""

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names

    def __missing__(self, iri: str) -> Optional[Task]:
        identifier, found = self._names.id(iri), None
        if identifier.startswith("execution/") and identifier.count("/") == 4:
            found = Task(identifier, *parts(identifier)[:3])
        self[iri] = found
        return found


class Ids(dict[str, str]):
    """The id of each IRI, reckoned once.

    Attributes:
        tasks: told by their IRIs. Of what lies under a task, as most values do, only the last segment is looked at.
    """

    def __init__(self, names: Names) -> None:
        super().__init__()
        self._names = names
        self.tasks = Tasks(names)

    def __missing__(self, iri: str) -> str:
        task = self.tasks[iri]
        self[iri] = found = self._names.id(iri) if task is None else task.id
        return found


class Nodes:
    """Describes resources.

    Args:
        parallel: how many queries may run at once.
    """

    def __init__(self, store: StoreClient, ids: Ids, parallel: int = 4) -> None:
        self._store, self._ids = store, ids
        self._turns = asyncio.Semaphore(parallel)
        self._seen = 0
        self._ready: dict[str, dict[str, Any]] = {}

    def data_of(self, found: Lineage) -> set[str]:
        """The entities of a lineage that are data, or are not of our making."""
        entities = (iri for iri, kind in found.kinds.items() if kind == "entity")
        return {iri for iri in entities if self._is_data(iri) or self._ids[iri] == iri}

    def prepare(self, found: Lineage, known: Known) -> None:
        """Describes what a walk has reached since the last time, where all of it is known: :meth:`describe`, of the same
        walk, has less to do."""
        said, kinds = known.said, found.kinds
        for iri, depth in islice(found.depths.items(), self._seen, None):
            if iri in said.types:
                self._ready[iri] = self._node(iri, kinds[iri], depth, said, iri)
        self._seen = len(found.depths)

    async def describe(
        self, found: Lineage, known: Known, classes: Optional[frozenset[str]] = None
    ) -> list[dict[str, Any]]:
        """The nodes of an answer, nearest first.

        Args:
            known: what the walk has learnt by the way, which is not asked for again.
            classes: full IRIs; only nodes that are of one of them. ``None``: all.
        """
        said, kinds, ready = known.said, found.kinds, self._ready
        unknown = [iri for iri in found.depths if iri not in said.types]
        activities = [iri for iri in unknown if kinds[iri] == "activity"]
        same = {iri: self._alike(iri, known) for iri in unknown if kinds[iri] == "entity"}
        asked = [iri for iri, other in same.items() if other not in said.types]
        await asyncio.gather(self._ask(_ACTIVITIES, said, activities), self._ask(_ENTITIES, said, asked))
        nodes = [
            ready[iri] if iri in ready else self._node(iri, kinds[iri], depth, said, same.get(iri, iri))
            for iri, depth in found.depths.items()
            if classes is None or any(cell[1:-1] in classes for cell in said.types[same.get(iri, iri)])
        ]
        return sorted(nodes, key=itemgetter("depth"))

    def _alike(self, entity: str, known: Known) -> str:
        """A resource of which the same is said, and more is known: a generated value and the equal-value entity it is a
        special case of have one value (identity rule 5)."""
        if self._is_data(entity):
            return entity
        return next((each for each in known.general.of(entity) if each in known.said.types), entity)

    def _is_data(self, entity: str) -> bool:
        identifier = self._ids[entity]
        return identifier.startswith("data/") and parts(identifier).is_data

    async def _ask(self, query: _Query, said: Said, iris: Sequence[str]) -> None:
        """Adds what the graph says of resources to what is known."""
        said.types.update(dict.fromkeys(iris, ()))
        found = await asyncio.gather(*(self._chunk(query, chunk) for chunk in slices(iris, CHUNK)))
        for resource, type_, *cells in (row for rows in found for row in rows):
            iri = resource[1:-1]
            if type_:
                said.is_a(iri, type_)
            for name, cell in zip(query.facts, cells, strict=True):
                if cell:
                    said.add(name, iri, cell)

    async def _chunk(self, query: _Query, iris: Sequence[str]) -> list[Sequence[str]]:
        async with self._turns:
            text = SPARQL_PREFIXES + query.text
            return await table(self._store, text, len(query.facts) + 2, x=[Iri(iri) for iri in iris])

    def _node(self, iri: str, kind: Kind, depth: int, said: Said, same: str) -> dict[str, Any]:
        return self._activity(iri, depth, said) if kind == "activity" else self._entity(iri, depth, said, same)

    def _activity(self, iri: str, depth: int, said: Said) -> dict[str, Any]:
        identifier, facts = self._ids[iri], said.facts
        about = self._ids.tasks[iri] or parts(identifier)
        return {
            "id": identifier,
            "iri": iri,
            "kind": "activity",
            "type": _best(said.types[iri]),
            "label": about.label,
            "depth": depth,
            "workflow": about.workflow,
            "execution": about.execution,
            "started": value(facts["started"].get(iri, "")),
            "ended": value(facts["ended"].get(iri, "")),
            "seconds": value(facts["seconds"].get(iri, "")),
            "status": value(facts["status"].get(iri, "")),
        }

    def _entity(self, iri: str, depth: int, said: Said, same: str) -> dict[str, Any]:
        above, _, label = iri.rpartition("/")
        task, types, about = self._ids.tasks[above], said.types[same], None
        if task is not None and _PLAIN(label):  # a value, as most nodes are
            identifier = self._ids[iri] = f"{task.id}/{label}"
            workflow, execution = task.workflow, task.execution
        else:
            identifier = self._ids[iri]
            about = parts(identifier)
            label, workflow, execution = about[:3]
        node: dict[str, Any] = {
            "id": identifier,
            "iri": iri,
            "kind": "entity",
            "type": _best(types),
            "label": label,
            "depth": depth,
            "workflow": workflow,
            "execution": execution,
        }
        if about is not None and about.is_data:
            node |= {"value": label, "store": about.store, "version": about.version}
            return node
        node["value"] = value(said.facts["value"].get(same, ""))
        if _SERIES in types:
            node["points"] = f"/v1/series/{identifier}"
        return node


@lru_cache(maxsize=256)
def _best(cells: tuple[str, ...]) -> Optional[str]:
    """The class that says most: one of PROV-ML before one of PROVLake."""
    names = sorted(short(cell[1:-1]) for cell in cells)
    return next((name for name in names if name.startswith("provml:")), names[0] if names else None)
