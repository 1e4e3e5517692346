"""PROV-XML (NOTE-prov-xml-20130430), read and written.

The order of elements is the schema's: arguments, then labels, locations, roles, types and values, then all else.
"""

from __future__ import annotations

import re
from typing import Dict, Iterator, List, Optional, TextIO, Tuple
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from ..provml.vocabulary import PROV, XSD
from .errors import DocumentError
from .model import KINDS, LANG_STRING, XSD_STRING, Attribute, Bundle, Document, Literal, Ref, Statement, Value
from .names import Names, iris_of, names_of, unnamed, without_escapes

END = "</prov:document>\n"
XSI = "http://www.w3.org/2001/XMLSchema-instance"
_XSD = XSD.rstrip("#")
"""XML Schema's namespace as XML writes it; as the beginning of IRIs it ends with #."""
_XML = "http://www.w3.org/XML/1998/namespace"
_START = (
    r"A-Za-z_\u00C0-\u00D6\u00D8-\u00F6\u00F8-\u02FF\u0370-\u037D\u037F-\u1FFF\u200C-\u200D\u2070-\u218F\u2C00-\u2FEF"
)
_START += r"\u3001-\uD7FF\uF900-\uFDCF\uFDF0-\uFFFD\U00010000-\U000EFFFF"
NC_NAME = re.compile(rf"[{_START}][{_START}0-9.\-\u00B7\u0300-\u036F\u203F-\u2040]*")
"""Local names that XML can write."""
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LABEL = PROV + "label"
_FIRST = ("label", "location", "role", "type", "value")
_SUBTYPES = {
    **dict.fromkeys(("plan", "collection", "emptyCollection", "bundle"), "entity"),
    **dict.fromkeys(("person", "organization", "softwareAgent"), "agent"),
    **dict.fromkeys(("wasRevisionOf", "wasQuotedFrom", "hadPrimarySource"), "wasDerivedFrom"),
}
_CLASSES = {"wasRevisionOf": "Revision", "wasQuotedFrom": "Quotation", "hadPrimarySource": "PrimarySource"}
_DERIVATION = {"hadActivity": "activity"}


# -- writing


def write(document: Document, out: TextIO, escapes: bool = False) -> None:
    """Writes a document. Its statements are read twice, since all namespaces are declared first, on the outermost element.

    Args:
        escapes: names hold to the XSD also where an IRI ends in a digit or delimiter, by an escape that only this
            library's reader takes away again; else such a name has an empty local part, and any reader gets the IRI.

    Raises:
        DocumentError: a text holds a character that XML has no form for.
    """
    names = names_of(document, None, NC_NAME, escapes)
    for bundle in document.bundles:
        for iri in (bundle.id or "", *iris_of(bundle.statements)):
            names.shorten(iri)
    out.write(beginning(names))
    for each in document.statements:
        out.write(element(each, names, "  "))
    for bundle in document.bundles:
        out.write(bundle_content(bundle, names))
    out.write(END)


def beginning(names: Names) -> str:
    """What stands before the statements."""
    spaces = {prefix: _XSD if iri == XSD else iri for prefix, iri in {**names.all, "xsi": XSI}.items()}
    declared = "".join(f" xmlns{':' if prefix else ''}{prefix}={quoteattr(iri)}" for prefix, iri in spaces.items())
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<prov:document{declared}>\n'


def bundle_content(bundle: Bundle, names: Names) -> str:
    inside = "".join(element(each, names, "    ") for each in bundle.statements)
    return (
        f"  <prov:bundleContent prov:id={quoteattr(names.short(bundle.id or ''))}>\n{inside}  </prov:bundleContent>\n"
    )


