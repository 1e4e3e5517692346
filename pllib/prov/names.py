"""Between full IRIs and the short names that documents use."""

from __future__ import annotations

import re
from itertools import count
from typing import Dict, Iterable, Iterator, Mapping, Optional, Pattern, Tuple

from .errors import DocumentError
from .model import KINDS, STANDARD_NAMESPACES, Bundle, Document, Literal, Ref, Statement

BLANK = "_:"
GENID = "https://w3id.org/pllib/.well-known/genid/"
"""What blank identifiers begin with in PROV-N and PROV-XML, which have none (RDF 1.1, section 3.5)."""
_REMEMBERED = 100_000
"""Names that are kept at a time, so that a document of any length can be written in bounded memory."""
_SPLIT = re.compile(r"(?s)(.*[#/:])([^#/:]*)")
_LAST_PART = re.compile(r"(?s)(.*[#/:=&?])(.+)")
_ESCAPE = re.compile(r"_x([0-9A-CEF][0-9A-F]{3}|D[0-7][0-9A-F]{2}|[1-9A-F][0-9A-F]{4}|10[0-9A-F]{4})_")
_IN_ESCAPE = re.compile(r".?%|%.", re.DOTALL)
"""The end of an IRI that is cut within ``%2F``; what remains is none."""
_PREFIX = re.compile(r"[A-Za-z][A-Za-z0-9_.\-]*")


class Names:
    """The namespaces in force in a document or bundle.

    Args:
        declared: prefix to IRI; the empty prefix is the default namespace.
        outer: the namespaces of the document around a bundle.
        local: what a local name may be in the format; anything, without it.
        escapes: IRIs that end in no local name get an escape so that they do; else their local name is empty.

    Raises:
        DocumentError: a prefix is none, or a standard one stands for something else.
    """

    def __init__(
        self,
        declared: Mapping[str, str],
        outer: Optional[Names] = None,
        local: Optional[Pattern[str]] = None,
        escapes: bool = False,
    ) -> None:
        self._local = local
        self._end = re.compile(rf"(?:{local.pattern})\Z") if local is not None and escapes else None
        self.declared: Dict[str, str] = dict(declared)
        for prefix, iri in self.declared.items():
            if prefix and not _PREFIX.fullmatch(prefix):
                raise DocumentError(f"{prefix[:100]!r} is no prefix: begin with a letter", "prefix")
            if prefix == "prov" and iri != STANDARD_NAMESPACES["prov"]:
                raise DocumentError(f"prov stands for {STANDARD_NAMESPACES['prov']}, not for {iri[:200]!r}", "prefix")
        inherited = outer.all if outer is not None else dict(STANDARD_NAMESPACES)
        self.all: Dict[str, str] = {**inherited, **self.declared}
        self._prefixes = {iri: prefix for prefix, iri in self.all.items() if iri}
        self._short: Dict[str, Tuple[str, str]] = {}
        self._numbers = count(1)

    def expand(self, name: str, where: Optional[str] = None) -> str:
        """The full IRI of a short name; blank ids (``_:x``) and names whose prefix is a scheme stay as they are.

        Raises:
            DocumentError: the prefix is not declared.
        """
        prefix, colon, local = name.partition(":")
        if not colon:
            prefix, local = "", name
        iri = self.all.get(prefix)
        if iri is not None:
            return unnamed(iri + local)
        if name.startswith(BLANK) or (colon and local.startswith("//")) or prefix == "urn":
            return name
        told = f"the prefix {prefix[:100]!r} is not declared" if colon else "there is no default namespace"
        raise DocumentError(f"{told}; {name[:200]!r} cannot be read", where)

    def shorten(self, iri: str) -> Tuple[str, str]:
        """Prefix and local name; a namespace that is not declared yet gets a prefix (``ns1``, …), which is declared.

        A blank id has the prefix ``_``.
        """
        found = self._short.get(iri)
        if found is None:
            if len(self._short) >= _REMEMBERED:
                self._short.clear()
            found = self._short[iri] = self._shortened(iri)
        return found

    def short(self, iri: str) -> str:
        """The short name as one text; of the default namespace the bare local name."""
        prefix, local = self.shorten(iri)
        return f"{prefix}:{local}" if prefix else local

    def _shortened(self, iri: str) -> Tuple[str, str]:
        if iri.startswith(BLANK):
            if self._local is None:
                return "_", iri[len(BLANK) :]
            iri = GENID + iri[len(BLANK) :]
        if self._local is not None and self._end is not None and not _has_end(iri, self._end):
            iri = _with_end(iri, self._local)
        for space in _beginnings(iri):
            prefix = self._prefixes.get(space)
            if prefix is not None and self._fits(prefix, iri[len(space) :]):
                return prefix, iri[len(space) :]
        space = self._new_space(iri)
        prefix = next(name for name in (f"ns{number}" for number in self._numbers) if name not in self.all)
        self.declared[prefix] = self.all[prefix] = space
        self._prefixes[space] = prefix
        return prefix, iri[len(space) :]

    def _fits(self, prefix: str, local: str) -> bool:
        if self._local is not None:
            return self._local.fullmatch(local) is not None
        return bool(prefix) or ":" not in local

    def _new_space(self, iri: str) -> str:
        """A namespace for an IRI that none of the declared ones fits."""
        split = _SPLIT.fullmatch(iri)
        if split and self._fits("ns", split[2]):
            return split[1]
        ends = (end for end in range(len(iri) + 1) if not _IN_ESCAPE.fullmatch(iri[max(end - 2, 0) : end]))
        return next((iri[:end] for end in ends if self._fits("ns", iri[end:])), iri)


