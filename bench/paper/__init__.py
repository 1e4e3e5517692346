"""The papers' synthetic set, and their questions on it: 8 workflows × 3 stages × 300 epochs × 200 batches, 10 million triples."""

from __future__ import annotations

from bench.measures import Measure


def measures(epochs: int = 300) -> list[Measure]:
    """The papers' questions on Oxigraph and on Fuseki (bench/paper/questions.py)."""
    from bench.paper import questions  # which needs the rest of this package

    return questions.measures(epochs)