def element(each: Statement, names: Names, indent: str) -> str:
    kind = KINDS[each.kind]
    inside = indent + "  "
    lines: List[str] = []
    for index, (name, value) in enumerate(zip(kind.arguments, each.arguments)):
        if value is not None and index in kind.times:
            lines.append(f"{inside}<prov:{name}>{escape(value)}</prov:{name}>\n")
        elif value is not None:
            lines.append(f"{inside}<prov:{name} prov:ref={quoteattr(names.short(value))}/>\n")
    lines += [inside + _attribute(name, value, names) + "\n" for name, value in sorted(each.attributes, key=_rank)]
    identifier = f" prov:id={quoteattr(names.short(each.id))}" if each.id is not None else ""
    if not lines:
        return f"{indent}<prov:{each.kind}{identifier}/>\n"
    return f"{indent}<prov:{each.kind}{identifier}>\n{''.join(lines)}{indent}</prov:{each.kind}>\n"


def _rank(attribute: Attribute) -> int:
    name = attribute[0][len(PROV) :] if attribute[0].startswith(PROV) else ""
    return _FIRST.index(name) if name in _FIRST else len(_FIRST)


def _attribute(name: str, value: Value, names: Names) -> str:
    tag = names.short(name)
    if isinstance(value, Ref):
        return f'<{tag} xsi:type="xsd:QName">{escape(names.short(value.iri))}</{tag}>'
    found = _NOT_XML.search(value.text)
    if found:
        raise DocumentError(f"XML cannot hold the character U+{ord(found[0]):04X}; write another format", tag)
    if value.lang is not None:
        return f"<{tag} xml:lang={quoteattr(value.lang)}>{escape(value.text)}</{tag}>"
    if name == _LABEL and value.datatype == XSD_STRING:  # the schema has a type of its own for it
        return f"<{tag}>{_content(value.text)}</{tag}>"
    # Without a type a value is a string to us, but other readers guess.
    return f"<{tag} xsi:type={quoteattr(names.short(value.datatype))}>{_content(value.text)}</{tag}>"


def _content(text: str) -> str:
    return escape(text, {"\r": "&#13;"})


# -- reading


class _Node:
    """An element: name split into namespace and local name, attributes likewise, prefixes in force, children, text."""

    __slots__ = ("attributes", "children", "line", "local", "prefixes", "space", "text")

    def __init__(self, name: str, attributes: Dict[str, str], prefixes: Dict[str, str], line: int) -> None:
        self.space, self.local = _split(name)
        self.attributes = {_split(key): value for key, value in attributes.items()}
        self.prefixes = prefixes
        self.children: List[_Node] = []
        self.text = ""
        self.line = line

    @property
    def where(self) -> str:
        return f"line {self.line}"


def read(text: str) -> Document:
    """The document in a PROV-XML text.

    Raises:
        DocumentError: it is none, or has a document type declaration; ``where`` is the line.
    """
    root = _parse(text)
    if (root.space, root.local) != (PROV, "document"):
        raise DocumentError("the outermost element is prov:document", root.where)
    document = Document()
    _read_bundle(root, document, None)
    names = Names(_namespaces(root))
    for node in root.children:
        if _is_bundle(node):
            bundle = Bundle(_expanded(node.attributes.get((PROV, "id")), node))
            if bundle.id is None:
                raise DocumentError(f"prov:{node.local} needs prov:id", node.where)
            _read_bundle(node, bundle, names)
            document.bundles.append(bundle)
    return document


def _parse(text: str) -> _Node:
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    top = _Node("", {}, {"xml": _XML}, 0)
    open_ones = [top]
    coming: Dict[str, str] = {}

    def begin(name: str, attributes: Dict[str, str]) -> None:
        prefixes = {**open_ones[-1].prefixes, **coming} if coming else open_ones[-1].prefixes
        coming.clear()
        node = _Node(name, attributes, prefixes, parser.CurrentLineNumber)
        open_ones[-1].children.append(node)
        open_ones.append(node)
        if len(open_ones) > 20:
            raise DocumentError("elements are nested deeper than PROV-XML does", node.where)

    def declare(prefix: Optional[str], iri: Optional[str]) -> None:
        coming[prefix or ""] = iri or ""

    def say(data: str) -> None:
        open_ones[-1].text += data

    def refuse(*_: object) -> None:
        raise DocumentError("document type declarations are not read: take it out", f"line {parser.CurrentLineNumber}")

    parser.StartElementHandler = begin
    parser.EndElementHandler = lambda _: open_ones.pop()
    parser.CharacterDataHandler = say
    parser.StartNamespaceDeclHandler = declare
    parser.StartDoctypeDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise DocumentError(f"not XML: {error}") from error
    return top.children[0]


