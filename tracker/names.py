"""What the names in records mean under the specifications in force: identity rule 8 (docs/reference/identity.md)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache

from pllib.provml import iris

from .identity import encode
from .specifications import NONE, Specification

_MAX_NAMES = 10_000


class Name:
    """An attribute's name after alignment: text, percent-encoded form, and id of the attribute.

    ``general`` is the encoded name under which equal values are one; the name itself, but for an element of a structure.
    Equal only to itself, so that it is quick to look up; ``Workflow`` keeps one a name.
    """

    __slots__ = ("attribute", "encoded", "general", "text")

    def __init__(self, workflow: str, text: str) -> None:
        self.text = text
        self.encoded = self.general = encode(text)
        self.attribute = iris.attribute(workflow, text)


class Workflow:
    """The names of one workflow under the specification in force."""

    __slots__ = ("_names", "id", "name", "specification")

    def __init__(self, name: str, specification: Specification) -> None:
        self.name = name
        self.id = iris.workflow(name)
        self.specification = specification
        self._names: dict[str, Name] = {}

    def _name(self, name: str) -> Name:
        return Name(self.name, self.specification.align.get(name, name))

    def attribute(self, name: str) -> Name:
        """What a name in a record means."""
        found = self._names.get(name)
        if found is None:
            if len(self._names) >= _MAX_NAMES:
                self._names.clear()
            found = self._names[name] = self._name(name)
        return found

    def attributes(self, names: Iterable[str]) -> list[Name]:
        """What the names of one record mean.

        Two names of one record that the specification aligns to one name stand for two values; then the one that is
        not the final name itself keeps its own.
        """
        found = [self.attribute(name) for name in names]
        if self.specification.align and len({name.text for name in found}) < len(found):
            return self._apart(list(names))
        return found

    def _apart(self, names: list[str]) -> list[Name]:
        taken: dict[str, str] = {}
        for name in sorted(names, key=lambda name: (name in self.specification.align, name)):
            taken.setdefault(self.attribute(name).text, name)
        kept = set(taken.values())
        return [self.attribute(name) if name in kept else Name(self.name, name) for name in names]


class Specifications:
    """The workflows as the newest specifications describe them."""

    __slots__ = ("_workflow", "newest")

    def __init__(self, newest: Mapping[str, Specification] | None = None) -> None:
        self.newest: dict[str, Specification] = dict(newest or {})
        self._workflow = lru_cache(maxsize=1024)(self._make)

    def workflow(self, name: str) -> Workflow:
        return self._workflow(name)

    def set(self, name: str, specification: Specification) -> None:
        """Puts a specification in force."""
        self.newest[name] = specification
        self._workflow.cache_clear()

    def _make(self, name: str) -> Workflow:
        return Workflow(name, self.newest.get(name, NONE))
