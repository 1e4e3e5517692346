"""Lineage at the grain of tasks: activities and data, with what passed between them in plain values told in one edge."""

from __future__ import annotations

from collections import defaultdict
from typing import Iterable, NamedTuple

from query_engine.lineage import GENERATED, INFORMED, SPECIALIZATION, USED, Lineage


class _Link(NamedTuple):
    iri: str
    certain: bool


def by_task(found: Lineage, data: set[str], start: str) -> Lineage:
    """The same lineage with activities and data only: links through plain values become ``wasInformedBy``.

    Args:
        data: the entities of ``found`` that are data, which stay; so does ``start``.
    """
    kept = _kept(found, data, start)
    answer = Lineage(ambiguous=found.ambiguous, truncated=found.truncated)
    for iri, depth in found.depths.items():
        if iri in kept:
            answer.node(iri, found.kinds[iri], depth)
    makers = _Makers(found)
    for (first, second, relation), certain in found.edges.items():
        if first in kept and second in kept:
            answer.edge(first, second, relation, certain)
        elif relation == USED:
            for maker in makers.of(second):
                if maker.iri != first:
                    answer.edge(first, maker.iri, INFORMED, maker.certain)
    return answer


def _kept(found: Lineage, data: set[str], start: str) -> set[str]:
    activities = {iri for iri, kind in found.kinds.items() if kind == "activity"}
    forms = {iri for edge in found.edges if edge[2] == SPECIALIZATION and start in edge for iri in edge[:2]}
    return activities | data | forms | ({start} & found.depths.keys())


class _Makers:
    """Which activities made a plain value: it, or what is a special case of it."""

    def __init__(self, found: Lineage) -> None:
        self._made: dict[str, list[_Link]] = defaultdict(list)
        self._special: dict[str, list[_Link]] = defaultdict(list)
        for (start, end, relation), certain in found.edges.items():
            if relation == GENERATED:
                self._made[start].append(_Link(end, certain))
            elif relation == SPECIALIZATION:
                self._special[end].append(_Link(start, certain))

    def of(self, entity: str) -> Iterable[_Link]:
        yield from self._made.get(entity, ())
        for special in self._special.get(entity, ()):
            for maker in self._made.get(special.iri, ()):
                yield _Link(maker.iri, maker.certain and special.certain)
