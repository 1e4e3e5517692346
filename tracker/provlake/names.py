"""Names of the elements of ProvLake's lists and dicts.

``tiles[0]`` and ``tiles[1]`` are values of one attribute, ``tiles``, as in ProvLake: a task that uses the tile ``"a"`` used what
another generated in a list, wherever it stood there. So the index tells generated values apart and is no part of the
attribute, nor of the identity of equal values.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from ..identity import encode
from ..names import Name, Specifications, Workflow

_INDEX = re.compile(r"(?<=.)\[\d+\]")
_MAX_WORKFLOWS = 1024


class ElementName(Name):
    """The name of an element: the attribute is that of the name without indexes."""

    __slots__ = ()

    def __init__(self, workflow: str, text: str, full: str) -> None:
        super().__init__(workflow, text)
        self.encoded = encode(full)


class ElementWorkflow(Workflow):
    """The names of one workflow, with those of elements."""

    __slots__ = ()

    def _name(self, name: str) -> Name:
        text = _INDEX.sub("", name)
        if text == name:
            return super()._name(name)
        return ElementName(self.name, self.specification.align.get(text, text), name)

    def attributes(self, names: Iterable[str]) -> list[Name]:
        every = list(names)
        own = [name for name in every if _INDEX.search(name) is None]
        if len(own) == len(every):
            return super().attributes(every)
        plain = dict(zip(own, super().attributes(own), strict=True))
        return [plain.get(name) or self.attribute(name) for name in every]


class ElementSpecifications(Specifications):
    """The workflows of other ``Specifications``, with the names of elements."""

    __slots__ = ("_made", "_shared")

    def __init__(self, shared: Specifications) -> None:
        self._shared = shared
        self._made: dict[str, ElementWorkflow] = {}

    def workflow(self, name: str) -> Workflow:
        specification = self._shared.workflow(name).specification
        found = self._made.get(name)
        if found is None or found.specification is not specification:
            if len(self._made) >= _MAX_WORKFLOWS:
                self._made.clear()
            found = self._made[name] = ElementWorkflow(name, specification)
        return found
