"""Terms of the store as PROV documents have them."""

from __future__ import annotations

from functools import lru_cache

from pllib import prov
from pllib.prov.model import KINDS, LANG_STRING, XSD_STRING
from pllib.provml.vocabulary import PROV
from query_engine.terms import Term

QUALIFIED = frozenset(PROV + kind.qualified for kind in KINDS.values() if kind.qualified)
"""Properties whose object is a relation told as a resource of its own: times, roles, identifiers."""


@lru_cache(maxsize=100_000)
def name_of(resource: Term) -> str:
    """The IRI of a resource, or its label as a blank one."""
    return resource.value if resource.kind == "iri" else "_:" + resource.value


def value_of(term: Term) -> prov.Ref | prov.Literal:
    """A term in the place of an object; of a literal the text is as the store has it."""
    if term.kind != "literal":
        return prov.Ref(name_of(term))
    if term.lang:
        return prov.Literal(term.value, LANG_STRING, term.lang)
    return prov.Literal(term.value, term.datatype or XSD_STRING)
