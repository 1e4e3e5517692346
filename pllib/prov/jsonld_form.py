"""PROV-JSONLD (W3C Member Submission, 5 August 2024), read and written.

The submission's context is named, never fetched: what its terms mean is known here. It has no term for ``mentionOf``,
which is written as ``prov:Mention``.
"""

from __future__ import annotations

from io import StringIO
from typing import Any, Dict, Iterator, List, Mapping, Optional, TextIO, Tuple

from ..provml.vocabulary import PROV, XSD
from .errors import DocumentError
from .json_text import dumps, loads
from .model import KINDS, LANG_STRING, XSD_STRING, Attribute, Bundle, Document, Kind, Literal, Ref, Statement, Value
from .names import Names

CONTEXT = "https://openprovenance.org/prov-jsonld/context.jsonld"
Json = Any

_TYPES: Dict[str, Kind] = {
    **{kind.type: kind for kind in KINDS.values() if kind.type},
    "Specialization": KINDS["specializationOf"],
    "Alternate": KINDS["alternateOf"],
    "Membership": KINDS["hadMember"],
    "Mention": KINDS["mentionOf"],
}
_TYPE_OF = {kind.name: ("prov:Mention" if name == "Mention" else name) for name, kind in _TYPES.items()}
_TERMS = {PROV + name: name for name in ("type", "label", "location", "role", "value")}
_REFERENCES = frozenset(PROV + name for name in ("type", "location", "role"))
"""Terms whose plain text is an IRI."""
_QNAME = XSD + "QName"


# -- writing


def write(document: Document, out: TextIO) -> None:
    """Writes a document; its statements are read once, in order, and not kept."""
    names = Names(_with_prefixes(document.namespaces))
    out.write('{"@graph": [')
    comma = write_items(document, names, out, "")
    for bundle in document.bundles:
        out.write(comma + bundle_item(bundle, names))
        comma = ","
    out.write(end(names))


def bundle_item(bundle: Bundle, names: Names) -> str:
    out = StringIO()
    inner = Names(_with_prefixes(bundle.namespaces), names)
    out.write(f'\n{{"@type": "Bundle", "@id": {dumps(inner.short(bundle.id or ""))}, "@graph": [')
    write_items(bundle, inner, out, "")
    out.write(f'], "@context": {dumps([inner.declared] if inner.declared else [])}}}')
    return out.getvalue()


def end(names: Names) -> str:
    """What stands after the items: the context, when all namespaces are known. A reader must not rely on the order of members."""
    return f'\n], "@context": {dumps([declared_in(names), CONTEXT])}}}\n'


def _with_prefixes(namespaces: Mapping[str, str]) -> Dict[str, str]:
    """Namespaces of which the default one has a prefix: without it ``value`` would be PROV's, and ``Run?id=1`` relative to the document."""
    free = "default"
    while free in namespaces:
        free += "_"
    return {prefix or free: iri for prefix, iri in namespaces.items()}


def declared_in(names: Names) -> Dict[str, str]:
    return {prefix or "@vocab": iri for prefix, iri in names.declared.items()}


def write_items(bundle: Bundle, names: Names, out: TextIO, comma: str) -> str:
    for each in bundle.statements:
        out.write(f"{comma}\n{dumps(item_of(each, names))}")
        comma = ","
    return comma


def item_of(each: Statement, names: Names) -> Dict[str, Json]:
    kind = KINDS[each.kind]
    found: Dict[str, Json] = {"@type": _TYPE_OF[each.kind]}
    if each.id is not None:
        found["@id"] = names.short(each.id)
    for index, (name, value) in enumerate(zip(kind.arguments, each.arguments)):
        if value is not None:
            found[name] = value if index in kind.times else names.short(value)
    for attribute, value_ in each.attributes:
        term = _TERMS.get(attribute) or names.short(attribute)
        found.setdefault(term, []).append(_value(attribute, value_, names))
    return found


def _value(attribute: str, value: Value, names: Names) -> Json:
    if isinstance(value, Ref):
        short = names.short(value.iri)
        return short if attribute in _REFERENCES else {"@value": short, "@type": "xsd:QName"}
    if value.lang is not None:
        return {"@value": value.text, "@language": value.lang}
    if value.datatype == XSD_STRING:
        return {"@value": value.text}
    return {"@value": value.text, "@type": names.short(value.datatype)}


# -- reading


