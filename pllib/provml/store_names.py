"""Names of data stores that were moved or renamed: what follows from the statements that two names are of one store.

Identity rule 10 (``docs/reference/identity.md``): the relation is symmetric and transitive. Names are taken as they come,
plain or as in ids; all of one call in the same form.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Set, Tuple


def other_names(pairs: Iterable[Tuple[str, str]]) -> Dict[str, List[str]]:
    """Name of a store → all its other names, sorted; stores with one name only are left out."""
    near: Dict[str, Set[str]] = {}
    for one, other in pairs:
        near.setdefault(one, set()).add(other)
        near.setdefault(other, set()).add(one)
    found: Dict[str, List[str]] = {}
    for start in near:
        if start not in found:
            group = sorted(_reached(start, near))
            if len(group) > 1:
                found.update((name, [other for other in group if other != name]) for name in group)
    return found


def _reached(start: str, near: Dict[str, Set[str]]) -> Set[str]:
    found: Set[str] = set()
    left = [start]
    while left:
        name = left.pop()
        if name not in found:
            found.add(name)
            left.extend(near[name])
    return found
