"""Whether two documents say the same."""

from __future__ import annotations

from collections import Counter
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

from .model import KINDS, Bundle, Document, Statement
from .times import instant


class Difference(NamedTuple):
    """A statement that only one of two documents has; ``bundle`` is where it stands."""

    side: str
    statement: Statement
    bundle: Optional[str]


def differences(left: Document, right: Document) -> List[Difference]:
    """The statements that only one has, with ``<`` for the first and ``>`` for the second; none when both say the same.

    The order of statements and of attributes, prefixes and the way a time is written make no difference.
    """
    return list(_differences(left, right))


def _differences(left: Document, right: Document) -> Iterator[Difference]:
    ours, theirs = _told(left), _told(right)
    for bundle in dict.fromkeys((*ours, *theirs)):
        mine, other = ours.get(bundle, Counter()), theirs.get(bundle, Counter())
        examples = {**_examples(left, bundle), **_examples(right, bundle)}
        for side, found in (("<", mine - other), (">", other - mine)):
            for key in found.elements():
                yield Difference(side, examples[key], bundle)


Key = Tuple[Any, ...]


def _told(document: Document) -> Dict[Optional[str], Counter[Key]]:
    found: Dict[Optional[str], Counter[Key]] = {}
    for bundle in _bundles(document):
        found.setdefault(bundle.id, Counter()).update(_key(each) for each in bundle.statements)
    return found


def _examples(document: Document, bundle: Optional[str]) -> Dict[Key, Statement]:
    return {_key(each): each for one in _bundles(document) if one.id == bundle for each in one.statements}


def _bundles(document: Document) -> Iterator[Bundle]:
    yield document
    yield from document.bundles


def _key(each: Statement) -> Key:
    times = KINDS[each.kind].times
    arguments = tuple(
        instant(value) if value is not None and index in times else value for index, value in enumerate(each.arguments)
    )
    attributes = frozenset(each.attributes)
    return each.kind, each.id, arguments, attributes
