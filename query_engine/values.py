"""Values by attribute, value, type and execution: ``/v1/values``."""

from __future__ import annotations

import json
from typing import Annotated, Optional

from fastapi import APIRouter, Query, Request

from query_engine import models
from query_engine.binding import Literal
from query_engine.descriptions import count_subjects
from query_engine.errors import BadParameter
from query_engine.executions import Type
from query_engine.models import ListedValue
from query_engine.names import canonical, classes
from query_engine.paging import CursorParameter, Limit, Listing, Page
from query_engine.reading import Read, value_fields
from query_engine.series_reading import describe_values

router = APIRouter(prefix="/v1", tags=["values"])

_OF_ATTRIBUTE = "VALUES ?name {} ?attribute rdfs:label ?name . ?item prov:wasDerivedFrom ?attribute ."
# For the values of one execution: starting from them, not from all values of that name.
_OF_ATTRIBUTE_TOO = "FILTER EXISTS { VALUES ?name {} ?item prov:wasDerivedFrom/rdfs:label ?name }"
_OF_EXECUTION = """VALUES ?execution {} ?activity provlake:isPartOf? ?execution .
{ ?item prov:wasGeneratedBy ?activity } UNION { ?activity prov:used ?item }"""
_OF_TYPE = "VALUES ?type {} ?class rdfs:subClassOf* ?type . ?item a ?class ."
_OF_VALUE = "VALUES ?wanted {} ?item prov:value ?literal . FILTER(?literal = ?wanted)"


@router.get("/values")
async def list_values(
    request: Request,
    read: Read,
    attribute: Annotated[
        Optional[str], Query(max_length=2000, description="Name of an attribute, in any workflow.")
    ] = None,
    value: Annotated[
        Optional[str],
        Query(
            max_length=65_536,
            description="The value; `0.1` is the number and the text, `true` the boolean and the text.",
        ),
    ] = None,
    type_: Annotated[Type, Query(alias="type")] = None,
    execution: Annotated[
        Optional[str],
        Query(max_length=4000, description="Used or generated in this workflow execution: `{workflow}/{execution}`."),
    ] = None,
    limit: Limit = 50,
    cursor: CursorParameter = None,
) -> models.Page[ListedValue]:
    """Values that were used or generated. At least one of `attribute`, `type` and `execution` is needed."""
    if attribute is None and type_ is None and execution is None:
        raise BadParameter("attribute, type or execution is needed", field="attribute")
    listing = Listing("")
    if attribute is not None:
        listing.where(_OF_ATTRIBUTE if execution is None else _OF_ATTRIBUTE_TOO, name=attribute)
    if type_ is not None:
        listing.where(_OF_TYPE, type=classes(type_))
    if execution is not None:
        listing.where(_OF_EXECUTION, execution=read.names.iri(_execution_id(execution)))
    if value is not None:
        listing.where(_OF_VALUE, wanted=meanings(value))
    listing.where("FILTER(isIRI(?item))")
    items, following = await listing.page(read.store, read.names, Page(request, limit, cursor))
    said = await describe_values(read.store, items)
    counts = await count_subjects(read.store, items, "prov:used")
    values = [
        ListedValue.model_validate({**value_fields(read.names, one), "used_by_count": counts.get(iri, 0)})
        for iri, one in said.items()
    ]
    return models.Page(items=values, next=following)


def meanings(text: str) -> list[Literal]:
    """The literals that a value in a URL may stand for: the text itself and, where it reads as one, a number or boolean."""
    found = [Literal(text)]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return found
    if isinstance(value, (bool, int, float)):
        found.append(Literal.of(value))
    return found


def _execution_id(execution: str) -> str:
    workflow, _, number = execution.removeprefix("execution/").partition("/")
    return f"execution/{canonical(workflow)}/{canonical(number)}"
