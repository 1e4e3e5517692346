"""PROV-O read: Turtle, TriG, N-Triples, N-Quads, RDF/XML and JSON-LD (contexts inside the document only).

Parsing RDF is left to a library: ``pip install 'pllib[rdf]'`` (pyoxigraph). A relation that is said both directly and
in qualified form is one statement.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Set, Tuple

from ..provml.vocabulary import PROV, RDFS
from .errors import DocumentError
from .model import KINDS, STANDARD_NAMESPACES, Attribute, Bundle, Document, Kind, Literal, Ref, Statement, Value
from .names import BLANK
from .rdf import TYPE, Triple

FORMATS = ("ttl", "trig", "nt", "nq", "rdf", "jsonld")
_NAMES = {TYPE: "type", RDFS + "label": "label", PROV + "atLocation": "location", PROV + "hadRole": "role"}
"""What PROV-O calls by another name than PROV-DM's attributes."""
_ELEMENTS = {
    **dict.fromkeys(("Entity", "Collection", "EmptyCollection", "Bundle", "Plan"), "entity"),
    **dict.fromkeys(("Agent", "Person", "Organization", "SoftwareAgent"), "agent"),
    "Activity": "activity",
}
_SUBTYPES = {"Revision": "wasDerivedFrom", "Quotation": "wasDerivedFrom", "PrimarySource": "wasDerivedFrom"}
_DIRECT_SUBTYPES = {
    "wasRevisionOf": ("wasDerivedFrom", "Revision"),
    "wasQuotedFrom": ("wasDerivedFrom", "Quotation"),
    "hadPrimarySource": ("wasDerivedFrom", "PrimarySource"),
}
_QUALIFIED_SUBTYPES = {
    **dict.fromkeys(("qualifiedRevision", "qualifiedQuotation", "qualifiedPrimarySource"), "wasDerivedFrom")
}
_TIMES = {"startedAtTime": 0, "endedAtTime": 1}
_SHORTCUTS = {"generatedAtTime": "wasGeneratedBy", "invalidatedAtTime": "wasInvalidatedBy"}
_RELATIONS = [kind for kind in KINDS.values() if not kind.element]
_BY_DIRECT = {kind.direct: kind for kind in _RELATIONS}
_BY_QUALIFIED = {
    **{kind.qualified: kind for kind in _RELATIONS if kind.qualified},
    **{name: KINDS[kind] for name, kind in _QUALIFIED_SUBTYPES.items()},
}
_BY_TYPE = {
    **{kind.type: kind for kind in _RELATIONS if kind.type},
    **{name: KINDS[kind] for name, kind in _SUBTYPES.items()},
}


def read(text: str, form: str) -> Document:
    """The document in a text of RDF.

    Args:
        form: one of ``FORMATS``.

    Raises:
        DocumentError: it is no such text, or the library that reads RDF is missing.
    """
    if form == "rdf" and "<!DOCTYPE" in text:  # its entities would be replaced, however much they grow
        raise DocumentError("document type declarations are not read: take it out")
    graphs: Dict[str, List[Triple]] = {"": []}
    namespaces: Dict[str, str] = {}
    for graph, triple in _parsed(text, form, namespaces):
        graphs.setdefault(graph, []).append(triple)
    document = Document(namespaces={p: i for p, i in namespaces.items() if STANDARD_NAMESPACES.get(p) != i})
    bundles = [graph for graph in graphs if graph]
    # That a graph is a bundle says no more than that there is one, unless it is called an entity.
    entities = {each.subject for each in graphs[""] if each.predicate == TYPE and each.object == Ref(PROV + "Entity")}
    bare = {Triple(graph, TYPE, Ref(PROV + "Bundle")) for graph in bundles if graph not in entities}
    document.statements = statements(each for each in graphs[""] if each not in bare)
    document.bundles = [Bundle(graph, statements=statements(graphs[graph])) for graph in bundles]
    return document


def _parsed(text: str, form: str, namespaces: Dict[str, str]) -> Iterator[Tuple[str, Triple]]:
    try:
        import pyoxigraph
    except ImportError as error:
        raise DocumentError("reading RDF needs a library: pip install 'pllib[rdf]'") from error
    kinds = {
        "ttl": pyoxigraph.RdfFormat.TURTLE,
        "trig": pyoxigraph.RdfFormat.TRIG,
        "nt": pyoxigraph.RdfFormat.N_TRIPLES,
        "nq": pyoxigraph.RdfFormat.N_QUADS,
        "rdf": pyoxigraph.RdfFormat.RDF_XML,
        "jsonld": pyoxigraph.RdfFormat.JSON_LD,
    }
    try:
        found = pyoxigraph.parse(text.encode("utf-8"), kinds[form])
        for quad in found:
            graph = quad.graph_name
            name = "" if isinstance(graph, pyoxigraph.DefaultGraph) else str(graph.value)
            subject, object_ = _node(quad.subject), quad.object
            if isinstance(object_, pyoxigraph.Literal):
                value: Value = Literal(object_.value, object_.datatype.value, object_.language)
            else:
                value = Ref(_node(object_))
            yield name, Triple(subject, quad.predicate.value, value)
        namespaces.update(found.prefixes)
    except (SyntaxError, ValueError, UnicodeError) as error:
        raise DocumentError(f"not {form}: {error}") from error


def _node(term: object) -> str:
    value = str(getattr(term, "value", term))
    return value if type(term).__name__ == "NamedNode" else BLANK + value