def _has_end(iri: str, end: Pattern[str]) -> bool:
    """Whether an IRI ends in a local name that is cut off at no ``%2F``, and none of it looks like an escape."""
    found = None if _ESCAPE.search(iri) else end.search(iri)
    while found is not None and _IN_ESCAPE.fullmatch(iri[max(found.start() - 2, 0) : found.start()]):
        found = end.search(iri, found.start() + 1)
    return found is not None


def _with_end(iri: str, local: Pattern[str]) -> str:
    """An IRI none of whose ends is a local name, with an escape (``_x0031_`` for ``1``) so that one is.

    XML can write no IRI that ends in ``/1`` in any other way.
    """
    iri = _ESCAPE.sub(lambda found: f"_x005F_{found[0][1:]}", iri)
    split = _LAST_PART.fullmatch(iri)
    start = len(iri) - (3 if iri[-3:-2] == "%" else 1)
    if split is not None and local.fullmatch("_" + split[2]):
        start = len(split[1])
    if local.fullmatch(iri[start:]):
        return iri
    return f"{iri[:start]}_x{ord(iri[start]):04X}_{iri[start + 1 :]}"


def without_escapes(iri: str) -> str:
    """What an IRI was before escapes were put into it."""
    return _ESCAPE.sub(lambda found: chr(int(found[1], 16)), iri) if "_x" in iri else iri


def unnamed(iri: str) -> str:
    """The blank identifier that an IRI stands for; another IRI as it is."""
    return BLANK + iri[len(GENID) :] if iri.startswith(GENID) else iri


def _beginnings(iri: str) -> Iterator[str]:
    """What may be the namespace of an IRI, longest first."""
    return (iri[:end] for end in range(len(iri), 0, -1))


def iris_of(statements: Iterable[Statement]) -> Iterator[str]:
    """Every IRI that a format must name, in order, with repetitions."""
    for each in statements:
        if each.id is not None:
            yield each.id
        times = KINDS[each.kind].times
        yield from (value for index, value in enumerate(each.arguments) if value is not None and index not in times)
        for name, value in each.attributes:
            yield name
            if isinstance(value, Ref):
                yield value.iri
            elif isinstance(value, Literal):
                yield value.datatype


def names_of(
    bundle: Bundle, outer: Optional[Names] = None, local: Optional[Pattern[str]] = None, escapes: bool = False
) -> Names:
    """The namespaces of a document or bundle with prefixes for all IRIs in it. Its statements are read once."""
    names = Names(bundle.namespaces, outer, local, escapes)
    for iri in iris_of(bundle.statements):
        names.shorten(iri)
    return names


def all_names(document: Document) -> Names:
    """The namespaces of a document and of all its bundles, for telling people of its statements."""
    names = Names(document.namespaces)
    for bundle in document.bundles:
        for prefix, iri in bundle.namespaces.items():
            names.all.setdefault(prefix, iri)
    return names
