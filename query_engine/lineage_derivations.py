"""Derivations between entities, which imported PROV documents may state without saying by which activity.

Of what was captured, ``prov:wasDerivedFrom`` leads to the attribute in the plan, which has no lineage. So derivations are
only looked up where the store holds imported documents; whole chains of them at once, since they may be very deep.
"""

from __future__ import annotations

from typing import Sequence

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine.binding import Iri, Literal
from query_engine.lineage import Direction, Known
from query_engine.store import StoreClient
from query_engine.tables import iri, table

MAX_ROWS = 200_000
_ANY_DOCUMENT = f"{SPARQL_PREFIXES}ASK {{ ?document a provlake:ImportedDocument }}"
_NO_PLAN = "VALUES ?base {} FILTER(!STRSTARTS(STR(?source), ?base))"
_QUERIES: dict[Direction, str] = {
    "backward": f"""
SELECT ?later ?source ?generator ?user WHERE {{
  {{ SELECT DISTINCT ?later WHERE {{ VALUES ?start {{}} ?start prov:wasDerivedFrom* ?later }} }}
  ?later prov:wasDerivedFrom ?source OPTIONAL {{ ?source prov:wasGeneratedBy ?generator }} {_NO_PLAN} }}""",
    "forward": f"""
SELECT ?later ?source ?generator ?user WHERE {{
  {{ SELECT DISTINCT ?source WHERE {{ VALUES ?start {{}} ?source prov:wasDerivedFrom* ?start }} }}
  ?later prov:wasDerivedFrom ?source OPTIONAL {{ ?user prov:used ?later }} {_NO_PLAN} }}""",
}


async def any_document(store: StoreClient) -> bool:
    """Whether the store holds imported documents."""
    return await store.ask(_ANY_DOCUMENT)


async def load(
    store: StoreClient, base: str, known: Known, entities: Sequence[str], direction: Direction
) -> tuple[list[str], bool]:
    """Makes known what entities were derived from (forward: what was derived from them), however far that goes.

    Returns:
        the entities that are new by it, and whether there was more than may be looked up.
    """
    query = f"{SPARQL_PREFIXES}{_QUERIES[direction]} LIMIT {MAX_ROWS}"
    starts = [Iri(entity) for entity in entities]
    rows = await table(store, query, 4, start=starts, base=Literal(f"{base}workflow/"))
    found: dict[str, None] = {}
    for row in rows:
        later, source, generator, user = map(iri, row)
        known.add_derivation(later, source)
        if generator:
            known.add_generation(source, generator)
        if user:
            known.add_use(user, later)
        found[source if direction == "backward" else later] = None
    return list(found), len(rows) >= MAX_ROWS