class _Relation(NamedTuple):
    """A qualified relation on its way to a statement."""

    node: str
    kind: Kind
    subject: Optional[str]


def statements(triples: Iterable[Triple]) -> List[Statement]:
    """The PROV statements that triples say: elements first, then relations, each in the order they were met."""
    about: Dict[str, List[Triple]] = {}
    for each in dict.fromkeys(triples):
        about.setdefault(each.subject, []).append(each)
    relations = _qualified(about)
    nodes = {each.node for each in relations}
    found: List[Statement] = []
    told: Set[Tuple[str, Optional[str], Optional[str]]] = set()
    for relation in relations:
        made = _relation(relation, about.get(relation.node, []))
        told.add((made.kind, made.arguments[0], made.arguments[1]))
        found.append(made)
    direct = [one for subject in about for one in _direct(subject, about[subject], told)]
    elements = [one for subject in about if subject not in nodes for one in _elements(subject, about[subject])]
    return [*elements, *found, *direct]


def _qualified(about: Dict[str, List[Triple]]) -> List[_Relation]:
    found: List[_Relation] = []
    pointed: Set[str] = set()
    for subject, triples in about.items():
        for each in triples:
            kind = _BY_QUALIFIED.get(_local(each.predicate))
            if kind is not None and isinstance(each.object, Ref):
                found.append(_Relation(each.object.iri, kind, subject))
                pointed.add(each.object.iri)
    for subject, triples in about.items():
        if subject not in pointed:
            kinds = (_BY_TYPE[_class(each)].name for each in triples if _class(each) in _BY_TYPE)
            found.extend(_Relation(subject, KINDS[kind], None) for kind in dict.fromkeys(kinds))
    return found


def _relation(relation: _Relation, triples: List[Triple]) -> Statement:
    kind = relation.kind
    places = {PROV + kind.influencer: 1}
    for name, property_ in kind.extra.items():
        places[PROV + property_] = kind.arguments.index(name)
    arguments: List[Optional[str]] = [relation.subject, *[None] * (len(kind.arguments) - 1)]
    attributes: List[Attribute] = []
    for each in triples:
        place = places.get(each.predicate)
        if place is not None:
            arguments[place] = each.object.iri if isinstance(each.object, Ref) else each.object.text
        elif _class(each) != kind.type:
            attributes.append(_attribute(each))
    identifier = None if relation.node.startswith(BLANK) else relation.node
    return Statement(kind.name, identifier, tuple(arguments), tuple(attributes))


def _direct(
    subject: str, triples: List[Triple], told: Set[Tuple[str, Optional[str], Optional[str]]]
) -> Iterator[Statement]:
    in_bundle = next(
        (one.object.iri for one in triples if _is(one, "asInBundle") and isinstance(one.object, Ref)), None
    )
    for each in triples:
        name = _local(each.predicate)
        if name in _SHORTCUTS and isinstance(each.object, Literal):
            yield Statement(_SHORTCUTS[name], None, (subject, None, each.object.text))
        if not isinstance(each.object, Ref):
            continue
        base, class_ = _DIRECT_SUBTYPES.get(name, (name, ""))
        kind = _BY_DIRECT.get(base)
        target = each.object.iri
        # What PROV-ML and others derive from a plan's attribute is no derivation that is said in full elsewhere.
        if kind is None or (kind.name, subject, target) in told:
            continue
        arguments = (subject, target, *[None] * (len(kind.arguments) - 2))
        if kind.name == "mentionOf":
            arguments = (subject, target, in_bundle)
        attributes = ((PROV + "type", Ref(PROV + class_)),) if class_ else ()
        yield Statement(kind.name, None, arguments, attributes)


def _elements(subject: str, triples: List[Triple]) -> Iterator[Statement]:
    classes = [_class(each) for each in triples]
    kinds = list(dict.fromkeys(_ELEMENTS[each] for each in classes if each in _ELEMENTS))
    base = {"entity": "Entity", "agent": "Agent", "activity": "Activity"}
    attributes = tuple(
        _attribute(each)
        for each in triples
        if _class(each) not in base.values() and not _is_structure(_local(each.predicate), each)
    )
    for index, name in enumerate(kinds):
        arguments: List[Optional[str]] = [None] * len(KINDS[name].arguments)
        if name == "activity":
            for each in triples:
                place = _TIMES.get(_local(each.predicate))
                if place is not None and isinstance(each.object, Literal):
                    arguments[place] = each.object.text
        # Of a subject that is several things its attributes are said once.
        yield Statement(name, subject, tuple(arguments), attributes if index == 0 else ())


def _is_structure(name: str, triple: Triple) -> bool:
    """Whether a triple says a relation or a time rather than an attribute."""
    if name in _TIMES or name in _SHORTCUTS:
        return isinstance(triple.object, Literal)
    known = name in _BY_DIRECT or name in _BY_QUALIFIED or name in _DIRECT_SUBTYPES or name == "asInBundle"
    return known and isinstance(triple.object, Ref)


def _attribute(triple: Triple) -> Attribute:
    name = _NAMES.get(triple.predicate)
    return (PROV + name if name is not None else triple.predicate, triple.object)


def _class(triple: Triple) -> str:
    """Local name of the PROV class that a triple states; the empty text for other triples."""
    if triple.predicate != TYPE or not isinstance(triple.object, Ref):
        return ""
    return _local(triple.object.iri)


def _is(triple: Triple, name: str) -> bool:
    return triple.predicate == PROV + name


def _local(iri: str) -> str:
    return iri[len(PROV) :] if iri.startswith(PROV) else ""
