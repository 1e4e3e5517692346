"""PROV-JSON (W3C Member Submission, 24 April 2013).

Values are written with their type, so that nothing is lost: ``{"$": "1", "type": "xsd:int"}``; strings and truth values
as they are. Read are also bare numbers (``xsd:int``, ``xsd:double``), several records under one id, and several members
in one ``hadMember``.
"""

from __future__ import annotations

from io import StringIO
from itertools import count, groupby
from typing import Any, Dict, Iterable, Iterator, List, Mapping, Optional, TextIO, Tuple

from ..provml.vocabulary import PROV, XSD
from .errors import DocumentError
from .json_text import dumps, loads
from .model import KINDS, LANG_STRING, XSD_STRING, Attribute, Bundle, Document, Literal, Ref, Statement, Value
from .names import BLANK, Names

Json = Any
_QUALIFIED = (PROV + "QUALIFIED_NAME", PROV + "InternationalizedString", XSD + "QName")
_PROV = "prov:"
_MAX_DEPTH = 4


# -- writing


def write(document: Document, out: TextIO) -> None:
    """Writes a document; its statements are read once, in order, and not kept."""
    names = Names(document.namespaces)
    out.write("{")
    comma = write_statements(document, names, out, "")
    if document.bundles:
        out.write(f'{comma}\n"bundle": {{')
        for index, bundle in enumerate(document.bundles):
            out.write(("," if index else "") + bundle_member(bundle, names))
        out.write("}")
        comma = ","
    # Last, when all are known: a reader must not rely on the order of members.
    out.write(f'{comma}\n"prefix": {dumps(declared_in(names))}\n}}\n')


def bundle_member(bundle: Bundle, names: Names) -> str:
    """A bundle as a member of the object of bundles."""
    out = StringIO()
    inner = Names(bundle.namespaces, names)
    out.write(f"\n{dumps(inner.short(bundle.id or ''))}: {{")
    comma = write_statements(bundle, inner, out, "")
    out.write(f'{comma}\n"prefix": {dumps(declared_in(inner))}}}')
    return out.getvalue()


def declared_in(names: Names) -> Dict[str, str]:
    return {prefix or "default": iri for prefix, iri in names.declared.items()}


def write_statements(bundle: Bundle, names: Names, out: TextIO, comma: str) -> str:
    """Writes the statements, a JSON member a kind; what goes before the next member.

    Statements of one kind that do not stand together need one member as well, so they are sorted by kind when need be.
    """
    blank = (f"_:n{number}" for number in count(1))
    for kind, found in groupby(_by_kind(bundle.statements), key=lambda each: each.kind):
        out.write(f'{comma}\n"{kind}": {{')
        for index, (identifier, body) in enumerate(_members(found, names, blank)):
            out.write(("," if index else "") + f"\n{dumps(identifier)}: {body}")
        out.write("}")
        comma = ","
    return comma


def _by_kind(statements: Iterable[Statement]) -> Iterable[Statement]:
    order = {name: index for index, name in enumerate(KINDS)}
    return sorted(statements, key=lambda each: order[each.kind])


def _members(found: Iterable[Statement], names: Names, blank: Iterator[str]) -> Iterator[Tuple[str, str]]:
    bodies: Dict[str, List[str]] = {}
    for each in found:
        identifier = names.short(each.id) if each.id is not None else next(blank)
        bodies.setdefault(identifier, []).append(dumps(body(each, names)))
    for identifier, several in bodies.items():
        yield identifier, several[0] if len(several) == 1 else f"[{', '.join(several)}]"


def body(each: Statement, names: Names) -> Dict[str, Json]:
    kind = KINDS[each.kind]
    found: Dict[str, Json] = {}
    for index, (name, value) in enumerate(zip(kind.arguments, each.arguments)):
        if value is not None:
            found[_PROV + name] = value if index in kind.times else names.short(value)
    several: Dict[str, List[Json]] = {}
    for attribute, value_ in each.attributes:
        several.setdefault(names.short(attribute), []).append(_value(value_, names))
    found.update({name: values[0] if len(values) == 1 else values for name, values in several.items()})
    return found


def _value(value: Value, names: Names) -> Json:
    if isinstance(value, Ref):
        return {"$": names.short(value.iri), "type": "prov:QUALIFIED_NAME"}
    if value.lang is not None:
        return {"$": value.text, "lang": value.lang}
    if value.datatype == XSD_STRING:
        return value.text
    return {"$": value.text, "type": names.short(value.datatype)}


# -- reading


