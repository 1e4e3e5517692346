"""The graph that a fault-free run gives, and the account of a run with faults against it.

No node of the graph is blank, so two graphs are isomorphic when they are the same set of lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from manager.ontology import as_ntriples
from pllib.provml.iris import DEFAULT_BASE
from pllib.provml.vocabulary import PROV, PROVLAKE
from tests.faults.ledger import Row

from .workload import Batch, records

_PREDICATES = {"begin": f"<{PROV}startedAtTime>", "end": f"<{PROV}endedAtTime>", "producer": f"<{PROVLAKE}pid>"}
VOCABULARY = frozenset(as_ntriples().decode().splitlines())


def statements(graph: set[str]) -> set[str]:
    """What the records gave; the vocabulary, which is not theirs, left out."""
    return graph - VOCABULARY


def visible(batches: Iterable[Batch], graph: set[str]) -> int:
    """How many of the records a query would find: each has a statement that is its own."""
    said = {" ".join(line.split(" ", 2)[:2]) for line in graph}
    return sum(mark(record, batch.producer) in said for batch in batches for record in records(batch))


def mark(record: dict[str, str], producer: str) -> str:
    """Subject and predicate of the statement that only this record makes."""
    if record["op"] == "producer":
        return f"<{DEFAULT_BASE}agent/process/{producer}> {_PREDICATES['producer']}"
    name = "/".join(filter(None, ("execution", record["wf"], record.get("id"))))
    return f"<{DEFAULT_BASE}{name}> {_PREDICATES[record['op']]}"


def executions(graph: set[str]) -> set[str]:
    """The subjects that ended: what a repetition that is taken for something new makes more of."""
    return {line.split(" ", 1)[0] for line in graph if _PREDICATES["end"] in line}


@dataclass(frozen=True)
class Truth:
    """The graph of the fault-free run of these batches."""

    batches: Sequence[Batch]
    graph: set[str]

    def account(self, row: Row, acknowledged: Sequence[Batch], graph: set[str], tries: int) -> None:
        """Adds a run to a row, and fails unless its graph is the fault-free one.

        Args:
            acknowledged: what the run's load knows to be taken; all batches.
            graph: what the run ended with.
        """
        row.tries += tries
        row.accepted += sum(len(batch.payloads) for batch in acknowledged)
        row.delivered += visible(acknowledged, graph)
        row.duplicated += len(executions(graph) - executions(self.graph))
        found = statements(graph)
        missing, more = sorted(self.graph - found), sorted(found - self.graph)
        assert not missing, f"{len(missing)} statements are missing: {missing[:5]}"
        assert not more, f"{len(more)} statements are too many: {more[:5]}"
        assert (row.lost, row.duplicated) == (0, 0)
