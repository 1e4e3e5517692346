"""Calls whose arguments changed their order from one generation of Prov4ML to the next: which argument is which.

A call has *forms*, the newest first: the names of its arguments in order, each with what values it takes. The forms that the given
values fit are those that may be meant. When they do not agree, or none fits, the newest is taken, and that is said once.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Mapping, NamedTuple, Sequence, Tuple

from ..errors import CaptureError
from .said import once

Fits = Callable[[Any], bool]
Form = Tuple[Tuple[str, Fits], ...]
Bound = Dict[str, Any]


class Call(NamedTuple):
    """A call and its forms.

    Attributes:
        also: names that are taken by keyword only.
        needed: names without which a form does not fit.
    """

    name: str
    forms: Sequence[Form]
    needed: Tuple[str, ...] = ()
    also: Tuple[str, ...] = ()

    def bound(self, args: Sequence[Any], named: Mapping[str, Any]) -> Bound:
        """Arguments by name.

        Raises:
            CaptureError: there are more arguments than any form has, or one is missing.
        """
        known = {name for form in self.forms for name, _ in form}.union(self.also)
        unknown = named.keys() - known
        if unknown:
            names = ", ".join(sorted(unknown))
            once(f"{self.name} {names}", f"{self.name}() knows no argument {names}; passed over")
        given = {name: value for name, value in named.items() if name not in unknown}
        fitting: List[Bound] = []
        possible: List[Bound] = []
        for form in self.forms:
            ordered = [name for name, _ in form[: len(args)]]
            if len(form) < len(args) or not given.keys().isdisjoint(ordered):
                continue
            found = {**dict(zip(ordered, args)), **given}
            if all(found.get(name) is not None for name in self.needed):
                possible.append(found)
                if all(value is None or fits(value) for (_, fits), value in zip(form, args)):
                    fitting.append(found)
        return self._chosen(fitting or possible, args)

    def _chosen(self, possible: List[Bound], args: Sequence[Any]) -> Bound:
        if not possible:
            raise CaptureError(
                f"{self.name}() needs {' and '.join(self.needed) or 'fewer arguments'}; {len(args)} given by order"
            )
        if any(not _same(each, possible[0]) for each in possible[1:]):
            meant = ", ".join(f"{name}={_shown(value)}" for name, value in possible[0].items())
            said = "the order of these arguments changed between versions of Prov4ML and their values do not tell which is meant"
            once(self.name, f"{self.name}(): {said}; taken as {meant}. Name the arguments to be sure")
        return possible[0]


def _same(left: Bound, right: Bound) -> bool:
    return left.keys() == right.keys() and all(left[name] is right[name] for name in left)


def _shown(value: Any) -> str:
    return f"{value!r:.60}" if type(value) in (str, int, float, bool, type(None)) else f"<{type(value).__name__}>"
