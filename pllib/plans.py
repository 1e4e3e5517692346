"""A plan and what runs have shown: two specifications of one workflow, compared. Pure."""

from __future__ import annotations

from typing import Any, Dict, Iterator, Mapping, Set

Json = Dict[str, Any]

_KNOWN = ("integer", "float", "string", "boolean", "list", "complex_attribute")
"""Types of values that are compared; others are words for people."""


def differences(plan: Mapping[str, Any], seen: Mapping[str, Any]) -> Iterator[str]:
    """What runs did that is not planned, and what is planned and no run did; one sentence each.

    Args:
        plan: a specification.
        seen: the draft of one, made from what was captured.
    """
    align = plan.get("align", {})
    planned, done = plan.get("transformations", {}), seen.get("transformations", {})
    for name in sorted({*planned, *done}):
        if name not in planned:
            yield f"{name}: is done and not planned"
        elif name not in done:
            yield f"{name}: is planned, and no run did it"
        else:
            for side in ("inputs", "outputs"):
                yield from _attributes(f"{name}, {side}", planned[name].get(side, {}), done[name].get(side, {}), align)


def _attributes(where: str, planned: Json, done: Json, align: Mapping[str, str]) -> Iterator[str]:
    planned = {align.get(name, name): about for name, about in planned.items()}
    # Runs before the alignment was in force have the former names: what one name has may stand under several.
    types: Dict[str, Set[Any]] = {}
    for name, about in done.items():
        types.setdefault(align.get(name, name), set()).add(about.get("dtype"))
    for name in sorted({*planned, *types}):
        # What is only planned is in the graph, too, but has no values and so no type.
        found = types.get(name, set()) - {None}
        if name not in planned:
            yield f"{where}: {name} is there and not planned"
        elif not found:
            yield f"{where}: {name} is planned, and no run had a value of it"
        else:
            wanted, reference = planned[name].get("dtype"), bool(planned[name].get("reference"))
            wrong = sorted(each for each in found if not _fits(wanted, each, reference))
            if wrong:
                yield f"{where}: {name} is {' and '.join(wrong)}, planned as {wanted}"


def _fits(wanted: Any, found: str, reference: bool) -> bool:
    """Whether values of a type are as planned; an integer is a number, too, and a reference is told as its text."""
    if wanted not in _KNOWN or wanted == found:
        return True
    return (wanted, found) == ("float", "integer") or (reference and found == "string")