def read(text: str) -> Document:
    """The document in a PROV-JSON text.

    Raises:
        DocumentError: it is none; ``where`` is the path of what is wrong.
    """
    found = loads(text)
    document = Document()
    _read_bundle(_object(found, "$"), document, None, "$")
    names = Names(document.namespaces)
    for name, inner in _object(found.get("bundle", {}), "$.bundle").items():
        for content in inner if isinstance(inner, list) else [inner]:
            where = f"$.bundle.{name}"
            bundle = Bundle()
            _read_bundle(_object(content, where), bundle, names, where)
            # The bundle's own prefixes hold for its identifier, too.
            bundle.id = Names(bundle.namespaces, names).expand(name, where)
            document.bundles.append(bundle)
    return document


def _object(value: Json, where: str) -> Dict[str, Json]:
    if not isinstance(value, dict):
        raise DocumentError(f"an object is needed, not {type(value).__name__}", where)
    return value


def _read_bundle(content: Mapping[str, Json], bundle: Bundle, outer: Optional[Names], where: str) -> None:
    for prefix, iri in _object(content.get("prefix", {}), f"{where}.prefix").items():
        if not isinstance(iri, str):
            raise DocumentError("an IRI is needed", f"{where}.prefix.{prefix}")
        bundle.namespaces["" if prefix == "default" else prefix] = iri
    names = Names(bundle.namespaces, outer)
    found: List[Statement] = []
    for kind, members in content.items():
        if kind in ("prefix", "bundle"):
            continue
        if kind not in KINDS:
            raise DocumentError(f"{kind[:100]!r} is no kind of statement; there are: {', '.join(KINDS)}", where)
        for identifier, bodies in _object(members, f"{where}.{kind}").items():
            place = f"{where}.{kind}.{identifier}"
            for body in bodies if isinstance(bodies, list) else [bodies]:
                found.extend(_read_statement(kind, identifier, _object(body, place), names, place))
    bundle.statements = found


def _read_statement(
    kind: str, identifier: str, body: Mapping[str, Json], names: Names, where: str
) -> Iterator[Statement]:
    about = KINDS[kind]
    arguments: Dict[str, List[str]] = {}
    attributes: List[Attribute] = []
    formal = {PROV + name: name for name in about.arguments}
    for key, value in body.items():
        iri = names.expand(key, where)
        values = value if isinstance(value, list) else [value]
        if iri in formal:
            name = formal[iri]
            is_time = about.arguments.index(name) in about.times
            arguments[name] = [_argument(each, is_time, names, f"{where}.{key}") for each in values]
        else:
            attributes.extend((iri, _read_value(each, names, f"{where}.{key}")) for each in values)
    blank = identifier.startswith(BLANK) and not about.element
    own = None if blank else names.expand(identifier, where)
    for chosen in _each_member(about.name, arguments, where):
        yield Statement(kind, own, tuple(chosen.get(name) for name in about.arguments), tuple(attributes))


def _each_member(kind: str, arguments: Mapping[str, List[str]], where: str) -> Iterator[Dict[str, str]]:
    """The arguments, once for each member where several members of a collection are given in one statement."""
    several = [name for name, values in arguments.items() if len(values) != 1]
    if not several:
        yield {name: values[0] for name, values in arguments.items()}
    elif kind == "hadMember" and several == ["entity"]:
        for entity in arguments["entity"]:
            yield {"collection": arguments["collection"][0], "entity": entity} if "collection" in arguments else {}
    else:
        raise DocumentError(f"prov:{several[0]} takes one value", where)


def _argument(value: Json, is_time: bool, names: Names, where: str) -> str:
    if isinstance(value, dict):
        value = value.get("$")
    if not isinstance(value, str):
        raise DocumentError("a text is needed", where)
    return value if is_time else names.expand(value, where)


def _read_value(value: Json, names: Names, where: str) -> Value:
    if isinstance(value, str):
        return Literal(value)
    if isinstance(value, bool):
        return Literal("true" if value else "false", XSD + "boolean")
    if isinstance(value, int):
        return Literal(str(value), XSD + ("int" if -(2**31) <= value < 2**31 else "long"))
    if isinstance(value, float):
        return Literal(dumps(value), XSD + "double")
    if not isinstance(value, dict) or "$" not in value:
        raise DocumentError('a value is a text, a number, true, false, or {"$": …, "type": …}', where)
    text = value["$"]
    text = text if isinstance(text, str) else dumps(text)
    if value.get("lang") is not None:
        return Literal(text, LANG_STRING, str(value["lang"]))
    datatype = names.expand(str(value["type"]), where) if value.get("type") is not None else XSD_STRING
    if datatype in (_QUALIFIED[0], _QUALIFIED[2]):
        return Ref(names.expand(text, where))
    return Literal(text, XSD_STRING if datatype == _QUALIFIED[1] else datatype)
