"""Documents of any length in the formats that cannot be written in one pass: statements are added one at a time, and kept on disk.

PROV-N and PROV-XML declare all namespaces before the first statement, PROV-JSON has one object for each kind, and bundles
come after all else; so what is written goes to temporary files first, one for each place in the document. What stays in
memory is the namespaces, and one bundle at a time.
"""

from __future__ import annotations

import io
from abc import ABC, abstractmethod
from itertools import count
from tempfile import SpooledTemporaryFile
from typing import IO, Dict, Iterator, Mapping, Optional, Pattern, Type, Union, cast

from . import json_form, jsonld_form, provn, xml_form
from .errors import DocumentError
from .json_text import dumps
from .model import KINDS, Bundle, Statement
from .names import Names, names_of
from .xml_form import NC_NAME

MAX_NAMESPACES = 100_000
_IN_MEMORY = 1_000_000
_CHUNK = 262_144
_STATEMENTS, _BUNDLES = "statements", "bundles"
Part = Union[str, IO[str]]


class Gathered(ABC):
    """A document that is being written; see :func:`gathering`."""

    local: Optional[Pattern[str]] = None
    """What a local name may be in the format."""

    def __init__(self, namespaces: Mapping[str, str]) -> None:
        self._names = Names(namespaces, None, self.local)
        self._files: Dict[str, IO[str]] = {}

    @abstractmethod
    def add(self, each: Statement) -> None:
        """Adds a statement outside of bundles.

        Raises:
            DocumentError: the format cannot hold it, or not so many namespaces.
        """

    @abstractmethod
    def add_bundle(self, bundle: Bundle) -> None:
        """Adds a whole bundle; no two may have one identifier. Raises as ``add``."""

    def chunks(self) -> Iterator[str]:
        """The text of the document, in pieces."""
        for part in self._parts():
            if isinstance(part, str):
                yield part
            else:
                part.seek(0)
                yield from iter(lambda part=part: part.read(_CHUNK), "")  # type: ignore[misc]

    def close(self) -> None:
        """Lets go of the files."""
        for file in self._files.values():
            file.close()

    @abstractmethod
    def _parts(self) -> Iterator[Part]:
        """The document in order: texts, and files that hold one."""

    def _put(self, place: str, text: str, between: str = "") -> None:
        file = self._files.get(place)
        if file is None:
            made = SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8", newline="\n")  # noqa: SIM115 - closed by close()
            file = self._files[place] = cast("IO[str]", made)
        elif between:
            file.write(between)
        file.write(text)
        if len(self._names.declared) > MAX_NAMESPACES:
            raise DocumentError(f"more than {MAX_NAMESPACES:,} namespaces would have to be declared")

    def _kept(self, place: str) -> Iterator[Part]:
        if place in self._files:
            yield self._files[place]


class _ProvN(Gathered):
    local = provn.LOCAL

    def add(self, each: Statement) -> None:
        self._put(_STATEMENTS, f"  {provn.expression(each, self._names)}\n")

    def add_bundle(self, bundle: Bundle) -> None:
        out = io.StringIO()
        inner = names_of(bundle, self._names, self.local)
        out.write(f"  bundle {provn.name_of(bundle.id or '', inner)}\n")
        provn.write_bundle(bundle, inner, out, "    ")
        out.write("  endBundle\n")
        self._put(_BUNDLES, out.getvalue())

    def _parts(self) -> Iterator[Part]:
        out = io.StringIO()
        provn.write_bundle(Bundle(), self._names, out, "  ")
        yield f"document\n{out.getvalue()}"
        yield from self._kept(_STATEMENTS)
        yield from self._kept(_BUNDLES)
        yield "endDocument\n"


class _Xml(Gathered):
    local = NC_NAME

    def add(self, each: Statement) -> None:
        self._put(_STATEMENTS, xml_form.element(each, self._names, "  "))

    def add_bundle(self, bundle: Bundle) -> None:
        self._put(_BUNDLES, xml_form.bundle_content(bundle, self._names))

    def _parts(self) -> Iterator[Part]:
        yield xml_form.beginning(self._names)
        yield from self._kept(_STATEMENTS)
        yield from self._kept(_BUNDLES)
        yield xml_form.END


class _Json(Gathered):
    def __init__(self, namespaces: Mapping[str, str]) -> None:
        super().__init__(namespaces)
        self._blank = count(1)

    def add(self, each: Statement) -> None:
        identifier = self._names.short(each.id) if each.id is not None else f"_:n{next(self._blank)}"
        self._put(each.kind, f"\n{dumps(identifier)}: {dumps(json_form.body(each, self._names))}", ",")

    def add_bundle(self, bundle: Bundle) -> None:
        self._put(_BUNDLES, json_form.bundle_member(bundle, self._names), ",")

    def _parts(self) -> Iterator[Part]:
        comma = "{"
        for place in (*KINDS, _BUNDLES):
            if place in self._files:
                yield f'{comma}\n"{"bundle" if place == _BUNDLES else place}": {{'
                yield self._files[place]
                yield "}"
                comma = ","
        yield f'{comma}\n"prefix": {dumps(json_form.declared_in(self._names))}\n}}\n'


class _JsonLd(Gathered):
    def add(self, each: Statement) -> None:
        self._put(_STATEMENTS, f"\n{dumps(jsonld_form.item_of(each, self._names))}", ",")

    def add_bundle(self, bundle: Bundle) -> None:
        self._put(_STATEMENTS, jsonld_form.bundle_item(bundle, self._names), ",")

    def _parts(self) -> Iterator[Part]:
        yield '{"@graph": ['
        yield from self._kept(_STATEMENTS)
        yield jsonld_form.end(self._names)


_FORMATS: Dict[str, Type[Gathered]] = {"provn": _ProvN, "xml": _Xml, "json": _Json, "jsonld": _JsonLd}


def gathering(format: str, namespaces: Mapping[str, str]) -> Gathered:
    """A document to which statements can be added; one statement of each kind with one identifier.

    Args:
        format: ``provn``, ``xml``, ``json`` or ``jsonld``.
        namespaces: prefix to IRI; others that are needed are made up.
    """
    return _FORMATS[format](namespaces)