def read(text: str) -> Document:
    """The document in a PROV-JSONLD text. Contexts by address are taken to be the submission's; none is fetched.

    Raises:
        DocumentError: it is none; ``where`` is the path of what is wrong.
    """
    found = loads(text)
    document = Document()
    items = _graph(found, document, "$")
    names = Names(document.namespaces)
    document.statements = [_read_item(item, names, where) for where, item in items if not _is_bundle(item)]
    for where, item in items:
        if _is_bundle(item):
            bundle = Bundle()
            inside = _graph(item, bundle, where)
            inner = Names(bundle.namespaces, names)
            bundle.id = inner.expand(_needed_text(item.get("@id"), f"{where}.@id"), where)
            bundle.statements = [_read_item(each, inner, place) for place, each in inside]
            document.bundles.append(bundle)
    return document


def _graph(found: Json, bundle: Bundle, where: str) -> List[Tuple[str, Dict[str, Json]]]:
    if not isinstance(found, dict) or not isinstance(found.get("@graph"), list):
        raise DocumentError('an object with "@context" and "@graph" is needed', where)
    contexts = found.get("@context", [])
    for context in contexts if isinstance(contexts, list) else [contexts]:
        if isinstance(context, dict):
            bundle.namespaces.update(_namespaces(context))
    return [(f"{where}.@graph[{index}]", item) for index, item in enumerate(found["@graph"])]


def _namespaces(context: Mapping[str, Json]) -> Iterator[Tuple[str, str]]:
    for name, iri in context.items():
        if isinstance(iri, str) and (name == "@vocab" or not name.startswith("@")):
            yield ("" if name == "@vocab" else name), iri


def _is_bundle(item: Json) -> bool:
    return isinstance(item, dict) and "@graph" in item and _local(str(item.get("@type"))) == "Bundle"


def _local(name: str) -> str:
    return name[len("prov:") :] if name.startswith("prov:") else name


def _read_item(item: Json, names: Names, where: str) -> Statement:
    if not isinstance(item, dict):
        raise DocumentError(f"an object is needed, not {type(item).__name__}", where)
    types = item.get("@type")
    chosen = [_local(str(each)) for each in (types if isinstance(types, list) else [types])]
    kind = next((_TYPES[each] for each in chosen if each in _TYPES), None)
    if kind is None:
        raise DocumentError(f"@type is {str(types)[:100]!r}; it takes one of {', '.join(_TYPES)}", where)
    identifier = item.get("@id")
    if kind.element and identifier is None:
        raise DocumentError(f"{kind.name} needs an @id", where)
    own = None if identifier is None else names.expand(_needed_text(identifier, f"{where}.@id"), where)
    if own is not None and own.startswith("_:") and not kind.element:
        own = None
    arguments = [_argument(item, name, index, kind, names, where) for index, name in enumerate(kind.arguments)]
    return Statement(kind.name, own, tuple(arguments), tuple(_attributes(item, kind, names, where)))


def _argument(item: Mapping[str, Json], name: str, index: int, kind: Kind, names: Names, where: str) -> Optional[str]:
    value = item.get(name, item.get("prov:" + name))
    if value is None:
        return None
    if isinstance(value, dict):
        value = value.get("@id", value.get("@value"))
    text = _needed_text(value, f"{where}.{name}")
    return text if index in kind.times else names.expand(text, where)


def _attributes(item: Mapping[str, Json], kind: Kind, names: Names, where: str) -> Iterator[Attribute]:
    for key, values in item.items():
        if key.startswith("@") or _local(key) in kind.arguments:
            continue
        attribute = PROV + _local(key) if PROV + _local(key) in _TERMS else names.expand(key, where)
        for value in values if isinstance(values, list) else [values]:
            yield attribute, _read_value(attribute, value, names, f"{where}.{key}")


def _read_value(attribute: str, value: Json, names: Names, where: str) -> Value:
    if isinstance(value, str):
        return Ref(names.expand(value, where)) if attribute in _REFERENCES else Literal(value)
    if isinstance(value, bool):
        return Literal("true" if value else "false", XSD + "boolean")
    if isinstance(value, (int, float)):
        return Literal(dumps(value), XSD + ("double" if isinstance(value, float) else "integer"))
    if isinstance(value, dict) and "@id" in value:
        return Ref(names.expand(_needed_text(value["@id"], where), where))
    if not isinstance(value, dict) or "@value" not in value:
        raise DocumentError('a value is a text, a number, true, false, {"@id": …} or {"@value": …}', where)
    if not isinstance(value["@value"], str):
        return _read_value("", value["@value"], names, where)
    if value.get("@language") is not None:
        return Literal(value["@value"], LANG_STRING, str(value["@language"]))
    datatype = names.expand(str(value["@type"]), where) if value.get("@type") is not None else XSD_STRING
    if datatype == _QNAME:
        return Ref(names.expand(value["@value"], where))
    return Literal(value["@value"], datatype)


def _needed_text(value: Json, where: str) -> str:
    if not isinstance(value, str):
        raise DocumentError("a text is needed", where)
    return value
