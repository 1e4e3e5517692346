"""A request body to one group of triples, or to what is wrong with each of its documents: pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from .documents import decode, split
from .errors import DocumentError
from .triples import Converter, Triples, joined


class Group(NamedTuple):
    """What a body holds.

    Attributes:
        documents: how many documents there are.
        triples: what they say; meant for the store only if there are no errors.
        errors: for each document that is refused its index and the reason.
    """

    documents: int
    triples: Triples
    errors: list[tuple[int, DocumentError]]


def read_group(body: bytes, converter: Converter) -> Group:
    """Decodes, checks and converts the documents of a body.

    Raises:
        RequestError: the body as a whole is none (400), or has an unknown version (409).
    """
    blocks: list[str] = []
    errors: list[tuple[int, DocumentError]] = []
    raws = split(body)
    for index, raw in enumerate(raws):
        try:
            blocks += _blocks(raw, converter)
        except DocumentError as error:
            errors.append((index, error))
    return Group(len(raws), joined(()) if errors else joined(blocks), errors)


def _blocks(raw: msgspec.Raw, converter: Converter) -> list[str]:
    try:
        return converter.blocks(decode(raw))
    except RecursionError as error:  # structures that can be read, but not printed
        raise DocumentError("", "a structure is nested too deeply", "nest at most 64 levels") from error
