"""``/v1/prov``: the whole store as one PROV document, and documents and bundles that were imported, as they were."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Annotated, Optional

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from pllib import prov
from pllib.prov.model import KINDS
from pllib.prov.normal import decode
from pllib.provml.vocabulary import PREFIXES, SPARQL_PREFIXES
from query_engine import models, whole_export
from query_engine.binding import Iri
from query_engine.descriptions import describe
from query_engine.errors import BadTerm, Busy, NotFound, QueryTimeout, TooLarge
from query_engine.exports import FORMATS, as_text, cannot_hold, chosen_name
from query_engine.models import ImportedDocument
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import Read, Reader, json_value

router = APIRouter(prefix="/v1", tags=["PROV documents"])

AT_ONCE = 4
"""Exports of the whole store that may go on side by side."""
MAX_SECONDS = 3600.0
MAX_STATEMENTS = 1_000_000
_BATCH = 1_000_000
"""Bytes of N-Triples converted at a time."""
_TEXTS = f"""{SPARQL_PREFIXES}SELECT ?part ?text WHERE {{
  VALUES ?part {{}} ?part provlake:statement ?text }} LIMIT {MAX_STATEMENTS + 1}"""
_PARTS = f"""{SPARQL_PREFIXES}SELECT ?part ?bundle WHERE {{
  VALUES ?document {{}} ?part provlake:bundleOf ?document ; provlake:bundle ?bundle }} ORDER BY ?bundle LIMIT 100000"""
_BUNDLES = f"""{SPARQL_PREFIXES}SELECT ?part ?bundle WHERE {{
  VALUES ?bundle {{}} ?part provlake:bundle ?bundle }} ORDER BY ?part LIMIT 100000"""
_DIGEST = re.compile(r"[0-9a-f]{64}")
_DOCUMENT = Query(
    alias="document",
    max_length=4000,
    description="Digest, id or IRI of an imported document; several make one. Without it and `bundle`: the whole store.",
)
_BUNDLE = Query(alias="bundle", max_length=16_000, description="IRI of a bundle of imported documents.")
_FORMAT = Query(description="Instead of an Accept header.", json_schema_extra={"enum": list(FORMATS)})


@router.get(
    "/prov",
    responses={
        200: {"content": {form.media_type: {} for form in FORMATS.values()}},
        404: {"description": "No such document or bundle."},
        406: {"description": "The format cannot hold it; the message says what."},
        413: {"description": f"Documents of more than {MAX_STATEMENTS:,} statements together."},
        503: {"description": f"{AT_ONCE} exports of the whole store go on already."},
    },
)
async def export(
    request: Request,
    read: Read,
    documents: Annotated[Optional[list[str]], _DOCUMENT] = None,
    bundles: Annotated[Optional[list[str]], _BUNDLE] = None,
    format: Annotated[Optional[str], _FORMAT] = None,
) -> Response:
    """The whole store as one PROV document, as it is when the answer begins; or imported documents or bundles, as they were."""
    name = chosen_name(format, request.headers.get("accept"))
    if documents or bundles:
        return await _export_imported(request, read, name, documents or [], bundles or [])
    turns: asyncio.Semaphore = request.app.state.whole_exports
    if turns.locked():
        raise Busy(f"{AT_ONCE} exports of the whole store go on already", field="format")
    await turns.acquire()
    chunks = _whole(read, _own_name(name), request.app.state.settings.base, turns.release)
    try:
        first = await _first(chunks)  # what fails at once has a status of its own
    except prov.DocumentError as error:
        raise cannot_hold(name, error) from error
    return StreamingResponse(_after(first, chunks), media_type=FORMATS[name].media_type, headers={"Vary": "Accept"})


@router.get("/prov/documents")
async def list_documents(
    request: Request, read: Read, limit: Limit = 50, cursor: CursorParameter = None
) -> models.Page[ImportedDocument]:
    """PROV documents that were imported."""
    listing = Listing("?item a provlake:ImportedDocument .")
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    said = await describe(read.store, items, ("rdfs:label", "provlake:sha256", "provlake:statements"))
    parts = await read.store.select(_PARTS, document=[Iri(iri) for iri in items]) if items else []
    inside = {iri: [row["bundle"].value for row in parts if row["part"].value.startswith(f"{iri}/")] for iri in items}
    found = [
        ImportedDocument(
            id=read.names.id(iri),
            iri=iri,
            labels=[term.value for term in each.all("rdfs:label")],
            sha256=each.text("provlake:sha256"),
            statements=json_value(each, "provlake:statements"),
            bundles=inside[iri],
        )
        for iri, each in said.items()
    ]
    return models.Page(items=found, next=following)


# -- imported documents


async def _export_imported(
    request: Request, read: Reader, name: str, documents: list[str], bundles: list[str]
) -> Response:
    parts: dict[str, Optional[str]] = {_document_iri(read, each): None for each in documents}
    known = await describe(read.store, list(parts), ("provlake:sha256",))
    missing = next((iri for iri, said in known.items() if not said), None)
    if missing is not None:
        raise NotFound(f"there is no imported document {read.names.id(missing)!r}", field="document")
    rows = await read.store.select(_PARTS, document=[Iri(iri) for iri in parts]) if parts else []
    for each in bundles:
        found = await read.store.select(_BUNDLES, bundle=_iri(each, "bundle"))
        if not found:
            raise NotFound(f"no imported document has a bundle {each[:500]!r}", field="bundle")
        rows += found
    parts |= {row["part"].value: row["bundle"].value for row in rows}
    texts = await read.store.select(_TEXTS, part=[Iri(iri) for iri in parts])
    if len(texts) > MAX_STATEMENTS:
        fix = "Export the documents one by one, or the whole store."
        raise TooLarge(f"there are more than {MAX_STATEMENTS:,} statements", field="document", fix=fix)
    said = [(parts[row["part"].value], row["text"].value) for row in texts]
    order = list(dict.fromkeys(parts.values()))
    async with request.app.state.conversions:
        try:
            text = await asyncio.to_thread(_written, order, said, _own_name(name), request.app.state.settings.base)
        except prov.DocumentError as error:
            raise cannot_hold(name, error) from error
    return Response(text, media_type=FORMATS[name].media_type, headers={"Vary": "Accept"})


def _document_iri(read: Reader, name: str) -> str:
    if _DIGEST.fullmatch(name):
        return read.names.iri(f"document/{name}").value
    return (read.names.iri(name) if name.startswith("document/") else _iri(name, "document")).value


def _iri(text: str, field: str) -> Iri:
    try:
        return Iri(text)
    except BadTerm as error:
        raise BadTerm(error.message, field=field) from error


def _written(order: Iterable[Optional[str]], said: list[tuple[Optional[str], str]], name: str, base: str) -> bytes:
    inside: dict[Optional[str], list[str]] = {None: [], **{bundle: [] for bundle in order}}
    for bundle, text in said:
        inside[bundle].append(text)
    document = prov.Document(namespaces={**PREFIXES, "id": base}, statements=_statements(inside.pop(None)))
    document.bundles = [prov.Bundle(bundle, statements=_statements(texts)) for bundle, texts in inside.items()]
    return as_text(document, name).encode()


def _statements(texts: Iterable[str]) -> list[prov.Statement]:
    """In a fixed order, each once, whichever documents said it: elements before relations, as people write them."""
    found = (decode(text) for text in sorted(set(texts)))
    return sorted(found, key=lambda each: _ORDER[each.kind])


_ORDER = {kind: index for index, kind in enumerate(KINDS)}


# -- the whole store


async def _whole(read: Reader, name: str, base: str, release: Callable[[], None]) -> AsyncGenerator[str, None]:
    exported = whole_export.export(name, base)
    until = time.monotonic() + MAX_SECONDS
    try:
        async with aclosing(read.store.dump()) as dump:
            async for lines in _lines(dump):
                text = await asyncio.to_thread(exported.feed, lines)
                if time.monotonic() > until:
                    raise QueryTimeout(f"the export took longer than {MAX_SECONDS:g} s")
                if text:
                    yield text
        for text in exported.finish():
            yield text
    finally:
        exported.close()
        release()


async def _lines(chunks: AsyncIterator[bytes]) -> AsyncIterator[list[str]]:
    """Whole lines, very many at a time."""
    kept: list[bytes] = []
    size = 0
    async for chunk in chunks:
        kept.append(chunk)
        size += len(chunk)
        if size >= _BATCH:
            whole, _, rest = b"".join(kept).rpartition(b"\n")
            kept, size = [rest], len(rest)
            yield whole.decode().split("\n")
    yield b"".join(kept).decode().split("\n")


async def _first(texts: AsyncIterator[str]) -> str:
    async for text in texts:
        return text
    return ""


async def _after(first: str, rest: AsyncGenerator[str, None]) -> AsyncIterator[str]:
    async with aclosing(rest):
        yield first
        async for text in rest:
            yield text


def _own_name(name: str) -> str:
    """The name of a format in ``pllib.prov``."""
    return name.removeprefix("prov-")
