"""Data stores by name: ``/v1/stores``."""

from __future__ import annotations

from collections import defaultdict
from typing import Mapping

from fastapi import APIRouter, Request

from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import models
from query_engine.aliases import Aliases, load
from query_engine.binding import Iri
from query_engine.descriptions import count_subjects, describe
from query_engine.errors import NotFound
from query_engine.models import DataSchema, Store
from query_engine.names import canonical
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import Read, Reader

router = APIRouter(prefix="/v1", tags=["data"])

_MOST_ROWS = 10_000
_STORES = "?item a provlake:DataStoreInstance ."
_PROPERTIES = ("rdf:type", "rdfs:label", "provlake:storeType", "provlake:host", "prov:wasDerivedFrom")
# From the inside out, as the vocabulary links them; a store need not have what is between.
_SCHEMAS = f"""{SPARQL_PREFIXES}SELECT ?item ?schema ?name ?database ?inside ?attribute WHERE {{
  VALUES ?item {{}}
  ?item prov:wasDerivedFrom ?plan .
  ?plan ^provlake:hasDataStore/(^provlake:hasDatabase)?/(^provlake:hasDatabaseSchema)? ?schema .
  ?schema a provlake:DataSchema ; rdfs:label ?name .
  OPTIONAL {{ ?schema provlake:hasDatabaseSchema?/provlake:hasDatabase/rdfs:label ?database }}
  OPTIONAL {{ ?schema provlake:hasDatabaseSchema/rdfs:label ?inside }}
  OPTIONAL {{ ?column provlake:hasDataSchema ?schema ; rdfs:label ?attribute }}
}} ORDER BY ?item ?schema ?attribute LIMIT {_MOST_ROWS + 1}"""


@router.get("/stores")
async def list_stores(
    request: Request, read: Read, limit: Limit = 50, cursor: CursorParameter = None
) -> models.Page[Store]:
    """Data stores by name, with all their names, their schemas, and how much data is known in them."""
    items, following = await Listing(_STORES).page(read.store, read.names, Page(request, limit, cursor))
    return models.Page(items=await _stores(read, items), next=following)


@router.get("/stores/{name}", responses={404: {"description": "No data store of that name."}})
async def get_store(name: str, read: Read) -> Store:
    """One data store, by any of its names."""
    store = read.names.iri("store/" + canonical(name))
    found = await _stores(read, [store.value])
    if not found:
        raise NotFound(f"there is no data store with the id {read.names.id(store.value)!r}", field="name")
    return found[0]


async def _stores(read: Reader, items: list[str]) -> list[Store]:
    said = await describe(read.store, items, _PROPERTIES)
    known = [iri for iri, about in said.items() if about]
    if not known:
        return []
    counts = await count_subjects(read.store, known, "provlake:store")
    schemas, cut = await _schemas(read, known)
    aliases = await load(read.store, read.names)
    return [
        Store(
            id=read.names.id(iri),
            iri=iri,
            name=read.names.name(iri),
            labels=[term.value for term in said[iri].all("rdfs:label")],
            type=said[iri].text("provlake:storeType"),
            hosts=[term.value for term in said[iri].all("provlake:host")],
            same_as=_other_names(aliases, read.names.name(iri)),
            references=counts.get(iri, 0),
            schemas=schemas[iri],
            truncated=cut,
        )
        for iri in known
    ]


def _other_names(aliases: Aliases, name: str) -> list[str]:
    return sorted(aliases.stores(name)[1:])


async def _schemas(read: Reader, items: list[str]) -> tuple[Mapping[str, list[DataSchema]], bool]:
    """The schemas of each store, and whether there are more."""
    rows = await read.store.select(_SCHEMAS, item=[Iri(iri) for iri in items])
    made: dict[tuple[str, str], DataSchema] = {}
    for row in rows[:_MOST_ROWS]:
        key = row["item"].value, row["schema"].value
        if key not in made:
            database, inside = row.get("database"), row.get("inside")
            made[key] = DataSchema(
                id=read.names.id(key[1]),
                iri=key[1],
                name=row["name"].value,
                database=None if database is None else database.value,
                database_schema=None if inside is None else inside.value,
                attributes=[],
            )
        if "attribute" in row:
            made[key].attributes.append(row["attribute"].value)
    found: dict[str, list[DataSchema]] = defaultdict(list)
    for (item, _), schema in made.items():
        found[item].append(schema)
    return found, len(rows) > _MOST_ROWS
