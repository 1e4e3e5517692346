"""The edges of a lineage as answers tell them."""

from __future__ import annotations

from itertools import islice
from typing import Any

from query_engine.lineage import Edge, Lineage
from query_engine.lineage_nodes import Ids


class Edges:
    """Tells the edges of one lineage, all at once or bit by bit while a walk still adds to it."""

    def __init__(self, ids: Ids) -> None:
        self._ids = ids
        self._told: list[dict[str, Any]] = []
        self._doubtful: dict[Edge, dict[str, Any]] = {}

    def prepare(self, found: Lineage) -> None:
        """Takes the edges that were added since the last time, so that :meth:`tell` has less to do."""
        ids = self._ids
        for edge, certain in islice(found.edges.items(), len(self._told), None):
            start, end, relation = edge
            told = {"from": ids[start], "to": ids[end], "relation": relation, "certain": certain}
            self._told.append(told)
            if not certain:
                self._doubtful[edge] = told

    def tell(self, found: Lineage) -> list[dict[str, Any]]:
        """All edges, in order. What was doubtful when it was taken may have become certain."""
        self.prepare(found)
        for edge, told in self._doubtful.items():
            told["certain"] = found.edges[edge]
        return self._told
