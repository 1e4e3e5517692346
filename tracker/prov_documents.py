"""PROV documents as entries of the work queue. Pure functions; ``prov_routes`` calls them beside the event loop.

A document goes to the manager in normal form (``pllib.prov.normal``), as texts of statements, in groups that are each as
good as any other: every group says what document it is of, so they may come in any order and any number of times.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

import msgspec
import pyoxigraph

from edge.errors import RequestError
from pllib import prov
from pllib.prov.forms import by_name, decoded
from pllib.prov.model import KINDS, LANGUAGE
from pllib.prov.names import BLANK, all_names, iris_of
from pllib.prov.normal import Part
from pllib.prov.provn import expression
from pllib.provml.vocabulary import MLS, PROV, PROVLAKE, PROVML, RDF, RDFS, XSD

from .queue import NewEntry

MAX_STATEMENTS = 500_000
MAX_TEXT_BYTES = 1_000_000
MAX_STATEMENT = 4_000_000
"""Characters of a statement as text."""
MAX_IRI = 4_000
GROUP_STATEMENTS = 1_000
GROUP_BYTES = 500_000
MAX_TOLD = 100
"""Violations in an answer."""

_VOCABULARIES = (PROV, PROVLAKE, PROVML, MLS, RDF, RDFS, XSD, "http://www.w3.org/2002/07/owl#")
_ANY = ("", "application/octet-stream", "application/x-www-form-urlencoded", "text/plain", "application/json")
"""Media types that leave open what a document is; the content says it."""
_BY_MEDIA_TYPE = {
    **{form.media_type: name for name, form in prov.FORMATS.items() if form.read},
    **dict.fromkeys(_ANY, None),
    **dict.fromkeys(("application/xml", "text/xml", "application/x-trig"), None),
    **dict.fromkeys(("application/turtle", "application/x-turtle"), "ttl"),
}
_encoder = msgspec.json.Encoder()


class Imported(NamedTuple):
    """A document on its way into the store.

    Args:
        digest: what names it.
        format: what it was read as.
        statements: how many different ones it has.
        bundles: how many bundles.
        entries: for the queue.
    """

    digest: str
    format: str
    statements: int
    bundles: int
    entries: list[NewEntry]


def format_of(asked: str | None, content_type: str, body: bytes) -> str:
    """The name of a document's format: what was asked for, else by media type, else by content.

    Raises:
        RequestError: 415 for a media type that is none of a PROV document's, 400 where nothing says it.
    """
    try:
        if asked is not None:
            form = by_name(asked)
        else:
            media_type = content_type.partition(";")[0].strip().lower()
            if media_type not in _BY_MEDIA_TYPE:
                known = ", ".join(sorted({form.media_type for form in prov.FORMATS.values() if form.read}))
                told = f"{media_type[:100]!r} is no media type of a PROV document"
                raise RequestError(415, "unknown_media_type", told, field="Content-Type", fix=f"send one of {known}")
            name = _BY_MEDIA_TYPE[media_type]
            form = prov.FORMATS[name] if name else prov.detect(decoded(body))
    except prov.DocumentError as error:
        raise _unreadable(error, "format") from error
    if form.read is None:
        told = f"{form.name} ({form.title}) is written only"
        raise RequestError(415, "unknown_media_type", told, field="format", fix="send a PROV document")
    return form.name


def read(body: bytes, format: str) -> prov.Document:
    """The document in a body.

    Raises:
        RequestError: 400 when it is none, 413 when it says too much, 422 when the store could not hold it, or it speaks
            of what is no document's to change.
    """
    try:
        document = prov.read(body, format)
    except prov.DocumentError as error:
        raise _unreadable(error, format) from error
    bundles = [document, *document.bundles]
    count = sum(len(list(bundle.statements)) for bundle in bundles)
    if count > MAX_STATEMENTS:
        told = f"{count} statements; the most in one document is {MAX_STATEMENTS}"
        raise RequestError(413, "too_many_statements", told, fix="send it in several documents")
    for bundle in bundles:
        if bundle.id is not None:
            _check_iri(bundle.id, "bundle")
        for each in bundle.statements:
            _check(each)
    return document


def _unreadable(error: prov.DocumentError, format: str) -> RequestError:
    fix = "see whether `pllib prov validate` reads it; ?format= says what it is where the content does not"
    return RequestError(400, "bad_document", f"this is no document ({format}): {error}", field=error.where, fix=fix)


# -- what a store can hold


def _check(each: prov.Statement) -> None:
    where = each.id or next((iri for iri in each.arguments if iri), None) or each.kind
    for iri in iris_of((each,)):
        _check_iri(iri, f"{each.kind}({where[:200]})")
    subject = each.id if KINDS[each.kind].element else each.arguments[0]
    for about in (each.id, subject):
        if about is not None and about.startswith(_VOCABULARIES):
            told = f"{about[:200]} is a term of the vocabulary: a document may use it and say nothing of it"
            raise RequestError(422, "vocabulary", told, field=each.kind, fix="give what you mean an IRI of your own")
    for name, value in each.attributes:
        if isinstance(value, prov.Literal):
            _check_literal(value, f"{each.kind}({where[:200]}): {name[:200]}")


def _check_iri(iri: str, where: str) -> None:
    told = _wrong_iri(iri)
    if told:
        fix = "write names with a declared prefix, or absolute IRIs; percent-encode what an IRI cannot hold"
        raise RequestError(422, "bad_iri", f"{iri[:200]!r} is no IRI: {told}", field=where, fix=fix)


@lru_cache(maxsize=100_000)
def _wrong_iri(iri: str) -> str:
    """Why a text is no IRI for the store; empty when it is one, or a blank identifier."""
    if len(iri) > MAX_IRI:
        return f"it has more than {MAX_IRI} characters"
    if iri.startswith(BLANK):
        return ""
    try:
        pyoxigraph.NamedNode(iri)
    except ValueError as error:
        return str(error)
    return ""


def _check_literal(value: prov.Literal, where: str) -> None:
    if value.lang is not None and not LANGUAGE.fullmatch(value.lang):
        told = f"{value.lang[:50]!r} is no language"
        raise RequestError(422, "bad_language", told, field=where, fix="write a tag such as en or pt-BR")
    if len(value.text) > MAX_TEXT_BYTES // 4 and len(value.text.encode()) > MAX_TEXT_BYTES:
        told = f"a text of more than {MAX_TEXT_BYTES} bytes"
        raise RequestError(422, "too_long", told, field=where, fix="refer to a file that holds it")


# -- entries


def imported(document: prov.Document, format: str, name: str | None) -> Imported:
    """A document as entries for the queue.

    Args:
        name: what people call it.

    Raises:
        RequestError: 422 when a statement is too long.
    """
    digest, parts = prov.normal(document)
    for part in parts:
        for text in part.texts:
            if len(text) > MAX_STATEMENT:
                told = f"a statement of more than {MAX_STATEMENT} characters: {text[:100]}…"
                raise RequestError(422, "too_long", told, field=part.bundle, fix="give it fewer or shorter attributes")
    count = sum(len(part.texts) for part in parts)
    about = {"document": digest, "count": count} | ({"label": name} if name else {})
    bodies = [
        _encoder.encode({"statements": [{**about, **inside, "texts": texts}]})
        for part in parts
        for inside in ({} if part.bundle is None else {"bundle": part.bundle},)
        for texts in _groups(part)
    ]
    entries = [NewEntry(f"{digest}/{index}", body) for index, body in enumerate(bodies)]
    return Imported(digest, format, count, len(parts) - 1, entries)


def _groups(part: Part) -> Iterator[list[str]]:
    """The texts of a part in groups; one group, perhaps of none, at least."""
    group: list[str] = []
    size = 0
    for text in part.texts:
        if len(group) >= GROUP_STATEMENTS or size + len(text) > GROUP_BYTES:
            if group:
                yield group
            group, size = [], 0
        group.append(text)
        size += len(text)
    yield group


# -- what is told


def told(violations: Iterable[prov.Violation], document: prov.Document) -> list[dict[str, object]]:
    """Violations as JSON, statements in PROV-N; the first of very many."""
    names = all_names(document)
    return [
        {
            "constraint": each.constraint,
            "name": each.name,
            "message": each.message,
            "bundle": each.bundle,
            "statements": [expression(one, names) for one in each.statements[:MAX_TOLD]],
        }
        for each, _ in zip(violations, range(MAX_TOLD), strict=False)
    ]
