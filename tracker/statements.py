"""The statements of one PROV-ML document, as they are gathered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pllib.provml import iris

from .identity import encode
from .names import Specifications
from .plans import Fresh

Json = Any


class Statements:
    """What a document says so far, and what of it need not be said again.

    Args:
        producer: 32 hex digits.
        specifications: the workflows' names.
        fresh: what is said for the first time.
    """

    __slots__ = (
        "activities",
        "agents",
        "entities",
        "fresh",
        "placed",
        "plans",
        "process",
        "producer",
        "said",
        "series",
        "specifications",
        "stores",
    )

    def __init__(self, producer: str, specifications: Specifications, fresh: Fresh) -> None:
        self.producer = producer
        self.process = iris.process(producer)
        self.specifications = specifications
        self.fresh = fresh
        self.placed: set[str] = set()
        self.said: set[tuple[str, str | None]] = set()
        self.series: dict[tuple[str, ...], list[Json]] = {}
        self.activities: list[Json] = []
        self.entities: list[Json] = []
        self.agents: list[Json] = []
        self.plans: list[Json] = []
        self.stores: list[Json] = []

    def say(self, identifier: str, what: str | None) -> bool:
        """Whether this document has not yet said this of a resource; from now on it has."""
        before = len(self.said)
        self.said.add((identifier, what))
        return len(self.said) > before

    def person(self, name: str) -> str:
        """Id of a person, who is described on first sight."""
        identifier = iris.person(name)
        if self.fresh.first(identifier):
            self.agents.append({"id": identifier, "types": ["prov:Person", "provml:Persona"], "label": name})
        return identifier

    def store(self, name: str) -> str:
        """Id of a data store, which is described on first sight."""
        identifier = "store/" + encode(name)
        if self.fresh.first(identifier):
            self.stores.append({"id": identifier, "types": ["provlake:DataStoreInstance"], "label": name})
        return identifier


def without_none(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that are known."""
    return {name: fact for name, fact in facts.items() if fact is not None}
