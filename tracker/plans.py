"""The prospective side as it is first seen, and the memory of what need not be said again."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

Json = Any


class Known:
    """A bounded memory of statements that the queue holds already.

    Two generations: when the young one is full the old one is forgotten, so at least the newest ``limit`` are known.
    """

    __slots__ = ("_limit", "_old", "_young")

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._young: set[Hashable] = set()
        self._old: set[Hashable] = set()

    def __contains__(self, statement: Hashable) -> bool:
        return statement in self._young or statement in self._old

    def add(self, statements: Iterable[Hashable]) -> None:
        """Remembers what is durable now."""
        self._young.update(statements)
        if len(self._young) > self._limit:
            self._old, self._young = self._young, set()

    def clear(self) -> None:
        """Forgets all, so that everything is said again: statements that were given up may be among them."""
        self._young, self._old = set(), set()


class Fresh:
    """What one batch says for the first time; it becomes known when the batch is durable."""

    __slots__ = ("_known", "statements")

    def __init__(self, known: Known) -> None:
        self._known = known
        self.statements: set[Hashable] = set()

    def first(self, statement: Hashable) -> bool:
        """Whether this is said for the first time; from now on it is not."""
        if statement in self._known or statement in self.statements:
            return False
        self.statements.add(statement)
        return True
