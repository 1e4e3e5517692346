"""Between IRIs, the ids that REST answers show, and the names people gave."""

from __future__ import annotations

from typing import Optional
from urllib.parse import unquote

from pllib.provml import iris
from pllib.provml.vocabulary import PREFIXES, PROVLAKE, PROVML
from query_engine.binding import Iri
from query_engine.errors import BadParameter, BadTerm, NotFound
from query_engine.graphs import curie


class Names:
    """Ids under one base."""

    def __init__(self, base: str) -> None:
        self.base = base

    def iri(self, identifier: str) -> Iri:
        """The IRI of an id.

        Raises:
            NotFound: it has not the form of an id, so there is nothing of that name.
        """
        try:
            return Iri(iris.iri(self.base, identifier))
        except (ValueError, BadTerm) as error:
            raise NotFound(f"there is nothing with the id {identifier[:200]!r}") from error

    def any_iri(self, name: str) -> Iri:
        """The IRI of an id, or of a resource that is not under the base and goes by its IRI.

        Raises:
            NotFound: it is neither.
        """
        if iris.is_id(name):
            return self.iri(name)
        try:
            return Iri(name)
        except BadTerm as error:
            raise NotFound(f"there is nothing with the id {name[:200]!r}") from error

    def id(self, iri: str) -> str:
        """The id of an IRI under the base; other IRIs as they are."""
        return iri[len(self.base) :] if self.own(iri) else iri

    def own(self, iri: str) -> bool:
        """Whether the IRI is under the base."""
        return iri.startswith(self.base) and iris.is_id(iri[len(self.base) :])

    def name(self, iri: str) -> str:
        """The name in the last segment of an id: of a workflow, transformation, attribute, store, study or person."""
        return plain(self.id(iri).rpartition("/")[2])


def plain(segment: str) -> str:
    """What a percent-encoded segment says, for people."""
    return unquote(segment, errors="replace")


def canonical(segment: str) -> str:
    """A path segment as a client wrote it, encoded as ids are: ``a:b`` and ``a%3ab`` are ``a%3Ab``."""
    return iris.encode(unquote(segment, errors="surrogateescape"))


def classes(name: str) -> list[Iri]:
    """The classes that a ``type`` parameter may mean: a CURIE, an IRI, or a name in PROVLake or PROV-ML.

    Raises:
        BadParameter: it is none of these.
    """
    prefix, colon, local = name.partition(":")
    candidates = [name] if colon else [PROVLAKE + name, PROVML + name]
    if prefix in PREFIXES and colon:
        candidates = [PREFIXES[prefix] + local]
    try:
        return [Iri(candidate) for candidate in candidates]
    except BadTerm as error:
        raise BadParameter(f"not a class: {name[:200]!r}", field="type") from error


def short(iri: str) -> str:
    """An IRI of a known vocabulary as a CURIE; others as they are."""
    return curie(iri) or iri


def short_or_none(iri: Optional[str]) -> Optional[str]:
    return None if iri is None else short(iri)
