"""PROV-N (REC-prov-n-20130430) written; ``provn_reader`` reads it."""

from __future__ import annotations

import re
from typing import List, TextIO

from .model import KINDS, XSD_STRING, Bundle, Document, Ref, Statement, Value
from .names import Names, names_of

LETTER = r"A-Za-z0-9_\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C-\u200D\u2070-\u218F\u2C00-\u2FEF"
LETTER += r"\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\U00010000-\U000EFFFF"
_TO_ESCAPE = "='(),-:;[]."
_SIMPLE = rf"[{LETTER}/@~&+*?#$!\-=\'(),:;\[\]]|%[0-9A-Fa-f]{{2}}"
LOCAL = re.compile(rf"(?:{_SIMPLE})(?:(?:{_SIMPLE}|\.)*(?:{_SIMPLE}))?|")
"""Local names that PROV-N can write, before escapes; the empty one goes with a prefix only."""
_ESCAPED = re.compile(rf"[{re.escape(_TO_ESCAPE)}]")
_STRING = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f"}
_IN_STRING = re.compile(r'["\\\n\r\t\b\f]')
_NONE = "-"


def write(document: Document, out: TextIO) -> None:
    """Writes a document. Its statements are read twice, since PROV-N declares all namespaces first."""
    names = names_of(document, None, LOCAL)
    out.write("document\n")
    write_bundle(document, names, out, "  ")
    for bundle in document.bundles:
        inner = names_of(bundle, names, LOCAL)
        out.write(f"  bundle {name_of(bundle.id or '', inner)}\n")
        write_bundle(bundle, inner, out, "    ")
        out.write("  endBundle\n")
    out.write("endDocument\n")


def write_bundle(bundle: Bundle, names: Names, out: TextIO, indent: str) -> None:
    for prefix, iri in names.declared.items():
        if prefix != "prov":
            out.write(f"{indent}prefix {prefix} <{iri}>\n" if prefix else f"{indent}default <{iri}>\n")
    for each in bundle.statements:
        out.write(f"{indent}{expression(each, names)}\n")


def expression(each: Statement, names: Names) -> str:
    """One statement as PROV-N."""
    kind = KINDS[each.kind]
    arguments: List[str] = [
        _NONE if value is None else value if index in kind.times else name_of(value, names)
        for index, value in enumerate(each.arguments)
    ]
    if kind.element:
        if not any(value is not None for value in each.arguments):
            arguments = []
        arguments.insert(0, name_of(each.id or "", names))
    else:
        while len(arguments) > max(kind.required, 1) and arguments[-1] == _NONE:
            arguments.pop()
        # A trailing marker keeps the grammar's shape where only some of the optional arguments are given.
        if len(arguments) < len(kind.arguments) and len(arguments) > kind.required:
            arguments += [_NONE] * (len(kind.arguments) - len(arguments))
    head = f"{name_of(each.id, names)}; " if each.id is not None and not kind.element else ""
    if each.attributes:
        pairs = (f"{name_of(name, names)}={_value(value, names)}" for name, value in each.attributes)
        arguments.append(f"[{', '.join(pairs)}]")
    return f"{each.kind}({head}{', '.join(arguments)})"


def name_of(iri: str, names: Names) -> str:
    prefix, local = names.shorten(iri)
    escaped = _ESCAPED.sub(lambda match: "\\" + match[0], local)
    return f"{prefix}:{escaped}" if prefix or not local else escaped


def _value(value: Value, names: Names) -> str:
    if isinstance(value, Ref):
        return f"'{name_of(value.iri, names)}'"
    text = f'"{_IN_STRING.sub(lambda match: _STRING[match[0]], value.text)}"'
    if value.lang is not None:
        return f"{text}@{value.lang}"
    return text if value.datatype == XSD_STRING else f"{text} %% {name_of(value.datatype, names)}"