def _split(name: str) -> Tuple[str, str]:
    space, _, local = name.rpartition(" ")
    return space, local


def _namespaces(node: _Node) -> Dict[str, str]:
    found = {prefix: iri for prefix, iri in node.prefixes.items() if prefix not in ("xml", "xsi") and iri}
    return {prefix: XSD if iri == _XSD else iri for prefix, iri in found.items()}


def _is_bundle(node: _Node) -> bool:
    """Whether an element holds a bundle; ProvToolbox calls it as the entity is called that stands for one."""
    if node.space != PROV or node.local not in ("bundleContent", "bundle"):
        return False
    return node.local == "bundleContent" or any(
        (PROV, "id") in each.attributes or each.children for each in node.children
    )


def _read_bundle(node: _Node, bundle: Bundle, outer: Optional[Names]) -> None:
    declared = _namespaces(node)
    bundle.namespaces = declared if outer is None else {p: i for p, i in declared.items() if outer.all.get(p) != i}
    found: List[Statement] = []
    for child in node.children:
        if child.space == PROV and child.local != "other" and not _is_bundle(child):
            found.extend(_read_statement(child))
    bundle.statements = found


def _read_statement(node: _Node) -> Iterator[Statement]:
    name = _SUBTYPES.get(node.local, node.local)
    kind = KINDS.get(name)
    if kind is None:
        raise DocumentError(f"prov:{node.local} is no kind of statement", node.where)
    arguments: Dict[str, List[str]] = {}
    attributes: List[Attribute] = []
    if name != node.local:
        class_ = _CLASSES.get(node.local, node.local[0].upper() + node.local[1:])
        attributes.append((PROV + "type", Ref(PROV + class_)))
    for child in node.children:
        formal = child.local if child.space == PROV and child.local in kind.arguments else None
        if formal is None:
            attributes.append((child.space + child.local, _read_value(child)))
        elif (PROV, "ref") in child.attributes:
            arguments.setdefault(formal, []).append(_expanded(child.attributes[PROV, "ref"], child) or "")
        else:
            arguments.setdefault(formal, []).append(child.text.strip())
    identifier = _expanded(node.attributes.get((PROV, "id")), node)
    if kind.element and identifier is None:
        raise DocumentError(f"prov:{node.local} needs prov:id", node.where)
    members = arguments.pop("entity") if name == "hadMember" and len(arguments.get("entity", ())) > 1 else [None]
    wrong = next((each for each, values in arguments.items() if len(values) > 1), None)
    if wrong is not None:
        raise DocumentError(f"prov:{wrong} takes one value", node.where)
    for member in members:
        given = {each: values[0] for each, values in arguments.items()}
        if member is not None:
            given["entity"] = member
        yield Statement(name, identifier, tuple(given.get(each) for each in kind.arguments), tuple(attributes))


def _read_value(node: _Node) -> Value:
    if (PROV, "ref") in node.attributes:
        return Ref(_expanded(node.attributes[PROV, "ref"], node) or "")
    lang = node.attributes.get((_XML, "lang"))
    if lang is not None:
        return Literal(node.text, LANG_STRING, lang)
    datatype = _expanded(node.attributes.get((XSI, "type")), node) or XSD_STRING
    if datatype in (XSD + "QName", PROV + "QUALIFIED_NAME"):
        return Ref(_expanded(node.text.strip(), node) or "")
    return Literal(node.text, datatype)


def _expanded(name: Optional[str], node: _Node) -> Optional[str]:
    """The IRI of a qualified name by the prefixes in force at an element."""
    if name is None:
        return None
    prefix, colon, local = name.partition(":")
    space = node.prefixes.get(prefix if colon else "")
    if not space:
        raise DocumentError(f"the prefix of {name[:200]!r} is not declared", node.where)
    space = XSD if space == _XSD else space
    return unnamed(without_escapes(space + (local if colon else name)))
