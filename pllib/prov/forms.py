"""The formats of PROV documents in one table, and reading and writing by path, name or content."""

from __future__ import annotations

import os
import re
from functools import partial
from typing import Callable, Dict, NamedTuple, Optional, TextIO, Tuple, Union

from ..whole_file import whole_file
from . import dot, json_form, jsonld_form, provn, provn_reader, rdf, rdf_reader, svg, xml_form
from .errors import DocumentError
from .model import Document

Source = Union[str, bytes, "os.PathLike[str]"]
Reader = Callable[[str], Document]
Writer = Callable[[Document, TextIO], None]


class Format(NamedTuple):
    """One format.

    Attributes:
        name: what it is called in calls and on the command line.
        title: what it is.
        endings: of file names; the first is the usual one.
        media_type: for HTTP.
        read: from a text; ``None`` where it is only written.
        write: to a text stream; ``None`` where it is only read.
    """

    name: str
    title: str
    endings: Tuple[str, ...]
    media_type: str
    read: Optional[Reader]
    write: Optional[Writer]


def _rdf(name: str) -> Reader:
    return lambda text: rdf_reader.read(text, name)


def _read_json_ld(text: str) -> Document:
    """PROV-JSONLD, or any other JSON-LD that says PROV-O with a context of its own."""
    return jsonld_form.read(text) if jsonld_form.CONTEXT in text else rdf_reader.read(text, "jsonld")


_TTL, _NT = rdf.write_turtle, rdf.write_ntriples
FORMATS: Dict[str, Format] = {
    each.name: each
    for each in (
        Format("provn", "PROV-N", (".provn",), "text/provenance-notation", provn_reader.read, provn.write),
        Format("json", "PROV-JSON", (".json", ".provjson"), "application/json", json_form.read, json_form.write),
        Format("jsonld", "PROV-JSONLD", (".jsonld",), "application/ld+json", _read_json_ld, jsonld_form.write),
        Format("xml", "PROV-XML", (".xml", ".provx"), "application/provenance+xml", xml_form.read, xml_form.write),
        Format("ttl", "PROV-O as Turtle", (".ttl",), "text/turtle", _rdf("ttl"), rdf.write_graph),
        Format("trig", "PROV-O as TriG", (".trig",), "application/trig", _rdf("trig"), _TTL),
        Format("nt", "PROV-O as N-Triples", (".nt",), "application/n-triples", _rdf("nt"), _NT),
        Format("nq", "PROV-O as N-Quads", (".nq",), "application/n-quads", _rdf("nq"), None),
        Format("rdf", "PROV-O as RDF/XML", (".rdf", ".owl"), "application/rdf+xml", _rdf("rdf"), None),
        Format("dot", "a drawing, for Graphviz", (".dot", ".gv"), "text/vnd.graphviz", None, dot.write),
        Format("svg", "a drawing", (".svg",), "image/svg+xml", None, svg.write),
    )
}
VALID_XML = FORMATS["xml"]._replace(write=partial(xml_form.write, escapes=True))
"""PROV-XML whose names all hold to the XSD (see ``xml_form.write``)."""
READ = [name for name, form in FORMATS.items() if form.read]
WRITTEN = [name for name, form in FORMATS.items() if form.write]
_ENDINGS = {ending: each for each in FORMATS.values() for ending in each.endings}
_COMMENTS = re.compile(r"(?:\s+|//[^\n]*\n|/\*.*?\*/)*", re.DOTALL)
_RDF_LINE = re.compile(r"(?:\s+|#[^\n]*\n)*(?:<[^<>\s]+>|_:\S+)\s+<[^<>\s]+>\s")
_TURTLE = re.compile(r"(?:\s+|#[^\n]*\n)*(?:@prefix|@base|prefix|base|graph)\b", re.IGNORECASE)
_RDF_XML = re.compile(r"<(?:[\w.\-]+:)?RDF[\s>]")
_ENCODING = re.compile(rb"<\?xml[^>]{0,100}encoding\s*=\s*[\"']([A-Za-z0-9._\-]{1,40})[\"']")


def by_name(name: str) -> Format:
    """A format by its name, also with ``prov-`` before it.

    Raises:
        DocumentError: there is none.
    """
    found = FORMATS.get(name[len("prov-") :] if name.startswith("prov-") else name)
    if found is None:
        raise DocumentError(f"no format is called {name[:100]!r}; there are {', '.join(FORMATS)}", "format")
    return found


