"""Documents on their way through a chain of commands: their statements can be read again and again, and need not be in memory."""

from __future__ import annotations

import tempfile
import weakref
from typing import IO, Callable, Dict, Iterable, Iterator, List, Optional, Tuple

from ..prov.model import KINDS, STANDARD_NAMESPACES, Attribute, Bundle, Document, Statement
from ..prov.normal import decode, encode

IN_MEMORY = 100_000
"""Statements that are kept in memory; the others are in a temporary file."""


class Kept:
    """The statements of a stream, which is read once, now."""

    def __init__(self, statements: Iterable[Statement]) -> None:
        self._first: List[Statement] = []
        self._file: Optional[IO[bytes]] = None
        for each in statements:
            if len(self._first) < IN_MEMORY:
                self._first.append(each)
            else:
                if self._file is None:
                    self._file = tempfile.TemporaryFile()  # noqa: SIM115 - closed with this
                    weakref.finalize(self, self._file.close)
                self._file.write(encode(each).encode("utf-8", "surrogatepass") + b"\n")

    def __iter__(self) -> Iterator[Statement]:
        yield from self._first
        if self._file is None:
            return
        self._file.flush()
        place = 0
        while True:
            self._file.seek(place)
            lines = self._file.readlines(1 << 20)
            place = self._file.tell()
            if not lines:
                return
            yield from (decode(line.decode("utf-8", "surrogatepass")) for line in lines)


class Again:
    """Statements that are made anew each time that they are read."""

    def __init__(self, make: Callable[[], Iterator[Statement]]) -> None:
        self._make = make

    def __iter__(self) -> Iterator[Statement]:
        return self._make()


Times = Tuple[Optional[str], ...]
Change = Callable[[Iterable[Statement]], Iterator[Statement]]


def changed(document: Document, change: Change, names: Callable[[str], str] = lambda iri: iri) -> Document:
    """A document of which all statements, in bundles too, went through a change.

    Args:
        names: new identifiers of bundles.
    """
    return Document(
        namespaces=dict(document.namespaces),
        statements=Again(lambda: change(document.statements)),
        bundles=[
            Bundle(names(each.id or ""), dict(each.namespaces), Again(lambda each=each: change(each.statements)))  # type: ignore[misc]
            for each in document.bundles
        ],
    )


def every(document: Document) -> Iterator[Statement]:
    """All statements of a document and its bundles."""
    for part in (document, *document.bundles):
        yield from part.statements


def merged(documents: Iterable[Document]) -> Document:
    """One document that says all that several say, each thing once; bundles of one identifier become one."""
    found = Document()
    parts: Dict[Optional[str], List[Iterable[Statement]]] = {None: []}
    for document in documents:
        for prefix, iri in document.namespaces.items():
            _declare(found.namespaces, prefix, iri)
        parts[None].append(document.statements)
        for bundle in document.bundles:
            for prefix, iri in bundle.namespaces.items():
                _declare(found.namespaces, prefix, iri)
            parts.setdefault(bundle.id, []).append(bundle.statements)
    found.statements = Again(lambda: distinct(each for part in parts[None] for each in part))
    found.bundles = [
        Bundle(name, {}, Again(lambda several=several: distinct(each for part in several for each in part)))  # type: ignore[misc]
        for name, several in parts.items()
        if name is not None
    ]
    return found


def _declare(namespaces: Dict[str, str], prefix: str, iri: str) -> None:
    """Adds a prefix; where it stands for something else already, under another name."""
    if iri in namespaces.values() or STANDARD_NAMESPACES.get(prefix) == iri:
        return
    wanted, number = prefix, 1
    while wanted in namespaces or wanted in STANDARD_NAMESPACES:
        number += 1
        wanted = f"{prefix or 'ns'}_{number}"
    namespaces[wanted] = iri


def distinct(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Statements without repetitions: each element once with all of its attributes, equal relations once.

    Relations that differ in a role or a time are different ones. What is said of one element with several times of beginning
    or end stays several statements.
    """
    elements: Dict[Tuple[str, Optional[str]], List[_Said]] = {}
    relations: Dict[Statement, None] = {}
    for each in statements:
        if not KINDS[each.kind].element:
            relations[each._replace(attributes=tuple(sorted(set(each.attributes), key=str)))] = None
        elif not any(said.joins(each) for said in elements.get((each.kind, each.id), ())):
            elements.setdefault((each.kind, each.id), []).append(_Said(each))
    for (kind, identifier), several in elements.items():
        for said in several:
            yield Statement(kind, identifier, said.times, tuple(said.attributes))
    yield from relations


class _Said:
    """What is said of an element by statements whose times go together."""

    __slots__ = ("attributes", "times")

    def __init__(self, first: Statement) -> None:
        self.times: Times = first.arguments
        self.attributes: Dict[Attribute, None] = dict.fromkeys(first.attributes)

    def joins(self, each: Statement) -> bool:
        """Adds another statement, if its times do not contradict these."""
        if each.arguments != self.times:
            pairs = list(zip(self.times, each.arguments))
            if any(one is not None and other is not None and one != other for one, other in pairs):
                return False
            self.times = tuple(one if one is not None else other for one, other in pairs)
        self.attributes.update(dict.fromkeys(each.attributes))
        return True
