"""Data references by path, store and prefix: ``/v1/data``."""

from __future__ import annotations

import posixpath
from collections import defaultdict
from typing import Annotated, Any, Mapping, Optional

from fastapi import APIRouter, Query, Request

from pllib.provml import iris
from pllib.provml.vocabulary import SPARQL_PREFIXES
from query_engine import models
from query_engine.aliases import load
from query_engine.binding import Iri, Literal
from query_engine.descriptions import Description, describe
from query_engine.models import Data, DataUse
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import VALUE_PROPERTIES, Read, Reader, ids, value_fields

router = APIRouter(prefix="/v1", tags=["data"])

_MOST_ROWS = 2000
_REFERENCE = "?item a provlake:DataReference . FILTER NOT EXISTS { ?item prov:specializationOf ?whole }"
_BY_PATH = """{ VALUES ?path {} ?item provlake:key ?path } UNION
{ VALUES ?path {} ?state provlake:path ?path ; prov:specializationOf? ?item }"""
_BY_PREFIX = "VALUES ?prefix {} ?item provlake:key ?key . FILTER(STRSTARTS(?key, ?prefix))"
_STATES = f"""{SPARQL_PREFIXES}SELECT ?item ?state WHERE {{
  VALUES ?item {{}} ?state prov:specializationOf ?item ; a provlake:DataReference }} ORDER BY ?state LIMIT {_MOST_ROWS + 1}"""
_USERS = f"""{SPARQL_PREFIXES}SELECT ?item ?activity WHERE {{
  VALUES ?item {{}} ?activity prov:used ?item }} ORDER BY ?item ?activity LIMIT {_MOST_ROWS + 1}"""


@router.get("/data")
async def list_data(
    request: Request,
    read: Read,
    path: Annotated[
        Optional[str], Query(max_length=8000, description="Key in its store, or path as a script said it.")
    ] = None,
    store: Annotated[
        Optional[str], Query(max_length=2000, description="Name of a data store, any that it has.")
    ] = None,
    prefix: Annotated[Optional[str], Query(max_length=8000, description="What the key begins with.")] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[Data]:
    """Data references, each with its known states and with who used and generated them."""
    listing = Listing(_REFERENCE)
    if path is not None:
        listing.where(_BY_PATH, path=[Literal(text) for text in dict.fromkeys((path, posixpath.normpath(path)))])
    if store is not None:
        named = (await load(read.store, read.names)).stores(store)
        stores = [read.names.iri(iris.store(name)) for name in named]
        listing.where("VALUES ?store {} ?item provlake:store ?store .", store=stores)
    if prefix is not None:
        listing.where(_BY_PREFIX, prefix=prefix)
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    return models.Page(items=await _data(read, items), next=following)


async def _data(read: Reader, items: list[str]) -> list[Data]:
    if not items:
        return []
    states_of, cut_states = await _pairs(read, _STATES, items, "state")
    everything = [*items, *(state for item in items for state in states_of[item])]
    users, cut_users = await _pairs(read, _USERS, everything, "activity")
    said = await describe(read.store, everything, VALUE_PROPERTIES)
    return [
        Data.model_validate(
            {
                **_use(read, said[item], users),
                "states": [DataUse.model_validate(_use(read, said[state], users)) for state in states_of[item]],
                "truncated": cut_states or cut_users,
            }
        )
        for item in items
    ]


def _use(read: Reader, said: Description, users: Mapping[str, list[str]]) -> dict[str, Any]:
    return {**value_fields(read.names, said), "used_by": ids(read.names, users[said.iri])}


async def _pairs(read: Reader, query: str, items: list[str], name: str) -> tuple[Mapping[str, list[str]], bool]:
    rows = await read.store.select(query, item=[Iri(iri) for iri in items])
    found: dict[str, list[str]] = defaultdict(list)
    for row in rows[:_MOST_ROWS]:
        found[row["item"].value].append(row[name].value)
    return found, len(rows) > _MOST_ROWS