def read(source: Source, format: Optional[str] = None) -> Document:
    """The document in a file, a text or bytes.

    Args:
        source: a path; or a text, known by its first character or by having several lines; or bytes of UTF-8 (of XML
            also those of the encoding that it declares).
        format: a name of ``FORMATS``; without it the ending of the path says it, and then the content.

    Raises:
        DocumentError: there is no such file, or it holds no such document.
    """
    path = None
    if isinstance(source, str) and _is_text(source):
        text = source
    else:
        path = None if isinstance(source, bytes) else os.fspath(source)
        text = decoded(source if isinstance(source, bytes) else content_of(str(path)))
    text = text[1:] if text.startswith("\ufeff") else text
    if "\0" in text:
        raise DocumentError("this is no text: it holds a NUL character", path)
    chosen = by_name(format) if format is not None else by_ending(path, text) or detect(text)
    if chosen.read is None:
        raise DocumentError(f"{chosen.name} ({chosen.title}) is written only", path)
    try:
        return chosen.read(text)
    except DocumentError as error:
        if path is None:
            raise
        raise DocumentError(str(error), path) from error


def detect(text: str) -> Format:
    """The format of a text, by how it begins.

    Raises:
        DocumentError: it looks like none.
    """
    rest = text[_end_of_comments(text) :]
    if rest[:1] in ("{", "["):
        return FORMATS["jsonld" if '"@context"' in rest or '"@graph"' in rest else "json"]
    if rest.startswith("document"):
        return FORMATS["provn"]
    if _RDF_LINE.match(text):
        return FORMATS["nq"]
    if _TURTLE.match(text):
        return FORMATS["trig"]
    if rest.startswith("<"):
        return FORMATS["rdf" if _RDF_XML.search(rest[:10_000]) else "xml"]
    raise DocumentError(f"this looks like none of {', '.join(READ)}; say which it is", "format")


def write(
    document: Document, out: Union[TextIO, os.PathLike[str], str], format: Union[str, Format, None] = None
) -> None:
    """Writes a document to a stream or a file.

    A file is put in place when it is whole; one that was there stays as it is until then.

    Args:
        format: a name of ``FORMATS``, or a format itself; of a path the ending says it.

    Raises:
        DocumentError: the format is not known, or cannot hold the document; the message says why.
        OSError: the file cannot be written.
    """
    path = os.fspath(out) if isinstance(out, (str, os.PathLike)) else None
    chosen = format if isinstance(format, Format) else by_name(format) if format is not None else by_ending(path)
    if chosen is None:
        raise DocumentError(f"say the format: one of {', '.join(WRITTEN)}", path)
    if chosen.write is None:
        raise DocumentError(f"{chosen.name} ({chosen.title}) is read only", path)
    try:
        if path is None:
            chosen.write(document, out)  # type: ignore[arg-type]  # no path: a stream
        else:
            _write_file(document, chosen.write, path)
    except UnicodeEncodeError as error:
        raise DocumentError(f"a text holds half of a surrogate pair, which no file can hold: {error}", path) from error


def _write_file(document: Document, writer: Writer, path: str) -> None:
    with whole_file(path) as part, open(part, "w", encoding="utf-8", newline="\n") as stream:
        writer(document, stream)


def by_ending(path: Optional[str], text: Optional[str] = None) -> Optional[Format]:
    """The format that the ending of a file's name says, if it does; of ``.json`` with the help of the text."""
    found = _ENDINGS.get(os.path.splitext(path)[1].lower()) if path is not None else None
    # Both are called .json; which it is only the content says.
    if found is FORMATS["json"] and text is not None and text.lstrip()[:1] == "{":
        return detect(text)
    return found


def _is_text(source: str) -> bool:
    return (
        "\n" in source or source.lstrip()[:1] in ("{", "[", "<", "@") or source.startswith(("document ", "document\t"))
    )


def content_of(path: str) -> bytes:
    """The bytes of a file.

    Raises:
        DocumentError: it cannot be read.
    """
    try:
        with open(path, "rb") as file:
            return file.read()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        raise DocumentError(f"cannot be read: {getattr(error, 'strerror', None) or error}", path[:1000]) from error


def decoded(content: bytes) -> str:
    """The text in bytes of UTF-8 or UTF-16, or of XML in the encoding that it declares.

    Raises:
        DocumentError: it is none.
    """
    declared = _ENCODING.match(content)
    encoding = declared[1].decode("ascii") if declared else "utf-8"
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encoding = "utf-16"
    try:
        return content.decode(encoding)
    except (LookupError, UnicodeError) as error:
        raise DocumentError(f"this is no text in {encoding}: {error}") from error


def _end_of_comments(text: str) -> int:
    match = _COMMENTS.match(text)
    return match.end() if match else 0
