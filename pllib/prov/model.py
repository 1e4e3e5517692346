"""The W3C PROV data model (PROV-DM, REC-prov-dm-20130430), as plain tuples that stream.

A document is namespaces, statements in order, and bundles. Identifiers and attribute names are full IRIs; how they are
shortened is a matter of the namespaces and of each format. A statement holds what one PROV-N expression says::

    wasGeneratedBy(ex:g1; ex:e1, ex:a1, 2026-11-21T10:00:00Z, [prov:role="out"])

    Statement("wasGeneratedBy", "http://…/g1", ("http://…/e1", "http://…/a1", "2026-11-21T10:00:00Z"),
              ((PROV + "role", Literal("out")),))
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Dict, Iterable, List, Mapping, NamedTuple, Optional, Tuple, Union

from ..provml.vocabulary import PROV, RDF, RDFS, XSD

XSD_STRING = XSD + "string"
LANG_STRING = RDF + "langString"
LANGUAGE = re.compile(r"[A-Za-z]{1,8}(?:-[A-Za-z0-9]{1,8})*")
"""A language tag, such as ``en`` or ``pt-BR``."""


class Literal(NamedTuple):
    """A typed value: lexical form, datatype IRI, and a language tag (then the datatype is ``rdf:langString``)."""

    text: str
    datatype: str = XSD_STRING
    lang: Optional[str] = None


class Ref(NamedTuple):
    """An IRI as the value of an attribute (``prov:QUALIFIED_NAME``), as in ``prov:type='ex:Model'``."""

    iri: str


Value = Union[Literal, Ref]
Attribute = Tuple[str, Value]
"""Name (full IRI) and value; a name may stand several times."""


@dataclass(frozen=True)
class Kind:
    """One kind of statement.

    Attributes:
        name: its PROV-N keyword, which PROV-JSON and PROV-XML use as well.
        arguments: names of the formal arguments in PROV-N's order, as PROV-JSON and PROV-XML spell them (``prov:``).
        required: how many of the first arguments must be given.
        type: local name of the class of the qualified relation, or of the element itself.
        direct: local name of the direct property in PROV-O, from the first argument to the second.
        qualified: local name of the qualifying property.
        influencer: local name of the property from the qualified relation to the second argument.
        extra: PROV-O properties of the qualified relation for the arguments after the second, by argument name.
    """

    name: str
    arguments: Tuple[str, ...]
    required: int
    type: str
    direct: str = ""
    qualified: str = ""
    influencer: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def element(self) -> bool:
        """Whether this is an entity, activity or agent rather than a relation."""
        return not self.direct

    @cached_property
    def times(self) -> Tuple[int, ...]:
        """Positions of arguments that are times."""
        return tuple(index for index, name in enumerate(self.arguments) if name in TIMES)


TIMES = frozenset(("time", "startTime", "endTime"))

_AT = {"time": "atTime"}
_ACTIVITY = {"activity": "hadActivity"}
_ALL = (
    Kind("entity", (), 0, "Entity"),
    Kind("activity", ("startTime", "endTime"), 0, "Activity"),
    Kind("agent", (), 0, "Agent"),
    Kind(
        "wasGeneratedBy",
        ("entity", "activity", "time"),
        1,
        "Generation",
        "wasGeneratedBy",
        "qualifiedGeneration",
        "activity",
        _AT,
    ),
    Kind("used", ("activity", "entity", "time"), 1, "Usage", "used", "qualifiedUsage", "entity", _AT),
    Kind(
        "wasInformedBy",
        ("informed", "informant"),
        2,
        "Communication",
        "wasInformedBy",
        "qualifiedCommunication",
        "activity",
    ),
    Kind(
        "wasStartedBy",
        ("activity", "trigger", "starter", "time"),
        1,
        "Start",
        "wasStartedBy",
        "qualifiedStart",
        "entity",
        {"starter": "hadActivity", **_AT},
    ),
    Kind(
        "wasEndedBy",
        ("activity", "trigger", "ender", "time"),
        1,
        "End",
        "wasEndedBy",
        "qualifiedEnd",
        "entity",
        {"ender": "hadActivity", **_AT},
    ),
    Kind(
        "wasInvalidatedBy",
        ("entity", "activity", "time"),
        1,
        "Invalidation",
        "wasInvalidatedBy",
        "qualifiedInvalidation",
        "activity",
        _AT,
    ),
    Kind(
        "wasDerivedFrom",
        ("generatedEntity", "usedEntity", "activity", "generation", "usage"),
        2,
        "Derivation",
        "wasDerivedFrom",
        "qualifiedDerivation",
        "entity",
        {**_ACTIVITY, "generation": "hadGeneration", "usage": "hadUsage"},
    ),
    Kind("wasAttributedTo", ("entity", "agent"), 2, "Attribution", "wasAttributedTo", "qualifiedAttribution", "agent"),
    Kind(
        "wasAssociatedWith",
        ("activity", "agent", "plan"),
        1,
        "Association",
        "wasAssociatedWith",
        "qualifiedAssociation",
        "agent",
        {"plan": "hadPlan"},
    ),
    Kind(
        "actedOnBehalfOf",
        ("delegate", "responsible", "activity"),
        2,
        "Delegation",
        "actedOnBehalfOf",
        "qualifiedDelegation",
        "agent",
        _ACTIVITY,
    ),
    Kind(
        "wasInfluencedBy",
        ("influencee", "influencer"),
        2,
        "Influence",
        "wasInfluencedBy",
        "qualifiedInfluence",
        "influencer",
    ),
    Kind("specializationOf", ("specificEntity", "generalEntity"), 2, "", "specializationOf"),
    Kind("alternateOf", ("alternate1", "alternate2"), 2, "", "alternateOf"),
    Kind("hadMember", ("collection", "entity"), 2, "", "hadMember"),
    Kind("mentionOf", ("specificEntity", "generalEntity", "bundle"), 3, "", "mentionOf"),
)
KINDS: Dict[str, Kind] = {kind.name: kind for kind in _ALL}
"""All kinds by name, in the order of PROV-DM. The last four have neither identifier nor attributes."""


class Statement(NamedTuple):
    """One statement.

    Attributes:
        kind: a key of ``KINDS``.
        id: full IRI; ``None`` for a relation that has none. Elements always have one.
        arguments: as many as the kind has, ``None`` where one is not given; IRIs, and times in the lexical form of
            ``xsd:dateTime`` as they were written.
        attributes: in order.
    """

    kind: str
    id: Optional[str]
    arguments: Tuple[Optional[str], ...] = ()
    attributes: Tuple[Attribute, ...] = ()


def statement(
    kind: str, id: Optional[str] = None, arguments: Iterable[Optional[str]] = (), attributes: Iterable[Attribute] = ()
) -> Statement:
    """A statement with all of its kind's arguments, those left out as ``None``.

    Raises:
        KeyError: there is no such kind.
        ValueError: too many arguments.
    """
    given = tuple(arguments)
    missing = len(KINDS[kind].arguments) - len(given)
    if missing < 0:
        raise ValueError(f"{kind} has {len(KINDS[kind].arguments)} arguments, not {len(given)}")
    return Statement(kind, id, given + (None,) * missing, tuple(attributes))


@dataclass
class Bundle:
    """Statements with an identifier of their own. ``statements`` may be any iterable where a bundle is only written."""

    id: Optional[str] = None
    namespaces: Dict[str, str] = field(default_factory=dict)
    """Prefix to IRI; the empty prefix is the default namespace."""
    statements: Iterable[Statement] = field(default_factory=list)


@dataclass
class Document(Bundle):
    """A document: a bundle without an identifier, that may hold others."""

    bundles: List[Bundle] = field(default_factory=list)


STANDARD_NAMESPACES: Mapping[str, str] = {"prov": PROV, "xsd": XSD, "rdf": RDF, "rdfs": RDFS}
"""Declared in every document, whether it says so or not."""
